//! TLS with certificates of one's own: whom the file vouches for is spoken to, anybody else is named
//! and not asked again.
//!
//! `tests/data/tls`: two authorities; a certificate of the first for 127.0.0.1, and one that ended.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_base::{Clock, task};
use milvus_s3_double::{Options, Server};
use milvus_storage::{ObjectStore, RemoteCause, RemoteConfig, RemoteStore, StoreError};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::remote::{config, double};

/// A listener that speaks TLS in front of a double; ends with the value.
struct Front {
    server: Server,
    port: u16,
    accept: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("tests/data/tls").join(name)
}

impl Front {
    /// A front with the certificate in the file `certificate`.
    async fn start(certificate: &str) -> Self {
        let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = double(Options::default()).await;
        let behind = server.port();
        let accept = task::spawn("tls-front", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                task::spawn("tls-connection", async move {
                    // A client that does not trust us leaves.
                    if let Ok(mut client) = acceptor.accept(stream).await {
                        let mut server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { server, port, accept }
    }

    fn config(&self, host: &str, authority: Option<&str>) -> RemoteConfig {
        RemoteConfig {
            address: format!("{host}:{}", self.port),
            use_ssl: true,
            ca_file: authority.map(file),
            ..config(&self.server)
        }
    }

    /// What is said of it.
    async fn refused(&self, host: &str, authority: Option<&str>) -> String {
        let clock = Clock::system();
        let began = clock.monotonic();
        let config = self.config(host, authority);
        let most = config.retry_timeout / 2;
        let error = RemoteStore::open(config, clock.clone()).await.unwrap_err();
        assert!(clock.monotonic() - began < most, "trying again would not help");
        let StoreError::Refused { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(source, RemoteCause::Certificate(_)), "{error:?}");
        source.to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_authority_of_the_file_vouches_for_is_spoken_to() {
    let front = Front::start("server.crt").await;
    let config = front.config("127.0.0.1", Some("authority.crt"));
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    store.put("a", vec![7; 9 << 20].into()).await.unwrap();
    assert!(*store.get("a").await.unwrap().bytes == vec![7; 9 << 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_vouches_for_is_named() {
    let front = Front::start("server.crt").await;
    for authority in [None, Some("other.crt")] {
        let words = front.refused("127.0.0.1", authority).await;
        assert!(words.contains("UnknownIssuer"), "{authority:?}: {words}");
        assert!(words.contains("minio.ssl.tlsCACert"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_or_of_another_time_is_named() {
    let front = Front::start("server.crt").await;
    let words = front.refused("localhost", Some("authority.crt")).await;
    assert!(words.contains("not valid for name") && words.contains("localhost"), "{words}");
    let front = Front::start("expired.crt").await;
    let words = front.refused("127.0.0.1", Some("authority.crt")).await;
    assert!(words.contains("expired"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_certificates_is_named_before_anything_is_sent() {
    let front = Front::start("server.crt").await;
    for odd in ["server.key", "no-such-file"] {
        let config = front.config("127.0.0.1", Some(odd));
        let error = RemoteStore::open(config, Clock::system()).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidConfig { .. }), "{error:?}");
        let words = error.to_string();
        assert!(words.contains("minio.ssl.tlsCACert") && words.contains(odd), "{words}");
    }
    assert_eq!(front.server.requests(), 0);
}
