//! Services and methods: those that are gone, and those that changed their kind.

use rustc_hash::{FxHashMap, FxHashSet};

use super::finding::{Change, Finding, Impact};
use super::messages::{Pair, Uses};
use crate::schema::{Idempotency, Method, Schema};

/// Compares methods by their paths. Gives the messages that are then to be compared.
pub(super) fn compare(old: &Schema, new: &Schema, findings: &mut Vec<Finding>) -> Vec<Pair> {
    let by_path: FxHashMap<&str, &Method> =
        new.methods.iter().map(|method| (method.path.as_str(), method)).collect();
    let services: FxHashSet<&str> = new.methods.iter().map(Method::service).collect();
    let mut gone: FxHashSet<&str> = FxHashSet::default();
    let mut pairs = Vec::new();
    for method in &old.methods {
        if let Some(kept) = by_path.get(method.path.as_str()) {
            kinds(method, kept, findings);
            idempotency(method, kept, findings);
            pairs.extend(messages_of(method, kept));
        } else if services.contains(method.service()) {
            findings.push(removed_method(method));
        } else if gone.insert(method.service()) {
            findings.push(removed_service(method));
        }
    }
    for method in &old.methods {
        if let Some(kept) = by_path.get(method.path.as_str()) {
            renamed(method, kept, findings);
        }
    }
    pairs
}

/// What the two methods take, and what they give.
pub(super) fn messages_of(old: &Method, new: &Method) -> [Pair; 2] {
    let reached = new.path.trim_start_matches('/');
    [
        Pair::new(old.input(), new.input(), Uses::REQUEST, reached),
        Pair::new(old.output(), new.output(), Uses::REPLY, reached),
    ]
}

/// `pkg.Service/Method`.
pub(super) fn shown(method: &Method) -> &str {
    method.path.trim_start_matches('/')
}

fn file_of(method: &Method) -> String {
    method.descriptor.parent_service().parent_file().name().to_owned()
}

fn removed_service(method: &Method) -> Finding {
    let service = method.service();
    Finding::new(
        Change::ServiceRemoved,
        Impact::Breaking,
        service,
        format!("the service `{service}` is gone"),
    )
    .file(&file_of(method))
    .rest("its routes are answered with 404")
    .grpc("its methods are answered with UNIMPLEMENTED")
    .help("serve the old service beside the new one until no client calls it")
}

fn removed_method(method: &Method) -> Finding {
    let name = shown(method);
    Finding::new(Change::MethodRemoved, Impact::Breaking, name, format!("the method `{name}` is gone"))
        .file(&file_of(method))
        .rest("its routes are answered with 404")
        .grpc("it is answered with UNIMPLEMENTED")
        .help("keep it, with `option deprecated = true`, until no client calls it")
}

/// How many messages go each way, in words.
const fn kind(client_streaming: bool, server_streaming: bool) -> &'static str {
    match (client_streaming, server_streaming) {
        (false, false) => "unary",
        (false, true) => "a server stream",
        (true, false) => "a client stream",
        (true, true) => "a stream both ways",
    }
}

fn kinds(old: &Method, new: &Method, findings: &mut Vec<Finding>) {
    let was = (old.client_streaming, old.server_streaming);
    let is = (new.client_streaming, new.server_streaming);
    if was == is {
        return;
    }
    let name = shown(old);
    let (was, is) = (kind(was.0, was.1), kind(is.0, is.1));
    findings.push(
        Finding::new(
            Change::StreamingChanged,
            Impact::Breaking,
            name,
            format!("the method `{name}` was {was} and is {is}"),
        )
        .file(&file_of(new))
        .rest("the form of bodies changes: a stream is many values, a unary call has one object")
        .grpc("generated clients send and expect another number of messages, and fail")
        .help("add a method of another name"),
    );
}

fn idempotency(old: &Method, new: &Method, findings: &mut Vec<Finding>) {
    let name = shown(old);
    let finding = |impact, what: &str| {
        Finding::new(Change::IdempotencyChanged, impact, name, format!("the method `{name}` {what}"))
            .file(&file_of(new))
    };
    findings.extend(match (old.idempotency(), new.idempotency()) {
        (was, is) if was == is => None,
        (Idempotency::NoSideEffects, _) => Some(
            finding(Impact::Breaking, "is no longer free of side effects")
                .rest("clients of Connect that call it by GET are refused with 405")
                .grpc("clients that repeat it on failures may do something twice"),
        ),
        (Idempotency::Idempotent, Idempotency::Unknown) => Some(
            finding(Impact::Dangerous, "is no longer idempotent")
                .everyone("who repeats it on failures may do something twice"),
        ),
        (Idempotency::Unknown | Idempotency::Idempotent, _) => {
            Some(finding(Impact::Notice, "may be repeated now").everyone("the gateway may try it again"))
        }
    });
}

fn renamed(old: &Method, new: &Method, findings: &mut Vec<Finding>) {
    let name = shown(old);
    let sides = [("takes", old.input(), new.input()), ("gives", old.output(), new.output())];
    for (does, was, is) in sides {
        if was.full_name() == is.full_name() {
            continue;
        }
        let what =
            format!("the method `{name}` {does} `{}` and no longer `{}`", is.full_name(), was.full_name());
        findings.push(
            Finding::new(Change::MethodTypeRenamed, Impact::Notice, name, what)
                .file(&file_of(new))
                .everyone("the name of a message is not sent; what is in it is compared by itself"),
        );
    }
}
