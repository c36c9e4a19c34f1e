//! A gateway with a policy, a backend that echoes, and callers with tokens and keys.

use std::path::Path;

use serde_json::Value;
use transom::policy::identity::{hash_of, new_key};

use crate::ask::{Headers, PROTO, Speaks, ask, ask_bytes};
use crate::support::{Answer, Backend, Choices, Gateway, Schema};

pub struct Site {
    // In the order in which they are dropped.
    pub gateway: Gateway,
    pub backend: Backend,
    pub schema: Schema,
    pub keys: Keys,
}

/// What a policy adds to a configuration.
#[derive(Clone, Copy, Default)]
pub struct Policy<'p> {
    /// Keys of the listener.
    pub listener: &'p str,
    /// Keys of `identity.api_keys` beside `file`.
    pub api_keys: &'p str,
    /// Keys of `identity` beside that.
    pub identity: &'p str,
    /// The entries of `rules`.
    pub rules: &'p str,
}

/// API keys by what they are for.
pub struct Keys(Vec<(&'static str, String)>);

impl Keys {
    /// Makes one for each, and the file of them. `more` are further parts of the entries.
    pub fn new(folder: &Path, of: &[(&'static str, &str)]) -> Self {
        let mut file = String::from("keys:\n");
        let keys = of.iter().map(|(name, more)| {
            let (id, key) = new_key().expect("randomness");
            file += &entry(&id, &key, name, more);
            (*name, key)
        });
        let keys = keys.collect();
        std::fs::write(folder.join("keys.yaml"), file).expect("the file is written");
        Self(keys)
    }

    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| *own == name);
        &found.unwrap_or_else(|| panic!("no key {name}")).1
    }
}

pub fn entry(id: &str, key: &str, owner: &str, more: &str) -> String {
    let hash: String = hash_of(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("  {id}: {{ hash: 'sha256:{hash}', owner: '{owner}', {more} }}\n")
}

/// The holders of keys that the tests have.
pub const HOLDERS: [(&str, &str); 6] = [
    ("reader", "scopes: [read], claims: { tenant: acme, role: staff, groups: [a, b] }"),
    ("writer", "scopes: [read, write], tier: gold, claims: { tenant: acme, role: staff, groups: [a] }"),
    ("guest", "scopes: [read, write], claims: { tenant: other, role: guest }"),
    ("nobody", ""),
    ("disabled", "disabled: true"),
    ("expired", "expires: 2020-01-01"),
];

impl Site {
    pub fn new(policy: Policy<'_>) -> Self {
        Self::with(policy, |_| {})
    }

    /// With files beside the configuration that `prepare` writes.
    pub fn with(policy: Policy<'_>, prepare: impl FnOnce(&Path)) -> Self {
        let schema = Schema::new(PROTO);
        let keys = Keys::new(schema.folder(), &HOLDERS);
        schema.write("secret", crate::tokens::SECRET);
        prepare(schema.folder());
        let backend = Backend::start(&schema, Answer::Echo);
        let log = schema.folder().join("access.log");
        let more = yaml(&policy);
        let choices = Choices { listener: policy.listener, more: &more, ..Choices::default() };
        let yaml = choices.yaml(&schema, backend.address);
        let yaml = yaml.replace("access_log: off", &format!("access_log: {{ to: '{}' }}", log.display()));
        let gateway = Gateway::start(&yaml, schema.folder());
        Self { gateway, backend, schema, keys }
    }

    pub fn ask(&self, speaks: Speaks, method: &str, headers: &Headers<'_>, message: &Value) -> String {
        self.ask_with(speaks, method, headers, "", message)
    }

    /// [`Site::ask`], with a query.
    pub fn ask_with(
        &self,
        speaks: Speaks,
        method: &str,
        headers: &Headers<'_>,
        query: &str,
        message: &Value,
    ) -> String {
        let before = self.backend.count();
        let said = ask(&self.schema, self.gateway.address, speaks, method, headers, query, message);
        self.reached(&said, before);
        said
    }

    pub fn ask_bytes(&self, speaks: Speaks, method: &str, headers: &Headers<'_>, bytes: &[u8]) -> String {
        let before = self.backend.count();
        let said = ask_bytes(self.gateway.address, speaks, method, headers, "", bytes);
        self.reached(&said, before);
        said
    }

    /// What is refused never reaches the backend.
    fn reached(&self, said: &str, before: usize) {
        assert_eq!(self.backend.count() - before, usize::from(said == "OK"), "{said}");
    }

    /// The lines of the access log, once the gateway has stopped.
    pub fn log(self) -> String {
        let path = self.schema.folder().join("access.log");
        drop(self.gateway);
        std::fs::read_to_string(path).expect("a log")
    }
}

pub fn yaml(policy: &Policy<'_>) -> String {
    let Policy { api_keys, identity, rules, .. } = policy;
    let rules = if rules.is_empty() { String::new() } else { format!("rules: {{ {rules} }}") };
    format!(
        "identity: {{ api_keys: {{ file: keys.yaml, {api_keys} }}, {identity} }}\nadmin: {{ address: '127.0.0.1:0' }}\n{rules}"
    )
}

/// What keeps a policy from starting.
pub fn problems_of(policy: Policy<'_>) -> String {
    let schema = Schema::new(PROTO);
    Keys::new(schema.folder(), &HOLDERS);
    let more = yaml(&policy);
    let choices = Choices { listener: policy.listener, more: &more, ..Choices::default() };
    crate::support::problems_of(&schema, choices)
}
