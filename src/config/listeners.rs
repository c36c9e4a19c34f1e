//! The part `listeners` of a configuration: addresses and the choices that hold for what comes in by them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::addresses;
use super::identity;
use super::limits;
use super::reader::{Map, Value};
use super::tls;
use super::values::{self, Wrong};
use crate::codec::{JsonStyle, MAX_MESSAGE_LEN, Overrides, Unknown};
use crate::fault::ErrorForm;
use crate::introspection::Exposes;
use crate::policy::{Auth, Defaults};
use crate::protocol::compression::Unpacking;
use crate::protocol::rest::{StreamForm, StreamSettings};
use crate::protocol::websocket::WebSocketSettings;
use crate::route::{Decoding, Plus};
use crate::server::{Limits, ListenerSettings, Timeouts};
use crate::transcode::{QueryIntoBody, RequestRules, UnexpectedBody};

/// The largest size of bodies and messages; protobuf has no larger messages.
pub(super) const MAX_SIZE: usize = 2 << 30;
/// HTTP/1 buffers of the server are never smaller than this.
const MIN_HEAD: usize = 8 << 10;
const MAX_HEAD: usize = 16 << 20;
/// The `http` crate's own limit of a URI.
const MAX_URL: usize = u16::MAX as usize - 1;
/// A stream's number has 31 bits, half of them for the client's (RFC 9113, section 5.1.1).
const MAX_STREAMS: u32 = 1 << 30;
/// Deeper JSON is an attack, not data.
const MAX_JSON_DEPTH: u32 = 1_000;
const MAX_PARAMETERS: usize = 65_536;
const MAX_PARAMETER_DEPTH: usize = 100;
const MAX_CONNECTIONS: usize = 10_000_000;
const MAX_REQUESTS: usize = 100_000_000;

/// The listeners, at least one. `has_sources` says whether anybody vouches for callers.
pub(super) fn read(root: &mut Map<'_>, has_sources: bool) -> Vec<ListenerSettings> {
    let help = "add one, as in `listeners: { public: { address: 0.0.0.0:8080 } }`";
    let Some(all) = root.required("listeners", help) else { return Vec::new() };
    let mut listeners = Vec::new();
    for (name, value) in all.entries(values::text) {
        let listener = value.map(|map| listener(map, name.unwrap_or_default(), &listeners, has_sources));
        listeners.extend(listener.flatten());
    }
    listeners
}

/// An address to listen at that none of `listeners` has.
///
/// # Errors
/// No address, or one that is taken.
pub fn free_address(text: &str, listeners: &[ListenerSettings]) -> Result<SocketAddr, Wrong> {
    let address = values::address(text)?;
    // Port 0 is a new port each time.
    match listeners.iter().find(|other| other.address == address && address.port() != 0) {
        Some(other) => Err(Wrong::new(format!("{address} is the address of the listener `{}`", other.name))
            .help("choose another port")),
        None => Ok(address),
    }
}

fn listener(
    map: &mut Map<'_>,
    name: String,
    others: &[ListenerSettings],
    has_sources: bool,
) -> Option<ListenerSettings> {
    let address = map.required("address", "write where to listen, as in `address: 0.0.0.0:8080`");
    let address = address.and_then(|value| value.parse(|text| free_address(text, others)));
    let tls = map.get("tls").and_then(|value| tls::listener(&value));
    let forwarding = addresses::forwarding(map);
    let addresses = map.get("addresses").and_then(|value| addresses::lists(&value)).map(Arc::new);
    let proxy_protocol = map.get("proxy_protocol").and_then(|value| addresses::proxy_protocol(&value));
    let mut json = JsonStyle::default();
    let mut stream_above = Some(ListenerSettings::STREAM_ABOVE);
    map.map("json", |map| read_json(map, &mut json, &mut stream_above));
    let mut errors = ErrorForm::default();
    map.set("errors", &mut errors, error_form);
    let mut request = RequestRules::default();
    let mut unpacking = Unpacking::default();
    map.map("request", |map| read_request(map, &mut request, &mut unpacking));
    let packing = map.get("compression").and_then(|value| super::compression::read(&value));
    let mut streams = StreamSettings::default();
    map.map("streams", |map| read_streams(map, &mut streams));
    let mut exposes = Exposes::default();
    map.set("reflection", &mut exposes.reflection, on_or_off);
    map.set("health", &mut exposes.health, on_or_off);
    // Whoever can say who they are has to, where nothing else is said.
    let mut defaults = Defaults { auth: if has_sources { Auth::Required } else { Auth::None } };
    map.map("defaults", |map| {
        map.set("auth", &mut defaults.auth, |text| identity::auth(text, has_sources));
    });
    let mut limits = Limits::default();
    map.map("limits", |map| read_limits(map, &mut limits));
    let address_limits = map.get("address_limits");
    let address_limits = address_limits.map_or_else(Vec::new, |value| limits::of_addresses(&value));
    let mut timeouts = Timeouts::default();
    map.map("timeouts", |map| read_timeouts(map, &mut timeouts));
    let websocket =
        map.get("websocket").map_or_else(|| Some(WebSocketSettings::default()), |value| websocket(&value));
    let security_headers = map.get("security_headers");
    let security_headers =
        security_headers.and_then(|value| super::security_headers::read(&value, tls.is_some()));
    let cors = map.get("cors").and_then(|value| super::cors::read(&value));
    Some(ListenerSettings {
        name,
        address: address?,
        tls,
        forwarding,
        proxy_protocol,
        addresses,
        json,
        stream_above,
        errors,
        request,
        unpacking,
        packing,
        streams,
        cors,
        security_headers,
        websocket,
        exposes,
        defaults,
        limits,
        address_limits,
        timeouts,
    })
}

/// The form of error bodies.
///
/// # Errors
/// Any other text than `google`, `status` or `problem`.
pub fn error_form(text: &str) -> Result<ErrorForm, Wrong> {
    let table =
        [("google", ErrorForm::Google), ("status", ErrorForm::Status), ("problem", ErrorForm::Problem)];
    values::choice(text, &table)
}

fn on_or_off(text: &str) -> Result<bool, Wrong> {
    values::choice(text, &[("on", true), ("off", false)])
}

fn read_json(map: &mut Map<'_>, json: &mut JsonStyle, stream_above: &mut Option<usize>) {
    map.set("defaults", &mut json.defaults, |text| values::choice(text, &[("omit", false), ("print", true)]));
    map.set("names", &mut json.proto_names, |text| values::choice(text, &[("json", false), ("proto", true)]));
    map.set("enums", &mut json.enum_numbers, |text| {
        values::choice(text, &[("names", false), ("numbers", true)])
    });
    map.set("int64", &mut json.int64_numbers, |text| {
        values::choice(text, &[("strings", false), ("numbers", true)])
    });
    map.set("stream_above", stream_above, |text| match text {
        "off" => Ok(None),
        _ => size(text).map(Some),
    });
}

/// `off`, or a map of choices.
fn websocket(value: &Value<'_>) -> Option<WebSocketSettings> {
    if !value.is_map() {
        let off =
            value.parse(|text| values::choice(text, &[("off", ()), ("on", ())]).map(|()| text == "off"));
        return (off == Some(false)).then(WebSocketSettings::default);
    }
    let mut settings = WebSocketSettings::default();
    value.map(|map| {
        map.set("ping", &mut settings.ping, values::duration);
        map.set("idle", &mut settings.idle, values::duration);
    });
    Some(settings)
}

fn read_streams(map: &mut Map<'_>, streams: &mut StreamSettings) {
    map.set("form", &mut streams.form, |text| {
        let table =
            [("array", StreamForm::Array), ("ndjson", StreamForm::Lines), ("sse", StreamForm::Events)];
        values::choice(text, &table)
    });
    map.set("first_message", &mut streams.first_message, values::duration);
    map.set("heartbeat", &mut streams.heartbeat, values::duration);
}

fn read_request(map: &mut Map<'_>, request: &mut RequestRules, unpacking: &mut Unpacking) {
    if let Some(unknown) = map.get("unknown_parameters").and_then(|value| unknown(&value)) {
        request.unknown_parameters = unknown;
    }
    if let Some(unknown) = map.get("unknown_members").and_then(|value| unknown(&value)) {
        request.unknown_members = unknown;
    }
    map.set("plus", &mut request.plus, |text| {
        values::choice(text, &[("literal", Plus::Literal), ("space", Plus::Space)])
    });
    map.set("path_decoding", &mut request.path_decoding, |text| {
        let table = [
            ("keep_reserved", Decoding::KeepReserved),
            ("keep_slash", Decoding::KeepSlash),
            ("all", Decoding::All),
        ];
        values::choice(text, &table)
    });
    map.set("query_into_body", &mut request.query_into_body, |text| {
        values::choice(text, &[("allow", QueryIntoBody::Allow), ("reject", QueryIntoBody::Reject)])
    });
    map.set("conflicts", &mut request.conflicts, |text| {
        values::choice(text, &[("stronger", Overrides::Stronger), ("reject", Overrides::RejectDifferent)])
    });
    map.set("unexpected_body", &mut request.unexpected_body, |text| {
        values::choice(text, &[("ignore", UnexpectedBody::Ignore), ("reject", UnexpectedBody::Reject)])
    });
    map.set("compressed", unpacking, |text| {
        values::choice(text, &[("accept", Unpacking::On), ("reject", Unpacking::Off)])
    });
    map.set("max_parameters", &mut request.max_parameters, |text| {
        values::number(text, &(0..=MAX_PARAMETERS))
    });
    map.set("max_parameter_depth", &mut request.max_parameter_depth, |text| {
        values::number(text, &(1..=MAX_PARAMETER_DEPTH))
    });
    map.set("json_depth", &mut request.json_depth, |text| values::number(text, &(1..=MAX_JSON_DEPTH)));
    map.set("json_string", &mut request.json_string, |text| values::size(text, &(1..=MAX_MESSAGE_LEN)));
}

/// `reject`, `ignore`, or the list of names to ignore.
fn unknown(value: &Value<'_>) -> Option<Unknown> {
    if value.is_list() {
        let names = value
            .items()
            .iter()
            .filter_map(|item| item.parse(values::text).map(String::into_boxed_str))
            .collect();
        return Some(Unknown::IgnoreNamed(names));
    }
    let table = [("reject", Unknown::Reject), ("ignore", Unknown::Ignore)];
    value.parse(|text| {
        values::choice(text, &table).map_err(|wrong| match wrong.help {
            Some(_) => wrong,
            None => wrong.help(format!("to ignore `{text}` alone, write `[{text}]`")),
        })
    })
}

fn read_limits(map: &mut Map<'_>, limits: &mut Limits) {
    map.set("body", &mut limits.body, size);
    map.set("message", &mut limits.message, size);
    map.set("head", &mut limits.head, |text| values::size(text, &(MIN_HEAD..=MAX_HEAD)));
    map.set("url", &mut limits.url, |text| values::size(text, &(1..=MAX_URL)));
    map.set("connections", &mut limits.connections, |text| values::number(text, &(1..=MAX_CONNECTIONS)));
    map.set("streams", &mut limits.streams, |text| values::number(text, &(1..=MAX_STREAMS)));
    map.set("requests", &mut limits.requests, |text| values::number(text, &(1..=MAX_REQUESTS)));
}

/// The size of a body or message.
pub(super) fn size(text: &str) -> Result<usize, Wrong> {
    values::size(text, &(1..=MAX_SIZE))
}

fn read_timeouts(map: &mut Map<'_>, timeouts: &mut Timeouts) {
    map.set("head", &mut timeouts.head, values::duration);
    map.set("body", &mut timeouts.body, values::duration);
    map.set("idle", &mut timeouts.idle, values::duration);
    map.set("write", &mut timeouts.write, |text| match text {
        "off" => Ok(None),
        _ => values::duration(text).map(Some),
    });
}
