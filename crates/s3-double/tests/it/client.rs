//! A plain S3 client of a double.

use milvus_s3_double::{Options, Server};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutResult, RetryConfig, UpdateVersion};

/// A double with the bucket `bkt`.
pub(crate) async fn start(options: Options) -> Server {
    let server = Server::start(options).await.unwrap();
    server.objects().make_bucket("bkt").unwrap();
    server
}

pub(crate) fn client(server: &Server) -> AmazonS3 {
    client_with(server, "minioadmin")
}

pub(crate) fn client_with(server: &Server, secret: &str) -> AmazonS3 {
    // Whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{}", server.port()))
        .with_allow_http(true)
        .with_bucket_name("bkt")
        .with_access_key_id("minioadmin")
        .with_secret_access_key(secret)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .unwrap()
}

pub(crate) async fn put(
    client: &AmazonS3,
    key: &str,
    bytes: String,
    mode: PutMode,
) -> object_store::Result<PutResult> {
    use object_store::ObjectStore as _;
    let options = PutOptions { mode, ..PutOptions::default() };
    client.put_opts(&Path::from(key), bytes.into_bytes().into(), options).await
}

pub(crate) fn update(e_tag: Option<String>) -> PutMode {
    PutMode::Update(UpdateVersion { e_tag, version: None })
}
