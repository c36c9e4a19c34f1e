//! Takes a JSON text apart (RFC 8259), byte by byte and without building anything: the reader asks for what the
//! schema expects next. The text was checked to be UTF-8 as a whole before.

use std::borrow::Cow;

use super::error::{Fail, ReadErrorKind};
use super::numbers::{Decimal, number_len};
use super::options::MAX_NUMBER_LEN;
use super::scan::plain_len;
use super::tables::Key;
use super::wire::{Open, push_bytes};

/// A place in a JSON text.
#[derive(Clone)]
pub(crate) struct Lexer<'j> {
    text: &'j str,
    pos: usize,
    /// The most bytes of a string as it is spelled.
    max_string: usize,
}

impl<'j> Lexer<'j> {
    pub(crate) const fn new(text: &'j str) -> Self {
        Self::limited(text, usize::MAX)
    }

    pub(crate) const fn limited(text: &'j str, max_string: usize) -> Self {
        Self { text, pos: 0, max_string }
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'j [u8] {
        self.text.as_bytes().get(self.pos..).unwrap_or_default()
    }

    #[inline]
    pub(crate) const fn pos(&self) -> usize {
        self.pos
    }

    /// The same text, at another place that was met in it.
    pub(crate) const fn at(&self, pos: usize) -> Self {
        Self { pos, ..*self }
    }

    #[cold]
    pub(crate) fn fail(&self, kind: ReadErrorKind) -> Box<Fail> {
        Fail::new(kind, self.pos.min(self.text.len()))
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    /// Skips white space and tells the byte after it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.pos += 1;
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn finished(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Takes the byte that comes next after white space, if it is `wanted`.
    #[inline]
    pub(crate) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.pos += usize::from(found);
        found
    }

    /// Opens an object or array.
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) -> Result<(), Box<Fail>> {
        if self.take(bracket) { Ok(()) } else { Err(self.wrong_type()) }
    }

    /// After an element: whether another one follows, or the bracket closes.
    #[inline]
    pub(crate) fn another(&mut self, close: u8) -> Result<bool, Box<Fail>> {
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.pos += 1;
                Ok(false)
            }
            _ => Err(self.fail(ReadErrorKind::Syntax)),
        }
    }

    /// Why what comes next is not what is wanted: of another type, or no JSON.
    #[cold]
    pub(crate) fn wrong_type(&mut self) -> Box<Fail> {
        let kind = match self.peek() {
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => ReadErrorKind::WrongType,
            _ => ReadErrorKind::Syntax,
        };
        self.fail(kind)
    }

    /// Takes the whole of `text` if it comes next, without skipping white space.
    #[inline]
    pub(crate) fn take_exact(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.pos += text.len();
        }
        found
    }

    /// Takes a member's name and its colon if they come next, spelled like this.
    #[inline]
    pub(crate) fn take_key(&mut self, key: &Key) -> bool {
        match key.starts(self.rest()) {
            Some(len) => {
                self.pos += len;
                true
            }
            None => false,
        }
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, word: &str) -> Result<(), Box<Fail>> {
        if self.take_exact(word.as_bytes()) { Ok(()) } else { Err(self.fail(ReadErrorKind::Syntax)) }
    }

    /// The colon after a member's name.
    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Box<Fail>> {
        if self.take(b':') { Ok(()) } else { Err(self.fail(ReadErrorKind::Syntax)) }
    }

    /// Takes the opening quote and the plain text after it; then comes the closing quote, an escape or an error.
    #[inline]
    fn begin_string(&mut self) -> Result<&'j [u8], Box<Fail>> {
        if self.byte() != Some(b'"') {
            return Err(self.wrong_type());
        }
        self.pos += 1;
        let plain = self.plain();
        if plain.len() > self.max_string { Err(self.fail(ReadErrorKind::StringTooLong)) } else { Ok(plain) }
    }

    #[inline]
    fn plain(&mut self) -> &'j [u8] {
        let rest = self.rest();
        let plain = rest.get(..plain_len(rest)).unwrap_or_default();
        self.pos += plain.len();
        plain
    }

    /// The text of a string, in `scratch` if it has escapes. White space must be skipped before.
    #[inline]
    pub(crate) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Box<Fail>>
    where
        'j: 's,
    {
        let plain = self.begin_string()?;
        if self.byte() == Some(b'"') {
            self.pos += 1;
            return Ok(plain);
        }
        scratch.clear();
        self.rest_of_string(plain, scratch)?;
        Ok(scratch)
    }

    /// The text of a string, borrowed from the JSON text unless it has escapes.
    pub(crate) fn cow(&mut self) -> Result<Cow<'j, [u8]>, Box<Fail>> {
        let plain = self.begin_string()?;
        if self.byte() == Some(b'"') {
            self.pos += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = Vec::new();
        self.rest_of_string(plain, &mut text)?;
        Ok(Cow::Owned(text))
    }

    /// The text of a string as text.
    pub(crate) fn text<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s str, Box<Fail>>
    where
        'j: 's,
    {
        let text = self.string(scratch)?;
        std::str::from_utf8(text).map_err(|_| self.fail(ReadErrorKind::Utf8))
    }

    /// Appends a string to `out` as its length and its bytes.
    #[inline]
    pub(crate) fn string_to_wire(&mut self, out: &mut Vec<u8>) -> Result<(), Box<Fail>> {
        let plain = self.begin_string()?;
        if self.byte() == Some(b'"') {
            self.pos += 1;
            push_bytes(out, plain);
            return Ok(());
        }
        let open = Open::begin(out);
        self.rest_of_string(plain, out)?;
        open.end(out);
        Ok(())
    }

    /// Appends the first plain part and all that follows up to the closing quote.
    fn rest_of_string(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Box<Fail>> {
        out.extend_from_slice(plain);
        let start = self.pos - plain.len();
        loop {
            if self.pos - start > self.max_string {
                return Err(self.fail(ReadErrorKind::StringTooLong));
            }
            match self.byte() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(out)?,
                _ => return Err(self.fail(ReadErrorKind::Syntax)),
            }
            out.extend_from_slice(self.plain());
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Box<Fail>> {
        let Some(&[_, letter]) = self.rest().first_chunk() else {
            return Err(self.fail(ReadErrorKind::Syntax));
        };
        let byte = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(out),
            _ => return Err(self.fail(ReadErrorKind::Syntax)),
        };
        self.pos += 2;
        out.push(byte);
        Ok(())
    }

    /// `\uXXXX`, or two of them for a character outside the basic plane.
    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<(), Box<Fail>> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.rest().starts_with(b"\\u") {
                    return Err(self.fail(ReadErrorKind::Utf8));
                }
                match self.hex4()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(self.fail(ReadErrorKind::Utf8)),
                }
            }
            _ => first,
        };
        let Some(character) = char::from_u32(code) else {
            return Err(self.fail(ReadErrorKind::Utf8));
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, Box<Fail>> {
        let Some(&[_, _, ref digits @ ..]) = self.rest().first_chunk::<6>() else {
            return Err(self.fail(ReadErrorKind::Syntax));
        };
        let mut code = 0;
        for &digit in digits {
            match char::from(digit).to_digit(16) {
                Some(value) => code = code << 4 | value,
                None => return Err(self.fail(ReadErrorKind::Syntax)),
            }
        }
        self.pos += 6;
        Ok(code)
    }

    /// A number as it is spelled.
    pub(crate) fn number(&mut self) -> Result<&'j [u8], Box<Fail>> {
        let rest = self.rest();
        let Some(number) = number_len(rest).and_then(|len| rest.get(..len)) else {
            return Err(match rest.first() {
                Some(b'-' | b'0'..=b'9') => self.fail(ReadErrorKind::Syntax),
                _ => self.wrong_type(),
            });
        };
        self.pos += number.len();
        if number.len() > MAX_NUMBER_LEN { Err(self.fail(ReadErrorKind::NumberTooLong)) } else { Ok(number) }
    }

    /// An integer in plain digits that fits: its sign and magnitude. Takes nothing if there is something else.
    #[inline]
    pub(crate) fn small_integer(&mut self) -> Option<(bool, u64)> {
        let rest = self.rest();
        let (negative, digits) = match rest {
            [b'-', digits @ ..] => (true, digits),
            _ => (false, rest),
        };
        let mut value = 0u64;
        let mut len = 0;
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                if matches!(byte, b'.' | b'e' | b'E') {
                    return None;
                }
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            len += 1;
        }
        // 19 digits always fit; more, none, or zeros in front are left to the full parser.
        if len == 0 || len > 19 || (len > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        self.pos += len + usize::from(negative);
        Some((negative, value))
    }

    /// A number in a few plain digits, if `exact` can do with it. Takes nothing else.
    #[inline]
    pub(crate) fn decimal<T>(&mut self, exact: impl FnOnce(Decimal) -> Option<T>) -> Option<T> {
        let (decimal, len) = Decimal::take(self.rest())?;
        let value = exact(decimal)?;
        self.pos += len;
        Some(value)
    }

    /// Skips one value of any type, nested no deeper than `depth`.
    pub(crate) fn skip_value(&mut self, depth: u32, scratch: &mut Vec<u8>) -> Result<(), Box<Fail>> {
        self.skip_value_with(depth, scratch, &mut |_, _, _| {})
    }

    /// As above, and tells `member` of each member of each object: where the object begins, its name, and where its
    /// value begins.
    pub(crate) fn skip_value_with(
        &mut self,
        depth: u32,
        scratch: &mut Vec<u8>,
        member: &mut impl FnMut(usize, &[u8], usize),
    ) -> Result<(), Box<Fail>> {
        match self.peek() {
            Some(b'"') => self.string(scratch).map(|_| ()),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(open @ (b'{' | b'[')) => {
                let Some(depth) = depth.checked_sub(1) else {
                    return Err(self.fail(ReadErrorKind::Depth));
                };
                let start = self.pos;
                self.pos += 1;
                let close = if open == b'{' { b'}' } else { b']' };
                if self.take(close) {
                    return Ok(());
                }
                loop {
                    if open == b'{' {
                        let name = self.name(scratch)?;
                        self.colon()?;
                        self.peek();
                        member(start, name, self.pos);
                    }
                    self.skip_value_with(depth, scratch, member)?;
                    if !self.another(close)? {
                        return Ok(());
                    }
                }
            }
            _ => Err(self.fail(ReadErrorKind::Syntax)),
        }
    }

    /// The name of a member: anything but a string is no JSON there.
    #[inline]
    fn name<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Box<Fail>>
    where
        'j: 's,
    {
        if self.peek() == Some(b'"') { self.string(scratch) } else { Err(self.fail(ReadErrorKind::Syntax)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(json: &str) -> Result<String, ReadErrorKind> {
        let mut scratch = Vec::new();
        let mut wire = Vec::new();
        let to_wire = Lexer::new(json).string_to_wire(&mut wire).map_err(|fail| fail.kind);
        let text = Lexer::new(json).text(&mut scratch).map(str::to_owned).map_err(|fail| fail.kind);
        assert_eq!(to_wire, text.as_ref().map(|_| ()).map_err(|kind| *kind));
        if let Ok(text) = &text {
            assert_eq!(&wire[1..], text.as_bytes());
        }
        text
    }

    #[test]
    fn strings() {
        let good = [
            (r#""""#, ""),
            (r#""a""#, "a"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""x\u00e9y\u4e2d""#, "xéy中"),
            (r#""\ud83d\uDE00!""#, "😀!"),
            (r#""plain text that is long\nand more""#, "plain text that is long\nand more"),
        ];
        for (json, expected) in good {
            assert_eq!(string(json).as_deref(), Ok(expected), "{json}");
        }
        let bad = [
            (r#""a"#, ReadErrorKind::Syntax),
            (r#""\"#, ReadErrorKind::Syntax),
            (r#""\x""#, ReadErrorKind::Syntax),
            (r#""\u12g4""#, ReadErrorKind::Syntax),
            (r#""\u12"#, ReadErrorKind::Syntax),
            (r#""\ud83d""#, ReadErrorKind::Utf8),
            (r#""\ud83dx""#, ReadErrorKind::Utf8),
            (r#""\ud83d\u0041""#, ReadErrorKind::Utf8),
            (r#""\ude00""#, ReadErrorKind::Utf8),
            ("\"a\nb\"", ReadErrorKind::Syntax),
            ("1", ReadErrorKind::WrongType),
            ("x", ReadErrorKind::Syntax),
        ];
        for (json, expected) in bad {
            assert_eq!(string(json), Err(expected), "{json}");
        }
    }

    #[test]
    fn skipping_agrees_with_a_json_parser() {
        let table = [
            "null",
            "true",
            "[]",
            "{}",
            "[1,2,[3]]",
            r#"{"a":{"b":[1.5e3,"x"]},"c":null}"#,
            "-0.5",
            "1E+2",
            "[1,]",
            "{,}",
            r#"{"a" 1}"#,
            "[1 2]",
            "nul",
            "01",
            "1.",
            "-",
            r#"{"a":}"#,
            "[",
            r#"{"a":1"#,
            "",
        ];
        for json in table {
            let mut lexer = Lexer::new(json);
            let skipped = lexer.skip_value(100, &mut Vec::new()).is_ok() && lexer.finished();
            assert_eq!(skipped, serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let fail = Lexer::new(&deep).skip_value(100, &mut Vec::new()).unwrap_err();
        assert_eq!((fail.kind, fail.offset), (ReadErrorKind::Depth, 100));
    }
}
