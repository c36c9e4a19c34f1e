//! What operators and orchestrators ask: is it alive, is it ready, how is it doing. On an address of its own.

mod reload;
mod settings;

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::error;

pub use reload::{Attempt, ReloadReport};
pub use settings::AdminSettings;

use crate::telemetry::Metrics;
use crate::upstream::Clusters;

/// What the admin address tells of.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub clusters: Arc<ArcSwap<Clusters>>,
    pub reload: Arc<ReloadReport>,
    pub stopping: watch::Receiver<bool>,
}

/// How long an answer may take once the address is closed.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Serves until it is closed, which is after the process was told to stop: a drain can be watched.
pub async fn serve(listener: StdListener, admin: Admin, mut closed: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/reload", get(reload))
        .route("/upstreams", get(upstreams))
        .with_state(Arc::new(admin));
    let mut told = closed.clone();
    let served = async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let told = async move {
            // It fails only where nobody is left to tell it.
            let _ = told.wait_for(|closed| *closed).await;
        };
        axum::serve(listener, router).with_graceful_shutdown(told).await
    };
    let out_of_time = async move {
        let _ = closed.wait_for(|closed| *closed).await;
        sleep(LAST_ANSWER).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served { error!(%error, "the admin address failed") },
        () = out_of_time => {}
    }
}

/// Tells the generation of the schema in force as well. 503 while an upstream has no connection, and once the process is told to stop.
async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    let (status, text) = if *admin.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if admin.clusters.load().all_reachable() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "an upstream can't be reached")
    };
    (status, format!("{text}\ngeneration {}\n", admin.metrics.generation_in_force()))
}

/// How upstreams and their endpoints stand now, as JSON.
async fn upstreams(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match serde_json::to_vec_pretty(&admin.clusters.load().report()) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match admin.metrics.encode() {
        Ok(text) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The generation in force, and what became of the last reload, in JSON.
async fn reload(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match admin.reload.json() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
