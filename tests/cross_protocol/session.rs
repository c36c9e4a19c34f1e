//! One call by one client, whatever it speaks.

use serde_json::Value;

use crate::client::Client;
use crate::outcome::Outcome;
use crate::site::Site;
use crate::support::Schema;
use crate::table::Call;
use crate::wire::{Head, Opening, Wire};

/// What is particular to a protocol: its bytes. One is made for each call.
pub trait Form {
    /// How the request begins. `first` is the only message of a method that takes one.
    fn open(&mut self, call: &Call, first: Option<&Value>) -> Opening;

    /// One message, as it is sent.
    fn message(&mut self, message: &Value) -> Vec<u8>;

    /// What says that no further message comes.
    fn end(&mut self) -> Vec<u8>;

    /// A piece of the answer.
    fn take(&mut self, head: &Head, piece: &[u8]);

    /// The next whole message. `ended` says that no further piece comes.
    fn next(&mut self, ended: bool) -> Option<Value>;

    /// Whether the end was told though the body goes on.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether anything of the answer was compressed.
    fn was_packed(&self) -> bool;

    /// All but the messages.
    fn outcome(&mut self, head: &Head, trailers: &http::HeaderMap) -> Outcome;
}

pub struct Session<'s> {
    site: &'s Site,
    client: Client,
    call: &'s Call,
    form: Box<dyn Form + 's>,
    /// None until there is something to say.
    wire: Option<Wire>,
    /// Its end is said in its own frames; that of HTTP would be a client that leaves.
    upgraded: bool,
    ended: bool,
    heard: Vec<Value>,
}

impl<'s> Session<'s> {
    pub fn new(site: &'s Site, client: Client, call: &'s Call) -> Self {
        let form = client.form(call, &site.schema);
        let mut session =
            Self { site, client, call, form, wire: None, upgraded: false, ended: false, heard: Vec::new() };
        if !call.shape.takes_one() {
            session.open(None);
        }
        session
    }

    fn open(&mut self, first: Option<&Value>) {
        let opening = self.form.open(self.call, first);
        let mut wire = Wire::open(self.site.gateway.address, self.client.version, &opening);
        self.upgraded = opening.upgrade.is_some();
        if self.upgraded
            && matches!(wire.head().status, 101 | 200)
            && let Some(first) = first
        {
            wire.send(&self.form.message(first));
        }
        self.wire = Some(wire);
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("the call has begun")
    }

    pub fn says(&mut self, message: &Value) {
        if self.call.shape.takes_one() {
            return self.open(Some(message));
        }
        let bytes = self.form.message(message);
        self.wire().send(&bytes);
    }

    pub fn ends(&mut self) {
        if self.call.shape.takes_one() {
            return;
        }
        let bytes = self.form.end();
        self.wire().send(&bytes);
        if !self.upgraded {
            self.wire().end();
        }
    }

    /// The next message.
    pub fn hears(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.form.next(self.ended) {
                self.heard.push(message.clone());
                return Some(message);
            }
            if self.ended {
                return None;
            }
            let wire = self.wire.as_mut().expect("the call has begun");
            let head = wire.head();
            match wire.data() {
                Some(piece) => self.form.take(&head, &piece),
                None => self.ended = true,
            }
            self.ended |= self.form.is_over();
        }
    }

    pub fn leave(mut self) {
        self.wire.take().expect("the call has begun").leave();
    }

    /// Hears all that is left.
    pub fn finish(mut self) -> Outcome {
        while self.hears().is_some() {}
        let wire = self.wire.as_mut().expect("the call has begun");
        let head = wire.head();
        let trailers = if self.form.is_over() { http::HeaderMap::new() } else { wire.trailers() };
        let outcome = self.form.outcome(&head, &trailers);
        let heard = std::mem::take(&mut self.heard);
        let is_large =
            heard.iter().any(|message| message["a"].as_str().is_some_and(|text| text.len() > 10_000));
        if self.client.coding.is_some() && is_large {
            assert!(self.form.was_packed(), "the answer is not compressed");
        }
        Outcome { messages: heard, ..outcome }
    }
}

/// What messages are encoded in. All are of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Proto,
    Json,
}

impl Codec {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proto => "proto",
            Self::Json => "json",
        }
    }

    pub fn encode(self, schema: &Schema, message: &Value) -> Vec<u8> {
        match self {
            Self::Proto => schema.encode("t.M", message),
            Self::Json => message.to_string().into_bytes(),
        }
    }

    pub fn decode(self, schema: &Schema, bytes: &[u8]) -> Value {
        match self {
            Self::Proto => schema.decode(schema.message("t.M"), bytes),
            Self::Json => serde_json::from_slice(bytes).expect("JSON"),
        }
    }
}
