//! Tells where the way through JSON loses something by design, by another implementation of protobuf.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, ReflectMessage, Value};
use transom::schema::Schema;

/// prost-reflect's view of the schema.
pub struct Oracle {
    pool: DescriptorPool,
}

impl Oracle {
    pub fn new(schema: &Schema) -> Self {
        Self { pool: schema.pool.clone() }
    }

    /// Whether `wire` is a message with fields, at any depth, that its type does not have.
    pub fn has_unknown(&self, message_type: &str, wire: &[u8]) -> bool {
        let Some(descriptor) = self.pool.get_message_by_name(message_type) else { return false };
        DynamicMessage::decode(descriptor, wire).is_ok_and(|message| unknown_in(&message))
    }
}

/// The items of a MessageSet, which prost-reflect leaves unknown.
#[derive(Message)]
struct MessageSet {
    #[prost(group, repeated, tag = "1")]
    items: Vec<message_set::Item>,
}

mod message_set {
    #[derive(prost::Message)]
    pub struct Item {
        #[prost(uint32, tag = "2")]
        pub type_id: u32,
        #[prost(bytes, tag = "3")]
        pub message: Vec<u8>,
    }
}

fn unknown_in(message: &DynamicMessage) -> bool {
    unknown_here(message)
        || message.fields().any(|(_, value)| unknown_below(value))
        || message.extensions().any(|(_, value)| unknown_below(value))
}

fn unknown_here(message: &DynamicMessage) -> bool {
    let descriptor = message.descriptor();
    let options = descriptor.descriptor_proto().options.as_ref();
    if !options.is_some_and(|options| options.message_set_wire_format()) {
        return message.unknown_fields().next().is_some();
    }
    let mut bytes = Vec::new();
    for field in message.unknown_fields() {
        field.encode(&mut bytes);
    }
    let Ok(set) = MessageSet::decode(bytes.as_slice()) else { return true };
    set.items.iter().any(|item| {
        let extension = descriptor.get_extension(item.type_id).map(|extension| extension.kind());
        let Some(Kind::Message(message)) = extension else { return true };
        DynamicMessage::decode(message, item.message.as_slice()).is_ok_and(|message| unknown_in(&message))
    })
}

fn unknown_below(value: &Value) -> bool {
    match value {
        Value::Message(message) => unknown_in(message),
        Value::List(values) => values.iter().any(unknown_below),
        Value::Map(entries) => entries.values().any(unknown_below),
        _ => false,
    }
}
