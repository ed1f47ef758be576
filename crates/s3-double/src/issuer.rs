//! Where programs in a cloud get keys from: what answers on AWS as the metadata of an instance, as the
//! credentials of a container and as the token service, in one listener on the loopback address.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /latest/api/token`, then `GET /latest/meta-data/iam/security-credentials/{role}` | keys, as JSON (IMDSv2) |
//! | `GET /v1/credentials` with the `Authorization` of a container | keys, as JSON |
//! | `POST /?Action=AssumeRoleWithWebIdentity&WebIdentityToken=...` | keys, as XML |
//!
//! Each answer gives new keys of a session, which its [`Keys`] then know.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use milvus_base::{clock, random, task};
use s3s::dto::{Timestamp, TimestampFormat};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::keys::{Key, Keys};

const IMDS_TOKEN: &str = "instance-token";
const ROLE: &str = "milvus-role";

/// A running issuer of keys; ends with the value.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accept: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    keys: Arc<Keys>,
    /// What a container or a pod must show.
    identity: String,
    lifetime: Duration,
    issued: AtomicU64,
}

impl Issuer {
    /// Starts an issuer whose keys last for `lifetime` and are known to `keys`. Containers and pods get
    /// some when they show `identity`.
    pub async fn start(keys: Arc<Keys>, identity: &str, lifetime: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let identity = identity.to_owned();
        let shared = Arc::new(Shared { keys, identity, lifetime, issued: AtomicU64::new(0) });
        let accept = task::spawn("key-issuer", accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, accept })
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often keys were given out.
    pub fn issued(&self) -> u64 {
        self.shared.issued.load(Ordering::Relaxed)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            clock::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = shared.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        // One request for each connection, so that one client does not keep another waiting.
        let _ = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }
}

/// Keys as they are given out.
struct Issued {
    access_key: String,
    key: Key,
    ends: String,
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<s3s::Body> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let roles = "/latest/meta-data/iam/security-credentials/";
        match (request.method(), path) {
            (&Method::PUT, "/latest/api/token") => reply(StatusCode::OK, IMDS_TOKEN.to_owned()),
            (&Method::GET, _) if path.starts_with(roles) => {
                if !has(request.headers(), "x-aws-ec2-metadata-token", IMDS_TOKEN) {
                    return reply(StatusCode::UNAUTHORIZED, String::new());
                }
                match path.strip_prefix(roles) {
                    Some("") => reply(StatusCode::OK, ROLE.to_owned()),
                    Some(ROLE) => reply(StatusCode::OK, self.issue().json()),
                    _ => reply(StatusCode::NOT_FOUND, String::new()),
                }
            }
            (&Method::GET, "/v1/credentials") => {
                match has(request.headers(), "authorization", &self.identity) {
                    true => reply(StatusCode::OK, self.issue().json()),
                    false => reply(StatusCode::FORBIDDEN, error("AccessDenied", "not this pod")),
                }
            }
            (&Method::POST, "/") if query.contains("Action=AssumeRoleWithWebIdentity") => {
                match query.split('&').any(|p| p == format!("WebIdentityToken={}", self.identity)) {
                    true => reply(StatusCode::OK, self.issue().xml()),
                    false => {
                        let words = "No OpenIDConnect provider vouches for the token";
                        reply(StatusCode::BAD_REQUEST, error("InvalidIdentityToken", words))
                    }
                }
            }
            _ => reply(StatusCode::NOT_FOUND, String::new()),
        }
    }

    fn issue(&self) -> Issued {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let lifetime_ms = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        let ends_ms = clock::now_ms().saturating_add(lifetime_ms);
        let key = Key {
            secret: random::unique_name(),
            session_token: Some(random::unique_name()),
            ends_ms,
        };
        let access_key = format!("ASIA{number:04}");
        self.keys.add(&access_key, key.clone());
        let mut ends = Vec::new();
        let time = std::time::UNIX_EPOCH + Duration::from_millis(ends_ms);
        // Writing to memory does not fail.
        let _ = Timestamp::from(time).format(TimestampFormat::DateTime, &mut ends);
        Issued { access_key, key, ends: String::from_utf8_lossy(&ends).into_owned() }
    }
}

impl Issued {
    fn json(&self) -> String {
        let Self { access_key, key, ends } = self;
        serde_json::json!({
            "Code": "Success",
            "AccessKeyId": access_key,
            "SecretAccessKey": key.secret,
            "Token": key.session_token,
            "Expiration": ends,
        })
        .to_string()
    }

    fn xml(&self) -> String {
        let Self { access_key, key: Key { secret, session_token, .. }, ends } = self;
        let token = session_token.as_deref().unwrap_or_default();
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
    }
}

fn has(headers: &HeaderMap, name: &str, want: &str) -> bool {
    headers.get(name).is_some_and(|got| got == want)
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

fn reply(status: StatusCode, text: String) -> Response<s3s::Body> {
    let mut response = Response::new(s3s::Body::from(text));
    *response.status_mut() = status;
    response
}
