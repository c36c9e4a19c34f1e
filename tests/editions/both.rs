//! One schema in two implementations: ours, and buffa, which knows editions too.

use std::sync::Arc;

use buffa_descriptor::DescriptorPool;
use buffa_descriptor::reflect::DynamicMessage;
use proptest::prelude::*;
use serde_json::Value;
use transom::codec::{
    JsonStyle, PlanSet, ReadError, ReadOptions, Splice, WireError, read_message, write_message,
};
use transom::schema::{self, Schema, SchemaSettings};

use super::message::{Dice, message};

pub struct Both {
    pub schema: Schema,
    plans: Arc<PlanSet>,
    theirs: Arc<DescriptorPool>,
}

impl Both {
    /// Loads a descriptor set, which both must take.
    pub fn new(set: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("set.binpb");
        std::fs::write(&path, set).expect("the set is written");
        let descriptors = vec![path.to_string_lossy().into_owned()];
        let settings = SchemaSettings { descriptors, ..SchemaSettings::default() };
        let schema = schema::load(&settings, &[]).unwrap_or_else(|problems| panic!("{problems}")).0;
        let theirs = DescriptorPool::decode(set).unwrap_or_else(|error| panic!("{error}"));
        Self {
            plans: PlanSet::compile_with(&schema.pool, &schema.features),
            schema,
            theirs: Arc::new(theirs),
        }
    }

    pub fn read(&self, message: &str, json: &str) -> Result<Vec<u8>, ReadError> {
        let plan = self.plans.message(message).unwrap_or_else(|| panic!("no message {message}"));
        let mut out = Vec::new();
        read_message(&plan, json.as_bytes(), &Splice::new(), &ReadOptions::default(), &mut out)?;
        Ok(out)
    }

    pub fn write(&self, message: &str, wire: &[u8], style: JsonStyle) -> Result<String, WireError> {
        let plan = self.plans.message(message).unwrap_or_else(|| panic!("no message {message}"));
        let mut out = Vec::new();
        write_message(&plan, wire, style, &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    fn random(&self, name: &str, seed: u64) -> Vec<u8> {
        let descriptor = self.schema.pool.get_message_by_name(name);
        message(&mut Dice(seed), &descriptor.unwrap_or_else(|| panic!("no message {name}")), 4)
    }

    fn decoded(&self, message: &str, wire: &[u8]) -> DynamicMessage {
        let index = self.theirs.message_index(message).unwrap_or_else(|| panic!("no message {message}"));
        DynamicMessage::decode(Arc::clone(&self.theirs), index, wire)
            .unwrap_or_else(|error| panic!("{error}: {wire:?}"))
    }

    /// The same JSON from the same bytes.
    pub fn same_json(&self, name: &str, seed: u64) -> Result<(), TestCaseError> {
        let wire = self.random(name, seed);
        let ours = self.write(name, &wire, JsonStyle::default());
        let ours = ours.unwrap_or_else(|error| panic!("{error}: {wire:?}"));
        let theirs = self.decoded(name, &wire).to_json().expect("it has a JSON form");
        prop_assert_eq!(value(&ours), value(&theirs), "{:?}", wire);
        Ok(())
    }

    /// The same bytes from the same JSON: lists packed or not, messages delimited or not, defaults written or not.
    pub fn same_bytes(&self, name: &str, seed: u64) -> Result<(), TestCaseError> {
        let json = self.decoded(name, &self.random(name, seed)).to_json().expect("it has a JSON form");
        let ours = self.read(name, &json).unwrap_or_else(|error| panic!("{error}: {json}"));
        let index = self.theirs.message_index(name).unwrap_or_else(|| panic!("no message {name}"));
        let theirs = DynamicMessage::from_json(Arc::clone(&self.theirs), index, &json)
            .unwrap_or_else(|error| panic!("{error}: {json}"));
        prop_assert_eq!(ours, theirs.encode_to_vec(), "{}", json);
        Ok(())
    }
}

/// JSON whose whole numbers are all of one form, as `30` is `30.0`.
fn value(json: &str) -> Value {
    fn whole(value: Value) -> Value {
        match value {
            Value::Array(values) => values.into_iter().map(whole).collect(),
            Value::Object(members) => members.into_iter().map(|(name, value)| (name, whole(value))).collect(),
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 => Value::from(float as i64),
                _ => Value::Number(number),
            },
            Value::Null | Value::Bool(_) | Value::String(_) => value,
        }
    }
    whole(serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}")))
}
