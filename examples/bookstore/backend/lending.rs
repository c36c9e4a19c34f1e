//! Lending: copies that go home with readers, and come back.

use std::time::{Duration, SystemTime};

use super::api::bookstore::v1::{Book, Loan, book::Whereabouts};
use super::names::BookName;
use super::refusal::Refusal;
use super::store::{State, Store};
use super::validation::invalid;

/// How many copies one reader may have.
pub const MAX_LOANS: usize = 3;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const USUAL_PERIOD: Duration = DAY.saturating_mul(21);
const LONGEST_PERIOD: Duration = DAY.saturating_mul(90);

impl Store {
    pub fn borrow(
        &self,
        name: &BookName,
        reader: &str,
        period: Option<prost_types::Duration>,
    ) -> Result<Book, Refusal> {
        match reader.strip_prefix("readers/") {
            Some(id) if !id.is_empty() && !id.contains('/') && id.len() <= 63 => {}
            _ => {
                let told = "the name has the form readers/{reader}";
                return Err(invalid("reader", "MALFORMED_NAME", told));
            }
        }
        let period = match period.map(Duration::try_from) {
            None => USUAL_PERIOD,
            Some(Ok(period)) if !period.is_zero() && period <= LONGEST_PERIOD => period,
            Some(_) => {
                let told = "more than nothing, and at most ninety days";
                return Err(invalid("period", "OUT_OF_RANGE", told));
            }
        };
        let now = SystemTime::now();
        self.edit(name, |state, record| {
            if loan(&record.book).is_some() {
                return Err(Refusal::OnLoan(name.to_string()));
            }
            within_limit(state, reader, now)?;
            record.book.whereabouts = Some(Whereabouts::Loan(Loan {
                reader: reader.to_owned(),
                borrow_time: Some(now.into()),
                due_time: Some((now + period).into()),
            }));
            Ok(())
        })
    }

    pub fn take_back(&self, name: &BookName) -> Result<Book, Refusal> {
        self.edit(name, |_, record| {
            if loan(&record.book).is_none() {
                return Err(Refusal::NotOnLoan(name.to_string()));
            }
            record.book.whereabouts = None;
            Ok(())
        })
    }
}

/// The loan of a copy that is with a reader.
pub fn loan(book: &Book) -> Option<&Loan> {
    match &book.whereabouts {
        Some(Whereabouts::Loan(loan)) => Some(loan),
        Some(Whereabouts::Position(_) | Whereabouts::WindowCard(_)) | None => None,
    }
}

fn within_limit(state: &State, reader: &str, now: SystemTime) -> Result<(), Refusal> {
    let loans = state.books.values().filter_map(|r| loan(&r.book));
    let due: Vec<SystemTime> = loans
        .filter(|loan| loan.reader == reader)
        .filter_map(|loan| SystemTime::try_from(loan.due_time?).ok())
        .collect();
    if due.len() < MAX_LOANS {
        return Ok(());
    }
    let first = due.into_iter().min().unwrap_or(now);
    Err(Refusal::LoanLimit {
        reader: reader.to_owned(),
        limit: MAX_LOANS,
        wait: first.duration_since(now).unwrap_or_default(),
    })
}
