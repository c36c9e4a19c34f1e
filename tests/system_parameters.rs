//! System parameters: how an answer is written.

mod support;

use serde_json::{Value, json};
use support::{Answer, Choices, Site};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";

enum Color { NONE = 0; RED = 1; }

message Book {
  string name = 1;
  Color color = 2;
  Author author = 3;
  repeated Author others = 4;
  map<string, Author> by_role = 5;
  int64 copies_sold = 6;
}
message Author { string first_name = 1; string last_name = 2; Color color = 3; }

message Own { string alt = 1; string fields = 2; bool pretty_print = 3; Book book = 4; }

service S {
  rpc Get(Book) returns (Book) {
    option (google.api.http) = {
      get: "/g"
      additional_bindings { post: "/w" body: "*" }
      additional_bindings { get: "/author" response_body: "author" }
      additional_bindings { get: "/others" response_body: "others" }
      additional_bindings { get: "/name" response_body: "name" }
    };
  }
  rpc Watch(Book) returns (stream Book) {
    option (google.api.http) = { get: "/watch" };
  }
  rpc Import(stream Book) returns (Book) {
    option (google.api.http) = { post: "/import" body: "*" };
  }
  rpc Own(Own) returns (Own) { option (google.api.http) = { get: "/own" }; }
}
"#;

fn book() -> Value {
    json!({
        "name": "b, {c}: \"d\"",
        "color": "RED",
        "author": { "firstName": "Ada", "lastName": "L", "color": "RED" },
        "others": [{ "firstName": "Bob", "lastName": "M" }, { "lastName": "N" }],
        "byRole": { "editor": { "firstName": "Eve", "lastName": "O" } },
        "copiesSold": "9007199254740993",
    })
}

/// A site whose backend always answers with the book.
fn site(listener: &str) -> Site {
    let site = Site::with(PROTO, listener);
    site.backend.answer(Answer::message(site.schema.encode("t.Book", &book())));
    site
}

#[test]
fn alt() {
    let site = site("");
    let plain = site.get("/g").json();
    assert_eq!(plain, book());
    let mut numbers = book();
    numbers["color"] = json!(1);
    numbers["author"]["color"] = json!(1);
    for target in ["/g?$alt=json", "/g?alt=json", "/g?%24alt=json"] {
        assert_eq!(site.get(target).assert_ok().json(), plain, "{target}");
    }
    for target in ["/g?$alt=json;enum-encoding=int", "/g?alt=json%3Benum-encoding%3Dint"] {
        assert_eq!(site.get(target).assert_ok().json(), numbers, "{target}");
    }
    let reply = site.post("/w?$alt=json;enum-encoding=int", r#"{"name":"x"}"#);
    assert_eq!(reply.assert_ok().json(), numbers);
}

#[test]
fn pretty_print() {
    let site = site("");
    let compact = site.get("/g?$prettyPrint=false");
    assert_eq!(compact.text(), site.get("/g").text());
    for target in ["/g?$prettyPrint=true", "/g?prettyPrint=true"] {
        let reply = site.get(target);
        assert_eq!(reply.json(), book());
        assert!(reply.text().starts_with("{\n  \"name\": \"b, {c}: \\\"d\\\"\",\n  \"color\": \"RED\",\n"));
        assert_eq!(reply.header("content-length"), Some(&*reply.body.len().to_string()));
    }
    let reply = site.get("/g?prettyPrint=true&fields=color,others");
    let want = [
        "{",
        "  \"color\": \"RED\",",
        "  \"others\": [",
        "    {",
        "      \"firstName\": \"Bob\",",
        "      \"lastName\": \"M\"",
        "    },",
        "    {",
        "      \"lastName\": \"N\"",
        "    }",
        "  ]",
        "}",
    ];
    assert_eq!(reply.text().lines().collect::<Vec<_>>(), want);
    let head = site.call("HEAD", "/g?$prettyPrint=true", &[], b"");
    let get = site.get("/g?$prettyPrint=true");
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn fields() {
    let site = site("");
    let cases: &[(&str, Value)] = &[
        ("/g?$fields=name", json!({ "name": book()["name"] })),
        ("/g?fields=copies_sold,color", json!({ "color": "RED", "copiesSold": "9007199254740993" })),
        ("/g?$fields=author.firstName", json!({ "author": { "firstName": "Ada" } })),
        ("/g?$fields=others.first_name", json!({ "others": [{ "firstName": "Bob" }, {}] })),
        ("/g?$fields=byRole.editor.lastName", json!({ "byRole": { "editor": { "lastName": "O" } } })),
        ("/g?$fields=byRole.printer", json!({ "byRole": {} })),
        ("/g?$fields=*", book()),
        ("/author?$fields=lastName", json!({ "lastName": "L" })),
        ("/others?$fields=lastName", json!([{ "lastName": "M" }, { "lastName": "N" }])),
        ("/name?$fields=*", book()["name"].clone()),
        (
            "/g?$fields=author.color&$alt=json;enum-encoding=int&$prettyPrint=true",
            json!({ "author": { "color": 1 } }),
        ),
    ];
    for (target, want) in cases {
        assert_eq!(site.get(target).assert_ok().json(), *want, "{target}");
    }
    let proto_names = self::site("json: { names: proto }");
    let reply = proto_names.get("/g?$fields=author.firstName,copies_sold");
    let want = json!({ "author": { "first_name": "Ada" }, "copies_sold": "9007199254740993" });
    assert_eq!(reply.assert_ok().json(), want);
}

/// What is refused is refused before the backend is called.
#[test]
fn what_is_refused() {
    let site = site("request: { max_parameter_depth: 2 }");
    let cases = [
        ("/g?$alt=proto", "BAD_SYSTEM_PARAMETER", "$alt"),
        ("/g?alt=media", "BAD_SYSTEM_PARAMETER", "alt"),
        ("/g?$alt=", "BAD_SYSTEM_PARAMETER", "$alt"),
        ("/g?$alt=json;enum-encoding=string", "BAD_SYSTEM_PARAMETER", "$alt"),
        ("/g?$prettyPrint=1", "BAD_SYSTEM_PARAMETER", "$prettyPrint"),
        ("/g?prettyPrint", "BAD_SYSTEM_PARAMETER", "prettyPrint"),
        ("/g?$fields=", "BAD_SYSTEM_PARAMETER", "$fields"),
        ("/g?$fields=name,", "BAD_SYSTEM_PARAMETER", "$fields"),
        ("/g?$fields=nobody", "UNKNOWN_REPLY_FIELD", "$fields"),
        ("/g?fields=author.nobody", "UNKNOWN_REPLY_FIELD", "fields"),
        ("/g?$fields=name.x", "UNKNOWN_REPLY_FIELD", "$fields"),
        ("/author?$fields=author", "UNKNOWN_REPLY_FIELD", "$fields"),
        ("/name?$fields=name", "UNKNOWN_REPLY_FIELD", "$fields"),
        ("/g?$fields=byRole.a.color", "BAD_SYSTEM_PARAMETER", "$fields"),
        ("/g?$alt=json&alt=json", "PARAMETER_TWICE", "alt"),
        ("/g?$fields=name&$fields=color", "PARAMETER_TWICE", "$fields"),
        ("/g?$httpHeaders=x-a:b", "BAD_SYSTEM_PARAMETER", "$httpHeaders"),
        ("/g?httpHeaders=x", "UNKNOWN_PARAMETER", "httpHeaders"),
        ("/g?$.xgafv=2", "UNKNOWN_PARAMETER", "$.xgafv"),
        ("/g?$ALT=json", "UNKNOWN_PARAMETER", "$ALT"),
    ];
    for (target, reason, field) in cases {
        site.get(target).assert_fault(400, reason, Some(field));
        assert_eq!(site.backend.count(), 0, "{target}");
    }
}

/// Names without `$` are the fields' first, and may be ignored by name; those with one are the system's.
#[test]
fn whose_names_they_are() {
    let site = Site::plain(PROTO);
    let seen = site.seen("GET", "/own?alt=media&fields=x&$fields=book.name,alt&prettyPrint=true", &[], b"");
    // The request has the field `pretty_print`, by either name.
    assert_eq!(seen.json(), json!({ "alt": "media", "fields": "x", "prettyPrint": true }));
    let reply = site.get("/own?alt=media&$fields=alt");
    assert_eq!(reply.text(), r#"{"alt":"media"}"#);

    let ignoring = Site::with(PROTO, "request: { unknown_parameters: [alt] }");
    ignoring.get("/g?alt=media").assert_ok();
    ignoring.get("/g?$alt=media").assert_fault(400, "BAD_SYSTEM_PARAMETER", Some("$alt"));
    let lax = Site::with(PROTO, "request: { unknown_parameters: ignore }");
    lax.get("/g?$.xgafv=2&$other=1").assert_ok();
    lax.get("/g?$httpHeaders=a:b").assert_fault(400, "BAD_SYSTEM_PARAMETER", Some("$httpHeaders"));
}

#[test]
fn errors_are_whole() {
    let site = site("");
    site.backend.answer(Answer::status(5, "no such book"));
    let reply = site.get("/g?$fields=name&$alt=json;enum-encoding=int");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["error"]["message"], "no such book");
}

#[test]
fn system_parameters_do_not_undo_choices() {
    let choices = Choices { listener: "json: { enums: numbers, defaults: print }", ..Choices::default() };
    let site = Site::new(PROTO, choices);
    let reply = site.get("/g?color=RED&$alt=json&$fields=color,name");
    assert_eq!(reply.assert_ok().json(), json!({ "color": 1, "name": "" }));
}

/// Each message of a stream is written as wished, but has one line where that is its frame.
#[test]
fn streams() {
    let site = site("");
    let accept = |form| [("accept", form)];
    let with = |form, query: &str| {
        let reply = site.call("GET", &format!("/watch?{query}"), &accept(form), b"");
        reply.assert_ok().text().to_owned()
    };
    let query = "$fields=author.color&$prettyPrint=true&$alt=json;enum-encoding=int";
    let array: Value = serde_json::from_str(&with("application/json", query)).unwrap();
    assert_eq!(array, json!([{ "author": { "color": 1 } }]));
    assert!(with("application/json", query).contains("\n  \"author\": {\n    \"color\": 1\n  }\n"));
    assert_eq!(with("application/x-ndjson", query), "{\"author\":{\"color\":1}}\n");
    assert!(with("text/event-stream", query).contains("data: {\"author\":{\"color\":1}}\n"));
    site.backend.take();

    let reply = site.post("/import?$fields=author.lastName", r#"[{"name":"x"}]"#);
    assert_eq!(reply.assert_ok().json(), json!({ "author": { "lastName": "L" } }));
    site.backend.take();
    for target in ["/watch?$fields=nobody", "/import?$fields=nobody"] {
        let method = if target.starts_with("/w") { "GET" } else { "POST" };
        let reply = site.call(method, target, &[], if method == "GET" { b"" } else { b"[{}]" });
        reply.assert_fault(400, "UNKNOWN_REPLY_FIELD", Some("$fields"));
        assert_eq!(site.backend.count(), 0, "{target}");
    }
}
