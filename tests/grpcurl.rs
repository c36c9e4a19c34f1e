//! grpcurl lists, describes and calls the example through the gateway, with nothing but its address. Needs grpcurl:
//! without it the test says that it was skipped, and fails where `CI` is set.

#[path = "../examples/bookstore/backend.rs"]
mod backend;
mod support;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backend::Backend;
use serde_json::{Deserializer, Value, json};
use support::{Authority, Gateway, metric};

/// Where grpcurl is: in the `PATH`, or where `go install` puts it.
fn grpcurl() -> Option<PathBuf> {
    let in_home = |folder: &str| std::env::home_dir().map(|home| home.join(folder).join("grpcurl"));
    let places = [Some(PathBuf::from("grpcurl")), in_home("go/bin")];
    let runs = |program: &PathBuf| Command::new(program).arg("-version").output().is_ok();
    places.into_iter().flatten().find(runs)
}

/// grpcurl before one gateway.
struct Client {
    program: PathBuf,
    address: SocketAddr,
    /// `-plaintext`, or what TLS needs.
    transport: Vec<String>,
}

impl Client {
    /// What it prints when it ends well.
    fn run(&self, input: &str, flags: &[&str], words: &[&str]) -> String {
        let (good, out, err) = self.try_run(input, flags, words);
        assert!(good, "{words:?}\n{out}\n{err}");
        out
    }

    /// How it ends, and what it prints to both outputs.
    fn try_run(&self, input: &str, flags: &[&str], words: &[&str]) -> (bool, String, String) {
        let mut child = Command::new(&self.program)
            .args(["-max-time", "30"])
            .args(&self.transport)
            .args(flags)
            .arg(self.address.to_string())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("grpcurl runs");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    /// The messages that a call answers with.
    fn call(&self, method: &str, messages: &[Value]) -> Vec<Value> {
        let input: String = messages.iter().map(|message| format!("{message}\n")).collect();
        let out = self.run(&input, &["-d", "@"], &[method]);
        Deserializer::from_str(&out).into_iter().map(|message| message.expect("JSON")).collect()
    }
}

#[tokio::test]
async fn it_lists_describes_and_calls_the_example() {
    let Some(program) = grpcurl() else {
        assert!(std::env::var_os("CI").is_none(), "grpcurl is missing, and CI must have it");
        eprintln!("skipped: there is no grpcurl");
        return;
    };
    let backend = Backend::start().await.expect("a free port");
    let address = backend.address();
    // The backend lives on this thread, so what waits for it must not.
    tokio::task::spawn_blocking(move || talk(program, address)).await.expect("it went well");
}

fn talk(program: PathBuf, backend: SocketAddr) {
    let descriptors = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/bookstore.binpb");
    let yaml = format!(
        "listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
         schema: {{ descriptors: {} }}\n\
         upstreams: {{ bookstore: {{ endpoints: [http://{backend}] }} }}\n\
         access_log: off\n",
        descriptors.display()
    );
    let gateway = Gateway::start(&yaml, Path::new(""));
    let client = Client { program, address: gateway.address, transport: vec!["-plaintext".to_owned()] };
    lists_and_describes(&client);
    calls(&client);
    streams(&client, "plain");
}

#[tokio::test]
async fn it_shows_a_certificate_over_tls() {
    let Some(program) = grpcurl() else {
        assert!(std::env::var_os("CI").is_none(), "grpcurl is missing, and CI must have it");
        eprintln!("skipped: there is no grpcurl");
        return;
    };
    let backend = Backend::start().await.expect("a free port");
    let address = backend.address();
    tokio::task::spawn_blocking(move || talk_over_tls(&program, address)).await.expect("it went well");
}

fn talk_over_tls(program: &Path, backend: SocketAddr) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (servers, clients) = (Authority::new(), Authority::new());
    fs::write(file("servers.pem"), &servers.pem).expect("written");
    fs::write(file("clients.pem"), &clients.pem).expect("written");
    for (name, signed) in [
        ("server", servers.sign(&["127.0.0.1"])),
        ("client", clients.sign(&["client.test"])),
        ("stranger", servers.sign(&["client.test"])),
    ] {
        fs::write(file(&format!("{name}.crt")), signed.cert).expect("written");
        fs::write(file(&format!("{name}.key")), signed.key).expect("written");
    }
    let descriptors = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/bookstore.binpb");
    let yaml = format!(
        "listeners:\n  public:\n    address: 127.0.0.1:0\n    \
           tls: {{ cert: server.crt, key: server.key, client: {{ roots: clients.pem }} }}\n\
         schema: {{ descriptors: {} }}\n\
         upstreams: {{ bookstore: {{ endpoints: [http://{backend}] }} }}\n\
         admin: {{ address: '127.0.0.1:0' }}\n\
         access_log: off\n",
        descriptors.display()
    );
    let gateway = Gateway::start(&yaml, folder.path());
    let refused = |gateway: &Gateway| metric(&gateway.metrics(), "transom_tls_handshake_failures_total");
    let client = |shows: Option<&str>| {
        let mut transport = vec!["-cacert".to_owned(), file("servers.pem")];
        if let Some(name) = shows {
            let (cert, key) = (file(&format!("{name}.crt")), file(&format!("{name}.key")));
            transport.extend(["-cert".to_owned(), cert, "-key".to_owned(), key]);
        }
        Client { program: program.to_owned(), address: gateway.address, transport }
    };
    let known = client(Some("client"));
    lists_and_describes(&known);
    calls(&known);
    streams(&known, "tls");
    for nobody in [None, Some("stranger")] {
        let before = refused(&gateway);
        // It tries again for as long as it may, and says no more than that.
        let (good, out, error) = client(nobody).try_run("", &["-connect-timeout", "2"], &["list"]);
        assert!(!good && out.is_empty(), "{nobody:?}: {out} {error}");
        assert!(refused(&gateway) > before, "{nobody:?}: {error}");
    }
}

fn lists_and_describes(client: &Client) {
    let listed = client.run("", &[], &["list"]);
    let services = [
        "bookstore.v1.Bookstore",
        "bookstore.v1.ReadingRoom",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), services);
    let methods = client.run("", &[], &["list", "bookstore.v1.ReadingRoom"]);
    assert!(methods.lines().any(|method| method == "bookstore.v1.ReadingRoom.Discuss"), "{methods}");
    let described = client.run("", &[], &["describe", "bookstore.v1.ReadingRoom.StreamBooks"]);
    for want in [
        "returns ( stream .bookstore.v1.Book )",
        "(.google.api.http)",
        "get: \"/v1/{parent=shelves/*}/books:stream\"",
    ] {
        assert!(described.contains(want), "{want}\nis missing in\n{described}");
    }
    for symbol in services.iter().chain(&["bookstore.v1.Book", "google.rpc.ErrorInfo", "google.api.http"]) {
        assert!(client.run("", &[], &["describe", symbol]).contains(symbol), "{symbol}");
    }
}

fn calls(client: &Client) {
    let name = json!({ "name": "shelves/fiction/books/middlemarch" });
    let books = client.call("bookstore.v1.Bookstore/GetBook", &[name]);
    assert_eq!(books.len(), 1);
    assert_eq!(books[0]["title"], "Middlemarch");

    let nobody = r#"{"name":"shelves/fiction/books/nobody"}"#;
    let (good, _, error) = client.try_run(nobody, &["-d", "@"], &["bookstore.v1.Bookstore/GetBook"]);
    assert!(!good);
    // Details travel in metadata; grpcurl finds their types by reflection.
    for want in ["Code: NotFound", "there is no book", "google.rpc.ErrorInfo", "NO_SUCH_RESOURCE"] {
        assert!(error.contains(want), "{want}\nis missing in\n{error}");
    }
    let healthy = json!({ "service": "bookstore.v1.Bookstore" });
    let health = client.call("grpc.health.v1.Health/Check", &[healthy]);
    assert_eq!(health, [json!({ "status": "SERVING" })]);
}

/// `new` is a name that the bookstore doesn't have.
fn streams(client: &Client, new: &str) {
    let down = client.call("bookstore.v1.ReadingRoom/StreamBooks", &[json!({ "parent": "shelves/fiction" })]);
    let titles: Vec<&str> = down.iter().filter_map(|book| book["title"].as_str()).collect();
    assert_eq!(titles, ["Frankenstein", "The Left Hand of Darkness", "Middlemarch", "Moby-Dick"]);

    let imported = [
        json!({ "parent": "shelves/computing", "book": { "title": "One" }, "bookId": format!("{new}-one") }),
        json!({ "book": { "title": "Two" }, "bookId": format!("{new}-two") }),
    ];
    let up = client.call("bookstore.v1.ReadingRoom/ImportBooks", &imported);
    assert_eq!(up.len(), 1);
    let handled = |key: &str| up[0][key].as_array().map_or(0, Vec::len);
    assert_eq!(handled("names") + handled("failures"), 2, "{up:?}");

    let talk = [
        json!({ "name": "shelves/fiction/books/moby-dick", "join": "ann" }),
        json!({ "say": "Call me Ishmael." }),
        json!({ "leave": true }),
    ];
    let both = client.call("bookstore.v1.ReadingRoom/Discuss", &talk);
    let said: Vec<&Value> =
        both.iter().filter(|remark| remark.to_string().contains("Call me Ishmael.")).collect();
    assert_eq!(said.len(), 1, "{both:?}");
}
