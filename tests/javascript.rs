//! The JavaScript clients of Connect, gRPC and gRPC-Web, from Node.js and from pages in a browser; `clients/node.js` and
//! `clients/browser.js` have what they do. Needs Node.js, chromium and what `clients/install` installs: without them the
//! tests say that they were skipped, and fail where `CI` is set.

#[path = "../examples/bookstore/backend.rs"]
mod backend;
mod clients;
mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};

use axum::Router;
use axum::routing::{get, post};
use clients::{Place, Sites, bundle, run};
use serde_json::{Value, json};
use support::{Host, PATIENCE};

#[test]
fn connect_node_and_grpc_js_call_through_the_gateway() {
    let place = Place::new("compression: on, limits: { body: 1MiB }");
    let script = place.folder().join("node.cjs");
    if bundle("node.js", "node", &script).is_none() {
        return;
    }
    let mut command = Command::new("node");
    command.arg(&script).arg(place.told().to_string());
    let said = run(command);
    let end: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).expect("its last word");
    assert!(end["checks"].as_u64() > Some(0), "{said}");
    let left = end["left"].as_u64().and_then(|left| usize::try_from(left).ok());
    place.wait_left(left.expect("a number"));
}

/// What a browser is shown: the script, and a page for it that knows where it is.
#[derive(Default)]
struct Shown {
    script: String,
    page: String,
}

/// Serves a page, and takes what its script tells.
struct Pages {
    host: Host,
    shown: Arc<OnceLock<Shown>>,
    told: mpsc::Receiver<String>,
}

impl Pages {
    fn start() -> Self {
        let shown = Arc::<OnceLock<Shown>>::default();
        let (tell, told) = mpsc::channel();
        let (page, script) = (Arc::clone(&shown), Arc::clone(&shown));
        let get = |shown: Arc<OnceLock<Shown>>, content_type: &'static str, part: fn(&Shown) -> &String| {
            get(async move || {
                let text = shown.get().map(|shown| part(shown).clone()).unwrap_or_default();
                ([("content-type", content_type)], text)
            })
        };
        let router = Router::new()
            .route("/", get(page, "text/html; charset=utf-8", |shown| &shown.page))
            .route("/script.js", get(script, "text/javascript; charset=utf-8", |shown| &shown.script))
            .route("/told", post(async move |text: String| drop(tell.send(text))));
        let host =
            Host::anywhere(|listener| async { axum::serve(listener, router).await.expect("it serves") });
        Self { host, shown, told }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.host.address)
    }
}

/// A browser, for as long as this lives.
struct Browser(Child);

impl Browser {
    fn open(program: &str, url: &str, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // The certificate is signed by nobody whom a browser knows.
            .arg("--ignore-certificate-errors")
            .arg(format!("--user-data-dir={}", folder.display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("it runs"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing, and CI must have it");
        eprintln!("skipped: there is no chromium");
    }
    found
}

#[test]
fn pages_of_listed_origins_call_from_a_browser_and_others_can_not() {
    let Some(program) = browser() else { return };
    let (page, stranger) = (Pages::start(), Pages::start());
    let place = Place::new(&format!("cors: {{ origins: ['{}'] }}", page.origin()));
    let bundled = place.folder().join("browser.js");
    if bundle("browser.js", "browser", &bundled).is_none() {
        return;
    }
    let script = std::fs::read_to_string(&bundled).expect("it was written");
    let Sites { plain, secure } = place.sites();
    // The second by HTTP/2, as browsers speak it only by TLS.
    let sites = [format!("http://{plain}"), format!("https://{secure}")];
    let descriptors = std::fs::read(place.told()["bookstore"].as_str().expect("a path")).expect("a set");
    let descriptors = base64_simd::STANDARD.encode_to_string(descriptors);
    for (pages, allowed, want) in [(&page, true, "8 checks"), (&stranger, false, "2 checks")] {
        let known = json!({ "sites": sites, "allowed": allowed, "descriptors": descriptors });
        let page = format!(
            "<!doctype html><meta charset=utf-8><title>t</title>\
             <script>window.place = {known}</script><script src=/script.js></script>"
        );
        let shown = Shown { script: script.clone(), page };
        assert!(pages.shown.set(shown).is_ok(), "it is set once");
        let profile = place.folder().join(if allowed { "page" } else { "stranger" });
        let _browser = Browser::open(program, &pages.origin(), &profile);
        let told = pages.told.recv_timeout(2 * PATIENCE).expect("the page tells how it went");
        assert_eq!(told, format!("{want} went well"));
    }
}
