//! What a book and a shelf must be before they are kept. All that is wrong is told at once.

use super::api::bookstore::v1::{Book, Format, Price, Shelf, book::Whereabouts};
use super::refusal::{Refusal, Violation};

/// Checks a book as it would be kept; `prefix` is the path of the book in the request.
pub fn check_book(prefix: &str, book: &Book) -> Result<(), Refusal> {
    let mut found = Vec::new();
    let mut tell = |wrong: bool, field: &str, reason, description: &str| {
        if wrong {
            let path = format!("{prefix}.{field}");
            found.push(Violation::new(&path, reason, description));
        }
    };
    let required = "REQUIRED";
    tell(book.title.trim().is_empty(), "title", required, "a book has a title");
    tell(book.title.chars().count() > 200, "title", "TOO_LONG", "at most 200 characters");
    tell(book.authors.is_empty(), "authors", required, "somebody wrote it");
    for (i, author) in book.authors.iter().enumerate() {
        let field = format!("authors[{i}].display_name");
        tell(author.display_name.is_empty(), &field, required, "an author has a name");
    }
    let isbn = book.isbn.as_str();
    tell(
        !isbn.is_empty() && !is_isbn13(isbn),
        "isbn",
        "MALFORMED_ISBN",
        "13 digits, the last of them the check digit",
    );
    let unknown = |format: i32| Format::try_from(format).is_err();
    tell(unknown(book.format), "format", "UNKNOWN_FORMAT", "not a format the shop knows");
    tell(
        book.other_formats.iter().any(|f| unknown(*f)),
        "other_formats",
        "UNKNOWN_FORMAT",
        "not a format the shop knows",
    );
    tell(book.page_count < 0, "page_count", "OUT_OF_RANGE", "not below 0");
    tell(
        book.price.as_ref().is_some_and(|p| !is_currency(p)),
        "price.currency_code",
        "MALFORMED_CURRENCY",
        "three capital letters (ISO 4217)",
    );
    tell(
        book.price.as_ref().is_some_and(|p| p.minor_units < 0),
        "price.minor_units",
        "OUT_OF_RANGE",
        "not below 0",
    );
    let audio = book.format == i32::from(Format::Audiobook);
    tell(
        book.listening_time.is_some() && !audio,
        "listening_time",
        "NOT_AN_AUDIOBOOK",
        "only audiobooks have a listening time",
    );
    settle(found)
}

/// Checks that a caller does not make or end a loan by writing the book.
pub fn check_whereabouts(prefix: &str, book: &Book) -> Result<(), Refusal> {
    match book.whereabouts {
        Some(Whereabouts::Loan(_)) => {
            Err(invalid(&format!("{prefix}.loan"), "NOT_SETTABLE", "copies go out by BorrowBook"))
        }
        Some(Whereabouts::Position(_) | Whereabouts::WindowCard(_)) | None => Ok(()),
    }
}

/// Checks a shelf as it would be kept.
pub fn check_shelf(shelf: &Shelf) -> Result<(), Refusal> {
    let mut found = Vec::new();
    if shelf.title.trim().is_empty() {
        found.push(Violation::new("shelf.title", "REQUIRED", "a shelf has a title"));
    }
    if shelf.title.chars().count() > 200 {
        found.push(Violation::new("shelf.title", "TOO_LONG", "at most 200 characters"));
    }
    settle(found)
}

/// A refusal of one field.
pub fn invalid(field: &str, reason: &'static str, description: &str) -> Refusal {
    Refusal::Invalid(vec![Violation::new(field, reason, description)])
}

fn settle(found: Vec<Violation>) -> Result<(), Refusal> {
    if found.is_empty() { Ok(()) } else { Err(Refusal::Invalid(found)) }
}

/// Thirteen digits whose sum, weighted 1 and 3 in turn, is a multiple of ten (ISO 2108).
pub fn is_isbn13(text: &str) -> bool {
    let weighted = |(i, b): (usize, u8)| u32::from(b - b'0') * if i % 2 == 0 { 1 } else { 3 };
    text.len() == 13
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.bytes().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

fn is_currency(price: &Price) -> bool {
    price.currency_code.len() == 3 && price.currency_code.bytes().all(|b| b.is_ascii_uppercase())
}
