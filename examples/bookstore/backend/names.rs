//! Resource names: parsed where a request comes in, and valid from there on.

use std::fmt;

use super::refusal::{Refusal, Violation};

/// `shelves/{shelf}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShelfName(String);

/// `shelves/{shelf}/books/{book}`; ordered by shelf, then by book.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BookName {
    shelf: ShelfName,
    id: String,
}

/// Which shelves a list is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    All,
    Shelf(ShelfName),
}

impl ShelfName {
    pub fn new(field: &str, id: &str) -> Result<Self, Refusal> {
        Ok(Self(checked_id(field, id)?.to_owned()))
    }

    pub fn parse(field: &str, name: &str) -> Result<Self, Refusal> {
        match name.split('/').collect::<Vec<_>>().as_slice() {
            ["shelves", id] => Self::new(field, id),
            _ => Err(malformed(field, "shelves/{shelf}")),
        }
    }
}

impl BookName {
    pub fn new(shelf: ShelfName, field: &str, id: &str) -> Result<Self, Refusal> {
        let id = checked_id(field, id)?.to_owned();
        Ok(Self { shelf, id })
    }

    pub fn parse(field: &str, name: &str) -> Result<Self, Refusal> {
        match name.split('/').collect::<Vec<_>>().as_slice() {
            ["shelves", shelf, "books", id] => Self::new(ShelfName::new(field, shelf)?, field, id),
            _ => Err(malformed(field, "shelves/{shelf}/books/{book}")),
        }
    }

    /// The book that a `…/cover` or `…/sample` belongs to.
    pub fn parse_part(field: &str, name: &str, part: &str) -> Result<Self, Refusal> {
        let form = || malformed(field, &format!("shelves/{{shelf}}/books/{{book}}/{part}"));
        let (book, found) = name.rsplit_once('/').ok_or_else(form)?;
        if found != part {
            return Err(form());
        }
        Self::parse(field, book)
    }

    pub fn shelf(&self) -> &ShelfName {
        &self.shelf
    }

    /// The same id on another shelf.
    pub fn moved_to(&self, shelf: ShelfName) -> Self {
        let id = self.id.clone();
        Self { shelf, id }
    }
}

impl Parent {
    pub fn parse(field: &str, name: &str) -> Result<Self, Refusal> {
        match name {
            "" | "shelves/-" => Ok(Self::All),
            _ => Ok(Self::Shelf(ShelfName::parse(field, name)?)),
        }
    }

    pub fn holds(&self, name: &BookName) -> bool {
        match self {
            Self::All => true,
            Self::Shelf(shelf) => name.shelf == *shelf,
        }
    }
}

impl fmt::Display for ShelfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shelves/{}", self.0)
    }
}

impl fmt::Display for BookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/books/{}", self.shelf, self.id)
    }
}

/// An id as AIP-122 has it: what a title leaves when only letters and digits stay.
pub fn id_from_title(title: &str) -> String {
    let mut id = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c.to_ascii_lowercase());
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        if id.len() == 48 {
            break;
        }
    }
    let id = id.trim_end_matches('-');
    if id.is_empty() { "untitled".to_owned() } else { id.to_owned() }
}

fn checked_id<'a>(field: &str, id: &'a str) -> Result<&'a str, Refusal> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&id.len()) && id.bytes().all(legal) && !id.starts_with('-') {
        return Ok(id);
    }
    Err(Refusal::Invalid(vec![Violation::new(
        field,
        "MALFORMED_ID",
        "an id has 1 to 63 lower-case letters, digits and hyphens, and no hyphen first",
    )]))
}

fn malformed(field: &str, form: &str) -> Refusal {
    Refusal::Invalid(vec![Violation::new(field, "MALFORMED_NAME", &format!("the name has the form {form}"))])
}
