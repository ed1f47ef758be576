//! The HTTP client under a remote store: where answers that are no success become typed, before any
//! text is made of them, and where secrets are taken out of what servers say.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use rustls::ClientConfig;

use super::cause::{
    Answered, CredentialsRefused, RemoteCause, code_and_message, element, wrong_region,
};
use super::config::RemoteConfig;
use super::localhost::Localhost;
use super::tls;
use crate::error::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// More of an error's body is not read.
const BODY_BYTES: usize = 64 * 1024;

/// Makes the clients of one store.
#[derive(Clone)]
pub(super) struct Connector(Arc<Known>);

#[derive(Clone)]
struct Known {
    /// The server's host, without port.
    host: String,
    region: String,
    /// Whether requests without TLS are sent although the options forbid them.
    plain: bool,
    secrets: Vec<String>,
    /// If certificates are to be trusted besides the system's.
    tls: Option<ClientConfig>,
}

impl Connector {
    /// The connector of the store that `config` names. Blocks: it reads the file of certificates.
    pub(super) fn new(config: &RemoteConfig) -> Result<Self, StoreError> {
        tls::install_crypto();
        let tls = config.ca_file.as_deref().map(tls::trusting).transpose()?;
        let (host, region, secrets) = (config.host(), config.region(), config.secrets());
        Ok(Self(Arc::new(Known { host, region, plain: false, secrets, tls })))
    }

    /// The same, which sends requests without TLS whatever its options say.
    pub(super) fn plain(&self) -> Self {
        Self(Arc::new(Known { plain: true, ..(*self.0).clone() }))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("host", &self.0.host).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = match &self.0.tls {
            Some(tls) => trusting_client(tls)?,
            None if self.0.plain => {
                ReqwestConnector::default().connect(&options.clone().with_allow_http(true))?
            }
            None => ReqwestConnector::default().connect(options)?,
        };
        Ok(HttpClient::new(Service { known: self.clone(), inner }))
    }
}

/// The client options that `config` asks for.
pub(super) fn options(config: &RemoteConfig) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(!config.use_ssl)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_idle_timeout(IDLE_TIMEOUT)
        .with_dns_resolver(Arc::new(Localhost))
        // Each attempt has a time of its own, by what it moves (`attempt`).
        .with_timeout_disabled()
}

/// A client that trusts the certificates of a file. The `object_store` crate's own takes such a file
/// too, but then refuses servers that sign their own certificate.
fn trusting_client(tls: &ClientConfig) -> object_store::Result<HttpClient> {
    let client = reqwest::Client::builder()
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::new(Localhost))
        .build();
    let client = client.map_err(|source| object_store::Error::Generic {
        store: "HTTP client",
        source: Box::new(source),
    })?;
    Ok(HttpClient::new(client))
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
        let cause = self.known.cause(response).await;
        // `Unknown` is the kind that object_store neither repeats nor interprets.
        Err(if of_store {
            HttpError::new(HttpErrorKind::Unknown, cause)
        } else {
            HttpError::new(HttpErrorKind::Unknown, CredentialsRefused(cause.cause))
        })
    }
}

impl Connector {
    /// What an answer says that is no success.
    async fn cause(&self, response: HttpResponse) -> Answered {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let retry_after = header("retry-after").and_then(|text| text.parse().ok());
        let region = header("x-amz-bucket-region");
        let body = body(response).await;
        let retry_after = retry_after.map(Duration::from_secs);
        let (code, message) = code_and_message(&body);
        let region = region.or_else(|| element(&body, "Region"));
        if let Some(cause) = wrong_region(status, &code, &self.0.region, region) {
            return Answered { cause, retry_after };
        }
        let (code, message) = (self.redact(code), self.redact(message));
        Answered { cause: RemoteCause::Status { status, code, message }, retry_after }
    }

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
