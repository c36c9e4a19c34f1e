//! Texts taken apart at one ASCII byte: `str::split` and its like cost more in their set-up than most parameters do.

/// `str::split`.
pub(super) struct Split<'q> {
    rest: Option<&'q str>,
    by: Option<u8>,
}

impl<'q> Split<'q> {
    pub(super) fn new(text: &'q str, by: u8) -> Self {
        Self { rest: Some(text), by: Some(by) }
    }

    /// The text as its only part.
    pub(super) fn whole(text: &'q str) -> Self {
        Self { rest: Some(text), by: None }
    }
}

impl<'q> Iterator for Split<'q> {
    type Item = &'q str;

    fn next(&mut self) -> Option<&'q str> {
        let rest = self.rest?;
        match self.by.and_then(|by| split_once(rest, by)) {
            Some((part, rest)) => {
                self.rest = Some(rest);
                Some(part)
            }
            None => self.rest.take(),
        }
    }
}

/// `str::split_once`.
pub(super) fn split_once(text: &str, by: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == by)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
