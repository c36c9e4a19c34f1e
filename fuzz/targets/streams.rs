//! Streams of messages: what is cut out of them must not depend on the pieces in which they come.

use bytes::Bytes;
use transom::transcode::Elements;
use transom::upstream::Deframer;

use super::{choice, pieces};

/// The largest element or message.
const MAX: usize = 64;

/// What came out of a stream, and why it stopped.
type Cut = (Vec<Bytes>, Result<(), &'static str>);

fn elements_of(pieces: &[&[u8]]) -> Cut {
    let mut elements = Elements::new(MAX);
    let mut found = Vec::new();
    for piece in pieces {
        elements.push(piece);
        loop {
            match elements.next_element() {
                Ok(Some(element)) => found.push(element),
                Ok(None) => break,
                Err(fault) => return (found, Err(fault.reason())),
            }
        }
    }
    match elements.finish() {
        Ok(last) => {
            found.extend(last);
            (found, Ok(()))
        }
        Err(fault) => (found, Err(fault.reason())),
    }
}

/// The body of a client stream, in one piece and in many.
pub(super) fn elements(data: &[u8]) {
    let (seed, body) = choice(data);
    let whole = elements_of(&[body]);
    assert_eq!(whole, elements_of(&pieces(body, seed)), "{}", body.escape_ascii());
    for element in &whole.0 {
        assert!(!element.is_empty() && element.len() <= MAX, "{}", element.escape_ascii());
        assert!(body.windows(element.len()).any(|part| part == element), "{}", element.escape_ascii());
    }
}

fn messages_of(pieces: &[&[u8]]) -> (Vec<Bytes>, Result<bool, String>) {
    let mut deframer = Deframer::new(MAX, 0);
    let mut found = Vec::new();
    for piece in pieces {
        deframer.push(Bytes::copy_from_slice(piece));
        loop {
            match deframer.next_message() {
                Ok(Some((_, message))) => found.push(message),
                Ok(None) => break,
                Err(bad) => return (found, Err(format!("{bad:?}"))),
            }
        }
    }
    let ended = deframer.is_empty();
    (found, Ok(ended))
}

/// gRPC's frames, in one piece and in many.
pub(super) fn deframer(data: &[u8]) {
    let (seed, stream) = choice(data);
    let whole = messages_of(&[stream]);
    assert_eq!(whole, messages_of(&pieces(stream, seed)), "{}", stream.escape_ascii());
    if whole.1 == Ok(true) {
        let framed: usize = whole.0.iter().map(|message| message.len() + 5).sum();
        assert_eq!(framed, stream.len(), "every byte belongs to a message");
    }
}
