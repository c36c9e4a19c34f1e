//! The schema: which methods there are, what their messages look like, and which HTTP requests
//! reach them.
//!
//! Everything here happens at load. [`load()`] turns descriptor sets, `.proto` sources, what backends
//! [`Reflected`] and service configurations into a [`Schema`]; the router, the message plans and server reflection are made
//! from it. All problems of all inputs are found in one pass and told together.

mod builtin;
mod check;
mod compare;
pub mod diff;
mod editions;
mod fields;
mod http_rule;
mod index;
mod inputs;
mod load;
mod outline;
mod pool;
mod reflected;
mod service_config;
mod settings;
mod sources;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, MethodDescriptor};
use prost_types::MethodOptions;
use prost_types::method_options::IdempotencyLevel;

use crate::codec::Features;
use crate::problem::{Problem, Problems};
use crate::route::{HttpMethod, Selector, Template};

pub use builtin::builtin_pool;
pub use index::Index;
pub use reflected::{FileNames, Reflected, is_built_in};
pub use settings::{ReflectSettings, SameTemplate, SchemaSettings};

/// All that is known about the APIs behind the gateway.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Every file of the inputs and the built-in ones, extension options kept, comments left out:
    /// those are in [`File::encoded`].
    pub pool: DescriptorPool,
    /// What the pool can't tell of files in editions, which it holds as if they were in proto2 or proto3.
    pub features: Features,
    /// The methods that are served, in the order of the input.
    pub methods: Vec<Method>,
    /// The HTTP bindings of these methods; those of one method stand together, in the order of
    /// its rule.
    pub bindings: Vec<Binding>,
    /// The files of the pool in the order of the input, built-in ones last.
    pub files: Vec<File>,
    /// Whether a service configuration asks for multi-segment captures to be decoded but for `%2F`
    /// (google/api/http.proto, `Http.fully_decode_reserved_expansion`).
    pub fully_decode_reserved_expansion: bool,
    /// None where methods that the schema does not have are refused. Otherwise those of them that are passed; all, where
    /// there are no selectors.
    pub unknown: Option<Vec<Selector>>,
}

/// One method of one service.
#[derive(Debug, Clone)]
pub struct Method {
    /// The method in [`Schema::pool`].
    pub descriptor: MethodDescriptor,
    /// `/pkg.Service/Method`, the path of the method in gRPC.
    pub path: String,
    /// Whether the client sends any number of messages.
    pub client_streaming: bool,
    /// Whether the server sends any number of messages.
    pub server_streaming: bool,
    /// The upstreams that say by reflection that they serve it, by name.
    pub upstreams: Vec<Arc<str>>,
}

impl Method {
    /// A method, and who says by reflection that they serve it.
    #[must_use]
    pub fn new(descriptor: MethodDescriptor, upstreams: Vec<Arc<str>>) -> Self {
        Self {
            upstreams,
            path: format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name()),
            client_streaming: descriptor.is_client_streaming(),
            server_streaming: descriptor.is_server_streaming(),
            descriptor,
        }
    }

    /// What its `idempotency_level` says.
    #[must_use]
    pub fn idempotency(&self) -> Idempotency {
        let options = self.descriptor.method_descriptor_proto().options.as_ref();
        match options.map(MethodOptions::idempotency_level) {
            None | Some(IdempotencyLevel::IdempotencyUnknown) => Idempotency::Unknown,
            Some(IdempotencyLevel::NoSideEffects) => Idempotency::NoSideEffects,
            Some(IdempotencyLevel::Idempotent) => Idempotency::Idempotent,
        }
    }

    /// `pkg.Service.Method`, as service configurations and reflection have it.
    #[must_use]
    pub fn full_name(&self) -> &str {
        self.descriptor.full_name()
    }

    /// `pkg.Service`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.descriptor.parent_service().full_name()
    }

    /// `Method`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.descriptor.name()
    }

    /// The request's type.
    #[must_use]
    pub fn input(&self) -> MessageDescriptor {
        self.descriptor.input()
    }

    /// The reply's type.
    #[must_use]
    pub fn output(&self) -> MessageDescriptor {
        self.descriptor.output()
    }
}

/// What calling a method more than once does (google/protobuf/descriptor.proto, `MethodOptions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    Unknown,
    /// It changes nothing, so that a GET may call it.
    NoSideEffects,
    /// It changes no more than calling it once.
    Idempotent,
}

/// One way by which HTTP reaches a method. All of it fits together: every name in it was resolved.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Index into [`Schema::methods`].
    pub method: usize,
    /// The HTTP method.
    pub http_method: HttpMethod,
    /// The path.
    pub template: Template,
    /// What the request's body is.
    pub body: BodyRule,
    /// The field of the reply that is the answer's body. None: the whole reply.
    pub response_body: Option<FieldDescriptor>,
    /// For each variable of the template the fields on the way from the request to the value. The
    /// last has a form as one text, or is a list of scalars; those before it are singular messages.
    pub variables: Vec<Vec<FieldDescriptor>>,
    /// Who says so.
    pub source: BindingSource,
}

/// Which part of the request message the HTTP body is (google/api/http.proto, `HttpRule.body`).
#[derive(Debug, Clone, PartialEq)]
pub enum BodyRule {
    /// No part: all but the path comes from the query.
    None,
    /// All that the path does not set; there is no query. `body: "*"`.
    Whole,
    /// One field of the request.
    Field(FieldDescriptor),
}

/// Where a binding was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingSource {
    /// The `google.api.http` option of the method.
    Annotation,
    /// A service configuration.
    ServiceConfig(PathBuf),
    /// Nowhere: see [`SchemaSettings::default_bindings`].
    Default,
}

/// One file of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The name by which other files import it.
    pub name: String,
    /// The encoded `FileDescriptorProto`, as the input had it: options and fields that are
    /// unknown here are kept.
    pub encoded: Bytes,
    /// Where it comes from.
    pub origin: FileOrigin,
}

/// Where a file of the schema comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrigin {
    /// This descriptor set.
    DescriptorSet(PathBuf),
    /// This `.proto` source.
    Source(PathBuf),
    /// The upstream of this name, by reflection.
    Reflected(Arc<str>),
    /// It came with the program.
    BuiltIn,
}

/// Loads the schema from the files that the settings name and from what backends have `reflected`.
///
/// # Errors
/// All that is wrong with the inputs, each with its place; warnings among them.
pub fn load(settings: &SchemaSettings, reflected: &[Reflected]) -> Result<(Schema, Problems), Problems> {
    let mut problems = Problems::new();
    if settings.descriptors.is_empty() && settings.protos.is_empty() && settings.reflect.is_none() {
        problems.push(Problem::error("no schema is given").help(
            "name descriptor sets (`descriptors`) or .proto sources (`protos`), or ask the backends (`reflect`)",
        ));
        return Err(problems);
    }
    let raw = load::read(settings, reflected, &mut problems);
    let built = pool::build(raw, &mut problems);
    let configs = service_config::read(&settings.http_rules, &mut problems);
    let schema = check::check(built, &configs, settings, reflected, &mut problems);
    problems.into_result(schema)
}
