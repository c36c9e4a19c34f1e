//! The five bytes before every gRPC message (PROTOCOL-HTTP2: Length-Prefixed-Message), and reading exactly one.

use bytes::{Buf, Bytes, BytesMut};
use h2::RecvStream;

use super::status;
use crate::fault::{Code, Fault, Kind};

/// Bytes of a frame's head: compressed flag and big-endian length.
pub const FRAME_HEAD: usize = 5;

/// Begins a frame: leaves room for its head in an empty buffer, so that the message is written right behind it.
pub fn start_frame(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; FRAME_HEAD]);
}

/// Ends a frame that began at the start of `out`: sets its length, uncompressed.
///
/// # Errors
/// A message over 4 GiB has no length that fits.
pub fn finish_frame(mut out: Vec<u8>) -> Result<Bytes, Fault> {
    let too_large = || Fault::new(Kind::TooLarge, "MESSAGE_TOO_LARGE", "the request message is over 4 GiB");
    let length = out.len().checked_sub(FRAME_HEAD).ok_or_else(too_large)?;
    let length = u32::try_from(length).map_err(|_| too_large())?;
    if let Some(head) = out.get_mut(1..FRAME_HEAD) {
        head.copy_from_slice(&length.to_be_bytes());
    }
    Ok(out.into())
}

/// What a unary reply's DATA frames held.
pub(super) enum Received {
    /// No byte.
    Nothing,
    /// One whole message.
    Message(Bytes),
    /// Something that is no single uncompressed message; why.
    Broken(&'static str),
}

/// Reads all DATA of a unary reply. A message that came in one frame is a slice of it, without a copy.
///
/// # Errors
/// Resets, lost connections, and messages over `max` bytes.
pub(super) async fn receive_unary(stream: &mut RecvStream, max: usize) -> Result<Received, Fault> {
    let Some(mut first) = next_data(stream).await? else { return Ok(Received::Nothing) };
    if let Some(length) = head_length(&first) {
        check_size(length, max)?;
        if first.len() == FRAME_HEAD + length && first[0] == 0 {
            return Ok(match next_data(stream).await? {
                None => Received::Message(first.split_off(FRAME_HEAD)),
                Some(_) => Received::Broken("more bytes after the message"),
            });
        }
    }
    gather(stream, first, max).await
}

/// The slow way: the reply came in pieces.
async fn gather(stream: &mut RecvStream, first: Bytes, max: usize) -> Result<Received, Fault> {
    let mut whole = BytesMut::from(first);
    let mut sized = false;
    loop {
        if let Some(length) = head_length(&whole) {
            check_size(length, max)?;
            if whole.len() > FRAME_HEAD + length {
                return Ok(Received::Broken("more bytes after the message"));
            }
            if !sized {
                // The backend announces the length, but sends it at its own pace: reserve no more than comes soon.
                whole.reserve((FRAME_HEAD + length - whole.len()).min(READ_AHEAD));
                sized = true;
            }
        }
        match next_data(stream).await? {
            Some(data) => whole.extend_from_slice(&data),
            None => break,
        }
    }
    Ok(match head_length(&whole) {
        None => Received::Broken("a truncated message"),
        Some(_) if whole[0] != 0 => Received::Broken("a compressed message that was not asked for"),
        Some(length) if whole.len() < FRAME_HEAD + length => Received::Broken("a truncated message"),
        Some(_) => {
            whole.advance(FRAME_HEAD);
            Received::Message(whole.freeze())
        }
    })
}

/// The most that is reserved on a backend's word alone.
const READ_AHEAD: usize = 1 << 20;

/// The length in a frame's head, once the head is whole.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let head: [u8; 4] = bytes.get(1..FRAME_HEAD)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(head)).ok()
}

fn check_size(length: usize, max: usize) -> Result<(), Fault> {
    if length > max {
        let message = "the backend's message is larger than the gateway accepts";
        return Err(Fault::new(Kind::ReplyTooLarge, "REPLY_TOO_LARGE", message)
            .because(format!("{length} bytes, the limit is {max}")));
    }
    Ok(())
}

/// The next non-empty DATA, with its flow-control window given back at once.
async fn next_data(stream: &mut RecvStream) -> Result<Option<Bytes>, Fault> {
    while let Some(data) = stream.data().await {
        let data = data.map_err(|error| status::from_h2(&error))?;
        if !data.is_empty() {
            // It fails only for streams that are gone, and then the next read says so.
            let _ = stream.flow_control().release_capacity(data.len());
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What a broken reply becomes.
pub(super) fn broken(why: &'static str) -> Fault {
    Fault::broken_backend(Code::Internal, "BAD_REPLY", "the backend's reply can't be read").because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_their_length() {
        let mut out = Vec::new();
        start_frame(&mut out);
        out.extend_from_slice(b"abc");
        assert_eq!(finish_frame(out).unwrap().as_ref(), b"\0\0\0\0\x03abc");
        assert!(finish_frame(vec![0; 3]).is_err());
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        assert_eq!(head_length(&[0, 0, 0, 1]), None);
        assert_eq!(head_length(&[0, 0, 0, 1, 2]), Some(258));
    }
}
