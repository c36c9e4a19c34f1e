//! Proto text to a descriptor set in a temporary folder, and JSON to messages and back by prost-reflect: the oracle.

use std::path::{Path, PathBuf};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tempfile::TempDir;

/// A compiled schema. Its folder lives as long as it does.
pub struct Schema {
    pub pool: DescriptorPool,
    folder: TempDir,
}

impl Schema {
    /// Compiles `proto`, which may import the google.api files of the project.
    pub fn new(proto: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("test.proto"), proto).expect("the source is written");
        let google = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let mut compiler = protox::Compiler::new([folder.path(), &google]).expect("the folders exist");
        compiler.include_imports(true);
        compiler.open_file("test.proto").unwrap_or_else(|error| panic!("{error:?}"));
        let set = compiler.encode_file_descriptor_set();
        std::fs::write(folder.path().join("test.binpb"), &set).expect("the set is written");
        let pool = DescriptorPool::decode(set.as_slice()).expect("protox makes valid sets");
        Self { pool, folder }
    }

    /// The folder of the descriptor set; configurations of a test may stand beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The descriptor set.
    pub fn descriptors(&self) -> PathBuf {
        self.folder.path().join("test.binpb")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the file is written");
        path
    }

    pub fn message(&self, name: &str) -> MessageDescriptor {
        self.pool.get_message_by_name(name).unwrap_or_else(|| panic!("no message {name}"))
    }

    /// The message of this type that `json` stands for.
    pub fn encode(&self, name: &str, json: &Value) -> Vec<u8> {
        DynamicMessage::deserialize(self.message(name), json).expect("it fits the schema").encode_to_vec()
    }

    /// The JSON of a message, defaults left out.
    pub fn decode(&self, message: MessageDescriptor, bytes: &[u8]) -> Value {
        let message = DynamicMessage::decode(message, bytes).expect("the message is readable");
        serde_json::to_value(&message).expect("a message has a JSON form")
    }
}
