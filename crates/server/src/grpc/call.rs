//! One call: who asks, in which database, how long it took and how it ended.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use milvus_base::clock;
use milvus_proxy::Proxy;
use milvus_proxy::api::Context;
use milvus_types::{ErrorCode, Failure, Result};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::Service;
use crate::metrics::Metrics;
use crate::wire::status::Reply;

/// The database of requests that name none.
const DEFAULT_DATABASE: &str = "default";

/// What an RPC's function gets besides the request.
pub(super) struct Call<'a> {
    /// The front door.
    pub(super) proxy: &'a Proxy,
    /// Counters of rows.
    pub(super) metrics: &'a Metrics,
    /// The database in the request's metadata; may be empty.
    database: String,
}

impl<'a> Call<'a> {
    /// The call that brought `request`.
    pub(super) fn of<T>(service: &'a Service, request: &Request<T>) -> Self {
        let database = metadata(request.metadata(), "dbname").to_owned();
        Self { proxy: service.proxy(), metrics: service.metrics(), database }
    }

    /// The context of a request whose body names the database `in_body`.
    pub(super) fn context(&self, in_body: &str) -> Context {
        Context { db_name: self.database(in_body).to_owned() }
    }

    /// The database: the body's, else the metadata's, else the default.
    pub(super) fn database<'b>(&'b self, in_body: &'b str) -> &'b str {
        [in_body, &self.database]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(DEFAULT_DATABASE)
    }
}

fn metadata<'a>(metadata: &'a MetadataMap, key: &str) -> &'a str {
    metadata.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Awaits `work`, counts it as a call of `rpc` and makes the reply of it.
///
/// A panic inside ends the one request, with Milvus's internal error.
pub(super) async fn answer<T: Reply>(
    metrics: &Metrics,
    rpc: &'static str,
    work: impl Future<Output = Result<T>>,
) -> std::result::Result<Response<T>, Status> {
    let started = clock::monotonic();
    let span = tracing::debug_span!("rpc", name = rpc);
    let outcome = AssertUnwindSafe(work).catch_unwind().instrument(span).await;
    let result = outcome.unwrap_or_else(|payload| Err(panicked(rpc, &*payload)));
    let succeeded = result.as_ref().is_ok_and(Reply::is_success);
    metrics.observe_call(rpc, succeeded, clock::monotonic().saturating_sub(started));
    Ok(Response::new(result.unwrap_or_else(|failure| {
        log(rpc, &failure);
        T::of_failure(&failure)
    })))
}

fn panicked(rpc: &str, payload: &(dyn Any + Send)) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(rpc, panic = text, "a request panicked");
    Failure::internal(format!("{rpc} panicked: {text}"))
}

/// Tells the log of a failure: loudly only where the server, not the request, is at fault.
pub(super) fn log(rpc: &str, failure: &Failure) {
    let (code, reason) = (failure.code.number(), failure.reason.as_str());
    let is_ours = matches!(
        failure.code,
        ErrorCode::ServiceInternal
            | ErrorCode::Unexpected
            | ErrorCode::IoFailed
            | ErrorCode::StorageInternal
            | ErrorCode::DataIntegrity
            | ErrorCode::SerializationFailed
            | ErrorCode::MqInternal
    );
    if is_ours {
        tracing::warn!(rpc, code, reason, "request failed");
    } else {
        tracing::debug!(rpc, code, reason, "request refused");
    }
}
