//! Shelves: putting up, renaming, taking down, merging.

use super::api::bookstore::v1::{Shelf, UpdateShelfRequest};
use super::names::{BookName, Parent, ShelfName, id_from_title};
use super::refusal::{Refusal, Resource};
use super::store::{State, Store, now};
use super::validation::{check_shelf, invalid};

const MAX_SHELVES: usize = 1_000;

impl Store {
    pub fn shelves(&self) -> Vec<Shelf> {
        let state = self.lock();
        let names = state.shelves.keys();
        names.filter_map(|name| read(&state, name).ok()).collect()
    }

    pub fn shelf(&self, name: &ShelfName) -> Result<Shelf, Refusal> {
        read(&self.lock(), name)
    }

    pub fn create_shelf(&self, id: &str, shelf: Shelf) -> Result<Shelf, Refusal> {
        check_shelf(&shelf)?;
        let id = if id.is_empty() { id_from_title(&shelf.title) } else { id.to_owned() };
        let name = ShelfName::new("shelf_id", &id)?;
        let mut state = self.lock();
        if state.shelves.contains_key(&name) {
            return Err(Refusal::Taken(Resource::Shelf, name.to_string()));
        }
        if state.shelves.len() >= MAX_SHELVES {
            return Err(Refusal::Full { what: "shelves", limit: MAX_SHELVES });
        }
        let shelf =
            Shelf { name: name.to_string(), create_time: Some(now()), etag: state.next_etag(), ..shelf };
        state.shelves.insert(name.clone(), shelf);
        read(&state, &name)
    }

    pub fn update_shelf(&self, request: UpdateShelfRequest) -> Result<Shelf, Refusal> {
        let new = request.shelf.ok_or_else(|| invalid("shelf", "REQUIRED", "a shelf is what it changes"))?;
        let name = ShelfName::parse("shelf.name", &new.name)?;
        let paths = request.update_mask.map_or_else(Vec::new, |mask| mask.paths);
        let mut state = self.lock();
        let mut shelf = read(&state, &name)?;
        if paths.is_empty() || paths == ["*"] {
            shelf.title = new.title;
            shelf.labels = new.labels;
        } else {
            for path in &paths {
                match path.as_str() {
                    "title" => shelf.title.clone_from(&new.title),
                    "labels" => shelf.labels.clone_from(&new.labels),
                    other => {
                        let told = format!("{other} is no field that can change");
                        return Err(invalid("update_mask", "UNKNOWN_PATH", &told));
                    }
                }
            }
        }
        check_shelf(&shelf)?;
        shelf.etag = state.next_etag();
        state.shelves.insert(name.clone(), shelf);
        read(&state, &name)
    }

    pub fn delete_shelf(&self, name: &ShelfName, force: bool) -> Result<(), Refusal> {
        let mut state = self.lock();
        state.shelf_exists(name)?;
        let books = books_of(&state, name);
        if !books.is_empty() && !force {
            return Err(Refusal::NotEmpty { shelf: name.to_string(), books: books.len() });
        }
        for book in &books {
            self.remove(&mut state, book);
        }
        state.shelves.remove(name);
        Ok(())
    }

    /// Moves every book of `from` to `to` and takes `from` down; nothing moves if one can't.
    pub fn merge_shelves(&self, to: &ShelfName, from: &ShelfName) -> Result<Shelf, Refusal> {
        if to == from {
            let told = "a shelf cannot be merged with itself";
            return Err(invalid("other_shelf", "SAME_SHELF", told));
        }
        let mut state = self.lock();
        state.shelf_exists(to)?;
        state.shelf_exists(from)?;
        let books = books_of(&state, from);
        for book in &books {
            state.record(book)?.read()?;
            let target = book.moved_to(to.clone());
            if state.books.contains_key(&target) {
                return Err(Refusal::Taken(Resource::Book, target.to_string()));
            }
        }
        for book in &books {
            let target = book.moved_to(to.clone());
            self.relocate(&mut state, book, target)?;
        }
        state.shelves.remove(from);
        read(&state, to)
    }
}

/// The shelf with its books counted.
fn read(state: &State, name: &ShelfName) -> Result<Shelf, Refusal> {
    let kept = state.shelves.get(name);
    let shelf = kept.ok_or_else(|| Refusal::Missing(Resource::Shelf, name.to_string()))?;
    Ok(Shelf { book_count: i64::try_from(books_of(state, name).len()).unwrap_or(i64::MAX), ..shelf.clone() })
}

fn books_of(state: &State, shelf: &ShelfName) -> Vec<BookName> {
    let parent = Parent::Shelf(shelf.clone());
    let names = state.books.keys();
    names.filter(|name| parent.holds(name)).cloned().collect()
}
