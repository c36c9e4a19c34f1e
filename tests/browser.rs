//! A real browser reads a stream by `EventSource`. Needs chromium: without it the test says that it was skipped, and fails
//! where `CI` is set.

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

/// Where the page stands: the gateway serves it itself, as a raw body that was stored before.
const PLACE: &str = "/v1/shelves/fiction/books/middlemarch/sample";

fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

#[tokio::test]
async fn an_event_source_reads_a_stream() {
    let Some(browser) = browser() else {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing, and CI must have it");
        eprintln!("skipped: there is no chromium");
        return;
    };
    let backend = Backend::start().await.expect("a free port");
    let address = backend.address();
    // The backend lives on this thread, so what waits for it must not.
    let text = tokio::task::spawn_blocking(move || visit(browser, address)).await.expect("it ran");
    for title in ["all: ", "Frankenstein", "Middlemarch", "Moby-Dick"] {
        assert!(text.contains(title), "{title} is missing in {text}");
    }
}

/// The text of the page, once the browser is done with it.
fn visit(browser: &str, backend: SocketAddr) -> String {
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
    let html = [("content-type", "text/html")];
    assert_eq!(call(gateway.address, "PUT", PLACE, &html, PAGE.as_bytes()).status, 200);
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
        // Time in the page goes on only while nothing is under way, so this is no race.
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("http://{}{PLACE}", gateway.address))
        .output()
        .expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
