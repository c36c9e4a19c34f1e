//! The five bytes before every gRPC message (PROTOCOL-HTTP2: Length-Prefixed-Message), written and read.

use bytes::{Buf, Bytes, BytesMut};

use crate::fault::{Code, Fault, Kind};

/// Bytes of a frame's head: compressed flag and big-endian length.
pub const FRAME_HEAD: usize = 5;

/// The most that is reserved on a backend's word alone.
const READ_AHEAD: usize = 1 << 20;

/// Begins a frame: leaves room for its head in an empty buffer, so that the message is written right behind it.
pub fn start_frame(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; FRAME_HEAD]);
}

/// Ends a frame that began at the start of `out`: sets its length, uncompressed.
///
/// # Errors
/// A message over 4 GiB has no length that fits.
pub fn finish_frame(mut out: Vec<u8>) -> Result<Bytes, Fault> {
    let too_large = || Fault::new(Kind::TooLarge, "BODY_TOO_LARGE", "the request message is over 4 GiB");
    let length = out.len().checked_sub(FRAME_HEAD).ok_or_else(too_large)?;
    let length = u32::try_from(length).map_err(|_| too_large())?;
    if let Some(head) = out.get_mut(1..FRAME_HEAD) {
        head.copy_from_slice(&length.to_be_bytes());
    }
    Ok(out.into())
}

/// Cuts data into messages. A message that lies within one piece of data is a slice of it, without a copy.
#[derive(Debug)]
pub struct Deframer {
    /// The largest message that is accepted, in bytes.
    max: usize,
    /// The largest flags that are accepted.
    flags: u8,
    /// What is left of the last piece, where nothing is left of those before it.
    piece: Bytes,
    /// A message that came in several pieces, up to now.
    partial: BytesMut,
    /// How much of a message that is handed out in parts is still to come.
    left: usize,
}

/// What a reply begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Too little to tell.
    Unknown,
    /// A message that is to be taken as a whole.
    Small,
    /// A message of so many bytes, which now comes by [`Deframer::part`].
    Large(usize),
}

impl Deframer {
    /// `max` is the largest message, in bytes; `flags` are the largest flags, 0 where no message may be compressed.
    #[must_use]
    pub fn new(max: usize, flags: u8) -> Self {
        Self { max, flags, piece: Bytes::new(), partial: BytesMut::new(), left: 0 }
    }

    /// Adds data, once [`Deframer::next_message`] has said that it needs more.
    pub fn push(&mut self, data: Bytes) {
        if self.partial.is_empty() && self.piece.is_empty() {
            self.piece = data;
        } else {
            self.partial.extend_from_slice(&std::mem::take(&mut self.piece));
            self.piece = data;
        }
    }

    /// The next whole message, without its head, and its flags; `None` where more data is needed.
    ///
    /// # Errors
    /// What its head says that may not be.
    pub fn next_message(&mut self) -> Result<Option<(u8, Bytes)>, BadFrame> {
        if self.partial.is_empty() {
            let Some((flags, length)) = self.head(&self.piece)? else { return Ok(None) };
            if self.piece.len() < FRAME_HEAD + length {
                return Ok(None);
            }
            let mut frame = self.piece.split_to(FRAME_HEAD + length);
            return Ok(Some((flags, frame.split_off(FRAME_HEAD))));
        }
        // The head first, then as much as its length says; the rest stays in the piece.
        self.fill(FRAME_HEAD);
        let Some((flags, length)) = self.head(&self.partial)? else { return Ok(None) };
        let whole = FRAME_HEAD + length;
        if self.partial.capacity() < whole {
            let missing = whole - self.partial.len();
            self.partial.reserve(missing.min(READ_AHEAD));
        }
        self.fill(whole);
        if self.partial.len() < whole {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.partial);
        frame.advance(FRAME_HEAD);
        Ok(Some((flags, frame.freeze())))
    }

    /// Whether the next message has more than `above` bytes; such a one is opened.
    ///
    /// # Errors
    /// As [`Deframer::next_message`].
    pub(super) fn start(&mut self, above: usize) -> Result<Start, BadFrame> {
        let straddles = !self.partial.is_empty();
        if straddles {
            self.fill(FRAME_HEAD);
        }
        let front = if straddles { &self.partial[..] } else { &self.piece };
        let Some((_, length)) = self.head(front)? else { return Ok(Start::Unknown) };
        if length <= above {
            return Ok(Start::Small);
        }
        if straddles {
            self.partial = BytesMut::new();
        } else {
            self.piece.advance(FRAME_HEAD);
        }
        self.left = length;
        Ok(Start::Large(length))
    }

    /// What there is of the message that is open.
    pub(super) fn part(&mut self) -> Option<Bytes> {
        let part = self.piece.split_to(self.left.min(self.piece.len()));
        self.left -= part.len();
        (!part.is_empty()).then_some(part)
    }

    /// Whether a message is open whose bytes have not all come.
    pub(super) fn is_open(&self) -> bool {
        self.left > 0
    }

    /// Whether all that came in belonged to whole messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.piece.is_empty() && self.partial.is_empty()
    }

    /// Moves bytes from the piece until the partial message has `target` of them.
    fn fill(&mut self, target: usize) {
        let missing = target.saturating_sub(self.partial.len()).min(self.piece.len());
        self.partial.extend_from_slice(&self.piece.split_to(missing));
    }

    fn head(&self, bytes: &[u8]) -> Result<Option<(u8, usize)>, BadFrame> {
        match bytes.split_first_chunk::<FRAME_HEAD>() {
            Some((&head, _)) => {
                let length = read_head(head, self.max, self.flags)?;
                Ok(Some((head[0], length)))
            }
            None => Ok(None),
        }
    }
}

/// The length of a message.
fn read_head([flags, length @ ..]: [u8; FRAME_HEAD], max: usize, max_flags: u8) -> Result<usize, BadFrame> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if flags > max_flags {
        Err(BadFrame::Flags(flags))
    } else if length > max {
        Err(BadFrame::TooLarge { length, max })
    } else {
        Ok(length)
    }
}

/// What the head of a frame says that may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFrame {
    /// So many bytes are more than a message may have.
    TooLarge { length: usize, max: usize },
    /// These flags mean nothing here.
    Flags(u8),
}

impl BadFrame {
    /// What it means where a backend has sent it.
    #[must_use]
    pub fn of_backend(self) -> Fault {
        match self {
            Self::TooLarge { length, max } => {
                let message = "the backend's message is larger than the gateway accepts";
                Fault::new(Kind::ReplyTooLarge, "REPLY_TOO_LARGE", message)
                    .because(format!("{length} bytes, the limit is {max}"))
            }
            Self::Flags(1) => broken("a compressed message that was not asked for"),
            Self::Flags(_) => broken("a message with flags that gRPC does not know"),
        }
    }

    /// What it means where a client has sent it.
    #[must_use]
    pub fn of_client(self) -> Fault {
        match self {
            Self::TooLarge { length, .. } => {
                let message = format!("a message of {length} bytes is more than may be sent");
                Fault::new(Kind::TooLarge, "BODY_TOO_LARGE", message)
            }
            Self::Flags(flags) => {
                Fault::invalid_argument("BAD_FRAME", format!("a message's flags are {flags:#04x}"))
            }
        }
    }
}

/// Walks over messages that pass untouched, wherever their bytes are cut: counts them, and measures each by its head.
#[derive(Debug)]
pub struct FrameWalk {
    /// The largest message that may pass, in bytes.
    max: usize,
    /// The largest flags that may pass.
    flags: u8,
    head: [u8; FRAME_HEAD],
    /// Bytes of the head that are here.
    have: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    messages: u64,
}

impl FrameWalk {
    /// As [`Deframer::new`].
    #[must_use]
    pub fn new(max: usize, flags: u8) -> Self {
        Self { max, flags, head: [0; FRAME_HEAD], have: 0, left: 0, messages: 0 }
    }

    /// Walks over the next bytes.
    ///
    /// # Errors
    /// What the head of a message says that may not be.
    pub fn step(&mut self, mut data: &[u8]) -> Result<(), BadFrame> {
        while !data.is_empty() {
            let skipped = self.left.min(data.len());
            data = data.get(skipped..).unwrap_or_default();
            self.left -= skipped;
            if self.left > 0 {
                break;
            }
            let count = (FRAME_HEAD - self.have).min(data.len());
            let (head, rest) = data.split_at_checked(count).unwrap_or((data, &[]));
            if let Some(room) = self.head.get_mut(self.have..self.have + count) {
                room.copy_from_slice(head);
            }
            self.have += count;
            data = rest;
            if self.have < FRAME_HEAD {
                break;
            }
            let length = read_head(self.head, self.max, self.flags)?;
            (self.have, self.left) = (0, length);
            self.messages += 1;
        }
        Ok(())
    }

    /// Whether all bytes so far belong to whole messages.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// How many messages have begun.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

/// What a broken reply becomes.
#[must_use]
pub fn broken(why: &'static str) -> Fault {
    Fault::broken_backend(Code::Internal, "BAD_REPLY", "the backend's reply can't be read").because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &[u8]) -> Bytes {
        let mut out = Vec::new();
        start_frame(&mut out);
        out.extend_from_slice(message);
        finish_frame(out).unwrap()
    }

    fn all(pieces: &[&[u8]]) -> Vec<Bytes> {
        let mut deframer = Deframer::new(1000, 0);
        let mut messages = Vec::new();
        for piece in pieces {
            deframer.push(Bytes::copy_from_slice(piece));
            while let Some((flags, message)) = deframer.next_message().unwrap() {
                assert_eq!(flags, 0);
                messages.push(message);
            }
        }
        assert!(deframer.is_empty());
        messages
    }

    #[test]
    fn frames_have_their_length() {
        assert_eq!(frame(b"abc").as_ref(), b"\0\0\0\0\x03abc");
        assert!(finish_frame(vec![0; 3]).is_err());
    }

    #[test]
    fn messages_are_whole_wherever_the_data_is_cut() {
        let want: Vec<&[u8]> = vec![b"abc", b"", b"a longer message", b"z"];
        let input: Vec<u8> = want.iter().flat_map(|message| frame(message)).collect();
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let pieces = [&input[..first], &input[first..second], &input[second..]];
                assert_eq!(all(&pieces), want, "cuts {first}, {second}");
            }
        }
    }

    #[test]
    fn a_walk_counts_messages_wherever_the_data_is_cut() {
        let input: Vec<u8> = [&b"abc"[..], b"", b"a longer message"].iter().flat_map(|m| frame(m)).collect();
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let mut walk = FrameWalk::new(16, 1);
                for piece in [&input[..first], &input[first..second], &input[second..]] {
                    assert_eq!(walk.step(piece), Ok(()), "cuts {first}, {second}");
                }
                assert_eq!((walk.messages(), walk.is_between()), (3, true), "cuts {first}, {second}");
            }
        }
        // Between messages is only where one ends.
        let ends = [0, 8, 13, 34];
        for cut in 0..=input.len() {
            let mut walk = FrameWalk::new(16, 1);
            walk.step(&input[..cut]).unwrap();
            assert_eq!(walk.is_between(), ends.contains(&cut), "cut {cut}");
        }
    }

    #[test]
    fn a_walk_stops_at_what_may_not_pass() {
        let step = |max, flags, data: &[u8]| FrameWalk::new(max, flags).step(data);
        assert_eq!(step(2, 1, &frame(b"abc")), Err(BadFrame::TooLarge { length: 3, max: 2 }));
        assert_eq!(step(3, 1, &frame(b"abc")), Ok(()));
        assert_eq!(step(3, 1, b"\x80\0\0\0\x01a"), Err(BadFrame::Flags(0x80)));
        assert_eq!(step(3, 1, b"\x01\0\0\0\x01a"), Ok(()));
        assert_eq!(step(3, 0, b"\x01\0\0\0\x01a"), Err(BadFrame::Flags(1)));
    }

    #[test]
    fn a_large_message_comes_in_parts_wherever_the_data_is_cut() {
        let input = [frame(b"a long message").as_ref(), b"tail"].concat();
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let mut deframer = Deframer::new(1000, 0);
                let (mut opened, mut found) = (None, Vec::new());
                for piece in [&input[..first], &input[first..second], &input[second..]] {
                    deframer.push(Bytes::copy_from_slice(piece));
                    if opened.is_none() {
                        match deframer.start(13).unwrap() {
                            Start::Unknown => continue,
                            Start::Small => panic!("14 bytes are more than 13"),
                            Start::Large(length) => opened = Some(length),
                        }
                    }
                    while let Some(part) = deframer.part() {
                        found.extend_from_slice(&part);
                    }
                }
                assert_eq!(opened, Some(14), "cuts {first}, {second}");
                assert_eq!(found, b"a long message", "cuts {first}, {second}");
                assert!(!deframer.is_open() && !deframer.is_empty());
            }
        }
        let mut deframer = Deframer::new(1000, 0);
        deframer.push(frame(b"a long message"));
        assert_eq!(deframer.start(14).unwrap(), Start::Small);
        assert_eq!(deframer.next_message().unwrap().unwrap().1, b"a long message"[..]);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let bad = |data| {
            let mut deframer = Deframer::new(10, 0);
            deframer.push(Bytes::from_static(data));
            deframer.next_message().unwrap_err()
        };
        let (flags, large) = (bad(b"\x01\0\0\0\x01a"), bad(b"\0\0\0\0\x0b"));
        assert_eq!(flags.of_backend().code(), Code::Internal);
        assert_eq!(large.of_backend().kind(), Kind::ReplyTooLarge);
        assert_eq!(flags.of_client().kind(), Kind::BadRequest);
        assert_eq!(large.of_client().kind(), Kind::TooLarge);
    }

    #[test]
    fn a_part_is_not_empty() {
        let mut deframer = Deframer::new(10, 0);
        deframer.push(Bytes::from_static(b"\0\0"));
        assert!(deframer.next_message().unwrap().is_none() && !deframer.is_empty());
    }
}
