//! The messages that the codec's targets read and write.

use std::sync::{Arc, LazyLock};

use prost_reflect::{DescriptorPool, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use transom::codec::{Plan, PlanSet};

struct Sources;

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = match name {
            "shapes.proto" => include_str!("shapes.proto"),
            "old.proto" => include_str!("old.proto"),
            _ => return Err(protox::Error::file_not_found(name)),
        };
        File::from_source(name, source)
    }
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_files(["shapes.proto", "old.proto"]).expect("the sources are valid");
    compiler.descriptor_pool()
});

static PLANS: LazyLock<Arc<PlanSet>> = LazyLock::new(|| PlanSet::compile(&POOL));

const MESSAGES: [&str; 8] = [
    "shapes.Shape",
    "shapes.Leaf",
    "old.Old",
    "google.protobuf.Any",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.ListValue",
    "google.protobuf.Timestamp",
];

/// One of the messages, for the codec and for prost-reflect.
pub(super) fn message(choice: usize) -> (Plan, MessageDescriptor) {
    let name = MESSAGES[choice % MESSAGES.len()];
    (plan(name), POOL.get_message_by_name(name).expect("in the sources"))
}

/// The message of this name.
pub(super) fn plan(name: &str) -> Plan {
    PLANS.message(name).expect("compiled from the pool")
}

/// The type of what an `Any` with this URL holds.
pub(super) fn any_type(url: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(url.rsplit_once('/')?.1)
}
