//! The messages and enums that methods reach, each compared once for all that reach it.

use std::collections::VecDeque;

use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};
use rustc_hash::FxHashMap;

use super::finding::Finding;
use super::{enums, fields};
use crate::schema::Schema;

/// Where clients meet a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uses {
    /// They write it.
    pub request: bool,
    /// They read it.
    pub reply: bool,
}

impl Uses {
    pub(super) const REQUEST: Self = Self { request: true, reply: false };
    pub(super) const REPLY: Self = Self { request: false, reply: true };

    fn or(self, other: Self) -> Self {
        Self { request: self.request || other.request, reply: self.reply || other.reply }
    }
}

/// A message, and what stands in its place now.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub old: MessageDescriptor,
    pub new: MessageDescriptor,
    pub uses: Uses,
    /// The first method that reaches it.
    pub method: String,
}

impl Pair {
    pub(super) fn new(old: MessageDescriptor, new: MessageDescriptor, uses: Uses, method: &str) -> Self {
        Self { old, new, uses, method: method.to_owned() }
    }
}

/// The types of the fields of one pair that are to be compared as well.
#[derive(Default)]
pub(super) struct Inner {
    pub messages: Vec<(MessageDescriptor, MessageDescriptor)>,
    pub enums: Vec<(EnumDescriptor, EnumDescriptor)>,
}

impl Inner {
    /// Notes two types that hold something; scalars do not.
    pub(super) fn note(&mut self, old: Kind, new: Kind) {
        match (old, new) {
            (Kind::Message(old), Kind::Message(new)) => self.messages.push((old, new)),
            (Kind::Enum(old), Kind::Enum(new)) => self.enums.push((old, new)),
            _ => {}
        }
    }
}

/// By the names of both sides.
type Known<T> = FxHashMap<(String, String), T>;

/// Compares these messages and all that stand in them.
pub(super) fn compare(old: &Schema, new: &Schema, pairs: Vec<Pair>, findings: &mut Vec<Finding>) {
    let (messages, enums) = reach(old, new, pairs);
    for pair in messages {
        fields::compare(old, new, &pair, findings);
    }
    for (was, is, uses) in enums {
        enums::compare((old, &was), (new, &is), uses, findings);
    }
}

type Reached = (Vec<Pair>, Vec<(EnumDescriptor, EnumDescriptor, Uses)>);

/// Each pair once, with all uses of it. A pair is entered again when it is found to be used in one more way, so at most
/// twice.
fn reach(old: &Schema, new: &Schema, pairs: Vec<Pair>) -> Reached {
    let mut order: Vec<Pair> = Vec::new();
    let mut at: Known<usize> = FxHashMap::default();
    let mut enums: Vec<(EnumDescriptor, EnumDescriptor, Uses)> = Vec::new();
    let mut enum_at: Known<usize> = FxHashMap::default();
    let mut open = VecDeque::from(pairs);
    while let Some(mut pair) = open.pop_front() {
        if is_the_same_builtin(&pair) {
            continue;
        }
        let key = (pair.old.full_name().to_owned(), pair.new.full_name().to_owned());
        match at.get(&key).and_then(|&index| order.get_mut(index)) {
            Some(known) => {
                let uses = known.uses.or(pair.uses);
                if uses == known.uses {
                    continue;
                }
                known.uses = uses;
                pair.uses = uses;
            }
            None => {
                at.insert(key, order.len());
                order.push(pair.clone());
            }
        }
        let inner = fields::inner(old, new, &pair);
        let Pair { uses, method, .. } = pair;
        open.extend(inner.messages.into_iter().map(|(old, new)| Pair::new(old, new, uses, &method)));
        for (was, is) in inner.enums {
            let key = (was.full_name().to_owned(), is.full_name().to_owned());
            match enum_at.get(&key).and_then(|&index| enums.get_mut(index)) {
                Some((_, _, known)) => *known = known.or(uses),
                None => {
                    enum_at.insert(key, enums.len());
                    enums.push((was, is, uses));
                }
            }
        }
    }
    (order, enums)
}

/// Protobuf's own types do not change.
fn is_the_same_builtin(pair: &Pair) -> bool {
    pair.old.full_name() == pair.new.full_name() && pair.old.full_name().starts_with("google.protobuf.")
}
