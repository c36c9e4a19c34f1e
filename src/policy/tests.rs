//! Each layer alone, in front of a service that lets everything in: with a method that was compiled out of a configuration,
//! as it is when it serves.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::config::{self, Settings};
use crate::fault::Fault;
use crate::policy::address::AddressRule;
use crate::server::compile;
use crate::telemetry::Metrics;

type TestCall = Call<String>;

fn settings(rule: &str) -> Settings {
    let text = format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0' }} }}\n\
         schema: {{ descriptors: descriptors/bookstore.binpb }}\n\
         upstreams: {{ a: {{ endpoints: 'http://127.0.0.1:1' }} }}\n\
         identity: {{ api_keys: {{ file: keys.yaml }} }}\n\
         rules: {{ '*': {rule} }}\n"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let keys = tempfile::tempdir().unwrap();
    std::fs::write(keys.path().join("keys.yaml"), "keys: {}\n").unwrap();
    let text = text.replace("descriptors/", &format!("{}/descriptors/", folder.display()));
    let (settings, _) = config::parse(&text, &keys.path().join("t.yaml"))
        .unwrap_or_else(|problems| panic!("{rule}: {:?}", problems.iter().next().map(|one| &one.what)));
    settings
}

/// A method of whose calls the rules say `rule`.
fn method(rule: &str) -> Arc<Method> {
    let (snapshot, _) = compile(&settings(rule))
        .unwrap_or_else(|problems| panic!("{rule}: {:?}", problems.iter().next().map(|one| &one.what)));
    Arc::clone(snapshot.rpc("/bookstore.v1.Bookstore/GetBook").unwrap())
}

fn authenticator() -> Arc<Authenticator> {
    let identity = settings("{ auth: required }").identity;
    Arc::new(Authenticator::new(&identity, Arc::new(Metrics::default())).unwrap())
}

/// A call from this address.
fn call(method: &Arc<Method>, address: &str, headers: &[(&'static str, &str)]) -> TestCall {
    let mut request = Request::post("http://a/").body(()).unwrap();
    request.extensions_mut().insert(ClientAddress(address.parse::<IpAddr>().unwrap()));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    Call {
        resolved: Resolved { method: Arc::clone(method), way: Way::Grpc(Codec::Proto) },
        head: Box::new(request.into_parts().0),
        body: "0123456789".to_owned(),
        principal: Principal::Anonymous,
        forward: None,
        chosen: None,
        late: None,
        max_body: 0,
        limit: TimeLimit::default(),
    }
}

/// What comes of a call that passes `layer` and nothing else.
async fn pass<L>(layer: &L, call: TestCall) -> Result<(Response<()>, usize), Fault>
where
    L: Layer<Inner, Service: Service<TestCall, Response = Response<()>, Error = Fault>>,
{
    let (told, max_body) = tokio::sync::oneshot::channel();
    let told = Arc::new(std::sync::Mutex::new(Some(told)));
    let inner: Inner = tower::util::BoxCloneService::new(service_fn(move |call: TestCall| {
        let told = Arc::clone(&told);
        async move {
            if let Some(told) = told.lock().unwrap().take() {
                let _ = told.send(call.max_body);
            }
            if call.head.headers.contains_key("x-wait") {
                std::future::pending::<()>().await;
            }
            Ok(Response::new(()))
        }
    }));
    let response = layer.layer(inner).oneshot(call).await?;
    Ok((response, max_body.await.unwrap()))
}

type Inner = tower::util::BoxCloneService<TestCall, Response<()>, Fault>;

fn reason<T>(result: Result<T, Fault>) -> String {
    result.map_or_else(|fault| fault.reason().to_owned(), |_| "OK".to_owned())
}

const HERE: &str = "192.0.2.1";

#[tokio::test]
async fn authenticate() {
    for (rule, want) in [("{ auth: required }", "KEY_MISSING"), ("{ auth: none }", "OK")] {
        let layer = Authenticate::new(authenticator(), Auth::None, None);
        assert_eq!(reason(pass(&layer, call(&method(rule), HERE, &[])).await), want, "{rule}");
    }
    // The listener's choice holds where no rule says anything.
    let layer = Authenticate::new(authenticator(), Auth::Required, None);
    let silent = method("{ timeout: 1s }");
    assert_eq!(reason(pass(&layer, call(&silent, HERE, &[])).await), "KEY_MISSING");
    let unknown = call(&silent, HERE, &[("x-api-key", "nobody's")]);
    assert_eq!(reason(pass(&layer, unknown).await), "KEY_MALFORMED");
}

#[tokio::test]
async fn authorize() {
    let layer = Checked(Authorize::new(authenticator()));
    for (rule, want) in [
        ("{ deny: true }", "DENIED"),
        ("{ auth: required, scopes: { all: [a] } }", "KEY_MISSING"),
        ("{ auth: none }", "OK"),
    ] {
        assert_eq!(reason(pass(&layer, call(&method(rule), HERE, &[])).await), want, "{rule}");
    }
}

#[tokio::test]
async fn addresses() {
    let method = method("{ addresses: { allow: [192.0.2.0/24] } }");
    for (from, want) in [(HERE, "OK"), ("198.51.100.1", "ADDRESS_DENIED"), ("2001:db8::1", "ADDRESS_DENIED")]
    {
        assert_eq!(reason(pass(&Checked(AddressRule), call(&method, from, &[])).await), want, "{from}");
    }
}

#[tokio::test]
async fn origins_of_websockets() {
    let method = method("{ timeout: 1s }");
    let layer = Checked(OriginCheck::new(None));
    for (origin, is_websocket, want) in
        [("http://a", true, "OK"), ("http://b", true, "ORIGIN_NOT_ALLOWED"), ("http://b", false, "OK")]
    {
        let mut call = call(&method, HERE, &[("origin", origin)]);
        if is_websocket {
            let binding = Arc::new(crate::transcode::Binding::whole(&method.output));
            call.resolved.way = Way::WebSocket(Bound { binding, captures: Default::default() });
        }
        assert_eq!(reason(pass(&layer, call).await), want, "{origin}");
    }
}

#[tokio::test]
async fn limits() {
    let method = method("{ limits: [{ quota: 2/day, key: address }] }");
    let layer = RateLimit::new(None, 0);
    for (from, want) in
        [(HERE, "OK"), (HERE, "OK"), (HERE, "QUOTA_EXCEEDED"), ("192.0.2.2", "OK"), (HERE, "QUOTA_EXCEEDED")]
    {
        assert_eq!(reason(pass(&layer, call(&method, from, &[])).await), want, "{from}");
    }
}

#[tokio::test]
async fn concurrency() {
    let method = method("{ concurrency: { calls: 1, key: address } }");
    let (first, _) = pass(&Concurrency, call(&method, HERE, &[])).await.unwrap();
    assert_eq!(reason(pass(&Concurrency, call(&method, HERE, &[])).await), "OVERLOADED");
    assert_eq!(reason(pass(&Concurrency, call(&method, "192.0.2.2", &[])).await), "OK");
    // The place is the answer's.
    drop(first);
    assert_eq!(reason(pass(&Concurrency, call(&method, HERE, &[])).await), "OK");
}

#[tokio::test(start_paused = true)]
async fn deadline() {
    let method = method("{ timeout: 5s }");
    for (headers, want) in [
        (&[("x-wait", "1")][..], 5000),
        (&[("x-wait", "1"), ("grpc-timeout", "2S")], 2000),
        (&[("x-wait", "1"), ("grpc-timeout", "9S")], 5000),
    ] {
        let began = tokio::time::Instant::now();
        assert_eq!(reason(pass(&Deadline, call(&method, HERE, headers)).await), "DEADLINE_EXCEEDED");
        let took = began.elapsed();
        let slack = Duration::from_millis(2);
        assert!(
            took >= Duration::from_millis(want) && took < Duration::from_millis(want) + slack,
            "{took:?}"
        );
    }
    assert_eq!(
        reason(pass(&Deadline, call(&method, HERE, &[("grpc-timeout", "soon")])).await),
        "BAD_TIMEOUT"
    );
}

#[tokio::test]
async fn body_size() {
    let method = method("{ max_body: 9B }");
    let mut rest = call(&method, HERE, &[]);
    let binding = Arc::new(crate::transcode::Binding::whole(&method.output));
    rest.resolved.way = Way::Rest(Bound { binding, captures: Default::default() });
    assert_eq!(reason(pass(&BodySize::new(100), rest).await), "BODY_TOO_LARGE");
    // Messages in frames are measured one by one.
    let (_, max_body) = pass(&BodySize::new(100), call(&method, HERE, &[])).await.unwrap();
    assert_eq!(max_body, 9);
    let (_, max_body) =
        pass(&BodySize::new(100), call(&self::method("{ timeout: 1s }"), HERE, &[])).await.unwrap();
    assert_eq!(max_body, 100);
}
