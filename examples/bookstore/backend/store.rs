//! The shop's memory: shelves and books behind one lock, and the events that tell of changes.
//!
//! Every change of a book goes through [`Store::create`], [`Store::edit`] or [`Store::remove`], so
//! that etags, times and events can't be forgotten. No lock is held across an await.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use prost_types::Timestamp;
use tokio::sync::broadcast;

use super::api::bookstore::v1::{Book, BookEvent, Shelf, book_event};
use super::api::google::api::HttpBody;
use super::catalogue;
use super::fields::Mask;
use super::names::{BookName, Parent, ShelfName, id_from_title};
use super::refusal::{Refusal, Resource};
use super::validation::{check_book, check_whereabouts};

const MAX_BOOKS: usize = 10_000;

/// How many events a slow watcher may be behind.
const EVENT_BACKLOG: usize = 256;

pub struct Store {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

/// What the lock guards.
pub struct State {
    pub shelves: BTreeMap<ShelfName, Shelf>,
    pub books: BTreeMap<BookName, Record>,
    revision: u64,
}

/// A book with what belongs to it.
#[derive(Clone, Default)]
pub struct Record {
    pub book: Book,
    /// The record cannot be read: what a damaged disk leaves.
    pub damaged: bool,
    pub cover: Option<HttpBody>,
    pub sample: Vec<HttpBody>,
}

/// A book by name, or why it cannot be read.
pub type Reading = (BookName, Result<Book, Refusal>);

/// A change, and the book it is about.
#[derive(Clone)]
pub struct Event {
    pub name: BookName,
    pub event: BookEvent,
}

impl Record {
    /// The book as callers may see it.
    pub fn read(&self) -> Result<Book, Refusal> {
        if self.damaged {
            return Err(Refusal::Damaged(self.book.name.clone()));
        }
        let mut book = self.book.clone();
        book.purchase_note.clear();
        Ok(book)
    }
}

impl State {
    /// Fails where `name` is no shelf.
    pub fn shelf_exists(&self, name: &ShelfName) -> Result<(), Refusal> {
        if self.shelves.contains_key(name) {
            Ok(())
        } else {
            Err(Refusal::Missing(Resource::Shelf, name.to_string()))
        }
    }

    pub fn record(&self, name: &BookName) -> Result<&Record, Refusal> {
        self.books.get(name).ok_or_else(|| Refusal::Missing(Resource::Book, name.to_string()))
    }

    /// An entity tag that was never given before.
    pub fn next_etag(&mut self) -> String {
        self.revision += 1;
        format!("\"{:08x}\"", self.revision)
    }
}

impl Store {
    /// The shop as it opens: the shelves and books of the catalogue.
    pub fn stocked() -> Self {
        let store = Self {
            state: Mutex::new(State { shelves: BTreeMap::new(), books: BTreeMap::new(), revision: 0 }),
            events: broadcast::channel(EVENT_BACKLOG).0,
        };
        catalogue::fill(&mut store.lock());
        store
    }

    /// The state; changes are whole before the lock is left, so a poisoned one is still sound.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub fn get(&self, name: &BookName) -> Result<Book, Refusal> {
        self.lock().record(name)?.read()
    }

    /// Every book under `parent`, by name, readable or not.
    pub fn readings(&self, parent: &Parent) -> Result<Vec<Reading>, Refusal> {
        let state = self.lock();
        match parent {
            Parent::All => {}
            Parent::Shelf(shelf) => state.shelf_exists(shelf)?,
        }
        let held = state.books.iter().filter(|(name, _)| parent.holds(name));
        Ok(held.map(|(name, record)| (name.clone(), record.read())).collect())
    }

    /// The readable books under `parent`, by name.
    pub fn books(&self, parent: &Parent) -> Result<Vec<Book>, Refusal> {
        let readings = self.readings(parent)?;
        Ok(readings.into_iter().filter_map(|(_, r)| r.ok()).collect())
    }

    pub fn look_up(&self, isbn: &str) -> Result<Book, Refusal> {
        let state = self.lock();
        let found = state.books.values().find(|r| r.book.isbn == isbn);
        found.ok_or_else(|| Refusal::Missing(Resource::Book, format!("with ISBN {isbn}")))?.read()
    }

    /// Puts a book on a shelf, under `id` or under one made from its title.
    pub fn create(
        &self,
        shelf: ShelfName,
        id: &str,
        book: Book,
        validate_only: bool,
    ) -> Result<Book, Refusal> {
        check_new("book", &book)?;
        let mut state = self.lock();
        state.shelf_exists(&shelf)?;
        let name = if id.is_empty() {
            free_name(&state, shelf, &book.title)?
        } else {
            BookName::new(shelf, "book_id", id)?
        };
        self.insert(&mut state, name, book, validate_only)
    }

    /// Changes the fields of a book that `mask` names. A `book.etag` must be the current one.
    pub fn update(
        &self,
        name: &BookName,
        mut book: Book,
        mask: &Mask,
        allow_missing: bool,
    ) -> Result<Book, Refusal> {
        let mut state = self.lock();
        if allow_missing && !state.books.contains_key(name) {
            state.shelf_exists(name.shelf())?;
            check_new("book", &book)?;
            return self.insert(&mut state, name.clone(), book, false);
        }
        drop(state);
        let etag = std::mem::take(&mut book.etag);
        self.edit(name, |_, record| {
            fresh(&record.book, &etag)?;
            mask.apply(&mut record.book, &book)?;
            check_book("book", &record.book)
        })
    }

    /// Takes a book down. An `etag` must be the current one.
    pub fn delete(&self, name: &BookName, etag: Option<&str>) -> Result<(), Refusal> {
        let mut state = self.lock();
        fresh(&state.record(name)?.book, etag.unwrap_or_default())?;
        self.remove(&mut state, name);
        Ok(())
    }

    /// Moves a book, with all that belongs to it, to another shelf.
    pub fn move_book(&self, name: &BookName, shelf: ShelfName) -> Result<Book, Refusal> {
        let mut state = self.lock();
        state.shelf_exists(&shelf)?;
        let target = name.moved_to(shelf);
        state.record(name)?.read()?;
        if state.books.contains_key(&target) {
            return Err(Refusal::Taken(Resource::Book, target.to_string()));
        }
        self.relocate(&mut state, name, target)
    }

    /// Changes one record: all of `change` or nothing.
    pub fn edit(
        &self,
        name: &BookName,
        change: impl FnOnce(&State, &mut Record) -> Result<(), Refusal>,
    ) -> Result<Book, Refusal> {
        let mut state = self.lock();
        let mut record = state.record(name)?.clone();
        record.read()?;
        change(&state, &mut record)?;
        record.book.etag = state.next_etag();
        record.book.update_time = Some(now());
        let book = record.read()?;
        state.books.insert(name.clone(), record);
        self.tell(name, book_event::Event::Updated(book.clone()));
        Ok(book)
    }

    /// Takes the record at `from` to `to`, which is free.
    pub fn relocate(&self, state: &mut State, from: &BookName, to: BookName) -> Result<Book, Refusal> {
        let mut record = state.record(from)?.clone();
        self.remove(state, from);
        record.book.name = to.to_string();
        record.book.etag = state.next_etag();
        record.book.update_time = Some(now());
        let book = record.read();
        state.books.insert(to.clone(), record);
        if let Ok(book) = &book {
            self.tell(&to, book_event::Event::Created(book.clone()));
        }
        book
    }

    /// Takes the record down, if it is there.
    pub fn remove(&self, state: &mut State, name: &BookName) {
        if state.books.remove(name).is_some() {
            self.tell(name, book_event::Event::Deleted(name.to_string()));
        }
    }

    /// Keeps a checked book under a name that must be free.
    fn insert(
        &self,
        state: &mut State,
        name: BookName,
        book: Book,
        validate_only: bool,
    ) -> Result<Book, Refusal> {
        if state.books.contains_key(&name) {
            return Err(Refusal::Taken(Resource::Book, name.to_string()));
        }
        if state.books.len() >= MAX_BOOKS {
            return Err(Refusal::Full { what: "books", limit: MAX_BOOKS });
        }
        let time = Some(now());
        let record = Record {
            // What is the service's to set is not taken from the caller.
            book: Book {
                name: name.to_string(),
                average_rating: None,
                cover_fingerprint: Vec::new(),
                copies_sold: 0,
                create_time: time,
                update_time: time,
                etag: state.next_etag(),
                ..book
            },
            ..Record::default()
        };
        let book = record.read()?;
        if !validate_only {
            state.books.insert(name.clone(), record);
            self.tell(&name, book_event::Event::Created(book.clone()));
        }
        Ok(book)
    }

    fn tell(&self, name: &BookName, event: book_event::Event) {
        let event = BookEvent { event_time: Some(now()), event: Some(event) };
        // Nobody watching is no failure.
        let _ = self.events.send(Event { name: name.clone(), event });
    }
}

/// The time of what happens now.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

fn check_new(prefix: &str, book: &Book) -> Result<(), Refusal> {
    check_book(prefix, book)?;
    check_whereabouts(prefix, book)
}

fn fresh(book: &Book, etag: &str) -> Result<(), Refusal> {
    if etag.is_empty() || etag == book.etag { Ok(()) } else { Err(Refusal::Stale(book.name.clone())) }
}

/// The first free name for a title: the bare id, then `-2`, `-3` and so on.
fn free_name(state: &State, shelf: ShelfName, title: &str) -> Result<BookName, Refusal> {
    let id = id_from_title(title);
    let mut name = BookName::new(shelf.clone(), "book_id", &id)?;
    let mut n = 1_usize;
    while state.books.contains_key(&name) {
        n += 1;
        name = BookName::new(shelf.clone(), "book_id", &format!("{id}-{n}"))?;
    }
    Ok(name)
}
