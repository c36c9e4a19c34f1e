//! The codec by itself.

use std::sync::Arc;

use transom::codec::{JsonStyle, Plan, PlanSet, ReadOptions, Splice, Unknown, read_message, write_message};
use transom::schema::Schema;

use super::{Refusal, Testee};

pub struct Codec {
    plans: Arc<PlanSet>,
}

impl Codec {
    pub fn new(schema: &Schema) -> Self {
        Self { plans: PlanSet::compile_with(&schema.pool, &schema.features) }
    }

    fn plan(&self, message_type: &str) -> Result<Plan, Refusal> {
        let none = || Refusal::Broken(format!("the schema has no {message_type}"));
        self.plans.message(message_type).ok_or_else(none)
    }
}

impl Testee for Codec {
    fn to_wire(&mut self, message_type: &str, json: &str, ignore_unknown: bool) -> Result<Vec<u8>, Refusal> {
        let unknown = if ignore_unknown { Unknown::Ignore } else { Unknown::Reject };
        let options = ReadOptions { unknown: &unknown, ..ReadOptions::default() };
        let mut wire = Vec::new();
        read_message(&self.plan(message_type)?, json.as_bytes(), &Splice::default(), &options, &mut wire)
            .map_err(|error| Refusal::Parse(error.to_string()))?;
        Ok(wire)
    }

    fn to_json(&mut self, message_type: &str, wire: &[u8]) -> Result<String, Refusal> {
        let mut json = Vec::new();
        write_message(&self.plan(message_type)?, wire, JsonStyle::default(), &mut json).map_err(|error| {
            let refusal = if error.kind.has_no_json() { Refusal::Serialize } else { Refusal::Parse };
            refusal(error.to_string())
        })?;
        String::from_utf8(json).map_err(|error| Refusal::Broken(error.to_string()))
    }
}
