//! The segments of a request's path, split on raw `/` and nowhere else.
//!
//! Nothing is decoded, merged or normalised here: `//`, a trailing `/` and dot segments are
//! segments like others, so no two spellings of a path meet.

use std::ops::Range;

use smallvec::SmallVec;

/// The segments of one path. `/` has none, `/a/` has two, the second one empty.
pub(super) struct Segments<'p> {
    path: &'p [u8],
    /// Where each segment ends; the next one starts a byte later.
    ends: SmallVec<[u32; 24]>,
    /// The indices of the empty segments, ascending.
    empty: SmallVec<[u16; 4]>,
}

impl<'p> Segments<'p> {
    /// Splits a path; `None` for what is no path (`*`, the empty text), and for more than
    /// 65,536 segments.
    pub(super) fn split(path: &'p str) -> Option<Segments<'p>> {
        let path = path.as_bytes();
        let after_slash = path.strip_prefix(b"/")?;
        let length = u32::try_from(path.len()).ok()?;
        let mut segments = Segments { path, ends: SmallVec::new(), empty: SmallVec::new() };
        if after_slash.is_empty() {
            return Some(segments);
        }
        let mut start = 1;
        for slash in memchr::memchr_iter(b'/', after_slash) {
            let end = u32::try_from(slash + 1).ok()?;
            segments.push(start, end)?;
            start = end + 1;
        }
        segments.push(start, length)?;
        Some(segments)
    }

    fn push(&mut self, start: u32, end: u32) -> Option<()> {
        let index = u16::try_from(self.ends.len()).ok()?;
        if start == end {
            self.empty.push(index);
        }
        self.ends.push(end);
        Some(())
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The raw bytes of a segment; `None` behind the last one.
    pub(super) fn get(&self, index: usize) -> Option<&'p [u8]> {
        let end = usize::try_from(*self.ends.get(index)?).ok()?;
        self.path.get(self.start(index)..end)
    }

    /// Whether one of these segments is empty. Costs the logarithm of the number of empty ones.
    pub(super) fn has_empty(&self, among: Range<usize>) -> bool {
        let next = self.empty.partition_point(|&index| usize::from(index) < among.start);
        self.empty.get(next).is_some_and(|&index| usize::from(index) < among.end)
    }

    /// The bytes of the path that these segments and the slashes between them take. For no
    /// segments: the empty range where they would stand.
    pub(super) fn bytes(&self, segments: Range<usize>) -> Range<usize> {
        let start = self.start(segments.start).min(self.path.len());
        match segments.end.checked_sub(1).and_then(|last| self.ends.get(last)) {
            Some(&end) if !segments.is_empty() => start..end as usize,
            _ => start..start,
        }
    }

    fn start(&self, index: usize) -> usize {
        match index.checked_sub(1).and_then(|before| self.ends.get(before)) {
            Some(&end) => end as usize + 1,
            None => 1,
        }
    }
}

/// Splits off the verb: what follows the last raw `:` of the last segment.
pub(super) fn split_verb(path: &str) -> Option<(&str, &str)> {
    let at = memchr::memrchr2(b'/', b':', path.as_bytes())?;
    let (before, colon_on) = path.split_at_checked(at)?;
    Some((before, colon_on.strip_prefix(':')?))
}
