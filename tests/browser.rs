//! A real browser reads a stream by `EventSource`, and talks over a WebSocket as docs/websocket.md shows it. Needs chromium:
//! without it the tests say that they were skipped, and fail where `CI` is set.

#[path = "../examples/bookstore/backend.rs"]
mod backend;
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use backend::Backend;
use support::{Gateway, call};

/// The page puts the titles that it was sent into its text once the stream has said that it is over.
const PAGE: &str = r"<!doctype html><meta charset=utf-8><title>t</title><body>waiting</body><script>
const titles = [];
const source = new EventSource('/v1/shelves/fiction/books:stream');
source.onmessage = event => titles.push(JSON.parse(event.data).title);
source.addEventListener('end', () => { source.close(); document.body.textContent = 'all: ' + titles.join('; '); });
source.addEventListener('error', event => { document.body.textContent = 'error ' + event.data; });
</script>";

/// Puts what the script of the document logs into its text, and leaves after the first remark.
fn websocket_page(gateway: SocketAddr) -> String {
    let document = include_str!("../docs/websocket.md");
    let script = document.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
    let script = script.expect("the document has a script").replace("127.0.0.1:8080", &gateway.to_string());
    format!(
        r"<!doctype html><meta charset=utf-8><title>t</title><body>waiting</body><script>
const lines = [];
// A page that waits for a frame isn't loaded, and the browser shows it once it is.
const text = document.body.appendChild(document.createElement('p'));
const slow = document.createElement('iframe');
slow.src = '/v1/shelves/fiction/books:stream?pace=5s';
document.body.append(slow);
console.log = (...words) => {{
  lines.push(words.map((word) => JSON.stringify(word)).join(' '));
  if (lines.length === 1) send({{ leave: true }});
  text.textContent = lines.join('; ');
  if (words[0] === 'ended') slow.remove();
}};
{script}
</script>"
    )
}

/// Where the page stands: the gateway serves it itself, as a raw body that was stored before.
const PLACE: &str = "/v1/shelves/fiction/books/middlemarch/sample";

fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// Time in the page goes on only while no request is under way, so this is no race.
const BUDGET: &str = "--virtual-time-budget=10000";

/// The text of the page, once a browser is done with it. None where there is no browser.
async fn shown(
    page: impl FnOnce(SocketAddr) -> String + Send + 'static,
    patience: &'static [&'static str],
) -> Option<String> {
    let Some(browser) = browser() else {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing, and CI must have it");
        eprintln!("skipped: there is no chromium");
        return None;
    };
    let backend = Backend::start().await.expect("a free port");
    let address = backend.address();
    // The backend lives on this thread, so what waits for it must not.
    Some(tokio::task::spawn_blocking(move || visit(browser, address, page, patience)).await.expect("it ran"))
}

#[tokio::test]
async fn an_event_source_reads_a_stream() {
    let Some(text) = shown(|_| PAGE.to_owned(), &[BUDGET]).await else { return };
    for title in ["all: ", "Frankenstein", "Middlemarch", "Moby-Dick"] {
        assert!(text.contains(title), "{title} is missing in {text}");
    }
}

#[tokio::test]
async fn the_script_of_the_document_talks_over_a_web_socket() {
    let Some(text) = shown(websocket_page, &[]).await else { return };
    for part in [r#""speaker":"Ishmael","text":"Call me""#, r#""ended" {"code":0,"status":"OK"}"#] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

/// Opens the page in the browser, before a gateway of its own.
fn visit(
    browser: &str,
    backend: SocketAddr,
    page: impl FnOnce(SocketAddr) -> String,
    patience: &[&str],
) -> String {
    let descriptors = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/bookstore.binpb");
    let yaml = format!(
        "listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
         schema: {{ descriptors: {} }}\n\
         upstreams: {{ bookstore: {{ endpoints: [http://{backend}] }} }}\n\
         access_log: off\n",
        descriptors.display()
    );
    let profile = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(&yaml, profile.path());
    let page = page(gateway.address);
    let html = [("content-type", "text/html")];
    assert_eq!(call(gateway.address, "PUT", PLACE, &html, page.as_bytes()).status, 200);
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
        .args(patience)
        .arg("--dump-dom")
        .arg(format!("http://{}{PLACE}", gateway.address))
        .output()
        .expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
