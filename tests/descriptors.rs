//! The descriptor sets: the committed one is fresh, extension options survive, and the google.*
//! files that were written here have the public field numbers.

use std::path::Path;

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value};

/// What `build.rs` compiled from `proto/` for this very build.
const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bookstore.binpb"));
const BUILTIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/builtin.binpb"));

fn pool(set: &[u8]) -> DescriptorPool {
    DescriptorPool::decode(set).expect("build.rs writes descriptor sets")
}

/// With `TRANSOM_UPDATE=1` it renews the file instead.
#[test]
fn committed_set_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/bookstore.binpb");
    if std::env::var_os("TRANSOM_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&file, COMPILED).expect("descriptors/ can be written");
    }
    let committed = std::fs::read(&file).expect("descriptors/bookstore.binpb can be read");
    assert!(
        committed == COMPILED,
        "descriptors/bookstore.binpb is not what proto/ says: run `just descriptors`"
    );
}

/// A set with an import missing would not even decode; these are the ones that protox supplies.
#[test]
fn builtin_set_brings_the_imports() {
    let pool = pool(BUILTIN);
    for name in ["any", "descriptor", "duration"] {
        let file = format!("google/protobuf/{name}.proto");
        assert!(pool.get_file_by_name(&file).is_some(), "{file}");
    }
}

#[test]
fn comments_survive() {
    let set = pool(COMPILED);
    let file = set.get_file_by_name("bookstore/v1/bookstore.proto").expect("the set holds the API");
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let comments = info.map_or(0, |info| {
        let told = info.location.iter().filter(|l| l.leading_comments.is_some());
        told.count()
    });
    assert!(comments > 20, "{comments} comments");
}

/// The binding of a method, as an option of the descriptor.
fn binding(pool: &DescriptorPool, method: &str) -> DynamicMessage {
    let (service, method) = method.rsplit_once('.').expect("package.Service.Method");
    let service = pool.get_service_by_name(service).expect("the service exists");
    let method = service.methods().find(|m| m.name() == method).expect("the method exists");
    let http = pool.get_extension_by_name("google.api.http").expect("annotations.proto is in the set");
    let options = method.options();
    assert!(options.has_extension(&http), "{} has no binding", method.full_name());
    options.get_extension(&http).as_message().expect("HttpRule is a message").clone()
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field).expect("HttpRule has it");
    value.as_str().expect("it is a string").to_owned()
}

#[test]
fn every_method_has_a_binding() {
    let pool = pool(COMPILED);
    let mut count = 0;
    for service in pool.services() {
        for method in service.methods() {
            binding(&pool, method.full_name());
            count += 1;
        }
    }
    assert_eq!(count, 27);
}

#[test]
fn bindings_keep_their_parts() {
    let pool = pool(COMPILED);
    let create = binding(&pool, "bookstore.v1.Bookstore.CreateBook");
    assert_eq!(text(&create, "post"), "/v1/{parent=shelves/*}/books");
    assert_eq!(text(&create, "body"), "book");
    let more = create.get_field_by_name("additional_bindings").expect("it has the field");
    let more = more.as_list().expect("it is repeated");
    let bodies: Vec<String> =
        more.iter().map(|rule| text(rule.as_message().expect("HttpRule"), "body")).collect();
    assert_eq!(bodies, ["*"]);
    let authors = binding(&pool, "bookstore.v1.Bookstore.ListAuthors");
    assert_eq!(text(&authors, "response_body"), "authors");
}

#[test]
fn field_behavior_is_unpacked() {
    let pool = pool(BUILTIN);
    let behavior =
        pool.get_extension_by_name("google.api.field_behavior").expect("field_behavior.proto is in the set");
    assert_eq!(behavior.number(), 1052);
    assert!(behavior.is_list() && !behavior.is_packed());
    let set = self::pool(COMPILED);
    let title = set
        .get_message_by_name("bookstore.v1.Book")
        .and_then(|book| book.get_field_by_name("title"))
        .expect("Book.title exists");
    let behavior = set.get_extension_by_name("google.api.field_behavior").expect("imported");
    let value = title.options().get_extension(&behavior).into_owned();
    assert_eq!(value, Value::List(vec![Value::EnumNumber(2)]));
}

/// Message, field, number, and whether it is a list, as the public definitions have them.
const NUMBERS: [(&str, &str, u32, bool); 56] = [
    ("google.api.Http", "rules", 1, true),
    ("google.api.Http", "fully_decode_reserved_expansion", 2, false),
    ("google.api.HttpRule", "selector", 1, false),
    ("google.api.HttpRule", "get", 2, false),
    ("google.api.HttpRule", "put", 3, false),
    ("google.api.HttpRule", "post", 4, false),
    ("google.api.HttpRule", "delete", 5, false),
    ("google.api.HttpRule", "patch", 6, false),
    ("google.api.HttpRule", "body", 7, false),
    ("google.api.HttpRule", "custom", 8, false),
    ("google.api.HttpRule", "additional_bindings", 11, true),
    ("google.api.HttpRule", "response_body", 12, false),
    ("google.api.CustomHttpPattern", "kind", 1, false),
    ("google.api.CustomHttpPattern", "path", 2, false),
    ("google.api.HttpBody", "content_type", 1, false),
    ("google.api.HttpBody", "data", 2, false),
    ("google.api.HttpBody", "extensions", 3, true),
    ("google.rpc.Status", "code", 1, false),
    ("google.rpc.Status", "message", 2, false),
    ("google.rpc.Status", "details", 3, true),
    ("google.rpc.ErrorInfo", "reason", 1, false),
    ("google.rpc.ErrorInfo", "domain", 2, false),
    ("google.rpc.ErrorInfo", "metadata", 3, true),
    ("google.rpc.RetryInfo", "retry_delay", 1, false),
    ("google.rpc.DebugInfo", "stack_entries", 1, true),
    ("google.rpc.DebugInfo", "detail", 2, false),
    ("google.rpc.QuotaFailure", "violations", 1, true),
    ("google.rpc.QuotaFailure.Violation", "subject", 1, false),
    ("google.rpc.QuotaFailure.Violation", "description", 2, false),
    ("google.rpc.QuotaFailure.Violation", "api_service", 3, false),
    ("google.rpc.QuotaFailure.Violation", "quota_metric", 4, false),
    ("google.rpc.QuotaFailure.Violation", "quota_id", 5, false),
    ("google.rpc.QuotaFailure.Violation", "quota_dimensions", 6, true),
    ("google.rpc.QuotaFailure.Violation", "quota_value", 7, false),
    ("google.rpc.QuotaFailure.Violation", "future_quota_value", 8, false),
    ("google.rpc.PreconditionFailure", "violations", 1, true),
    ("google.rpc.PreconditionFailure.Violation", "type", 1, false),
    ("google.rpc.PreconditionFailure.Violation", "subject", 2, false),
    ("google.rpc.PreconditionFailure.Violation", "description", 3, false),
    ("google.rpc.BadRequest", "field_violations", 1, true),
    ("google.rpc.BadRequest.FieldViolation", "field", 1, false),
    ("google.rpc.BadRequest.FieldViolation", "description", 2, false),
    ("google.rpc.BadRequest.FieldViolation", "reason", 3, false),
    ("google.rpc.BadRequest.FieldViolation", "localized_message", 4, false),
    ("google.rpc.RequestInfo", "request_id", 1, false),
    ("google.rpc.RequestInfo", "serving_data", 2, false),
    ("google.rpc.ResourceInfo", "resource_type", 1, false),
    ("google.rpc.ResourceInfo", "resource_name", 2, false),
    ("google.rpc.ResourceInfo", "owner", 3, false),
    ("google.rpc.ResourceInfo", "description", 4, false),
    ("google.rpc.Help", "links", 1, true),
    ("google.rpc.Help.Link", "description", 1, false),
    ("google.rpc.Help.Link", "url", 2, false),
    ("google.rpc.LocalizedMessage", "locale", 1, false),
    ("google.rpc.LocalizedMessage", "message", 2, false),
    ("google.protobuf.Any", "value", 2, false),
];

#[test]
fn builtin_numbers_are_the_public_ones() {
    let pool = pool(BUILTIN);
    let http = pool.get_extension_by_name("google.api.http").expect("it is in the set");
    assert_eq!(http.number(), 72_295_728);
    assert!(matches!(http.kind(), Kind::Message(rule) if rule.full_name() == "google.api.HttpRule"));
    for (message, field, number, list) in NUMBERS {
        let found = pool.get_message_by_name(message).and_then(|message| message.get_field_by_name(field));
        let found = found.unwrap_or_else(|| panic!("{message}.{field} is missing"));
        let repeated = found.is_list() || found.is_map();
        assert_eq!((found.number(), repeated), (number, list), "{message}.{field}");
    }
    // And nothing beside them.
    let ours = pool.all_messages().filter(|m| {
        let name = m.full_name();
        !m.is_map_entry() && (name.starts_with("google.api.") || name.starts_with("google.rpc."))
    });
    let fields: usize = ours.map(|message| message.fields().len()).sum();
    assert_eq!(fields, NUMBERS.len() - 1);
}

#[test]
fn codes_are_the_public_ones() {
    let code = pool(BUILTIN).get_enum_by_name("google.rpc.Code").expect("code.proto is in the set");
    let mut names: Vec<(i32, String)> = code.values().map(|v| (v.number(), v.name().to_owned())).collect();
    names.sort();
    let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ]
    );
}
