//! The gateway as a tower service inside of somebody else's program.

mod support;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use http_body::Body as _;
use serde_json::{Value, json};
use support::{Answer, Backend, Behaviour, Choices, Live, PATIENCE, Schema};
use tower::ServiceExt;
use transom::{Gateway, config};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message M { string a = 1; }
service S {
  rpc Down(M) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/down" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p/{a}" body: "*" }; }
}
"#;

/// The gateway before this backend, by its first listener's choices.
fn gateway(schema: &Schema, backend: SocketAddr, listener: &str) -> Gateway {
    let choices = Choices { listener, ..Choices::default() };
    let parsed = config::parse(&choices.yaml(schema, backend), schema.folder());
    let (settings, _) = parsed.unwrap_or_else(|problems| panic!("{problems}"));
    let (gateway, _) = Gateway::new(&settings).unwrap_or_else(|problems| panic!("{problems}"));
    gateway
}

/// Sends one request to an app; gives status and JSON.
async fn call(app: &Router, method: &str, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    let reply = app.clone().oneshot(request).await.expect("an app does not fail");
    let status = reply.status();
    let body = axum::body::to_bytes(reply.into_body(), usize::MAX).await.expect("a whole body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn an_app_can_fall_back_on_it() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    let own = get(|| async { "\"mine\"" });
    let app = Router::new().route("/own", own).fallback_service(gateway(
        &schema,
        backend.address,
        "errors: status",
    ));
    assert_eq!(call(&app, "GET", "/own").await, (StatusCode::OK, json!("mine")));
    assert_eq!(call(&app, "POST", "/p/x").await, (StatusCode::OK, json!({ "a": "x" })));
    let (status, error) = call(&app, "GET", "/nothing").await;
    assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!(5)));
    assert_eq!(backend.only().json(), json!({ "a": "x" }));
}

/// Remembers that it was told to poll again.
#[derive(Default)]
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_backend_that_sends_much_and_says_nothing_leaves_others_their_turn() {
    let schema = Schema::new(PROTO);
    // Without an end, and without a byte that would be passed on.
    let backend = Live::start(|_| Behaviour::Endless(0));
    let request = Request::builder().uri("/down").body(Body::empty()).expect("a request");
    let reply = gateway(&schema, backend.address, "").oneshot(request).await.expect("it does not fail");
    assert_eq!(reply.status(), StatusCode::OK);
    let mut body = reply.into_body();
    let began = std::time::Instant::now();
    loop {
        let told = Arc::new(Told::default());
        let waker = Waker::from(Arc::clone(&told));
        let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending), "{polled:?}");
        // It stops though there is more, and asks for a further turn.
        if told.0.load(Ordering::SeqCst) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it never stops before all is read");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
