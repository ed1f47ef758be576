//! The HTTP client under a remote store: where answers that are no success become typed, before any
//! text is made of them, and where secrets are taken out of what servers say.

use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use super::cause::{CredentialsRefused, RemoteCause, code_and_message};
use super::config::RemoteConfig;
use crate::error::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// More of an error's body is not read.
const BODY_BYTES: usize = 64 * 1024;

/// Makes the clients of one store.
#[derive(Clone)]
pub(super) struct Connector(Arc<Known>);

struct Known {
    /// The server's host, without port.
    host: String,
    secrets: Vec<String>,
}

impl Connector {
    /// The connector of the store that `config` names.
    pub(super) fn new(config: &RemoteConfig) -> Self {
        install_crypto();
        Self(Arc::new(Known { host: config.host(), secrets: config.secrets() }))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("host", &self.0.host).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { known: self.clone(), inner }))
    }
}

/// The client options that `config` asks for.
pub(super) fn options(config: &RemoteConfig) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::new()
        .with_allow_http(!config.use_ssl)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_idle_timeout(IDLE_TIMEOUT)
        // Each attempt has a time of its own, by what it moves (`attempt`).
        .with_timeout_disabled();
    let Some(file) = &config.ca_file else {
        return Ok(options);
    };
    let invalid = |reason: String| StoreError::InvalidConfig {
        setting: "minio.ssl.tlsCACert",
        reason: format!("is {}, which is no certificate: {reason}", file.display()),
    };
    let pem = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
    let certificates = object_store::Certificate::from_pem_bundle(&pem)
        .map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid("it holds none".to_owned()));
    }
    for certificate in certificates {
        options = options.with_root_certificate(certificate);
    }
    Ok(options)
}

/// TLS runs on ring; who comes first decides for the process.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Someone else's choice serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[derive(Debug)]
struct Service {
    known: Connector,
    inner: HttpClient,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_ascii_lowercase();
        let of_store =
            host == self.known.0.host || host.ends_with(&format!(".{}", self.known.0.host));
        let response = self.inner.execute(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let (code, message) = code_and_message(&body(response).await);
        let cause = RemoteCause::Status {
            status,
            code: self.known.redact(code),
            message: self.known.redact(message),
        };
        // `Unknown` is the kind that object_store neither repeats nor interprets.
        Err(if of_store {
            HttpError::new(HttpErrorKind::Unknown, cause)
        } else {
            HttpError::new(HttpErrorKind::Unknown, CredentialsRefused(cause))
        })
    }
}

impl Connector {
    /// `text` without the store's secrets.
    pub(super) fn redact(&self, text: String) -> String {
        self.0.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// The first bytes of an error's body; what cannot be read is left out.
async fn body(response: HttpResponse) -> String {
    use futures::StreamExt as _;
    let mut bytes = Vec::new();
    let mut stream = response.into_body().bytes_stream();
    while let Some(Ok(chunk)) = stream.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
