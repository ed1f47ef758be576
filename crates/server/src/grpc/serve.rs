//! The listening side: HTTP/2 settings, message sizes, compression, health.

use std::time::Duration;

use milvus_base::Shutdown;
use milvus_proto::milvus::milvus_service_server::MilvusServiceServer;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::util::MapResponseLayer;

use super::{Admission, Service};

/// How much of one request a client may send before it is read, at most.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// And at least.
const LEAST_WINDOW_BYTES: u32 = 64 << 10;
/// One part in so many of the memory limit, in between. Twice that for all requests of a connection.
const WINDOW_SHARE: u64 = 256;
/// The largest HTTP/2 frame that is taken.
const FRAME_BYTES: u32 = 4 << 20;

/// How often a client is asked whether it is there, and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sizes of messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// The largest request.
    pub request_bytes: usize,
    /// The largest reply.
    pub reply_bytes: usize,
}

/// Serves `service` on `listener`, reading what `admission` lets in, until `shutdown`, then finishes what is under way.
///
/// Takes gzip and zstd but never compresses a reply: floats do not shrink, and clients that could
/// read gzip always say so.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    limits: MessageLimits,
    admission: Admission,
    shutdown: Shutdown,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MilvusServiceServer<Service>>().await;
    let milvus = MilvusServiceServer::new(service)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limits.request_bytes)
        .max_encoding_message_size(limits.reply_bytes);
    let routes = Routes::new(milvus).add_service(health_service);
    let window = u32::try_from(admission.memory_limit() / WINDOW_SHARE).unwrap_or(u32::MAX);
    let window = window.clamp(LEAST_WINDOW_BYTES, STREAM_WINDOW_BYTES);
    Server::builder()
        .initial_stream_window_size(window)
        .initial_connection_window_size(window * 2)
        .max_frame_size(FRAME_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .layer(admission)
        .layer(MapResponseLayer::new(too_large_as_milvus_says))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move { shutdown.wait().await },
        )
        .await
}

/// A request beyond the limit is `OUT_OF_RANGE` here and `RESOURCE_EXHAUSTED` in Milvus. SDKs repeat
/// neither, but tell only the latter as what it is. Nothing else answers the former.
fn too_large_as_milvus_says<B>(mut response: http::Response<B>) -> http::Response<B> {
    const STATUS: &str = "grpc-status";
    let is = |code: Code| http::HeaderValue::from(code as i32);
    if response.headers().get(STATUS) == Some(&is(Code::OutOfRange)) {
        response.headers_mut().insert(STATUS, is(Code::ResourceExhausted));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_of_large_requests_changes() {
        let answered = |code: &'static str| {
            let mut response = http::Response::new(());
            response.headers_mut().insert("grpc-status", http::HeaderValue::from_static(code));
            let response = too_large_as_milvus_says(response);
            response
                .headers()
                .get("grpc-status")
                .and_then(|code| code.to_str().ok())
                .map(str::to_owned)
        };
        assert_eq!(answered("11").as_deref(), Some("8"));
        for other in ["0", "3", "12"] {
            assert_eq!(answered(other).as_deref(), Some(other));
        }
        let plain = too_large_as_milvus_says(http::Response::new(()));
        assert!(plain.headers().is_empty());
    }
}
