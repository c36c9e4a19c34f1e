//! The leaves that path, form and query set, told apart by rank: what a stronger one set stands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::known::Known;
use crate::codec::{
    FieldId, Overrides, Plan, Rank, Splice, TextError, write_map_key, write_map_text, write_text,
};
use crate::fault::Fault;

/// The way from the request message to a field; seldom deep.
pub(super) type Path = SmallVec<[FieldId; 4]>;

/// The leaves that were set so far, and what must not be set again. The stronger ranks come first.
pub(super) struct Leaves<'p> {
    plan: &'p Plan,
    overrides: Overrides,
    splice: Splice,
    /// Singular fields, and map entries by their encoded keys.
    set: Known<(Path, Vec<u8>), SetField>,
    /// Members of oneofs on the way to what is set, by the way to the message and the oneof in it.
    members: Known<(Path, u16), Member>,
    /// Messages that are one text (a timestamp, for example) and of which something was set: as a whole or in part.
    texts: Known<Path, Texts>,
    /// The elements of lists by path and body, kept only where they may have to be compared.
    lists: BTreeMap<Path, List>,
}

/// Where one text belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// From the request message to the field.
    pub path: &'a [FieldId],
    /// The message that the field is in.
    pub owner: &'a Plan,
    /// Of a map: the key of the entry.
    pub key: Option<&'a str>,
    /// As the request or the template spells it.
    pub name: &'a str,
}

struct SetField {
    rank: Rank,
    /// The encoded value, kept only where it may have to be compared.
    value: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Member {
    field: FieldId,
    rank: Rank,
}

/// How a message that is one text was set: by which source as a whole, and by which, the strongest, in part.
#[derive(Clone, Copy, Default)]
struct Texts {
    whole: Option<Rank>,
    part: Option<Rank>,
}

/// The encoded elements of one list.
struct List {
    name: Box<str>,
    by_path: Option<Vec<u8>>,
    by_body: Option<Vec<u8>>,
}

/// What becomes of a value beside what is set already.
enum Standing {
    Set,
    /// A stronger one stands.
    Dropped,
}

impl<'p> Leaves<'p> {
    pub(super) fn new(plan: &'p Plan, overrides: Overrides) -> Self {
        Self {
            plan,
            overrides,
            splice: Splice::new(),
            set: Known::new(),
            members: Known::new(),
            texts: Known::new(),
            lists: BTreeMap::new(),
        }
    }

    /// The request's message.
    pub(super) fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// The leaves, ready to be spliced.
    ///
    /// # Errors
    /// Lists of path and body that differ, where that is refused.
    pub(super) fn seal(mut self) -> Result<Splice, Fault> {
        let two = |list: &&List| list.by_path.is_some() && list.by_body.is_some();
        if let Some(list) = self.lists.values().filter(two).find(|list| list.by_path != list.by_body) {
            return Err(differs(&list.name));
        }
        self.splice.seal();
        Ok(self.splice)
    }

    /// Sets the field or map entry at `place` to `text`.
    ///
    /// # Errors
    /// The text is no value of the field, or the field (or another one of its oneof) is set already.
    pub(super) fn set(&mut self, place: Place<'_>, rank: Rank, text: &str) -> Result<(), Fault> {
        let Some(field) = place.path.last().copied() else { return Ok(()) };
        let write = |out: &mut Vec<u8>| {
            match place.key {
                None => write_text(place.owner, field, text, out),
                Some(key) => write_map_text(place.owner, field, key, text, out),
            }
            .map_err(|error| bad_value(place.name, &error))
        };
        if let Standing::Dropped = self.note_members(place, rank)? {
            return write(&mut Vec::new());
        }
        self.note_texts(place, rank)?;
        if place.key.is_none() && place.owner.field(field).is_repeated() {
            if self.overrides == Overrides::RejectDifferent {
                self.note_element(place, rank, write)?;
            }
            return self.splice.push(place.path, rank, write);
        }
        let mut key = Vec::new();
        if let Some(text) = place.key {
            write_map_key(place.owner, field, text, &mut key)
                .map_err(|error| bad_value(place.name, &error))?;
        }
        let which = (Path::from_slice(place.path), key);
        let mut value = Vec::new();
        if let Some(before) = self.set.get(&which) {
            write(&mut value)?;
            return match self.overrides {
                _ if before.rank >= rank => Err(twice(place.name)),
                Overrides::RejectDifferent if before.value != value => Err(differs(place.name)),
                Overrides::RejectDifferent | Overrides::Stronger => Ok(()),
            };
        }
        if self.overrides == Overrides::RejectDifferent {
            write(&mut value)?;
        }
        self.set.add(which, SetField { rank, value });
        self.splice.push(place.path, rank, write)
    }

    /// Keeps an element of a list for comparing.
    fn note_element(
        &mut self,
        place: Place<'_>,
        rank: Rank,
        write: impl Fn(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let list = self.lists.entry(Path::from_slice(place.path)).or_insert_with(|| List {
            name: place.name.into(),
            by_path: None,
            by_body: None,
        });
        match rank {
            Rank::Path => write(list.by_path.get_or_insert_default()),
            Rank::Body => write(list.by_body.get_or_insert_default()),
            // A query adds to either.
            Rank::Query => Ok(()),
        }
    }

    /// Whether a message on the way is set both as one text and in part, as by `at` and `at.seconds`. Of two ranks the
    /// stronger stands, whichever way it says it.
    fn note_texts(&mut self, place: Place<'_>, rank: Rank) -> Result<(), Fault> {
        let mut owner = Cow::Borrowed(self.plan);
        for (depth, field) in place.path.iter().enumerate() {
            let Some(message) = owner.nested(*field) else { break };
            let known = owner.field(*field);
            if message.well_known().is_some() && !known.is_repeated() && !known.is_map() {
                let is_whole = depth + 1 == place.path.len();
                let texts = self.texts.entry(Path::from_slice(place.path.get(..=depth).unwrap_or_default()));
                let (own, other) =
                    if is_whole { (&mut texts.whole, texts.part) } else { (&mut texts.part, texts.whole) };
                *own = own.or(Some(rank));
                match other {
                    None => {}
                    Some(other) if other == rank => return Err(twice(place.name)),
                    Some(_) if self.overrides == Overrides::RejectDifferent => {
                        return Err(differs(place.name));
                    }
                    Some(_) => {}
                }
            }
            owner = Cow::Owned(message);
        }
        Ok(())
    }

    /// Whether another member of a oneof is set anywhere on the way.
    fn note_members(&mut self, place: Place<'_>, rank: Rank) -> Result<Standing, Fault> {
        let Some((first, deeper)) = place.path.split_first() else { return Ok(Standing::Set) };
        if let Some(oneof) = self.plan.field(*first).oneof()
            && let Standing::Dropped = self.note_member(&[], oneof, *first, rank, place.name)?
        {
            return Ok(Standing::Dropped);
        }
        let mut owner = if deeper.is_empty() { None } else { self.plan.nested(*first) };
        for (depth, field) in deeper.iter().enumerate() {
            let Some(message) = owner else { break };
            let way = place.path.get(..=depth).unwrap_or_default();
            if let Some(oneof) = message.field(*field).oneof()
                && let Standing::Dropped = self.note_member(way, oneof, *field, rank, place.name)?
            {
                return Ok(Standing::Dropped);
            }
            owner = message.nested(*field);
        }
        Ok(Standing::Set)
    }

    fn note_member(
        &mut self,
        message: &[FieldId],
        oneof: u16,
        field: FieldId,
        rank: Rank,
        name: &str,
    ) -> Result<Standing, Fault> {
        let which = (Path::from_slice(message), oneof);
        match self.members.get(&which).copied() {
            Some(member) if member.field == field => Ok(Standing::Set),
            Some(member) => match (member.rank, rank, self.overrides) {
                // A body says what it likes beside the path and the query, as it does in JSON.
                (Rank::Path, Rank::Body, Overrides::Stronger)
                | (Rank::Body, Rank::Query, Overrides::Stronger) => Ok(Standing::Dropped),
                (Rank::Path, Rank::Body, Overrides::RejectDifferent)
                | (Rank::Body, Rank::Query, Overrides::RejectDifferent) => Err(differs(name)),
                (Rank::Path, Rank::Path | Rank::Query, _)
                | (Rank::Body, Rank::Path | Rank::Body, _)
                | (Rank::Query, Rank::Path | Rank::Body | Rank::Query, _) => {
                    let message = format!("`{name}` is in a oneof of which another member is set");
                    Err(Fault::invalid_argument("ONEOF_CONFLICT", message).at(name))
                }
            },
            None => {
                self.members.add(which, Member { field, rank });
                Ok(Standing::Set)
            }
        }
    }
}

pub(super) fn not_a_leaf(name: &str) -> Fault {
    let message = format!("`{name}` is a message or a map and can't be set by one parameter");
    Fault::invalid_argument("NOT_A_SCALAR", message).at(name)
}

fn bad_value(name: &str, error: &TextError) -> Fault {
    match error {
        TextError::NotALeaf => not_a_leaf(name),
        TextError::Invalid(kind) => {
            Fault::invalid_argument(kind.reason(), format!("`{name}`: {}", kind.message())).at(name)
        }
    }
}

pub(super) fn twice(name: &str) -> Fault {
    Fault::invalid_argument("PARAMETER_TWICE", format!("`{name}` takes one value and has several")).at(name)
}

fn differs(name: &str) -> Fault {
    let message = format!("path, body and query give `{name}` different values");
    Fault::invalid_argument("OVERRIDE_DIFFERS", message).at(name)
}
