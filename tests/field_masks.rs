//! The field mask of a PATCH that doesn't name one (AIP-134).

mod support;

use serde_json::{Value, json};
use support::Site;

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";

message Book {
  string name = 1;
  string page_title = 2;
  Price price = 3;
  repeated Price prices = 4;
  map<string, Price> by_shop = 5;
  google.protobuf.Timestamp publish_time = 6;
  repeated string tags = 7;
}
message Price { int64 minor_units = 1; string currency = 2; Price net = 3; }

message Update { Book book = 1; google.protobuf.FieldMask update_mask = 2; bool strict = 3; }
message Two { Book book = 1; google.protobuf.FieldMask a = 2; google.protobuf.FieldMask b = 3; }
message Many { Book book = 1; repeated google.protobuf.FieldMask masks = 2; }
message Nested { Book book = 1; Update inner = 2; }
message Scalar { string book = 1; google.protobuf.FieldMask mask = 2; }
message Either { Book book = 1; oneof how { google.protobuf.FieldMask mask = 2; bool all = 3; } }

service S {
  rpc Patch(Update) returns (Update) {
    option (google.api.http) = {
      patch: "/v1/{book.name=books/*}" body: "book"
      additional_bindings { put: "/v1/{book.name=books/*}" body: "book" }
      additional_bindings { post: "/v1/{book.name=books/*}:patch" body: "book" }
      additional_bindings { patch: "/v1/whole" body: "*" }
      additional_bindings { patch: "/v1/none" }
      additional_bindings { patch: "/v1/by/{update_mask}" body: "book" }
    };
  }
  rpc Two(Two) returns (Two) { option (google.api.http) = { patch: "/two" body: "book" }; }
  rpc Many(Many) returns (Many) { option (google.api.http) = { patch: "/many" body: "book" }; }
  rpc Nested(Nested) returns (Nested) { option (google.api.http) = { patch: "/nested" body: "book" }; }
  rpc Scalar(Scalar) returns (Scalar) { option (google.api.http) = { patch: "/scalar" body: "book" }; }
  rpc Either(Either) returns (Either) { option (google.api.http) = { patch: "/either" body: "book" }; }
}
"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The paths of the mask as they went over the wire; none if there was no mask.
fn mask(site: &Site, target: &str, kind: (&str, &str), body: &str) -> Option<Vec<String>> {
    let message = site.seen("PATCH", target, &[kind], body.as_bytes()).decode();
    if !message.has_field_by_name("update_mask") {
        return None;
    }
    let mask = message.get_field_by_name("update_mask")?;
    let paths = mask.as_message()?.get_field_by_name("paths")?.into_owned();
    Some(paths.as_list()?.iter().filter_map(|path| path.as_str().map(str::to_owned)).collect())
}

#[test]
fn an_absent_mask_is_filled_from_the_body() {
    let site = Site::plain(PROTO);
    let cases: &[(&str, &[&str])] = &[
        (r#"{"pageTitle":"x"}"#, &["page_title"]),
        (r#"{"page_title":"x","tags":["a"]}"#, &["page_title", "tags"]),
        (
            r#"{"price":{"minorUnits":"5","net":{"currency":"EUR"}}}"#,
            &["price.minor_units", "price.net.currency"],
        ),
        (r#"{"price":null,"pageTitle":null}"#, &["price", "page_title"]),
        (r#"{"price":{},"pageTitle":""}"#, &["price", "page_title"]),
        (r#"{"prices":[{"currency":"EUR"}],"byShop":{"a":{"currency":"EUR"}}}"#, &["prices", "by_shop"]),
        (r#"{"publishTime":"2001-02-03T04:05:06Z"}"#, &["publish_time"]),
        // What the path sets is the body's only if it says so itself.
        (r#"{"name":"books/1"}"#, &["name"]),
        ("{}", &[]),
        ("", &[]),
        ("null", &[]),
    ];
    for (body, want) in cases {
        assert_eq!(mask(&site, "/v1/books/1", JSON, body).unwrap(), *want, "{body}");
    }
    let seen = site.seen("PATCH", "/v1/books/1?strict=true", &[JSON], br#"{"pageTitle":"x"}"#);
    let want: Value =
        json!({ "book": { "name": "books/1", "pageTitle": "x" }, "updateMask": "pageTitle", "strict": true });
    assert_eq!(seen.json(), want);
}

#[test]
fn forms_fill_it_too() {
    let site = Site::plain(PROTO);
    let cases: &[(&str, &[&str])] = &[
        ("pageTitle=x&tags=a&tags=b", &["page_title", "tags"]),
        ("price.net.currency=EUR&price.minor_units=5", &["price.net.currency", "price.minor_units"]),
        ("publishTime=2001-02-03T04:05:06Z&name=x", &["publish_time", "name"]),
        ("publishTime.seconds=1&publishTime.nanos=2", &["publish_time"]),
        ("", &[]),
    ];
    for (body, want) in cases {
        assert_eq!(mask(&site, "/v1/books/1", FORM, body).unwrap(), *want, "{body}");
    }
}

#[test]
fn a_mask_that_is_given_stands() {
    let site = Site::plain(PROTO);
    let body = r#"{"pageTitle":"x"}"#;
    let paths = |target: &str| mask(&site, target, JSON, body).unwrap();
    assert_eq!(paths("/v1/books/1?updateMask=price,tags"), ["price", "tags"]);
    assert_eq!(paths("/v1/books/1?update_mask=*"), ["*"]);
    assert!(paths("/v1/books/1?updateMask=").is_empty());
    assert_eq!(paths("/v1/books/1?updateMask.paths=price"), ["price"]);
    assert_eq!(paths("/v1/by/tags"), ["tags"]);
}

#[test]
fn only_such_a_patch_has_one() {
    let site = Site::plain(PROTO);
    let body = r#"{"pageTitle":"x"}"#;
    for (method, target) in [("PUT", "/v1/books/1"), ("POST", "/v1/books/1:patch")] {
        let seen = site.seen(method, target, &[JSON], body.as_bytes());
        assert_eq!(seen.json(), json!({ "book": { "name": "books/1", "pageTitle": "x" } }), "{method}");
    }
    let whole = site.seen("PATCH", "/v1/whole", &[JSON], br#"{"book":{"pageTitle":"x"}}"#);
    assert_eq!(whole.json(), json!({ "book": { "pageTitle": "x" } }));
    assert_eq!(site.seen("PATCH", "/v1/none", &[JSON], b"").json(), json!({}));
    for target in ["/two", "/many", "/nested", "/either"] {
        let seen = site.seen("PATCH", target, &[JSON], body.as_bytes());
        assert_eq!(seen.json(), json!({ "book": { "pageTitle": "x" } }), "{target}");
    }
    assert_eq!(site.seen("PATCH", "/scalar", &[JSON], b"\"x\"").json(), json!({ "book": "x" }));
}

#[test]
fn members_that_are_ignored_are_not_in_it() {
    let site = Site::plain(PROTO);
    site.call("PATCH", "/v1/books/1", &[JSON], br#"{"nobody":1}"#).assert_fault(
        400,
        "UNKNOWN_FIELD",
        Some("book.nobody"),
    );
    let lax = Site::with(PROTO, "request: { unknown_members: ignore, unknown_parameters: ignore }");
    assert_eq!(mask(&lax, "/v1/books/1", JSON, r#"{"nobody":{"a":1},"tags":[]}"#).unwrap(), ["tags"]);
    assert_eq!(mask(&lax, "/v1/books/1", FORM, "nobody=1&tags=a").unwrap(), ["tags"]);
}
