//! HTTP rules in annotations: what is bound, and every fault that a rule can have.

use super::*;

#[test]
fn binds_what_annotations_say() {
    let inputs = Inputs::new(&[(
        "shop.proto",
        &api(r#"
        rpc Get(Request) returns (Book) {
          option (google.api.http) = {
            get: "/v1/{book.name=shelves/*/books/*}"
            additional_bindings { get: "/v1/{id}/{at}/{count}/{shade}/{raw}" response_body: "author" }
            additional_bindings { get: "/v2/{opt}/{other}/{thing.name}/{thing.author.name}" }
            additional_bindings { get: "/v3/{tags}/{book.author.titles=*}" }
          };
        }
        rpc Put(Request) returns (Book) {
          option (google.api.http) = { put: "/v1/{book.name}" body: "book" };
        }
        rpc Patch(Request) returns (Book) {
          option (google.api.http) = { patch: "/v1/{id}:touch" body: "*" };
        }
        rpc Drop(Request) returns (Book) { option (google.api.http) = { delete: "/v1/{id}" }; }
        rpc Head(Request) returns (Book) {
          option (google.api.http) = { custom { kind: "HEAD" path: "/v1" } };
        }
        rpc Any(stream Request) returns (stream Book) {
          option (google.api.http) = { custom { kind: "*" path: "/v1/any/{id}" } body: "tags" };
        }
        rpc Plain(Request) returns (Book);
        "#),
    )]);
    let (schema, warnings) = loaded(&inputs.sources());
    assert_told(&warnings, &[]);
    assert_eq!(
        shown(&schema),
        [
            "Get: GET /v1/{book.name=shelves/*/books/*}",
            "Get: GET /v1/{id}/{at}/{count}/{shade}/{raw} -> author",
            "Get: GET /v2/{opt}/{other}/{thing.name}/{thing.author.name}",
            "Get: GET /v3/{tags}/{book.author.titles=*}",
            "Put: PUT /v1/{book.name} book",
            "Patch: PATCH /v1/{id}:touch *",
            "Drop: DELETE /v1/{id}",
            "Head: HEAD /v1",
            "Any: * /v1/any/{id} tags",
        ]
    );
    let fields: Vec<&str> = schema.bindings[0].variables[0].iter().map(FieldDescriptor::full_name).collect();
    assert_eq!(fields, ["shop.v1.Request.book", "shop.v1.Book.name"]);
    let any = &schema.methods[schema.bindings[8].method];
    assert_eq!((any.path.as_str(), any.service()), ("/shop.v1.Books/Any", "shop.v1.Books"));
    assert!(any.client_streaming && any.server_streaming);
    assert_eq!(schema.methods.len(), 7);
}

#[test]
fn default_bindings_are_for_methods_without_a_rule() {
    let methods = r#"
        rpc Get(Request) returns (Book) { option (google.api.http) = { get: "/v1/{id}" }; }
        rpc Plain(Request) returns (Book);
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    let settings = SchemaSettings { default_bindings: true, ..inputs.sources() };
    let (schema, _) = loaded(&settings);
    assert_eq!(shown(&schema), ["Get: GET /v1/{id}", "Plain: POST /shop.v1.Books/Plain * (default)"]);
}

#[test]
fn services_choose_methods_before_templates_are_compared() {
    let methods = r#"
        rpc One(Request) returns (Book) { option (google.api.http) = { get: "/v1/{id}" }; }
        rpc Two(Request) returns (Book) { option (google.api.http) = { get: "/v1/{raw}" }; }
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    let with = |selectors: &[&str]| SchemaSettings {
        services: selectors.iter().map(|text| Selector::parse(text).unwrap()).collect(),
        ..inputs.sources()
    };
    let (schema, _) = loaded(&with(&["shop.v1.Books/Two"]));
    assert_eq!(shown(&schema), ["Two: GET /v1/{raw}"]);
    assert_eq!(schema.methods.len(), 1);
    assert_told(
        &refused(&with(&["shop.v1.Books/Tow", "shop.v1.Boks/*", "shop.v2.*", "shop.v1.Books/One"])),
        &[
            &["`shop.v1.Books/Tow` matches no method", "did you mean `shop.v1.Books/Two`?"],
            &["`shop.v1.Boks/*` matches no method", "did you mean `shop.v1.Books/*`?"],
            &["`shop.v2.*` matches no method", "did you mean `shop.v1.*`?"],
        ],
    );
}

#[test]
fn the_first_of_two_templates_can_win() {
    let methods = r#"
        rpc One(Request) returns (Book) { option (google.api.http) = { get: "/v1/{id}" }; }
        rpc Two(Request) returns (Book) { option (google.api.http) = {
          get: "/v1/{book.name=*}"
          additional_bindings { post: "/v1/{id}" }
        }; }
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    let settings = SchemaSettings { same_template: SameTemplate::FirstWins, ..inputs.sources() };
    let (schema, warnings) = loaded(&settings);
    assert_eq!(shown(&schema), ["One: GET /v1/{id}", "Two: POST /v1/{id}"]);
    assert_told(
        &warnings,
        &[&["warning", "`shop.v1.Books.One` comes first", "`shop.v1.Books.Two`", "/v1/{book.name=*}"]],
    );
}

/// A rule, and what must be said about it.
const FAULTS: &[(&str, &[&[&str]])] = &[
    (r#"get: "v1""#, &[&["`shop.v1.Books.Do`", "starts with a slash", "shop.v1.Books.Do:1:1", "^"]]),
    (r#"get: """#, &[&["`shop.v1.Books.Do` has an HTTP rule whose path is empty"]]),
    (r#"get: "/v1/{id""#, &[&["not closed", "/v1/{id", "close the variable"]]),
    (r#"get: "/v1/{ids}""#, &[&["`shop.v1.Request` has no field `ids`", ":1:6", "did you mean `id`?"]]),
    (
        r#"get: "/v1/{book.pageCount}""#,
        &[&["`shop.v1.Book` has no field `pageCount`", ":1:11", "^^^^^^^^^", "write `page_count`"]],
    ),
    (r#"get: "/v1/{zzz}""#, &[&["no field `zzz`", "its fields are id, book, tags"]]),
    (r#"get: "/v1/{empty.x}""#, &[&["`shop.v1.Empty` has no field `x`", "no fields at all"]]),
    (r#"get: "/v1/{books}""#, &[&["`books` is a list of messages", "query or the body"]]),
    (r#"get: "/v1/{tags.x}""#, &[&["`tags` is repeated", "which of its elements"]]),
    (r#"post: "/v1/{tags}" body: "tags""#, &[&["takes `tags` from the path and from the body"]]),
    (r#"get: "/v1/{shelf}""#, &[&["`shelf` is a map"]]),
    (r#"get: "/v1/{books.name}""#, &[&["`books` is repeated", "which of its elements"]]),
    (r#"get: "/v1/{book}""#, &[&["the message `shop.v1.Book`", "as in `{book.name}`"]]),
    (r#"get: "/v1/{empty}""#, &[&["the message `shop.v1.Empty`", "query or the body"]]),
    (r#"get: "/v1/{id.x}""#, &[&["`id` is of type string", "end the field path here"]]),
    (r#"get: "/v1/{shade.x}""#, &[&["`shade` is the enum `shop.v1.Shade`"]]),
    (r#"get: "/v1/{at.seconds}""#, &[&["`at` is a `google.protobuf.Timestamp`"]]),
    (r#"get: "/v1/{id}/{id}""#, &[&["give each field to one variable"]]),
    (
        r#"get: "/v1/{isbn}/{thing.name}""#,
        &[&["two members of the oneof `kind`", "`isbn` and `thing`", ":1:12"]],
    ),
    (r#"post: "/v1" body: "bok""#, &[&["body that is no field", "bok", "did you mean `book`?"]]),
    (r#"post: "/v1" body: "book.name""#, &[&["a nested field, `book.name`"]]),
    (r#"post: "/v1/{id}" body: "id""#, &[&["takes `id` from the path and from the body"]]),
    (r#"post: "/v1" response_body: "nam""#, &[&["response body that is no field", "`name`?"]]),
    (r#"post: "/v1" response_body: "*""#, &[&["response body `*`", "leave it out"]]),
    (r#"body: "*""#, &[&["without a pattern", "give it one of get"]]),
    (r#"custom { kind: "a b" path: "/v1" }"#, &[&["`kind` is no HTTP method", "a b"]]),
    (
        r#"get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }"#,
        &[&["additional bindings inside an additional binding"]],
    ),
    (
        r#"get: "/v1/{id}" additional_bindings { get: "/v1/{raw}" }"#,
        &[&["binds GET to the same template twice", "/v1/{id}", "/v1/{raw}"]],
    ),
    (
        r#"get: "/v1/{ids}" body: "bok" response_body: "nam""#,
        &[&["no field `ids`"], &["no field `bok`"], &["no field `nam`"]],
    ),
];

#[test]
fn faults_of_single_rules() {
    for (rule, wanted) in FAULTS {
        let method = format!("rpc Do(Request) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }}");
        let inputs = Inputs::new(&[("shop.proto", &api(&method))]);
        assert_told(&refused(&inputs.sources()), wanted);
    }
}

#[test]
fn streams_need_a_body() {
    let methods = r#"
        rpc A(stream Request) returns (Book) { option (google.api.http) = { get: "/a" }; }
        rpc B(stream Request) returns (Book) { option (google.api.http) = { post: "/b" }; }
        rpc C(stream Request) returns (Book) { option (google.api.http) = { get: "/c" body: "*" }; }
        rpc D(Request) returns (stream Book) { option (google.api.http) = {
          get: "/d" response_body: "author"
        }; }
        rpc E(stream Request) returns (Book) { option (google.api.http) = {
          post: "/e/{id}" body: "*"
        }; }
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    let wanted = "takes a stream of messages, but this binding has no body";
    assert_told(
        &refused(&inputs.sources()),
        &[&["Books.A", wanted], &["Books.B", wanted], &["Books.C", wanted]],
    );
}

#[test]
fn a_body_where_few_send_one_is_a_warning() {
    let methods = r#"
        rpc A(Request) returns (Book) { option (google.api.http) = { get: "/a" body: "*" }; }
        rpc B(Request) returns (Book) { option (google.api.http) = { delete: "/b" body: "book" }; }
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    let (schema, warnings) = loaded(&inputs.sources());
    assert_eq!(schema.bindings.len(), 2);
    assert_told(
        &warnings,
        &[
            &["warning", "Books.A` takes a body with GET"],
            &["warning", "Books.B` takes a body with DELETE", "book"],
        ],
    );
}

#[test]
fn ten_faults_are_told_at_once() {
    let rules = [
        ("get: \"/v1/{ids}\"", "no field `ids`"),
        ("get: \"v2\"", "starts with a slash"),
        ("get: \"/v3/{books}\"", "is a list of messages"),
        ("get: \"/v4/{book}\"", "the message `shop.v1.Book`"),
        ("post: \"/v5\" body: \"bok\"", "no field `bok`"),
        ("post: \"/v6/{id}\" body: \"id\"", "from the path and from the body"),
        ("post: \"/v7\" response_body: \"nam\"", "no field `nam`"),
        ("body: \"*\"", "without a pattern"),
        ("get: \"/v9/{id\"", "not closed"),
        ("get: \"/same/{id}\"", ""),
        ("get: \"/same/{raw}\"", "`shop.v1.Books.M9` and `shop.v1.Books.M10`"),
    ];
    let methods: String = rules
        .iter()
        .enumerate()
        .map(|(n, (rule, _))| {
            format!("rpc M{n}(Request) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }}\n")
        })
        .collect();
    let inputs = Inputs::new(&[("shop.proto", &api(&methods))]);
    let fragments: Vec<[&str; 1]> =
        rules.iter().filter(|(_, said)| !said.is_empty()).map(|(_, said)| [*said]).collect();
    let wanted: Vec<&[&str]> = fragments.iter().map(<[&str; 1]>::as_slice).collect();
    assert_eq!(wanted.len(), 10);
    assert_told(&refused(&inputs.sources()), &wanted);
}
