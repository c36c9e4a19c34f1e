//! The same messages as structs that are known when the program is compiled: serde for JSON, prost for the wire. Both
//! together do what the codec does.

use std::collections::BTreeMap;

use prost_types::{Duration, FieldMask, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Person {
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    first_name: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    last_name: String,
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "is_zero")]
    birth_year: i32,
    #[prost(string, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pen_names: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Money {
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    currency: String,
    #[prost(int64, tag = "2")]
    #[serde(with = "quoted", skip_serializing_if = "is_zero")]
    whole: i64,
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "is_zero")]
    nano: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Binding {
    Unknown = 0,
    Cloth = 1,
    Paper = 2,
    Digital = 3,
}

impl Binding {
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "BINDING_UNKNOWN",
            Self::Cloth => "CLOTH",
            Self::Paper => "PAPER",
            Self::Digital => "DIGITAL",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Unknown, Self::Cloth, Self::Paper, Self::Digital]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Volume {
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writers: Vec<Person>,
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "String::is_empty")]
    code: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    #[prost(double, tag = "6")]
    #[serde(skip_serializing_if = "is_zero")]
    score: f64,
    #[prost(enumeration = "Binding", tag = "7")]
    #[serde(with = "binding", skip_serializing_if = "is_zero")]
    binding: i32,
    #[prost(bool, tag = "8")]
    #[serde(skip_serializing_if = "is_zero")]
    available: bool,
    #[prost(int64, tag = "9")]
    #[serde(with = "quoted", skip_serializing_if = "is_zero")]
    copies: i64,
    #[prost(string, repeated, tag = "10")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[prost(btree_map = "string, string", tag = "11")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[prost(message, optional, tag = "12")]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    printed_at: Option<Timestamp>,
    #[prost(message, optional, tag = "13")]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    reading: Option<Duration>,
    #[prost(message, optional, tag = "14")]
    #[serde(skip_serializing_if = "Option::is_none")]
    printing: Option<i32>,
    #[prost(message, optional, tag = "15")]
    #[serde(with = "mask", skip_serializing_if = "Option::is_none")]
    visible: Option<FieldMask>,
    #[prost(bytes = "vec", tag = "16")]
    #[serde(with = "base64", skip_serializing_if = "Vec::is_empty")]
    checksum: Vec<u8>,
    #[prost(string, tag = "17")]
    #[serde(skip_serializing_if = "String::is_empty")]
    summary: String,
    #[prost(int32, repeated, tag = "18")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pages: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Volumes {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Volume>,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    next_page_token: String,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// 64-bit integers are strings in JSON.
mod quoted {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        <&str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod binding {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Binding;

    pub(super) fn serialize<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        match Binding::try_from(*value) {
            Ok(binding) => serializer.serialize_str(binding.name()),
            Err(_) => serializer.serialize_i32(*value),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        Binding::from_name(name)
            .map(|binding| binding as i32)
            .ok_or_else(|| D::Error::custom("no such binding"))
    }
}

/// Timestamps and durations, which prost-types writes and parses.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        <&str>::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
    }
}

mod mask {
    use prost_types::FieldMask;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        mask: &Option<FieldMask>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for path in mask.iter().flat_map(|mask| &mask.paths) {
            if !text.is_empty() {
                text.push(',');
            }
            let mut raise = false;
            for letter in path.chars() {
                match letter {
                    '_' => raise = true,
                    letter if raise => {
                        text.push(letter.to_ascii_uppercase());
                        raise = false;
                    }
                    letter => text.push(letter),
                }
            }
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<FieldMask>, D::Error> {
        let mut paths = Vec::new();
        for path in <&str>::deserialize(deserializer)?.split(',') {
            let mut text = String::with_capacity(path.len() + 4);
            for letter in path.chars() {
                if letter.is_ascii_uppercase() {
                    text.push('_');
                }
                text.push(letter.to_ascii_lowercase());
            }
            paths.push(text);
        }
        Ok(Some(FieldMask { paths }))
    }
}

mod base64 {
    use base64_simd::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode_to_string(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode_to_vec(<&str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
