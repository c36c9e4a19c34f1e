//! Requests: path, query and body into the message of a call.

use std::path::Path;
use std::sync::LazyLock;

use http::Method;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use transom::codec::{Overrides, Plan, PlanSet, Unknown};
use transom::route::{Lookup, Plus, Router, RouterBuilder};
use transom::schema::{self, Schema, SchemaSettings};
use transom::transcode::{Binding, Input, Maker, RequestRules, Url, wishes_of};
use transom::upstream::FRAME_HEAD;

use super::choice;

struct Api {
    router: Router<Binding>,
    plan: Plan,
    descriptor: MessageDescriptor,
}

static API: LazyLock<Api> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the schema");
    let schema = load(folder.path(), include_str!("api.proto"));
    let plans = PlanSet::compile(&schema.pool);
    let plan = plans.message("api.Thing").expect("in the source");
    let mut routes = RouterBuilder::new();
    for binding in &schema.bindings {
        let compiled = Binding::compile(binding, &plan, &plan, false).expect("the schema was checked");
        assert!(routes.add(binding.http_method.clone(), &binding.template, compiled).is_ok());
    }
    let descriptor = schema.pool.get_message_by_name("api.Thing").expect("in the source");
    Api { router: routes.build(), plan, descriptor }
});

fn load(folder: &Path, source: &str) -> Schema {
    let file = folder.join("api.proto");
    std::fs::write(&file, source).expect("the folder can be written");
    let settings = SchemaSettings { protos: vec![file.display().to_string()], ..SchemaSettings::default() };
    schema::load(&settings, &[]).expect("the source is valid").0
}

/// Three lines: a path, a query and a body. What is accepted is a message.
pub(super) fn query(data: &[u8]) {
    let (flags, data) = choice(data);
    let mut lines = data.splitn(3, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, query, body) = (line(), line(), line());
    let (Ok(path), Ok(query)) = (std::str::from_utf8(path), std::str::from_utf8(query)) else { return };
    let method = match path.as_bytes().get(1) {
        Some(b'w') => Method::POST,
        Some(b'f' | b'v') => Method::PUT,
        Some(b'p') => Method::PATCH,
        _ => Method::GET,
    };
    let api = &*API;
    let Lookup::Found(found) = api.router.lookup(&method, path) else { return };
    let rules = RequestRules {
        unknown_parameters: if flags & 1 == 0 { Unknown::Reject } else { Unknown::Ignore },
        plus: if flags & 2 == 0 { Plus::Literal } else { Plus::Space },
        conflicts: if flags & 4 == 0 { Overrides::Stronger } else { Overrides::RejectDifferent },
        json_depth: 24,
        ..RequestRules::default()
    };
    let input = match flags & 24 {
        0 => Input::None,
        8 => Input::Form(body),
        _ => Input::Json(body),
    };
    let query = (!query.is_empty()).then_some(query);
    let (binding, captures) = (found.value, &found.captures);
    let maker = Maker { plan: &api.plan, binding, rules: &rules };
    let Ok(built) = maker.message(Url { path, captures, query }, input) else { return };
    let message = built.message.slice(FRAME_HEAD..);
    DynamicMessage::decode(api.descriptor.clone(), message).expect("the bytes are a message");
    assert!(wishes_of(&api.plan, binding, query, &rules).is_ok(), "what was read can be read alone");
}
