//! A gateway whose callers show tokens of a [`Mint`].

use std::net::SocketAddr;
use std::path::Path;

use crate::ask::PROTO;
use crate::mint::{AUDIENCE, ISSUER, Mint};
use crate::support::{Answer, Backend, Choices, Gateway, Reply, Schema, get, http1};

pub const ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "RS256", "PS256"];

/// What a test chooses, as YAML in flow style.
#[derive(Default, Clone, Copy)]
pub struct Wants<'a> {
    pub listener: &'a str,
    /// What the issuer is called in its tokens; [`ISSUER`] where it is empty.
    pub iss: &'a str,
    /// Where its keys are; in a file where it is empty.
    pub keys: &'a str,
    /// Further keys of the issuer.
    pub issuer: &'a str,
    /// Keys of `identity` beside it.
    pub identity: &'a str,
    /// The entries of `rules`.
    pub rules: &'a str,
}

impl Wants<'_> {
    /// The configuration; the keys of `mint` are put into a file.
    pub fn yaml(&self, schema: &Schema, mint: &Mint, backend: SocketAddr) -> String {
        schema.write("keys.json", &mint.key_set(&ALGORITHMS).to_string());
        let Wants { listener, iss, keys, issuer, identity, rules } = self;
        let iss = if iss.is_empty() { ISSUER } else { iss };
        let keys = if keys.is_empty() { "jwks: keys.json" } else { keys };
        let more = format!(
            "identity: {{ issuers: {{ main: {{ issuer: '{iss}', audiences: [{AUDIENCE}], {keys}, {issuer} }} }}, {identity} }}\n\
             admin: {{ address: '127.0.0.1:0' }}\n{}",
            if rules.is_empty() { String::new() } else { format!("rules: {{ {rules} }}") }
        );
        Choices { listener, more: &more, ..Choices::default() }.yaml(schema, backend)
    }
}

pub struct Place {
    // In the order in which they are dropped.
    pub gateway: Gateway,
    pub backend: Backend,
    pub schema: Schema,
    pub mint: Mint,
}

impl Place {
    pub fn new(wants: Wants<'_>) -> Self {
        Self::of(Mint::new(), wants)
    }

    pub fn of(mint: Mint, wants: Wants<'_>) -> Self {
        let schema = Schema::new(PROTO);
        let backend = Backend::start(&schema, Answer::Echo);
        let yaml = wants.yaml(&schema, &mint, backend.address);
        Self { gateway: Gateway::start(&yaml, schema.folder()), backend, schema, mint }
    }

    /// One whose access log goes to this file.
    pub fn logging(log: &Path, wants: Wants<'_>) -> Self {
        let (schema, mint) = (Schema::new(PROTO), Mint::new());
        let backend = Backend::start(&schema, Answer::Echo);
        let yaml = wants.yaml(&schema, &mint, backend.address);
        let yaml = yaml
            .replace("access_log: off", &format!("access_log: {{ to: '{}', format: text }}", log.display()));
        Self { gateway: Gateway::start(&yaml, schema.folder()), backend, schema, mint }
    }

    pub fn get(&self, headers: &[(&str, &str)]) -> Reply {
        http1::call(self.gateway.address, "GET", "/g/x", headers, b"")
    }

    /// What a call with this token ends with: OK, or the reason of its refusal.
    pub fn verdict(&self, token: &str) -> String {
        let reply = self.get(&[("authorization", &format!("Bearer {token}"))]);
        if reply.status == 200 { "OK".to_owned() } else { reply.reason() }
    }

    /// The value of a metric with exactly these labels.
    pub fn metric(&self, name: &str) -> u64 {
        self.gateway.metric(name)
    }

    pub fn unnamed(&self, path: &str) -> Reply {
        get(self.gateway.address, path)
    }
}
