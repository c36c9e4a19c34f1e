//! Every policy in every protocol: the same decision, for the same reason, and nothing that is refused reaches a backend.
//! A new policy is one more entry.

use serde_json::json;

use crate::ask::Speaks;
use crate::site::{Policy, Site};
use crate::tokens::{self, ISSUER};

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
    /// What the token is like that is shown; none is where it is empty.
    token: &'static str,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    /// The method, and its field `a`.
    asks: (&'static str, &'static str),
    want: &'static str,
}

const SOMEBODY: Caller = Caller { key: "", token: "", headers: &[], asks: ("Do", ""), want: "OK" };

const fn by(key: &'static str, want: &'static str) -> Caller {
    Caller { key, want, ..SOMEBODY }
}

const fn at(key: &'static str, method: &'static str, a: &'static str, want: &'static str) -> Caller {
    Caller { key, asks: (method, a), want, ..SOMEBODY }
}

const fn with(token: &'static str, want: &'static str) -> Caller {
    Caller { token, want, ..SOMEBODY }
}

/// Through the proxy that the listener trusts.
const fn from(forwarded: &'static [(&'static str, &'static str)], want: &'static str) -> Caller {
    Caller { key: "reader", headers: forwarded, want, ..SOMEBODY }
}

const NEAR: &[(&str, &str)] = &[("x-forwarded-for", "198.51.100.7")];
const NEAR_TOO: &[(&str, &str)] = &[("x-forwarded-for", "203.0.113.5, ::ffff:198.51.100.8")];
const FAR: &[(&str, &str)] = &[("x-forwarded-for", "192.0.2.1")];
const FORGED: &[(&str, &str)] = &[("x-forwarded-for", "198.51.100.7, 192.0.2.1")];
const ODD: &[(&str, &str)] = &[("x-forwarded-for", "somewhere")];

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
            Caller { headers: &[("x-api-key", "secret")], want: "KEY_MALFORMED", ..SOMEBODY },
            Caller { key: "reader", headers: &[("x-api-key", "secret")], want: "KEY_MALFORMED", ..SOMEBODY },
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
    Entry {
        name: "tokens",
        policy: Policy {
            identity: ISSUER,
            rules: "'t.S/Do': { scopes: [read] }, 't.S/Open': { auth: none }",
            ..NONE
        },
        callers: &[
            with("good", "OK"),
            with("", "TOKEN_MISSING"),
            with("expired", "TOKEN_EXPIRED"),
            with("of another audience", "TOKEN_INVALID"),
            with("of a stranger", "ISSUER_UNKNOWN"),
            with("forged", "TOKEN_INVALID"),
            Caller { headers: &[("authorization", "Bearer x")], want: "TOKEN_MALFORMED", ..SOMEBODY },
            // All that is shown has to be good.
            Caller { key: "reader", token: "expired", want: "TOKEN_EXPIRED", ..SOMEBODY },
            Caller { key: "disabled", token: "good", want: "KEY_DISABLED", ..SOMEBODY },
            Caller { token: "expired", asks: ("Open", ""), ..SOMEBODY },
        ],
    },
    // All protocols take of one count, so that the last of the first caller's calls is the last that there is.
    Entry {
        name: "rates",
        policy: Policy {
            rules: "'t.S/Do': { limits: [{ rate: 13/59m, key: principal }] }, 't.S/Open': { limits: off }",
            ..NONE
        },
        callers: &[
            by("", "KEY_MISSING"),
            by("reader", "OK"),
            by("reader", "RATE_LIMITED"),
            by("nobody", "OK"),
            by("nobody", "RATE_LIMITED"),
            by("expired", "KEY_EXPIRED"),
            at("reader", "Open", "", "OK"),
        ],
    },
    Entry {
        name: "quotas",
        policy: Policy { rules: "'*': { limits: [{ quota: 13/52w, key: method }] }", ..NONE },
        callers: &[by("reader", "OK"), by("nobody", "QUOTA_EXCEEDED"), at("reader", "Open", "", "OK")],
    },
    Entry {
        name: "rates by fields",
        policy: Policy { rules: "'t.S/Do': { limits: [{ rate: 15/59m, key: 'field:a' }] }", ..NONE },
        callers: &[
            at("reader", "Do", "x", "OK"),
            at("writer", "Do", "x", "RATE_LIMITED"),
            at("reader", "Do", "y", "OK"),
            at("reader", "Do", "y", "RATE_LIMITED"),
        ],
    },
    Entry {
        name: "addresses of rules",
        policy: Policy {
            listener: "trusted_proxies: { addresses: [127.0.0.1] }",
            rules: "'*': { addresses: { allow: [198.51.100.0/24] } }, 't.S/Open': { addresses: any }",
            ..NONE
        },
        callers: &[
            from(NEAR, "OK"),
            from(NEAR_TOO, "OK"),
            from(FAR, "ADDRESS_DENIED"),
            from(FORGED, "ADDRESS_DENIED"),
            from(ODD, "FORWARDED_INVALID"),
            by("reader", "ADDRESS_DENIED"),
            Caller { headers: FAR, want: "KEY_MISSING", ..SOMEBODY },
            Caller { key: "reader", headers: FAR, asks: ("Open", ""), ..SOMEBODY },
        ],
    },
    Entry {
        name: "addresses of a listener",
        policy: Policy {
            listener: "trusted_proxies: { addresses: [127.0.0.1] }, \
                       addresses: { allow: [198.51.100.0/24], deny: [198.51.100.66] }",
            rules: "'t.S/Open': { addresses: any, auth: none }",
            ..NONE
        },
        callers: &[
            from(NEAR, "OK"),
            from(FAR, "ADDRESS_DENIED"),
            from(FORGED, "ADDRESS_DENIED"),
            from(&[("x-forwarded-for", "198.51.100.66")], "ADDRESS_DENIED"),
            by("", "ADDRESS_DENIED"),
            Caller { headers: NEAR, want: "KEY_MISSING", ..SOMEBODY },
            // A rule takes nothing of a listener's lists away.
            Caller { headers: FAR, asks: ("Open", ""), want: "ADDRESS_DENIED", ..SOMEBODY },
        ],
    },
];

#[test]
fn every_policy_in_every_protocol() {
    let mut wrong = Vec::new();
    for Entry { name, policy, callers } in ENTRIES {
        let site = Site::new(*policy);
        for Caller { key, token, headers, asks: (method, a), want } in *callers {
            let bearer =
                format!("Bearer {}", if token.is_empty() { String::new() } else { tokens::token(token) });
            let mut all = headers.to_vec();
            if !token.is_empty() {
                all.push(("authorization", &bearer));
            }
            if !key.is_empty() {
                all.push(("x-api-key", site.keys.get(key)));
            }
            let is_read = *want != "OK" || (*method == "Do" && policy.rules.contains("field"));
            let packed = Speaks::PACKED.into_iter().filter(|_| is_read);
            for speaks in Speaks::ALL.into_iter().chain(packed) {
                if speaks == Speaks::ConnectGet && *method != "Do" {
                    // The schema has no GET for it.
                    continue;
                }
                let got = site.ask(speaks, method, &all, &json!({ "a": a }));
                if got != *want {
                    wrong.push(format!(
                        "{name}: {key:?} {token:?} {headers:?} at {method} with {a:?} by {speaks:?}: {got}, not {want}"
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
