//! The gateway as a tower service inside of somebody else's program.

mod support;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Backend, Choices, Schema};
use tower::ServiceExt;
use transom::{Gateway, config};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p/{a}" body: "*" }; }
}
"#;

/// The gateway before this backend, by its first listener's choices.
fn gateway(schema: &Schema, backend: &Backend, listener: &str) -> Gateway {
    let choices = Choices { listener, ..Choices::default() };
    let parsed = config::parse(&choices.yaml(schema, backend.address), schema.folder());
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
    let app = Router::new().route("/own", own).fallback_service(gateway(&schema, &backend, "errors: status"));
    assert_eq!(call(&app, "GET", "/own").await, (StatusCode::OK, json!("mine")));
    assert_eq!(call(&app, "POST", "/p/x").await, (StatusCode::OK, json!({ "a": "x" })));
    let (status, error) = call(&app, "GET", "/nothing").await;
    assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!(5)));
    assert_eq!(backend.only().json(), json!({ "a": "x" }));
}
