//! The listening side: HTTP/2 settings, message sizes, compression, health.

use milvus_base::Shutdown;
use milvus_proto::milvus::milvus_service_server::MilvusServiceServer;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::Service;

/// How much of one request a client may send before it is read.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// The same for all requests of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// The largest HTTP/2 frame that is taken.
const FRAME_BYTES: u32 = 4 << 20;

/// Sizes of messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// The largest request.
    pub request_bytes: usize,
    /// The largest reply.
    pub reply_bytes: usize,
}

/// Serves `service` on `listener` until `shutdown`, then finishes what is under way.
///
/// Takes gzip and zstd but never compresses a reply: floats do not shrink, and clients that could
/// read gzip always say so.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    limits: MessageLimits,
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
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move { shutdown.wait().await },
        )
        .await
}
