//! Files under watch: when to read them again, and what to make of that. What is read is the owner's business.

use super::files::Mark;

/// Looks at files from time to time. They are read once they keep still from one look to the next.
pub struct Vigil {
    /// The files that were judged last, whether taken or refused.
    judged: Vec<Mark>,
    /// Files that differ from those, seen once: whoever writes them may not be done.
    settling: Option<Vec<Mark>>,
}

/// What a look found.
pub enum Look<T, E> {
    Unchanged,
    /// Something is being written; the next look will tell.
    Settling,
    /// New files, as they were read.
    Read(T),
    /// New files that can't be used.
    Refused(E),
}

impl Vigil {
    /// Over files that were read when they were as these marks say.
    #[must_use]
    pub fn new(judged: Vec<Mark>) -> Self {
        Self { judged, settling: None }
    }

    /// Looks whether files have changed. `read` gives what is in them now, with their marks from before they were read.
    pub fn look<T, E>(&mut self, read: impl FnOnce() -> Result<(T, Vec<Mark>), E>) -> Look<T, E> {
        let marks: Vec<Mark> = self.judged.iter().map(Mark::again).collect();
        if marks == self.judged {
            self.settling = None;
            return Look::Unchanged;
        }
        if self.settling.as_ref() != Some(&marks) {
            self.settling = Some(marks);
            return Look::Settling;
        }
        let read = read();
        self.settling = None;
        if marks.iter().any(|mark| mark.again() != *mark) {
            // It was changed while it was read, so files that belong together may be of two times.
            return Look::Settling;
        }
        match read {
            Ok((read, marks)) => {
                self.judged = marks;
                Look::Read(read)
            }
            Err(refused) => {
                self.judged = marks;
                Look::Refused(refused)
            }
        }
    }
}
