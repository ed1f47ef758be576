//! The admin port: health for probes, metrics for Prometheus. Loopback only.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use milvus_base::Shutdown;
use serde_json::json;
use tokio::net::TcpListener;

use crate::memory_watch::MemoryWatch;
use crate::metrics::Metrics;

/// What the admin port shows.
#[derive(Clone)]
pub struct Admin {
    metrics: Arc<Metrics>,
    is_ready: Arc<AtomicBool>,
    memory: Arc<OnceLock<MemoryWatch>>,
}

impl Admin {
    /// An admin port of a server that is not ready yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, is_ready: Arc::default(), memory: Arc::default() }
    }

    /// Says from now on whether clients are served.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Relaxed);
    }

    /// Answers `/memory` by `watch` from now on.
    pub fn show_memory(&self, watch: MemoryWatch) {
        let _ = self.memory.set(watch);
    }

    /// The paths of the port.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/livez", get(livez))
            .route("/metrics", get(metrics))
            .route("/memory", get(memory))
            .route("/api/v1/health", get(health))
            .with_state(self.clone())
    }

    /// Serves the port on `listener` until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        axum::serve(listener, self.router())
            .with_graceful_shutdown(async move { shutdown.wait().await })
            .await
    }
}

/// Whether clients are served; JSON where the request's content type asks for it.
async fn healthz(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let is_ready = admin.is_ready.load(Ordering::Relaxed);
    let (code, state, number) = if is_ready {
        (StatusCode::OK, "OK", 1)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "component standalone state is Initializing", 0)
    };
    let wants_json = [header::CONTENT_TYPE, header::ACCEPT]
        .iter()
        .any(|name| headers.get(name).is_some_and(|value| value.as_bytes() == b"application/json"));
    if wants_json {
        let detail = json!([{ "name": "standalone", "code": number }]);
        (code, axum::Json(json!({ "state": state, "detail": detail }))).into_response()
    } else {
        (code, state).into_response()
    }
}

/// Whether the process answers at all.
async fn livez() -> &'static str {
    "OK"
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, admin.metrics.render()).into_response()
}

/// Who holds how much memory.
async fn memory(State(admin): State<Admin>) -> Response {
    match admin.memory.get() {
        Some(watch) => axum::Json(watch.report().await).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the server is starting").into_response(),
    }
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(json!({ "status": "ok" }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(admin: &Admin, path: &str, kind: &str) -> (StatusCode, String) {
        let request = Request::get(path).header(header::CONTENT_TYPE, kind);
        let reply = admin.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let code = reply.status();
        let body = to_bytes(reply.into_body(), 1 << 20).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn health_follows_readiness() {
        let admin = Admin::new(Arc::new(Metrics::new().unwrap()));
        let (code, text) = ask(&admin, "/healthz", "text/plain").await;
        assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(text.contains("Initializing"), "{text}");
        admin.set_ready(true);
        assert_eq!(ask(&admin, "/healthz", "text/plain").await, (StatusCode::OK, "OK".into()));
        let (code, text) = ask(&admin, "/healthz", "application/json").await;
        assert_eq!(code, StatusCode::OK);
        assert_eq!(text, r#"{"state":"OK","detail":[{"name":"standalone","code":1}]}"#);
        assert_eq!(ask(&admin, "/livez", "").await.0, StatusCode::OK);
        let (_, text) = ask(&admin, "/metrics", "").await;
        assert!(text.contains("milvus_proxy_insert_vectors_count"), "{text}");
        assert_eq!(ask(&admin, "/api/v1/health", "").await.1, r#"{"status":"ok"}"#);
        assert_eq!(ask(&admin, "/nothing", "").await.0, StatusCode::NOT_FOUND);
    }
}
