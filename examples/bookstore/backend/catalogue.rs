//! What the shop opens with: three shelves, and a handful of books on them.
//!
//! One record in the basement is damaged, so that a failure in the middle of a list or a stream can
//! be seen.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use super::api::bookstore::v1::{Author, Book, Chapter, Format, Price, Shelf, book::Whereabouts};
use super::media::{body, fingerprint};
use super::names::{BookName, ShelfName};
use super::store::{Record, State, now};

const SHELVES: [(&str, &str); 3] =
    [("basement", "Kept dry, mostly"), ("computing", "Computing"), ("fiction", "Fiction")];

/// A book of the catalogue; an author is display name, sort name, year of birth.
struct Entry {
    shelf: &'static str,
    id: &'static str,
    title: &'static str,
    subtitle: Option<&'static str>,
    authors: &'static [(&'static str, &'static str, i32)],
    isbn: &'static str,
    format: Format,
    pages: i32,
    published: &'static str,
    cents: i64,
    rating: Option<f64>,
    sold: u64,
    chapters: &'static [(i32, &'static str, u32)],
    labels: &'static [(&'static str, &'static str)],
    damaged: bool,
}

/// What an entry is where it does not say otherwise.
const PLAIN: Entry = Entry {
    shelf: "fiction",
    id: "",
    title: "",
    subtitle: None,
    authors: &[],
    isbn: "",
    format: Format::Paperback,
    pages: 0,
    published: "1970-01-01T00:00:00Z",
    cents: 1_200,
    rating: None,
    sold: 0,
    chapters: &[],
    labels: &[],
    damaged: false,
};

const ENTRIES: [Entry; 9] = [
    Entry {
        id: "middlemarch",
        title: "Middlemarch",
        subtitle: Some("A Study of Provincial Life"),
        authors: &[("George Eliot", "Eliot, George", 1819)],
        isbn: "9780141439549",
        pages: 880,
        published: "1871-12-01T00:00:00Z",
        cents: 1_299,
        rating: Some(4.5),
        sold: 211,
        chapters: &[(0, "Prelude", 3), (1, "Miss Brooke", 7), (2, "Old and Young", 115)],
        labels: &[("period", "victorian"), ("club", "spring")],
        ..PLAIN
    },
    Entry {
        id: "frankenstein",
        title: "Frankenstein",
        subtitle: Some("Or, the Modern Prometheus"),
        authors: &[("Mary Shelley", "Shelley, Mary", 1797)],
        isbn: "9780141439471",
        pages: 352,
        published: "1818-01-01T00:00:00Z",
        cents: 899,
        rating: Some(4.0),
        sold: 340,
        labels: &[("period", "romantic")],
        ..PLAIN
    },
    Entry {
        id: "moby-dick",
        title: "Moby-Dick",
        subtitle: Some("Or, The Whale"),
        authors: &[("Herman Melville", "Melville, Herman", 1819)],
        isbn: "9780142437247",
        format: Format::Hardback,
        pages: 720,
        published: "1851-10-18T00:00:00Z",
        cents: 2_450,
        rating: Some(3.5),
        sold: 98,
        chapters: &[(1, "Loomings", 3), (2, "The Carpet-Bag", 8)],
        ..PLAIN
    },
    Entry {
        id: "left-hand-of-darkness",
        title: "The Left Hand of Darkness",
        authors: &[("Ursula K. Le Guin", "Le Guin, Ursula K.", 1929)],
        isbn: "9780441478125",
        pages: 304,
        published: "1969-03-01T00:00:00Z",
        cents: 1_050,
        sold: 402,
        labels: &[("award", "Hugo")],
        ..PLAIN
    },
    Entry {
        shelf: "computing",
        id: "sicp",
        title: "Structure and Interpretation of Computer Programs",
        authors: &[
            ("Harold Abelson", "Abelson, Harold", 1947),
            ("Gerald Jay Sussman", "Sussman, Gerald Jay", 1947),
        ],
        isbn: "9780262510875",
        pages: 657,
        published: "1996-07-25T00:00:00Z",
        cents: 6_500,
        rating: Some(5.0),
        sold: 77,
        ..PLAIN
    },
    Entry {
        shelf: "computing",
        id: "c-programming-language",
        title: "The C Programming Language",
        authors: &[
            ("Brian W. Kernighan", "Kernighan, Brian W.", 1942),
            ("Dennis M. Ritchie", "Ritchie, Dennis M.", 1941),
        ],
        isbn: "9780131103627",
        pages: 272,
        published: "1988-03-22T00:00:00Z",
        cents: 5_400,
        sold: 9_007_199_254_740_993, // above 2^53: what a double would round
        ..PLAIN
    },
    Entry {
        shelf: "basement",
        id: "a-first-ledger",
        title: "The Shop's First Ledger",
        authors: &[("The Booksellers", "Booksellers, The", 1901)],
        format: Format::Hardback,
        pages: 96,
        ..PLAIN
    },
    Entry {
        shelf: "basement",
        id: "b-flooded-atlas",
        title: "An Atlas That Met the Flood",
        authors: &[("Unknown", "Unknown", 1850)],
        format: Format::Hardback,
        damaged: true,
        ..PLAIN
    },
    Entry {
        shelf: "basement",
        id: "c-time-machine",
        title: "The Time Machine",
        authors: &[("H. G. Wells", "Wells, H. G.", 1866)],
        isbn: "9780141439976",
        pages: 144,
        published: "1895-05-07T00:00:00Z",
        ..PLAIN
    },
];

/// The cover and the sample that the shop has ready.
const COVERED: &str = "middlemarch";
const COVER: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 90"><rect width="60" height="90" fill="#2f4f4f"/><text x="30" y="45" fill="#fff" font-size="8" text-anchor="middle">Middlemarch</text></svg>"##;
const SAMPLED: &str = "moby-dick";
const SAMPLE: [&str; 3] = [
    "Call me Ishmael. ",
    "Some years ago—never mind how long precisely—having little or no money in my purse, ",
    "and nothing particular to interest me on shore, I thought I would sail about a little.\n",
];

/// Puts the catalogue into an empty state.
pub fn fill(state: &mut State) {
    for (id, title) in SHELVES {
        let name = ShelfName::new("name", id).expect("the catalogue's ids are valid");
        let shelf = Shelf {
            name: name.to_string(),
            title: title.to_owned(),
            create_time: Some(now()),
            etag: state.next_etag(),
            ..Shelf::default()
        };
        state.shelves.insert(name, shelf);
    }
    let mut positions: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in &ENTRIES {
        let shelf = ShelfName::new("name", entry.shelf).expect("the catalogue's ids are valid");
        let name = BookName::new(shelf, "name", entry.id).expect("the catalogue's ids are valid");
        let position = positions.entry(entry.shelf).or_default();
        *position += 1;
        let etag = state.next_etag();
        let record = entry.record(&name, *position, etag);
        state.books.insert(name, record);
    }
}

impl Entry {
    fn record(&self, name: &BookName, position: u32, etag: String) -> Record {
        let cover = (self.id == COVERED).then(|| body("image/svg+xml", COVER));
        let samples: &[&str] = if self.id == SAMPLED { &SAMPLE } else { &[] };
        let plain = "text/plain; charset=utf-8";
        Record {
            book: Book {
                name: name.to_string(),
                whereabouts: Some(Whereabouts::Position(position)),
                cover_fingerprint: cover.as_ref().map_or_else(Vec::new, |cover| fingerprint(&cover.data)),
                etag,
                ..self.book()
            },
            damaged: self.damaged,
            cover,
            sample: samples.iter().map(|text| body(plain, text)).collect(),
        }
    }

    fn book(&self) -> Book {
        let author = |(display_name, sort_name, year): &(&str, &str, i32)| Author {
            display_name: (*display_name).to_owned(),
            sort_name: (*sort_name).to_owned(),
            birth_year: Some(*year),
        };
        let chapter = |(number, title, first_page): &(i32, &str, u32)| {
            let title = (*title).to_owned();
            let first_page = *first_page;
            (*number, Chapter { title, first_page })
        };
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let published: Timestamp = self.published.parse().expect("the catalogue's dates are valid");
        let time = Some(now());
        Book {
            title: self.title.to_owned(),
            subtitle: self.subtitle.map(str::to_owned),
            authors: self.authors.iter().map(author).collect(),
            isbn: self.isbn.to_owned(),
            format: self.format.into(),
            page_count: self.pages,
            price: Some(Price { currency_code: "EUR".to_owned(), minor_units: self.cents }),
            publish_time: Some(published),
            average_rating: self.rating,
            chapters: self.chapters.iter().map(chapter).collect(),
            labels: self.labels.iter().map(pair).collect(),
            copies_sold: self.sold,
            create_time: time,
            update_time: time,
            ..Book::default()
        }
    }
}
