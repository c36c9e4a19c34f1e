//! Cuts the body of a client stream into its elements: a JSON array, concatenated values, or one value a line.
//!
//! What is cut out is read by the codec, which finds what is wrong inside; only what stands between elements is judged
//! here. Bytes may come in any pieces.

use bytes::{Buf, Bytes, BytesMut};

use crate::fault::{Fault, Kind};

/// Cuts a body into elements.
pub struct Elements {
    /// The largest element, in bytes.
    max: usize,
    /// Bytes that belong to no element that was given out.
    buffer: BytesMut,
    /// How far `buffer` was looked at.
    at: usize,
    place: Place,
    value: Option<Value>,
}

/// What may come next outside of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space came yet.
    Start,
    /// After `[`: an element, or `]`.
    FirstInArray,
    /// After a comma: an element.
    InArray,
    /// After an element of an array: a comma, or `]`.
    AfterElement,
    /// Elements that follow each other without an array around them.
    Loose,
    /// After `]`: nothing.
    End,
}

/// An element that is not whole yet; it begins at the start of the buffer.
#[derive(Debug, Clone, Copy)]
struct Value {
    kind: ValueKind,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    /// An object, an array or a string: it ends by itself.
    Delimited,
    /// A number or a word: it ends where something else begins.
    Bare,
}

impl Elements {
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, buffer: BytesMut::new(), at: 0, place: Place::Start, value: None }
    }

    /// Adds a piece of the body.
    pub fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next whole element; `None` where more of the body is needed.
    ///
    /// # Errors
    /// Something between elements that does not belong there, or an element over the limit.
    pub fn next_element(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if self.value.is_some() {
                return self.cut();
            }
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blank);
            let Some(byte) = self.buffer.first().copied() else { return Ok(None) };
            let place = match (self.place, byte) {
                (Place::Start, b'[')
                | (Place::FirstInArray | Place::AfterElement, b']')
                | (Place::AfterElement, b',') => {
                    self.buffer.advance(1);
                    match byte {
                        b'[' => Place::FirstInArray,
                        b',' => Place::InArray,
                        _ => Place::End,
                    }
                }
                (Place::AfterElement | Place::End, _) | (_, b',' | b']' | b'}' | b':') => {
                    return Err(misplaced(byte));
                }
                (Place::Start | Place::Loose, _) => {
                    self.value = Some(Value::starting_with(byte));
                    Place::Loose
                }
                (Place::FirstInArray | Place::InArray, _) => {
                    self.value = Some(Value::starting_with(byte));
                    Place::AfterElement
                }
            };
            self.place = place;
        }
    }

    /// Says that the body is over, and gives the last element if it ended with it.
    ///
    /// # Errors
    /// A body that ends within an element or an array.
    pub fn finish(&mut self) -> Result<Option<Bytes>, Fault> {
        let message = "the request's body ends within a JSON value";
        let unfinished = || Err(Fault::new(Kind::Incomplete, "INCOMPLETE_BODY", message));
        match (self.place, self.value.take()) {
            (Place::Start | Place::Loose | Place::End, None) => Ok(None),
            (Place::Loose, Some(value)) if value.kind == ValueKind::Bare => {
                self.at = 0;
                Ok(Some(self.buffer.split().freeze()))
            }
            (Place::FirstInArray | Place::InArray | Place::AfterElement, _) | (_, Some(_)) => unfinished(),
        }
    }

    /// Looks for the end of the element at the start of the buffer.
    fn cut(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(value) = &mut self.value else { return Ok(None) };
        let end = value.end(&self.buffer, &mut self.at);
        if end.unwrap_or(self.buffer.len()) > self.max {
            return Err(Fault::body_too_large(self.max));
        }
        let Some(end) = end else { return Ok(None) };
        self.value = None;
        self.at = 0;
        Ok(Some(self.buffer.split_to(end).freeze()))
    }
}

impl Value {
    fn starting_with(byte: u8) -> Self {
        let kind = if matches!(byte, b'{' | b'[' | b'"') { ValueKind::Delimited } else { ValueKind::Bare };
        Self { kind, depth: 0, in_string: false, escaped: false }
    }

    /// Where the element ends, looking from `at` on; `None` where it goes on behind the buffer.
    fn end(&mut self, buffer: &[u8], at: &mut usize) -> Option<usize> {
        while let Some(&byte) = buffer.get(*at) {
            if self.kind == ValueKind::Bare {
                if byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b'"') {
                    return Some(*at);
                }
                *at += 1;
                continue;
            }
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    *at += 1;
                    continue;
                }
                let rest = buffer.get(*at..).unwrap_or_default();
                match memchr::memchr2(b'"', b'\\', rest) {
                    None => *at = buffer.len(),
                    Some(ahead) => {
                        self.escaped = rest.get(ahead) == Some(&b'\\');
                        self.in_string = self.escaped;
                        *at += ahead + 1;
                        if !self.in_string && self.depth == 0 {
                            return Some(*at);
                        }
                    }
                }
                continue;
            }
            *at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(*at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

fn misplaced(byte: u8) -> Fault {
    let message =
        format!("unexpected `{}` between the elements of the body", char::from(byte).escape_default());
    Fault::invalid_argument("JSON_SYNTAX", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]], max: usize) -> Result<Vec<String>, &'static str> {
        let mut elements = Elements::new(max);
        let mut found = Vec::new();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        for piece in pieces {
            elements.push(piece);
            while let Some(element) = elements.next_element().map_err(|fault| fault.reason())? {
                found.push(text(element));
            }
        }
        found.extend(elements.finish().map_err(|fault| fault.reason())?.map(text));
        Ok(found)
    }

    const CASES: &[(&str, Result<&[&str], &str>)] = &[
        ("", Ok(&[])),
        (" \n", Ok(&[])),
        ("[]", Ok(&[])),
        (" [ ] ", Ok(&[])),
        ("{}", Ok(&["{}"])),
        ("{}{}", Ok(&["{}", "{}"])),
        ("{\"a\":1}\n{\"a\":[1,2]}\n", Ok(&["{\"a\":1}", "{\"a\":[1,2]}"])),
        ("[{\"a\":\"]}\\\"\"}, {\"b\":[[]]}]", Ok(&["{\"a\":\"]}\\\"\"}", "{\"b\":[[]]}"])),
        ("[1,\"a,]\",null]", Ok(&["1", "\"a,]\"", "null"])),
        ("1 2\ntrue", Ok(&["1", "2", "true"])),
        ("\"a\"\"b\\\\\"", Ok(&["\"a\"", "\"b\\\\\""])),
        ("[[1],[2]]", Ok(&["[1]", "[2]"])),
        ("[1 2]", Err("JSON_SYNTAX")),
        ("[1,,2]", Err("JSON_SYNTAX")),
        ("[,1]", Err("JSON_SYNTAX")),
        ("[1,]", Err("JSON_SYNTAX")),
        ("{},{}", Err("JSON_SYNTAX")),
        ("[] {}", Err("JSON_SYNTAX")),
        ("[{}", Err("INCOMPLETE_BODY")),
        ("[{},", Err("INCOMPLETE_BODY")),
        ("[", Err("INCOMPLETE_BODY")),
        ("{\"a\":", Err("INCOMPLETE_BODY")),
        ("\"a", Err("INCOMPLETE_BODY")),
        ("[1", Err("INCOMPLETE_BODY")),
    ];

    #[test]
    fn elements_are_the_same_wherever_the_body_is_cut() {
        for (body, want) in CASES {
            let want = want.map(|elements| elements.iter().map(ToString::to_string).collect::<Vec<_>>());
            let body = body.as_bytes();
            for first in 0..=body.len() {
                for second in first..=body.len() {
                    let pieces = [&body[..first], &body[first..second], &body[second..]];
                    assert_eq!(
                        cut(&pieces, 100),
                        want,
                        "{:?} cut {first} {second}",
                        std::str::from_utf8(body)
                    );
                }
            }
        }
    }

    #[test]
    fn an_element_has_a_limit_and_a_body_has_none() {
        assert_eq!(cut(&[b"[\"12345678\"]"], 9), Err("BODY_TOO_LARGE"));
        assert_eq!(cut(&[b"\"1234567890123"], 9), Err("BODY_TOO_LARGE"));
        let many = "{}".repeat(1000);
        assert_eq!(cut(&[many.as_bytes()], 9).unwrap().len(), 1000);
    }
}
