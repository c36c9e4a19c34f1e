//! The part of an encoded `FileDescriptorProto` that loading needs before there is a pool: what
//! the file is called, imports and defines, and the HTTP rules of its methods.
//!
//! Field numbers are those of google/protobuf/descriptor.proto and google/api/http.proto. Reading
//! the rules here, and not from the pool's options, makes them independent of whether the input
//! brings google/api/annotations.proto along, and of which version of it.

use prost::{Message, Oneof};

/// A `FileDescriptorProto`, in outline.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Outline {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub package: String,
    #[prost(string, repeated, tag = "3")]
    pub dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub messages: Vec<MessageOutline>,
    #[prost(message, repeated, tag = "5")]
    pub enums: Vec<EnumOutline>,
    #[prost(message, repeated, tag = "6")]
    pub services: Vec<ServiceOutline>,
    #[prost(message, repeated, tag = "7")]
    pub extensions: Vec<Named>,
    #[prost(string, tag = "12")]
    pub syntax: String,
    #[prost(int32, optional, tag = "14")]
    pub edition: Option<i32>,
}

/// Anything of which only the name matters; in all descriptors that is field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageOutline {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<Named>,
    #[prost(message, repeated, tag = "3")]
    pub nested: Vec<MessageOutline>,
    #[prost(message, repeated, tag = "4")]
    pub enums: Vec<EnumOutline>,
    #[prost(message, repeated, tag = "6")]
    pub extensions: Vec<Named>,
    #[prost(message, repeated, tag = "8")]
    pub oneofs: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumOutline {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceOutline {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub methods: Vec<MethodOutline>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodOutline {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "4")]
    pub options: Option<MethodOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodOptions {
    /// `google.api.http`.
    #[prost(message, optional, tag = "72295728")]
    pub http: Option<HttpRule>,
}

/// `google.api.HttpRule`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pub pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    pub body: String,
    #[prost(message, repeated, tag = "11")]
    pub additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    pub response_body: String,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub path: String,
}

impl Outline {
    /// Whether the file is written in an edition and not in proto2 or proto3, which some writers give a number as well.
    pub fn in_editions(&self) -> bool {
        const PROTO2: i32 = 998;
        const PROTO3: i32 = 999;
        match (self.syntax.as_str(), self.edition) {
            ("editions", _) => true,
            ("" | "proto2", Some(PROTO2)) | ("proto3", Some(PROTO3)) | (_, None) => false,
            (_, Some(_)) => true,
        }
    }

    /// The names that the file puts into its package. Values of an enum stand beside the enum.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let messages = self.messages.iter().map(|message| message.name.as_str());
        let services = self.services.iter().map(|service| service.name.as_str());
        messages
            .chain(services)
            .chain(names(&self.extensions))
            .chain(self.enums.iter().flat_map(EnumOutline::names))
    }

    /// A name anywhere in the file that protobuf's grammar does not allow. Compilers never write
    /// one, and the pool takes for granted that there is none.
    pub fn malformed_name(&self) -> Option<&str> {
        let package = self.package.split('.').filter(|_| !self.package.is_empty());
        let methods =
            self.services.iter().flat_map(|service| &service.methods).map(|method| method.name.as_str());
        let own = package.chain(self.symbols()).chain(methods).find(|name| !is_identifier(name));
        own.or_else(|| self.messages.iter().find_map(MessageOutline::malformed_name))
    }

    /// `name` in the file's package.
    pub fn full_name(&self, name: &str) -> String {
        if self.package.is_empty() { name.to_owned() } else { format!("{}.{name}", self.package) }
    }
}

impl MessageOutline {
    /// The recursion is no deeper than the decoder's, which has a limit.
    fn malformed_name(&self) -> Option<&str> {
        let nested = self.nested.iter().map(|message| message.name.as_str());
        let fields = names(&self.fields).chain(names(&self.extensions)).chain(names(&self.oneofs));
        let all = nested.chain(fields).chain(self.enums.iter().flat_map(EnumOutline::names));
        let own = all.into_iter().find(|name| !is_identifier(name));
        own.or_else(|| self.nested.iter().find_map(Self::malformed_name))
    }
}

impl EnumOutline {
    /// Its own name and those of its values.
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(names(&self.values))
    }
}

fn names(of: &[Named]) -> impl Iterator<Item = &str> {
    of.iter().map(|named| named.name.as_str())
}

/// Whether this is protobuf's IDENT.
fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
