//! Every policy in every protocol: the same decision, for the same reason, and nothing that is refused reaches a backend.
//! A new policy is one more entry.

use serde_json::json;

use crate::ask::Speaks;
use crate::site::{Policy, Site};

/// A policy and callers of it.
struct Entry {
    name: &'static str,
    policy: Policy<'static>,
    callers: &'static [Caller],
}

/// Who calls, and what becomes of it.
struct Caller {
    /// Whose API key is shown; nobody's where it is empty.
    key: &'static str,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    /// The method, and its field `a`.
    asks: (&'static str, &'static str),
    want: &'static str,
}

const fn by(key: &'static str, want: &'static str) -> Caller {
    Caller { key, headers: &[], asks: ("Do", ""), want }
}

const fn at(key: &'static str, method: &'static str, a: &'static str, want: &'static str) -> Caller {
    Caller { key, headers: &[], asks: (method, a), want }
}

const NONE: Policy<'static> = Policy { listener: "", api_keys: "", identity: "", rules: "" };

const ENTRIES: &[Entry] = &[
    Entry {
        name: "api keys",
        policy: Policy { rules: "'t.S/Open': { auth: none }", ..NONE },
        callers: &[
            by("reader", "OK"),
            by("nobody", "OK"),
            by("", "KEY_MISSING"),
            by("disabled", "KEY_DISABLED"),
            by("expired", "KEY_EXPIRED"),
            Caller { key: "", headers: &[("x-api-key", "secret")], asks: ("Do", ""), want: "KEY_MALFORMED" },
            Caller {
                key: "reader",
                headers: &[("x-api-key", "secret")],
                asks: ("Do", ""),
                want: "KEY_MALFORMED",
            },
            at("", "Open", "", "OK"),
            at("disabled", "Open", "", "OK"),
        ],
    },
    Entry {
        name: "api keys, where anybody may come",
        policy: Policy { listener: "defaults: { auth: optional }", ..NONE },
        callers: &[by("", "OK"), by("reader", "OK"), by("expired", "KEY_EXPIRED")],
    },
    Entry {
        name: "scopes",
        policy: Policy { rules: "'t.S/Do': { scopes: { all: [read], any: [write, admin] } }", ..NONE },
        callers: &[
            by("writer", "OK"),
            by("reader", "SCOPE_MISSING"),
            by("nobody", "SCOPE_MISSING"),
            by("", "KEY_MISSING"),
            by("expired", "KEY_EXPIRED"),
            at("nobody", "Open", "", "OK"),
        ],
    },
    Entry {
        name: "scopes, where a listener asks nobody",
        policy: Policy {
            listener: "defaults: { auth: none }",
            rules: "'t.S/Do': { scopes: [read] }",
            ..NONE
        },
        callers: &[
            by("reader", "OK"),
            by("nobody", "SCOPE_MISSING"),
            by("", "KEY_MISSING"),
            at("", "Open", "", "OK"),
        ],
    },
    Entry {
        name: "scopes, where anybody may come",
        policy: Policy { rules: "'*': { auth: optional }, 't.S/Do': { scopes: [read] }", ..NONE },
        callers: &[by("reader", "OK"), by("", "KEY_MISSING"), at("", "Open", "", "OK")],
    },
    Entry {
        name: "public methods among others",
        policy: Policy { rules: "'*': { scopes: [read] }, 't.S/Open': { auth: none }", ..NONE },
        callers: &[
            by("reader", "OK"),
            by("nobody", "SCOPE_MISSING"),
            at("", "Open", "", "OK"),
            at("expired", "Open", "", "OK"),
        ],
    },
    Entry {
        name: "what a narrower rule takes back",
        policy: Policy {
            rules: "'*': { scopes: [read], deny: true }, 't.S/Open': { scopes: none, deny: false }",
            ..NONE
        },
        callers: &[by("reader", "DENIED"), at("nobody", "Open", "", "OK"), at("", "Open", "", "KEY_MISSING")],
    },
    Entry {
        name: "claims",
        policy: Policy {
            rules: "'t.S/Do': { claims: { tenant: acme, groups: { contains: b }, role: { matches: 'st.*' } } }",
            ..NONE
        },
        callers: &[
            by("reader", "OK"),
            by("writer", "CLAIM_MISMATCH"),
            by("nobody", "CLAIM_MISMATCH"),
            by("", "KEY_MISSING"),
        ],
    },
    Entry {
        name: "claims of one kind or another",
        policy: Policy {
            rules: "'t.S/Do': { claims: [{ owner: [nobody, x] }, { tenant: acme, groups: { all: [a, b] } }] }",
            ..NONE
        },
        callers: &[by("reader", "OK"), by("nobody", "OK"), by("writer", "CLAIM_MISMATCH")],
    },
    Entry {
        name: "deny",
        policy: Policy {
            rules: "'t.S/Do': { deny: { role: guest } }, 't.S/Open': { deny: true, auth: none }",
            ..NONE
        },
        callers: &[
            by("reader", "OK"),
            by("guest", "DENIED"),
            by("", "KEY_MISSING"),
            at("reader", "Open", "", "DENIED"),
            at("", "Open", "", "DENIED"),
        ],
    },
    Entry {
        name: "fields",
        policy: Policy {
            rules: "'t.S/Do': { fields: { a: { starts_with: 'tenants/{claim.tenant}/' } } }",
            ..NONE
        },
        callers: &[
            at("reader", "Do", "tenants/acme/x", "OK"),
            at("guest", "Do", "tenants/other/x", "OK"),
            at("guest", "Do", "tenants/acme/x", "FIELD_DENIED"),
            at("reader", "Do", "tenants/acmes/x", "FIELD_DENIED"),
            at("reader", "Do", "", "FIELD_DENIED"),
            at("nobody", "Do", "tenants//x", "FIELD_DENIED"),
            at("", "Do", "tenants/acme/x", "KEY_MISSING"),
            at("nobody", "Open", "tenants/acme/x", "OK"),
        ],
    },
    Entry {
        name: "fields, whoever it is",
        policy: Policy { rules: "'t.S/Do': { auth: none, fields: { a: { one_of: [x, y] } } }", ..NONE },
        callers: &[
            at("", "Do", "x", "OK"),
            at("", "Do", "y", "OK"),
            at("", "Do", "z", "FIELD_DENIED"),
            at("", "Do", "", "FIELD_DENIED"),
        ],
    },
];

#[test]
fn every_policy_in_every_protocol() {
    let mut wrong = Vec::new();
    for Entry { name, policy, callers } in ENTRIES {
        let site = Site::new(*policy);
        for Caller { key, headers, asks: (method, a), want } in *callers {
            let mut all = headers.to_vec();
            if !key.is_empty() {
                all.push(("x-api-key", site.keys.get(key)));
            }
            let is_read = *want != "OK" || (*method == "Do" && policy.rules.contains("fields"));
            let packed = Speaks::PACKED.into_iter().filter(|_| is_read);
            for speaks in Speaks::ALL.into_iter().chain(packed) {
                if speaks == Speaks::ConnectGet && *method != "Do" {
                    // The schema has no GET for it.
                    continue;
                }
                let got = site.ask(speaks, method, &all, &json!({ "a": a }));
                if got != *want {
                    wrong.push(format!(
                        "{name}: {key:?} at {method} with {a:?} by {speaks:?}: {got}, not {want}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_decided_is_told_to_the_log_and_to_nobody_else() {
    let site = Site::new(Policy {
        rules: "'t.*': { scopes: [admin] }, 't.S/Open': { scopes: none, fields: { inner.text: x } }",
        ..NONE
    });
    let key = [("x-api-key", site.keys.get("reader"))];
    assert_eq!(site.ask(Speaks::Rest, "Do", &key, &json!({})), "SCOPE_MISSING");
    assert_eq!(site.ask(Speaks::Grpc, "Open", &key, &json!({})), "FIELD_DENIED");
    let reply = crate::support::call(site.gateway.address, "POST", "/do", &key, b"{}");
    reply.assert_fault(403, "SCOPE_MISSING", None);
    assert_eq!(reply.header("www-authenticate"), None, "an API key gets no other scopes");
    let reply = crate::support::call(site.gateway.address, "POST", "/open", &key, b"{}");
    reply.assert_fault(403, "FIELD_DENIED", None);
    for secret in ["admin", "inner", "t.*", "rule"] {
        assert!(!reply.text().contains(secret), "{}", reply.text());
    }
    let metrics = site.gateway.metrics();
    for line in [
        "transom_refusals_total{rule=\"t.* scopes\",reason=\"SCOPE_MISSING\"} 2",
        "transom_refusals_total{rule=\"t.S/Open fields\",reason=\"FIELD_DENIED\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let log = site.log();
    for part in ["rule=\"t.* scopes\"", "rule=\"t.S/Open fields\" cause=\"field inner.text\""] {
        assert!(log.contains(part), "{part} in {log}");
    }
}
