//! SearchBooks: typed criteria, all of which must hold.

use super::api::bookstore::v1::search_books_request::{Author, Range};
use super::api::bookstore::v1::{Book, SearchBooksRequest};

/// Whether a book meets every criterion that is set.
pub fn meets(book: &Book, wanted: &SearchBooksRequest) -> bool {
    let title = book.title.to_lowercase();
    let mut words = wanted.query.split_whitespace();
    let sold = wanted.min_copies_sold.unwrap_or_default();
    let fingerprint = &wanted.cover_fingerprint;
    words.all(|word| title.contains(&word.to_lowercase()))
        && (wanted.formats.is_empty() || wanted.formats.contains(&book.format))
        && wanted.labels.iter().all(|(key, value)| book.labels.get(key) == Some(value))
        && wanted.page_range.as_ref().is_none_or(|range| within(book.page_count, range))
        && published_after(book, wanted)
        && long_enough(book, wanted)
        && wanted.rated.is_none_or(|rated| rated == book.average_rating.is_some())
        && book.average_rating.unwrap_or(0.0) >= wanted.min_rating
        && written_by(book, wanted.author.as_ref())
        && (fingerprint.is_empty() || *fingerprint == book.cover_fingerprint)
        && book.copies_sold >= sold
}

fn within(pages: i32, range: &Range) -> bool {
    pages >= range.first && (range.last == 0 || pages <= range.last)
}

fn published_after(book: &Book, wanted: &SearchBooksRequest) -> bool {
    let Some(after) = wanted.published_after else {
        return true;
    };
    let time = book.publish_time;
    time.is_some_and(|time| (time.seconds, time.nanos) > (after.seconds, after.nanos))
}

fn long_enough(book: &Book, wanted: &SearchBooksRequest) -> bool {
    let Some(least) = wanted.min_listening_time else {
        return true;
    };
    let time = book.listening_time;
    time.is_some_and(|time| (time.seconds, time.nanos) >= (least.seconds, least.nanos))
}

fn written_by(book: &Book, wanted: Option<&Author>) -> bool {
    match wanted {
        None => true,
        Some(Author::AuthorSortName(name)) => book.authors.iter().any(|a| a.sort_name == *name),
        Some(Author::AuthorBirthYear(year)) => book.authors.iter().any(|a| a.birth_year == Some(*year)),
    }
}
