//! Service configurations: what they override, and every fault that one can have.

use super::*;

const METHODS: &str = r#"
    rpc Get(Request) returns (Book) { option (google.api.http) = { get: "/annotated/{id}" }; }
    rpc Put(Request) returns (Book) { option (google.api.http) = { put: "/annotated/{id}" }; }
    rpc Plain(Request) returns (Book);
"#;

fn with(configs: &[(&str, &str)]) -> (Inputs, SchemaSettings) {
    let inputs = Inputs::new(&[("shop.proto", &api(METHODS))]);
    for (name, text) in configs {
        inputs.write(name, text.as_bytes());
    }
    let http_rules = configs.iter().map(|(name, _)| inputs.path(name)).collect();
    let settings = SchemaSettings { http_rules, ..inputs.sources() };
    (inputs, settings)
}

#[test]
fn overrides_annotations_and_the_last_rule_stands() {
    let yaml = r#"
type: google.api.Service
config_version: 3
name: shop.example.com
apis: [{ name: shop.v1.Books }]
documentation: { summary: "skipped: {", rules: [1, { a: ~ }] }
http:
  fully_decode_reserved_expansion: true
  rules:
  - selector: shop.v1.Books.Get
    get: /first/{id}
  - selector: shop.v1.Books.Plain
    custom: { kind: HEAD, path: "/plain" }
    response_body: author
    additional_bindings:
    - post: '/plain/{id}'
      body: "*"
  - selector: shop.v1.Books.Get
    get: /second/{id}
"#;
    let json = "{\n\t\"http\": {\"rules\": [\n\t{\"selector\": \"shop.v1.Books.Plain\", \
                \"get\": \"/json\", \"responseBody\": \"name\", \"additionalBindings\": \
                [{\"get\": \"/json/{id}\"}]}]}}";
    let (_inputs, settings) = with(&[("a.yaml", yaml)]);
    let (schema, warnings) = loaded(&settings);
    assert_told(&warnings, &[]);
    assert!(schema.fully_decode_reserved_expansion);
    assert_eq!(
        shown(&schema),
        [
            "Get: GET /second/{id} (config)",
            "Put: PUT /annotated/{id}",
            "Plain: HEAD /plain -> author (config)",
            "Plain: POST /plain/{id} * (config)",
        ]
    );
    let (_inputs, settings) = with(&[("a.yaml", yaml), ("b.json", json)]);
    let (schema, _) = loaded(&settings);
    assert_eq!(shown(&schema)[2..], ["Plain: GET /json -> name (config)", "Plain: GET /json/{id} (config)",]);
}

/// A service configuration, and what must be said about it.
const FAULTS: &[(&str, &[&[&str]])] = &[
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Gte\n    get: /x\n",
        &[&["`shop.v1.Books.Gte` names no method", "c.yaml:3:15", "did you mean `shop.v1.Books.Get`?"]],
    ),
    (
        "http: { rules: [{ selector: shop.v1.Books/Get, get: /x }] }",
        &[&["names no method", "write `pkg.Service.Method`"]],
    ),
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Get\n    get: \"/v1/{ids}\"\n",
        &[&["`shop.v1.Books.Get`", "no field `ids`", "c.yaml:4:16", "^^^", "did you mean `id`?"]],
    ),
    ("http:\n  rules:\n  - selector: shop.v1.Books.Get\n    get: /v1/{id\n", &[&["not closed", "c.yaml:4:"]]),
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Get\n    body: \"*\"\n",
        &[&["`shop.v1.Books.Get` has an HTTP rule without a pattern", "c.yaml:3:5"]],
    ),
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Get\n    get: /a\n    put: /b\n",
        &[&["more than one pattern", "get: /a", "put: /b"]],
    ),
    (
        "http:\n  rules:\n  - get: /a\n  - selector: shop.v1.Books.Get\n    gte: /b\n    get: /c\n",
        &[&["no `selector`", "c.yaml:3:5"], &["unknown key `gte`", "c.yaml:5:5", "did you mean `get`?"]],
    ),
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Get\n    get: /a\n    additional_bindings:\n    \
         - selector: x.Y\n      get: /b\n      additional_bindings: [{ get: /c }]\n",
        &[&["has a `selector`", "c.yaml:6:"], &["inside an additional binding", "c.yaml:6:"]],
    ),
    ("http:\n  ruls: []\n", &[&["c.yaml", "ruls", ":2:"]]),
    ("http:\n  rules: 5\n", &[&["no service configuration", "c.yaml:2:"]]),
    ("http: [", &[&["no service configuration"]]),
    ("type: google.api.Other\nhttp: {}\n", &[&["is a `google.api.Other`", "c.yaml:1:7"]]),
    (
        "http:\n  rules:\n  - selector: shop.v1.Books.Get\n    put: /annotated/{raw}\n",
        &[&["`shop.v1.Books.Get` and `shop.v1.Books.Put`", "c.yaml:4:", "in its annotation"]],
    ),
];

#[test]
fn faults() {
    for (text, wanted) in FAULTS {
        let (_inputs, settings) = with(&[("c.yaml", text)]);
        assert_told(&refused(&settings), wanted);
    }
}

#[test]
fn a_file_without_rules_or_that_is_not_there() {
    let (_inputs, settings) = with(&[("c.yaml", "name: x\n")]);
    assert_told(&loaded(&settings).1, &[&["warning", "has no `http` section"]]);
    let (inputs, mut settings) = with(&[]);
    settings.http_rules = vec![inputs.path("gone.yaml")];
    assert_told(&refused(&settings), &[&["gone.yaml", "can't be read"]]);
}

#[test]
fn rules_for_methods_that_are_not_served_are_no_fault() {
    let text = "http: { rules: [{ selector: shop.v1.Books.Get, get: /x }] }";
    let (_inputs, mut settings) = with(&[("c.yaml", text)]);
    settings.services = vec![Selector::parse("shop.v1.Books/Put").unwrap()];
    assert_eq!(shown(&loaded(&settings).0), ["Put: PUT /annotated/{id}"]);
}
