//! The schema as server reflection asks for it: raw files by name, by what they declare, and by what they extend.
//!
//! Only what is served is in it. Where methods are left out by choice, their declarations are cut out of the file, and
//! files that no served method needs are not there at all.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::load::{split_set, without_source_info};
use super::outline::{MessageOutline, Outline};
use super::{FileOrigin, Schema};

/// Raw files, looked up by name, symbol or extension.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<Bytes>,
    by_name: FxHashMap<Box<str>, usize>,
    /// Of the symbols, those that stand in their package: what is nested is found in their file.
    by_symbol: FxHashMap<Box<str>, usize>,
    /// By the extended message, then by number.
    extensions: FxHashMap<Box<str>, BTreeMap<i32, usize>>,
    /// Sorted.
    services: Vec<Box<str>>,
}

impl Index {
    /// Everything that the schema serves.
    #[must_use]
    pub fn of_schema(schema: &Schema) -> Self {
        let mut served: Served<'_> = FxHashMap::default();
        for method in &schema.methods {
            served.entry(method.service()).or_default().insert(method.name());
        }
        let outlines: Vec<Option<Outline>> =
            schema.files.iter().map(|file| Outline::decode(file.encoded.clone()).ok()).collect();
        let is_whole = outlines.iter().flatten().all(|outline| hidden(outline, &served).is_none());
        let needed = needed(schema, &outlines, &served);
        let mut index = Self::default();
        for (at, (file, outline)) in schema.files.iter().zip(&outlines).enumerate() {
            let Some(outline) = outline else { continue };
            let is_known = file.origin == FileOrigin::BuiltIn || is_whole || needed.contains(&at);
            if !is_known {
                continue;
            }
            match hidden(outline, &served) {
                None => index.add(file.encoded.clone(), outline),
                Some(Hidden) => {
                    let cut = without_hidden(&file.encoded, outline, &served);
                    if let Ok(outline) = Outline::decode(cut.clone()) {
                        index.add(cut, &outline);
                    }
                }
            }
        }
        index.services = served.into_keys().map(Box::from).collect();
        index.services.sort_unstable();
        index
    }

    /// Everything in a descriptor set; of its services, these are listed.
    #[must_use]
    pub fn of_set(set: &Bytes, services: &[&str]) -> Self {
        let mut index = Self::default();
        for encoded in split_set(set).unwrap_or_default() {
            if let Ok(outline) = Outline::decode(encoded.clone())
                && outline
                    .services
                    .iter()
                    .any(|service| services.contains(&&*outline.full_name(&service.name)))
            {
                index.add(encoded, &outline);
            }
        }
        index.services = services.iter().copied().map(Box::from).collect();
        index
    }

    fn add(&mut self, encoded: Bytes, outline: &Outline) {
        let at = self.files.len();
        self.by_name.insert(outline.name.as_str().into(), at);
        for symbol in outline.symbols() {
            self.by_symbol.entry(outline.full_name(symbol).into()).or_insert(at);
        }
        if let Ok(extending) = Extending::decode(encoded.clone()) {
            extending.each(|extension| {
                let extended = extension.extendee.trim_start_matches('.');
                self.extensions.entry(extended.into()).or_default().entry(extension.number).or_insert(at);
            });
        }
        self.files.push(encoded);
    }

    /// The full names of the services, sorted.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| &**service)
    }

    /// The file of this name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(*self.by_name.get(name)?)
    }

    /// The file that declares this service, method, message, field, oneof, enum, enum value or extension.
    #[must_use]
    pub fn file_of_symbol(&self, symbol: &str) -> Option<&Bytes> {
        if let Some(&at) = self.by_symbol.get(symbol) {
            return self.files.get(at);
        }
        // The rest after something that stands in a package is nested in it.
        let dots = symbol.rmatch_indices('.').map(|(dot, _)| dot).take(MAX_NESTING);
        for dot in dots {
            let Some(&at) = symbol.get(..dot).and_then(|outer| self.by_symbol.get(outer)) else { continue };
            let file = self.files.get(at)?;
            let outline = Outline::decode(file.clone()).ok()?;
            return declares(&outline, symbol).then_some(file);
        }
        None
    }

    /// The file that declares the extension of a message by this number.
    #[must_use]
    pub fn file_of_extension(&self, message: &str, number: i32) -> Option<&Bytes> {
        self.files.get(*self.extensions.get(message)?.get(&number)?)
    }

    /// The numbers of all extensions of a message, in order.
    pub fn extensions_of(&self, message: &str) -> impl Iterator<Item = i32> {
        self.extensions.get(message).into_iter().flat_map(|numbers| numbers.keys().copied())
    }
}

/// More levels than a file can have that was decoded.
const MAX_NESTING: usize = 128;

/// The names of the methods that are served, by their service.
type Served<'s> = FxHashMap<&'s str, FxHashSet<&'s str>>;

/// Something of a file must not be seen.
struct Hidden;

fn hidden(outline: &Outline, served: &Served<'_>) -> Option<Hidden> {
    let is_hidden = outline.services.iter().any(|service| {
        let served = served.get(&*outline.full_name(&service.name));
        !service.methods.iter().all(|method| served.is_some_and(|served| served.contains(&*method.name)))
    });
    is_hidden.then_some(Hidden)
}

/// The files that declare what is served, and all that they import.
fn needed(schema: &Schema, outlines: &[Option<Outline>], served: &Served<'_>) -> FxHashSet<usize> {
    let by_name: FxHashMap<&str, usize> =
        schema.files.iter().enumerate().map(|(at, file)| (&*file.name, at)).collect();
    let serves = |outline: &Outline| {
        outline.services.iter().any(|service| served.contains_key(&*outline.full_name(&service.name)))
    };
    let mut open: Vec<usize> = (outlines.iter().enumerate())
        .filter(|(_, outline)| outline.as_ref().is_some_and(serves))
        .map(|(at, _)| at)
        .collect();
    let mut needed: FxHashSet<usize> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        let imports =
            outlines.get(at).and_then(Option::as_ref).map_or(&[][..], |outline| &outline.dependency);
        for import in imports {
            if let Some(&import) = by_name.get(&**import)
                && needed.insert(import)
            {
                open.push(import);
            }
        }
    }
    needed
}

/// `FileDescriptorProto.service`, and of a `ServiceDescriptorProto` its `name` and `method`; `MethodDescriptorProto.name`
/// is 1, too (google/protobuf/descriptor.proto).
const SERVICE: u32 = 6;
const METHOD: u32 = 2;

/// The file without the services and methods that are not served. Comments go as well: they are found by counting what
/// is no longer there, and may name it.
fn without_hidden(file: &Bytes, outline: &Outline, served: &Served<'_>) -> Bytes {
    let mut services = outline.services.iter();
    let file = without_source_info(file);
    edited(&file, SERVICE, |encoded| {
        // The outline has them in the same order.
        let service = services.next()?;
        let served = served.get(&*outline.full_name(&service.name))?;
        let mut methods = service.methods.iter();
        Some(edited(&encoded, METHOD, |method| {
            methods.next().filter(|of| served.contains(&*of.name)).map(|_| method)
        }))
    })
}

/// A message with each of its submessages in the field `number` as `edit` gives it, or without it. All else stays as it
/// is, byte by byte.
fn edited(message: &Bytes, number: u32, mut edit: impl FnMut(Bytes) -> Option<Bytes>) -> Bytes {
    let mut rest = message.clone();
    let mut out = Vec::with_capacity(message.len());
    while rest.has_remaining() {
        let start = message.len() - rest.len();
        // What is not even read by those who come after is no reason to show it.
        let Ok((found, wire_type)) = decode_key(&mut rest) else { break };
        if found == number && wire_type == WireType::LengthDelimited {
            let length = decode_varint(&mut rest).ok().and_then(|length| usize::try_from(length).ok());
            let Some(length) = length.filter(|length| *length <= rest.len()) else { break };
            if let Some(kept) = edit(rest.split_to(length)) {
                encode_key(number, WireType::LengthDelimited, &mut out);
                encode_varint(kept.len() as u64, &mut out);
                out.extend_from_slice(&kept);
            }
        } else {
            if skip_field(wire_type, found, &mut rest, DecodeContext::default()).is_err() {
                break;
            }
            out.extend_from_slice(message.get(start..message.len() - rest.len()).unwrap_or_default());
        }
    }
    out.into()
}

/// Whether a file declares a symbol that is nested in something.
fn declares(outline: &Outline, symbol: &str) -> bool {
    let package = outline.full_name("");
    let Some(path) = symbol.strip_prefix(&*package) else { return false };
    let mut path = path.split('.');
    let (Some(first), Some(second)) = (path.next(), path.next()) else { return false };
    if let Some(service) = outline.services.iter().find(|service| service.name == first) {
        return path.next().is_none() && service.methods.iter().any(|method| method.name == second);
    }
    let Some(mut message) = outline.messages.iter().find(|message| message.name == first) else {
        return false;
    };
    let mut name = second;
    for next in path {
        let Some(inner) = message.nested.iter().find(|nested| nested.name == name) else { return false };
        message = inner;
        name = next;
    }
    names_in(message).any(|known| known == name)
}

fn names_in(message: &MessageOutline) -> impl Iterator<Item = &str> {
    let named = message.fields.iter().chain(&message.extensions).chain(&message.oneofs);
    let nested = message.nested.iter().map(|nested| nested.name.as_str());
    let enums = message.enums.iter().flat_map(|of| {
        std::iter::once(of.name.as_str()).chain(of.values.iter().map(|value| value.name.as_str()))
    });
    named.map(|named| named.name.as_str()).chain(nested).chain(enums)
}

/// The extensions in an encoded file, or in a message of it: extensions have other numbers in these two.
#[derive(Clone, PartialEq, Message)]
struct Extending {
    #[prost(message, repeated, tag = "4")]
    messages: Vec<ExtendingMessage>,
    #[prost(message, repeated, tag = "7")]
    extensions: Vec<Extension>,
}

#[derive(Clone, PartialEq, Message)]
struct ExtendingMessage {
    #[prost(message, repeated, tag = "3")]
    nested: Vec<ExtendingMessage>,
    #[prost(message, repeated, tag = "6")]
    extensions: Vec<Extension>,
}

/// A `FieldDescriptorProto` that extends a message.
#[derive(Clone, PartialEq, Message)]
struct Extension {
    /// The full name of the extended message, with a dot before it.
    #[prost(string, tag = "2")]
    extendee: String,
    #[prost(int32, tag = "3")]
    number: i32,
}

impl Extending {
    fn each(&self, mut take: impl FnMut(&Extension)) {
        self.extensions.iter().for_each(&mut take);
        let mut open: Vec<&ExtendingMessage> = self.messages.iter().collect();
        while let Some(message) = open.pop() {
            message.extensions.iter().for_each(&mut take);
            open.extend(&message.nested);
        }
    }
}
