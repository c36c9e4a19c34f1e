//! Field masks over `Book` (AIP-134 for updates, AIP-157 for reads), by one table of its fields.

use prost_types::FieldMask;

use super::api::bookstore::v1::{Book, Price, book::Whereabouts};
use super::lending::loan;
use super::refusal::Refusal;
use super::validation::{check_whereabouts, invalid};

/// The fields that a mask names.
pub enum Mask {
    /// No mask was sent: the fields that are set.
    Populated,
    /// "*": every field.
    All,
    Paths(Vec<Path>),
}

/// One path of a mask.
pub enum Path {
    Field(&'static Field),
    /// `labels.{key}` (AIP-161).
    Label(String),
}

/// A field by its path: how to see that it is set, and how to copy it, absence included.
pub struct Field {
    path: &'static str,
    kind: FieldKind,
    is_set: fn(&Book) -> bool,
    copy: fn(&mut Book, &Book),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Plain,
    /// A member of the oneof `whereabouts`, which a loan holds on to.
    Whereabouts,
    /// Part of another field of the table.
    Part,
    /// Set by the service; updates pass over it, as AIP-203 asks.
    OutputOnly,
}

macro_rules! field {
    ($kind:ident, $field:ident) => {
        Field {
            path: stringify!($field),
            kind: FieldKind::$kind,
            is_set: |book| !is_default(&book.$field),
            copy: |to, from| to.$field.clone_from(&from.$field),
        }
    };
}

macro_rules! member {
    ($member:ident, $path:literal) => {
        Field {
            path: $path,
            kind: FieldKind::Whereabouts,
            is_set: |book| matches!(book.whereabouts, Some(Whereabouts::$member(_))),
            copy: |to, from| match (&to.whereabouts, &from.whereabouts) {
                (_, Some(Whereabouts::$member(_))) => to.whereabouts.clone_from(&from.whereabouts),
                (Some(Whereabouts::$member(_)), _) => to.whereabouts = None,
                _ => {}
            },
        }
    };
}

macro_rules! price {
    ($field:ident) => {
        Field {
            path: concat!("price.", stringify!($field)),
            kind: FieldKind::Part,
            is_set: |book| book.price.as_ref().is_some_and(|p| !is_default(&p.$field)),
            copy: |to, from| {
                let from = from.price.as_ref().map(|price| price.$field.clone());
                let to = to.price.get_or_insert_with(Price::default);
                to.$field = from.unwrap_or_default();
            },
        }
    };
}

static FIELDS: [Field; 27] = [
    field!(OutputOnly, name),
    field!(Plain, title),
    field!(Plain, subtitle),
    field!(Plain, authors),
    field!(Plain, isbn),
    field!(Plain, format),
    field!(Plain, other_formats),
    field!(Plain, page_count),
    field!(Plain, edition),
    field!(Plain, price),
    price!(currency_code),
    price!(minor_units),
    field!(Plain, publish_time),
    field!(Plain, listening_time),
    field!(OutputOnly, average_rating),
    field!(Plain, chapters),
    field!(Plain, labels),
    field!(Plain, publisher_metadata),
    field!(OutputOnly, cover_fingerprint),
    field!(OutputOnly, copies_sold),
    member!(Position, "position"),
    member!(WindowCard, "window_card"),
    member!(Loan, "loan"),
    field!(OutputOnly, create_time),
    field!(OutputOnly, update_time),
    field!(OutputOnly, etag),
    field!(Plain, purchase_note),
];

impl Mask {
    /// Reads a mask; `field` is where it stands in the request.
    pub fn parse(field: &str, mask: Option<FieldMask>) -> Result<Self, Refusal> {
        let paths = mask.map_or_else(Vec::new, |mask| mask.paths);
        match paths.as_slice() {
            [] => Ok(Self::Populated),
            [star] if star == "*" => Ok(Self::All),
            paths => {
                let paths = paths.iter().map(|path| Path::parse(field, path));
                Ok(Self::Paths(paths.collect::<Result<_, _>>()?))
            }
        }
    }

    /// Copies what the mask names from `from` to `to`; a part of a path that `from` lacks is cleared.
    pub fn apply(&self, to: &mut Book, from: &Book) -> Result<(), Refusal> {
        let whole = || FIELDS.iter().filter(|f| f.kind != FieldKind::Part);
        match self {
            Self::Populated => {
                whole().filter(|field| (field.is_set)(from)).try_for_each(|field| field.write(to, from))
            }
            // Replacing a book leaves a loan where it is.
            Self::All => whole()
                .filter(|field| field.kind != FieldKind::Whereabouts || loan(to).is_none())
                .collect::<Vec<_>>()
                .into_iter()
                .try_for_each(|field| field.write(to, from)),
            Self::Paths(paths) => paths.iter().try_for_each(|path| match path {
                Path::Field(field) => field.write(to, from),
                Path::Label(key) => {
                    copy_label(to, from, key);
                    Ok(())
                }
            }),
        }
    }

    /// The part of a book that a read mask names.
    pub fn project(&self, book: Book) -> Book {
        match self {
            Self::Populated | Self::All => book,
            Self::Paths(paths) => {
                let mut part = Book::default();
                for path in paths {
                    match path {
                        Path::Field(field) => (field.copy)(&mut part, &book),
                        Path::Label(key) => copy_label(&mut part, &book, key),
                    }
                }
                part
            }
        }
    }
}

impl Path {
    fn parse(field: &str, path: &str) -> Result<Self, Refusal> {
        if let Some(key) = path.strip_prefix("labels.") {
            return Ok(Self::Label(key.trim_matches('`').to_owned()));
        }
        let found = FIELDS.iter().find(|known| known.path == path);
        found.map(Self::Field).ok_or_else(|| {
            let told = format!("{path} is no field of a book");
            invalid(field, "UNKNOWN_PATH", &told)
        })
    }
}

impl Field {
    fn write(&self, to: &mut Book, from: &Book) -> Result<(), Refusal> {
        match self.kind {
            FieldKind::Plain | FieldKind::Part => {}
            FieldKind::OutputOnly => return Ok(()),
            FieldKind::Whereabouts => {
                check_whereabouts("book", from)?;
                if loan(to).is_some() {
                    return Err(Refusal::OnLoan(to.name.clone()));
                }
            }
        }
        (self.copy)(to, from);
        Ok(())
    }
}

fn copy_label(to: &mut Book, from: &Book, key: &str) {
    match from.labels.get(key) {
        Some(value) => to.labels.insert(key.to_owned(), value.clone()),
        None => to.labels.remove(key),
    };
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
