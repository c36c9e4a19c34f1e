//! Descriptors with the fields that editions change, all else as bytes: what is not understood here goes through as it
//! came, extension options too. Numbers are those of google/protobuf/descriptor.proto.
//!
//! Fields that a newer compiler writes and the pool does not know (edition, option imports, visibility) are left out.

use prost::{DecodeError, Message};

/// A message in pieces: the wire allows a singular message to come in several, which add up.
pub(super) type Pieces = Vec<Vec<u8>>;

/// Decodes a message from its pieces.
pub(super) fn from_pieces<T: Message + Default>(pieces: &Pieces) -> Result<T, DecodeError> {
    let mut message = T::default();
    for piece in pieces {
        message.merge(piece.as_slice())?;
    }
    Ok(message)
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub package: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub messages: Vec<DescribedMessage>,
    #[prost(message, repeated, tag = "5")]
    pub enums: Vec<DescribedEnum>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub services: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "7")]
    pub extensions: Vec<Field>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub options: Pieces,
    #[prost(int32, repeated, packed = "false", tag = "10")]
    pub public_dependency: Vec<i32>,
    #[prost(int32, repeated, packed = "false", tag = "11")]
    pub weak_dependency: Vec<i32>,
    #[prost(string, optional, tag = "12")]
    pub syntax: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribedMessage {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    pub nested: Vec<DescribedMessage>,
    #[prost(message, repeated, tag = "4")]
    pub enums: Vec<DescribedEnum>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub extension_ranges: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "6")]
    pub extensions: Vec<Field>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub options: Pieces,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub oneofs: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub reserved_ranges: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "10")]
    pub reserved_names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Field {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub extendee: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub number: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub label: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub kind: Option<i32>,
    #[prost(string, optional, tag = "6")]
    pub type_name: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub default_value: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub options: Pieces,
    #[prost(int32, optional, tag = "9")]
    pub oneof_index: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub json_name: Option<String>,
    #[prost(bool, optional, tag = "17")]
    pub proto3_optional: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribedEnum {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<EnumValue>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub options: Pieces,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub reserved_ranges: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "5")]
    pub reserved_names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumValue {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub number: Option<i32>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub options: Pieces,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageOptions {
    #[prost(bool, tag = "7")]
    pub map_entry: bool,
    #[prost(message, optional, tag = "12")]
    pub features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldOptions {
    #[prost(message, optional, tag = "21")]
    pub features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumOptions {
    #[prost(message, optional, tag = "7")]
    pub features: Option<FeatureSet>,
}

/// The features that decide how messages are read and written; others are for compilers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FeatureSet {
    #[prost(int32, optional, tag = "1")]
    pub field_presence: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub enum_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub repeated_field_encoding: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub utf8_validation: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub message_encoding: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub json_format: Option<i32>,
}
