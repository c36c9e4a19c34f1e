//! The `filter` and `order_by` of ListBooks: small parts of AIP-160 and AIP-132.

use std::cmp::Ordering;

use super::api::bookstore::v1::{Book, Format};
use super::refusal::Refusal;
use super::validation::invalid;

/// A filter: all of its terms must hold.
pub struct Filter(Vec<Term>);

struct Term {
    field: Field,
    operator: Operator,
    /// In lower case: comparison ignores case.
    value: String,
}

#[derive(Clone, Copy)]
enum Field {
    Title,
    Author,
    Isbn,
    Format,
}

#[derive(Clone, Copy)]
enum Operator {
    /// `=`: the same.
    Equals,
    /// `:`: has it as a part.
    Has,
}

impl Filter {
    /// Reads `title:march AND format=FORMAT_PAPERBACK`; values may stand in double quotes.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        let terms = text.split(" AND ").map(Term::parse);
        Ok(Self(terms.collect::<Result<_, _>>()?))
    }

    pub fn admits(&self, book: &Book) -> bool {
        self.0.iter().all(|term| term.holds(book))
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let at = text.find(['=', ':']).ok_or_else(|| {
            let told = format!("{text:?} is no term such as title:march or isbn=9780…");
            invalid("filter", "MALFORMED_FILTER", &told)
        })?;
        let (name, rest) = text.split_at(at);
        let (operator, value) = match rest.strip_prefix('=') {
            Some(value) => (Operator::Equals, value),
            None => (Operator::Has, rest.trim_start_matches(':')),
        };
        let field = match name.trim() {
            "title" => Field::Title,
            "author" => Field::Author,
            "isbn" => Field::Isbn,
            "format" => Field::Format,
            other => {
                let told = format!("books cannot be filtered by {other:?}");
                return Err(invalid("filter", "UNKNOWN_FIELD", &told));
            }
        };
        let value = value.trim().trim_matches('"').to_lowercase();
        Ok(Self { field, operator, value })
    }

    fn holds(&self, book: &Book) -> bool {
        match self.field {
            Field::Title => self.matches(&book.title),
            Field::Author => {
                let mut names = book.authors.iter().map(|author| &author.display_name);
                names.any(|name| self.matches(name))
            }
            Field::Isbn => self.matches(&book.isbn),
            Field::Format => Format::try_from(book.format).is_ok_and(|f| self.matches(f.as_str_name())),
        }
    }

    fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        match self.operator {
            Operator::Equals => text == self.value,
            Operator::Has => text.contains(&self.value),
        }
    }
}

/// Sorts books as `order_by` says; the sort is stable, so equal ones stay in the order of names.
pub fn sort(books: &mut [Book], order_by: &str) -> Result<(), Refusal> {
    let order_by = order_by.trim();
    let (field, descending) = match order_by.strip_suffix(" desc") {
        Some(field) => (field.trim(), true),
        None => (order_by, false),
    };
    let order: fn(&Book, &Book) -> Ordering = match field {
        "" => |a, b| a.name.cmp(&b.name),
        "title" => |a, b| a.title.cmp(&b.title),
        "page_count" => |a, b| a.page_count.cmp(&b.page_count),
        "publish_time" => |a, b| published(a).cmp(&published(b)),
        other => {
            let told = format!("books cannot be ordered by {other:?}");
            return Err(invalid("order_by", "UNKNOWN_FIELD", &told));
        }
    };
    if descending {
        books.sort_by(|a, b| order(b, a));
    } else {
        books.sort_by(order);
    }
    Ok(())
}

fn published(book: &Book) -> Option<(i64, i32)> {
    book.publish_time.map(|time| (time.seconds, time.nanos))
}
