//! The program as its users run it: `check` and `routes` on files, with their output and exit status.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";

message Book { string name = 1; string title = 2; }
message CreateBook { string parent = 1; Book book = 2; }

service Books {
  rpc Get(Book) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" }; }
  rpc Create(CreateBook) returns (Book) {
    option (google.api.http) = { post: "/v1/{parent=shelves/*}/books" body: "book" };
  }
  rpc Watch(Book) returns (stream Book) {
    option (google.api.http) = {
      post: "/v1/books:watch" body: "*"
      additional_bindings { get: "/v1/books:watch" }
    };
  }
  rpc Hidden(stream Book) returns (stream Book);
}
"#;

const CONFIG: &str = "\
listeners:
  public: { address: 127.0.0.1:8080 }
schema: { protos: shop.proto }
upstreams:
  books: { endpoints: http://127.0.0.1:50051 }
";

/// What a run printed and how it ended.
struct Run {
    out: String,
    err: String,
    status: Option<i32>,
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "shop.proto", PROTO);
    write(folder.path(), "transom.yaml", CONFIG);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the file is written");
}

fn transom(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    command.current_dir(folder).args(line.split_ascii_whitespace()).env_remove("NO_COLOR");
    command
}

fn run(folder: &Path, line: &str) -> Run {
    let output = transom(folder, line).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    Run { out: text(output.stdout), err: text(output.stderr), status: output.status.code() }
}

const TABLE: &str = "\
METHOD  TEMPLATE                      RPC                   BODY  STREAMING
GET     /v1/books:watch               shop.v1.Books/Watch   -     server
POST    /v1/books:watch               shop.v1.Books/Watch   *     server
GET     /v1/{name=shelves/*/books/*}  shop.v1.Books/Get     -     -
POST    /v1/{parent=shelves/*}/books  shop.v1.Books/Create  book  -
";

#[test]
fn routes_prints_a_table_from_flags_and_from_a_configuration() {
    let folder = folder();
    for line in ["routes --proto shop.proto", "routes --config transom.yaml"] {
        let run = run(folder.path(), line);
        assert_eq!(run.out, TABLE, "{line}");
        assert_eq!(run.status, Some(0), "{line}");
        assert!(run.err.contains("warning: `shop.v1.Books/Hidden` has no HTTP rule"), "{line}\n{}", run.err);
    }
}

#[test]
fn routes_with_default_bindings_has_every_method() {
    let folder = folder();
    let run = run(folder.path(), "routes --proto shop.proto --default-bindings");
    let row = run.out.lines().find(|line| line.contains("shop.v1.Books/Hidden"));
    let cells: Vec<&str> = row.expect("there is a row").split_ascii_whitespace().collect();
    assert_eq!(cells, ["POST", "/shop.v1.Books/Hidden", "shop.v1.Books/Hidden", "*", "bidi"]);
    assert_eq!((run.err.as_str(), run.status), ("", Some(0)));
}

#[test]
fn routes_prints_only_what_is_selected() {
    let folder = folder();
    let run = run(folder.path(), "routes --proto shop.proto --service shop.v1.Books/Get");
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    assert!(run.out.contains("shop.v1.Books/Get"), "{}", run.out);
}

#[test]
fn routes_prints_json() {
    let folder = folder();
    let run = run(folder.path(), "routes --proto shop.proto --json");
    let got: serde_json::Value = serde_json::from_str(&run.out).expect("it is JSON");
    let rows: Vec<&serde_json::Value> = got.as_array().expect("it is an array").iter().collect();
    assert_eq!(rows.len(), 4);
    let want = serde_json::json!({
        "method": "GET",
        "template": "/v1/books:watch",
        "rpc": "shop.v1.Books/Watch",
        "body": null,
        "streaming": "server",
    });
    assert_eq!(*rows[0], want);
}

#[test]
fn routes_survives_a_reader_that_leaves() {
    let folder = folder();
    // More than a pipe holds, so that the program still writes when the reader is gone.
    let methods: String = (0..4000)
        .map(|index| {
            format!("  rpc M{index}(B) returns (B) {{ option (google.api.http) = {{ get: \"/v1/m{index}\" }}; }}\n")
        })
        .collect();
    let proto = format!(
        "syntax = \"proto3\"; package big; import \"google/api/annotations.proto\";\nmessage B {{}}\nservice S {{\n{methods}}}\n"
    );
    write(folder.path(), "big.proto", &proto);
    let mut command = transom(folder.path(), "routes --proto big.proto");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut first).expect("there is a line");
    drop(stdout);
    let mut err = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("it is UTF-8");
    assert!(first.starts_with("METHOD"), "{first}");
    assert_eq!((child.wait().expect("it ends").code(), err.as_str()), (Some(0), ""));
}

#[test]
fn check_sums_up_what_is_right() {
    let folder = folder();
    for line in ["check --config transom.yaml", "check --proto shop.proto --upstream http://127.0.0.1:50051"]
    {
        let run = run(folder.path(), line);
        assert_eq!(run.out, "ok: 4 methods, 4 bindings, 1 upstream\n", "{line}\n{}", run.err);
        assert_eq!(run.status, Some(0), "{line}");
    }
}

#[test]
fn check_prints_every_problem() {
    let folder = folder();
    let wrong = CONFIG.replace("address: 127", "adress: 127").replace("http://127", "htp://127");
    write(folder.path(), "wrong.yaml", &wrong);
    let run = run(folder.path(), "check --config wrong.yaml");
    for want in [
        "error: unknown key `adress` in `listeners.public`",
        "wrong.yaml:2:13",
        "^^^^^^",
        "did you mean `address`?",
        "wrong.yaml:5:23",
        "its scheme is neither http, https nor unix",
        "\n3 errors\n",
    ] {
        assert!(run.err.contains(want), "{want}\nis missing in\n{}", run.err);
    }
    assert!(!run.err.contains('\u{1b}'), "no colours into a pipe\n{}", run.err);
    assert_eq!((run.out.as_str(), run.status), ("", Some(1)));
}

#[test]
fn check_finds_what_only_the_schema_tells() {
    let folder = folder();
    write(folder.path(), "shop.proto", &PROTO.replace("{name=shelves/*/books/*}", "{nme=shelves/*}"));
    let run = run(folder.path(), "check --config transom.yaml");
    assert!(run.err.contains("nme") && run.err.contains("1 error"), "{}", run.err);
    assert_eq!((run.out.as_str(), run.status), ("", Some(1)));
}

#[test]
fn exit_status() {
    let folder = folder();
    for (line, status) in [
        ("", 2),
        ("serve", 2),
        ("check", 2),
        ("nonsense", 2),
        ("check --nonsense", 2),
        ("check --config transom.yaml --listen 127.0.0.1:1", 2),
        ("check --config missing.yaml", 1),
        ("check --proto missing.proto --upstream http://127.0.0.1:1", 1),
        ("check --proto shop.proto", 1),
        ("check --proto shop.proto --upstream http://127.0.0.1:1 --tls-cert missing.crt", 2),
        (
            "check --proto shop.proto --upstream http://127.0.0.1:1 --tls-cert missing.crt --tls-key missing.key",
            1,
        ),
        ("routes --proto missing.proto", 1),
        ("serve --config missing.yaml", 1),
        ("--help", 0),
        ("serve --help", 0),
        ("--version", 0),
    ] {
        let run = run(folder.path(), line);
        assert_eq!(run.status, Some(status), "transom {line}\n{}{}", run.out, run.err);
    }
}

#[test]
fn help_teaches() {
    let folder = folder();
    for (line, wants) in [
        ("--help", &["serve", "check", "routes", "Examples:", "Exit status"][..]),
        ("serve --help", &["--upstream <[SELECTOR=]URL>", "[default: 127.0.0.1:8080]", "Examples:"]),
        ("check --help", &["--config <FILE>", "Examples:"]),
        ("routes --help", &["--json", "--descriptors <PATH>", "[default: refuse]", "Examples:"]),
    ] {
        let run = run(folder.path(), line);
        for want in wants {
            assert!(run.out.contains(want), "{line}: {want}\nis missing in\n{}", run.out);
        }
    }
}
