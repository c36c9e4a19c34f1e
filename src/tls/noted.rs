//! Which files something was read from, so that it can be read again when one of them changes.
//!
//! Whoever reads a file that an operator names notes it, as it was before; whoever wants to know runs the reading within
//! [`noting`]. Nothing has to be handed down for it, so no file is forgotten on the way, and what failed is noted as well:
//! an import that is missing is looked at until it is there.

use std::cell::RefCell;
use std::path::Path;

use super::files::Mark;

thread_local! {
    /// None where nobody wants to know.
    static NOTED: RefCell<Option<Vec<Mark>>> = const { RefCell::new(None) };
}

/// Gives the files, and folders, that `read` looks at on this thread, as they were before that. Whoever notes around it
/// gets them, too.
pub fn noting<T>(read: impl FnOnce() -> T) -> (T, Vec<Mark>) {
    let outer = Outer(NOTED.replace(Some(Vec::new())));
    let result = read();
    let marks = NOTED.take().unwrap_or_default();
    drop(outer);
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.extend(marks.iter().cloned());
        }
    });
    (result, marks)
}

/// What was noted before. It goes on, even after a panic.
struct Outer(Option<Vec<Mark>>);

impl Drop for Outer {
    fn drop(&mut self) {
        NOTED.set(self.0.take());
    }
}

/// Notes a file that is about to be read, or a folder whose entries are.
pub fn note(path: &Path) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.push(Mark::now(path));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_within_is_noted_within_and_around() {
        let names = |marks: &[Mark]| marks.iter().map(|mark| mark.path().to_owned()).collect::<Vec<_>>();
        note(Path::new("/before"));
        let (inner, outer) = noting(|| {
            note(Path::new("/a"));
            let ((), inner) = noting(|| note(Path::new("/b")));
            let panicked = std::panic::catch_unwind(|| noting(|| panic!("as a bug would")));
            assert!(panicked.is_err());
            note(Path::new("/c"));
            inner
        });
        note(Path::new("/after"));
        assert_eq!(names(&inner), [Path::new("/b")]);
        assert_eq!(names(&outer), ["/a", "/b", "/c"].map(Path::new));
        assert_eq!(noting(|| ()).1, []);
    }
}
