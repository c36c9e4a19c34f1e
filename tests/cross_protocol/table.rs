//! The calls. Each is one entry: what is asked, how it goes turn by turn, and what it comes to.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use prost::Message;
use serde_json::{Value, json};
use transom::fault::{Any, RpcStatus};

use crate::client::Client;
use crate::outcome::{Outcome, metadata, neutral, pairs};
use crate::session::Session;
use crate::site::{MAX_BODY, Site};
use crate::support::{Came, Led};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Unary,
    Down,
    Up,
    Both,
}

impl Shape {
    /// Whether its request is one message.
    pub const fn takes_one(self) -> bool {
        matches!(self, Self::Unary | Self::Down)
    }

    /// Whether its reply is one message.
    pub const fn gives_one(self) -> bool {
        matches!(self, Self::Unary | Self::Up)
    }
}

/// Whether a message of the client is larger than a URL can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Small,
    Large,
}

type Pairs = &'static [(&'static str, &'static str)];

/// What one of both sides does, or sees, next.
pub enum Turn {
    /// The client sends a message.
    Says(Value),
    /// The client has said everything.
    SaidAll,
    /// The client gets a message.
    Hears(Value),
    /// The client goes away.
    Leaves,
    /// The backend gets a message.
    Gets(Value),
    /// The backend gets the end of what the client says.
    GotAll,
    /// The backend sends initial metadata.
    Begins(Pairs),
    /// The backend sends a message.
    Sends(Value),
    /// The backend ends the call with OK and trailing metadata.
    Ends(Pairs),
    /// The backend ends the call with this code and message, these details (type and message), and trailing metadata.
    Fails(i32, &'static str, Vec<(&'static str, Value)>, Pairs),
    /// The backend sees that nobody waits for it.
    SeesGone,
}

pub struct Call {
    pub name: &'static str,
    pub shape: Shape,
    pub size: Size,
    /// Path of the RPC, and of its HTTP rule.
    paths: (&'static str, &'static str),
    metadata: Pairs,
    pub timeout: Option<Duration>,
    turns: Vec<Turn>,
    /// None where the client doesn't wait for it.
    outcome: Option<Outcome>,
    /// The code where paths are those of HTTP.
    code_of_paths: Option<u32>,
}

impl Call {
    fn new(name: &'static str, shape: Shape, turns: Vec<Turn>, outcome: Outcome) -> Self {
        let paths = match shape {
            Shape::Unary => ("/t.S/Unary", "/v1/unary"),
            Shape::Down => ("/t.S/Down", "/v1/down"),
            Shape::Up => ("/t.S/Up", "/v1/up"),
            Shape::Both => ("/t.S/Both", "/v1/both"),
        };
        Self {
            name,
            shape,
            size: Size::Small,
            paths,
            metadata: &[],
            timeout: None,
            turns,
            outcome: Some(outcome),
            code_of_paths: None,
        }
    }

    /// A failure whose code differs where its path is one of HTTP.
    fn at(self, paths: (&'static str, &'static str), code_of_paths: Option<u32>) -> Self {
        Self { paths, code_of_paths, ..self }
    }

    fn large(self) -> Self {
        Self { size: Size::Large, ..self }
    }

    fn with(self, metadata: Pairs) -> Self {
        Self { metadata, ..self }
    }

    fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Whether it fails before there is anything of an answer, so that all metadata of the backend comes with its status.
    pub fn fails_at_once(&self) -> bool {
        let has_begun = |turn: &Turn| matches!(turn, Turn::Begins(_) | Turn::Sends(_));
        !self.turns.iter().any(has_begun) && self.turns.iter().any(|turn| matches!(turn, Turn::Fails(..)))
    }

    /// The client does not wait for the end.
    fn abandoned(self) -> Self {
        Self { outcome: None, ..self }
    }

    /// `/package.Service/Method`.
    pub fn path(&self) -> String {
        self.paths.0.to_owned()
    }

    /// The path of the HTTP rule.
    pub fn url(&self) -> String {
        self.paths.1.to_owned()
    }

    /// The client's metadata as headers.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Makes the call and checks everything about it.
    pub fn play(&self, client: Client, site: &Site) {
        let mut session = Some(Session::new(site, client, self));
        let mut led = None;
        for turn in &self.turns {
            match turn {
                Turn::Says(message) => open(&mut session).says(message),
                Turn::SaidAll => open(&mut session).ends(),
                Turn::Hears(message) => same("heard", &open(&mut session).hears(), &Some(message.clone())),
                Turn::Leaves => session.take().expect("it is there").leave(),
                Turn::Gets(message) => {
                    let got = self.led(site, &mut led).message();
                    same("got", &site.schema.decode(site.schema.message("t.M"), &got), message);
                }
                Turn::GotAll => {
                    let came = self.led(site, &mut led).came();
                    // What the client is told says why it is no end.
                    if came != Came::End {
                        let told = session.take().expect("the client is there").finish();
                        panic!("{came:?}: {} {} {:?}", told.code, told.message, told.details);
                    }
                }
                Turn::Begins(pairs) => drop(self.led(site, &mut led).head(headers(pairs))),
                Turn::Sends(message) => {
                    self.led(site, &mut led).send(site.schema.encode("t.M", message));
                }
                Turn::Ends(pairs) => self.led(site, &mut led).end_with(headers(pairs)),
                Turn::Fails(code, message, details, pairs) => {
                    let details = details.iter().map(|(name, value)| Any {
                        type_url: format!("type.googleapis.com/{name}"),
                        value: site.schema.encode(name, value).into(),
                    });
                    let status =
                        RpcStatus { code: *code, message: (*message).to_owned(), details: details.collect() };
                    let led = self.led(site, &mut led);
                    led.fail_with(*code, message, status.encode_to_vec(), headers(pairs));
                }
                Turn::SeesGone => self.led(site, &mut led).wait_gone(),
            }
        }
        if let (Some(session), Some(want)) = (session, &self.outcome) {
            self.compare(client, session.finish(), want);
        }
    }

    fn compare(&self, client: Client, got: Outcome, want: &Outcome) {
        let code = match self.code_of_paths {
            Some(code) if client.calls_by_path() => code,
            Some(_) | None => want.code,
        };
        let message = match &want.message {
            // The gateway's own words are for people, and tell what fits the protocol.
            any if any.is_empty() && !want.details.is_empty() => {
                assert!(!got.message.is_empty(), "no words");
                &got.message
            }
            message => message,
        };
        same("code", &(got.code, &got.message), &(code, message));
        same("details", &got.details, &want.details);
        same("messages", &got.messages, &want.messages);
        match client.places_trailers(self) {
            Trailers::Own => {
                same("metadata", &got.metadata, &want.metadata);
                same("trailers", &got.trailers, &want.trailers);
            }
            Trailers::AmongHeaders => {
                let mut both = want.metadata.clone();
                both.extend(want.trailers.clone());
                same("metadata", &got.metadata, &both);
                same("trailers", &got.trailers, &pairs(&[]));
            }
            Trailers::Nowhere(_) => {
                same("metadata", &got.metadata, &want.metadata);
                same("trailers", &got.trailers, &pairs(&[]));
            }
        }
    }

    /// The backend's side of it. What has arrived with it is checked when it is first seen.
    fn led<'l>(&self, site: &Site, led: &'l mut Option<Led>) -> &'l mut Led {
        led.get_or_insert_with(|| {
            let mut led = site.backend.call();
            while led.path != self.paths.0 {
                // A call whose client did not need the backend to fail.
                led = site.backend.call();
            }
            same("arrived", &metadata(&led.metadata, ""), &pairs(self.metadata));
            match (self.timeout, led.metadata.get("grpc-timeout")) {
                (None, None) => {}
                // The default of unary calls.
                (None, Some(_)) if self.shape == Shape::Unary => {}
                (Some(timeout), Some(value)) => {
                    let value = value.to_str().expect("ASCII");
                    let micros = value.strip_suffix('u').expect("microseconds").parse().expect("a number");
                    let left = Duration::from_micros(micros);
                    assert!(left <= timeout && left > Duration::ZERO, "{value}");
                }
                (timeout, value) => panic!("{timeout:?} arrived as {value:?}"),
            }
            led
        })
    }
}

/// Where a protocol has a call's trailing metadata.
pub enum Trailers {
    /// Apart from the initial metadata.
    Own,
    /// Among the initial metadata.
    AmongHeaders,
    /// Why it has no place for them.
    Nowhere(&'static str),
}

fn open<'o, 's>(session: &'o mut Option<Session<'s>>) -> &'o mut Session<'s> {
    session.as_mut().expect("the client is there")
}

/// Fails with as much of both as can be read.
#[track_caller]
fn same<T: Debug + PartialEq>(what: &str, got: &T, want: &T) {
    let short = |value: &T| format!("{value:?}").chars().take(600).collect::<String>();
    assert!(got == want, "{what}:\n  got  {}\n  want {}", short(got), short(want));
}

fn headers(pairs: Pairs) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
        .collect()
}

/// A message of this text.
fn text(text: &str) -> Value {
    json!({ "a": text })
}

/// Texts that don't become much smaller when they are packed, and the same in every run.
fn noise(length: usize) -> Value {
    let mut state = 1_u64;
    let noise = (0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(state >> 58).expect("six bits"))
    });
    json!({ "a": noise.collect::<String>() })
}

fn ok(messages: Vec<Value>) -> Outcome {
    Outcome { messages, ..Outcome::default() }
}

/// A failure with a message and nothing else.
fn failed(code: u32, message: &str) -> Outcome {
    Outcome { code, message: message.to_owned(), ..Outcome::default() }
}

/// A failure of the gateway's own, in whatever words.
fn fault(code: u32, reason: &str) -> Outcome {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "transom", "reason": reason,
        "metadata": { "requestId": "any" },
    });
    Outcome { details: vec![neutral(info)], ..failed(code, "") }
}

fn info(reason: &str) -> (&'static str, Value) {
    ("google.rpc.ErrorInfo", json!({ "reason": reason, "domain": "books", "metadata": { "a": "ä" } }))
}

fn detail((name, value): (&str, Value)) -> Value {
    let mut value = value;
    value["@type"] = json!(format!("type.googleapis.com/{name}"));
    value
}

const SHORT: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(60);

/// Every call.
pub static ALL: LazyLock<Vec<Call>> = LazyLock::new(all);

/// Adding a call is one entry.
#[rustfmt::skip]
fn all() -> Vec<Call> {
    use Shape::{Both, Down, Unary, Up};
    use Turn::{Begins, Ends, Fails, Gets, GotAll, Hears, Leaves, Says, Sends, SeesGone, SaidAll};
    let every = json!({ "a": "ä\"\\\u{1F4DA}\n", "n": "-9223372036854775808", "data": "AP8=", "subs": [{}, { "a": "x" }] });
    let empty = json!({});
    vec![
        Call::new("a unary call", Unary, vec![
            Says(every.clone()), Gets(every.clone()), GotAll, Sends(every.clone()), Ends(&[]),
        ], ok(vec![every.clone()])),
        Call::new("a unary call of empty messages", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Sends(empty.clone()), Ends(&[]),
        ], ok(vec![empty.clone()])),
        Call::new("a server stream", Down, vec![
            Says(every.clone()), Gets(every.clone()), GotAll,
            Sends(text("1")), Hears(text("1")), Sends(empty.clone()), Hears(empty.clone()), Sends(text("3")), Ends(&[]),
        ], ok(vec![text("1"), empty.clone(), text("3")])),
        Call::new("a server stream without messages", Down, vec![
            Says(empty.clone()), Gets(empty.clone()), Ends(&[]),
        ], ok(vec![])),
        Call::new("a client stream", Up, vec![
            Says(text("1")), Gets(text("1")), Says(empty.clone()), Gets(empty.clone()), Says(every.clone()),
            Gets(every.clone()), SaidAll, GotAll, Sends(text("all")), Ends(&[]),
        ], ok(vec![text("all")])),
        Call::new("a client stream without messages", Up, vec![
            SaidAll, GotAll, Sends(text("none")), Ends(&[]),
        ], ok(vec![text("none")])),
        Call::new("a client stream that is answered early", Up, vec![
            Says(text("1")), Gets(text("1")), Sends(text("enough")), Ends(&[]),
        ], ok(vec![text("enough")])),
        Call::new("a conversation", Both, vec![
            Says(text("1")), Gets(text("1")), Sends(text("a")), Hears(text("a")),
            Says(text("2")), Gets(text("2")), Sends(text("b")), Hears(text("b")), Sends(text("c")), Hears(text("c")),
            SaidAll, GotAll, Sends(text("d")), Ends(&[]),
        ], ok(vec![text("a"), text("b"), text("c"), text("d")])),
        Call::new("metadata of a unary call", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Begins(&[("t-out", "1"), ("t-out", "2"), ("t-out-bin", "AP8")]),
            Sends(empty.clone()), Ends(&[("t-late", "3"), ("t-late-bin", "/w")]),
        ], Outcome {
            metadata: pairs(&[("t-out", "1"), ("t-out", "2"), ("t-out-bin", "AP8")]),
            trailers: pairs(&[("t-late", "3"), ("t-late-bin", "/w")]),
            ..ok(vec![empty.clone()])
        }).with(&[("t-in", "1"), ("t-in", "2"), ("t-in-bin", "AAECAw")]),
        Call::new("metadata of a stream", Both, vec![
            Says(text("1")), Gets(text("1")), Begins(&[("t-out", "1"), ("t-out-bin", "AP8")]), Sends(text("a")),
            Hears(text("a")), SaidAll, Ends(&[("t-late", "3"), ("t-late", "4"), ("t-late-bin", "/w")]),
        ], Outcome {
            metadata: pairs(&[("t-out", "1"), ("t-out-bin", "AP8")]),
            trailers: pairs(&[("t-late", "3"), ("t-late", "4"), ("t-late-bin", "/w")]),
            ..ok(vec![text("a")])
        }).with(&[("t-in", "1"), ("t-in-bin", "AAECAw"), ("authorization", "Bearer x")]),
        Call::new("a failure at once", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()),
            Fails(5, "no such bøok: 100 %\n", vec![info("GONE"), ("t.M", text("why"))], &[("t-late", "3"), ("t-late-bin", "/w")]),
        ], Outcome {
            details: vec![detail(info("GONE")), detail(("t.M", text("why")))],
            trailers: pairs(&[("t-late", "3"), ("t-late-bin", "/w")]),
            ..failed(5, "no such bøok: 100 %\n")
        }),
        Call::new("a failure behind a head", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Begins(&[("t-out", "1")]),
            Fails(9, "not now", vec![info("LOCKED")], &[("t-late", "3")]),
        ], Outcome {
            details: vec![detail(info("LOCKED"))],
            metadata: pairs(&[("t-out", "1")]),
            trailers: pairs(&[("t-late", "3")]),
            ..failed(9, "not now")
        }),
        Call::new("a failure without words", Down, vec![Says(empty.clone()), Gets(empty.clone()), Fails(16, "", vec![], &[])],
            failed(16, "")),
        Call::new("a stream that fails at once", Both, vec![
            Says(text("1")), Gets(text("1")), Fails(7, "not you", vec![info("FORBIDDEN")], &[("t-late", "3")]),
        ], Outcome {
            details: vec![detail(info("FORBIDDEN"))], trailers: pairs(&[("t-late", "3")]), ..failed(7, "not you")
        }),
        Call::new("a stream that fails later", Down, vec![
            Says(empty.clone()), Gets(empty.clone()), Begins(&[("t-out", "1")]), Sends(text("a")), Hears(text("a")),
            Fails(15, "lost", vec![info("LOST")], &[("t-late", "3")]),
        ], Outcome {
            messages: vec![text("a")],
            details: vec![detail(info("LOST"))],
            metadata: pairs(&[("t-out", "1")]),
            trailers: pairs(&[("t-late", "3")]),
            ..failed(15, "lost")
        }),
        Call::new("a client stream that fails", Up, vec![
            Says(text("1")), Gets(text("1")), Fails(10, "enough", vec![], &[]),
        ], failed(10, "enough")),
        Call::new("a method that there isn't", Unary, vec![Says(empty.clone())],
            fault(12, "NO_ROUTE")).at(("/t.S/None", "/v1/none"), Some(5)),
        Call::new("a backend that there isn't", Unary, vec![Says(empty.clone())],
            fault(14, "UPSTREAM_UNREACHABLE")).at(("/t.Gone/Unary", "/v1/gone/unary"), None),
        Call::new("a stream to a backend that there isn't", Both, vec![],
            fault(14, "UPSTREAM_UNREACHABLE")).at(("/t.Gone/Both", "/v1/gone/both"), None),
        Call::new("a reply of two messages", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Sends(text("1")), Sends(text("2")), Ends(&[]),
        ], fault(13, "BAD_REPLY")),
        Call::new("a reply without a message", Up, vec![SaidAll, GotAll, Ends(&[])], fault(13, "BAD_REPLY")),
        Call::new("a message that is too large", Unary, vec![Says(noise(MAX_BODY + 1))],
            fault(8, "BODY_TOO_LARGE")).large(),
        Call::new("a message of a stream that is too large", Up, vec![
            Says(text("1")), Gets(text("1")), Says(noise(MAX_BODY + 1)),
        ], fault(8, "BODY_TOO_LARGE")).large(),
        Call::new("a deadline that is kept", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Sends(text("1")), Ends(&[]),
        ], ok(vec![text("1")])).within(LONG),
        Call::new("a deadline that passes", Unary, vec![Says(empty.clone()), Gets(empty.clone()), SeesGone],
            fault(4, "DEADLINE_EXCEEDED")).within(SHORT),
        Call::new("a deadline that passes before a stream's head", Down, vec![Says(empty.clone()), Gets(empty.clone()), SeesGone],
            fault(4, "DEADLINE_EXCEEDED")).within(SHORT),
        Call::new("a deadline that passes within a stream", Both, vec![
            Says(text("1")), Gets(text("1")), Sends(text("a")), Hears(text("a")), SeesGone,
        ], Outcome { messages: vec![text("a")], ..fault(4, "DEADLINE_EXCEEDED") }).within(SHORT),
        Call::new("a deadline that passes while the client talks", Up, vec![Says(text("1")), Gets(text("1")), SeesGone],
            fault(4, "DEADLINE_EXCEEDED")).within(SHORT),
        Call::new("large messages", Unary, vec![
            Says(noise(3 << 20)), Gets(noise(3 << 20)), Sends(noise(3 << 20)), Ends(&[]),
        ], ok(vec![noise(3 << 20)])).large(),
        Call::new("large messages of streams", Both, vec![
            Says(noise(1 << 20)), Gets(noise(1 << 20)), Sends(noise(1 << 20)), Hears(noise(1 << 20)),
            SaidAll, GotAll, Sends(noise(1 << 20)), Ends(&[]),
        ], ok(vec![noise(1 << 20), noise(1 << 20)])).large(),
        Call::new("a client that leaves a unary call", Unary, vec![
            Says(empty.clone()), Gets(empty.clone()), Leaves, SeesGone,
        ], ok(vec![])).abandoned(),
        Call::new("a client that leaves a stream", Down, vec![
            Says(empty.clone()), Gets(empty.clone()), Sends(text("a")), Hears(text("a")), Leaves, SeesGone,
        ], ok(vec![])).abandoned(),
        Call::new("a client that leaves while it talks", Up, vec![
            Says(text("1")), Gets(text("1")), Leaves, SeesGone,
        ], ok(vec![])).abandoned(),
        Call::new("a client that leaves a conversation", Both, vec![
            Says(text("1")), Gets(text("1")), Sends(text("a")), Hears(text("a")), Leaves, SeesGone,
        ], ok(vec![])).abandoned(),
    ]
}
