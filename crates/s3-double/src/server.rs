//! The listener: connections, and the fate of each request around S3's answer to it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use http::{Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use milvus_base::{clock, task};
use parking_lot::Mutex;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::api::{Api, Upload};
use crate::control;
use crate::faults::{Asked, Dice, Fate, Faults};
use crate::keys::{Auth, Key, Keys, scope};
use crate::objects::Objects;

/// How a server is started.
#[derive(Debug)]
pub struct Options {
    /// Its port on the loopback address; 0 for a free one.
    pub port: u16,
    /// What is stored, at first.
    pub objects: Objects,
    /// The access key that is known at first.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Whether `{bucket}.localhost` names a bucket.
    pub virtual_host: bool,
    /// The region that requests must be signed for; any if none.
    pub region: Option<String>,
    /// The most keys on one page of a list.
    pub page: usize,
    /// The faults, at first.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            objects: Objects::in_memory(),
            access_key: "minioadmin".to_owned(),
            secret_key: "minioadmin".to_owned(),
            virtual_host: false,
            region: None,
            page: 1000,
            faults: Faults::default(),
        }
    }
}

/// A running server; ends with the value.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    control: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What every connection sees.
pub(crate) struct Shared {
    pub(crate) objects: Objects,
    pub(crate) page: usize,
    keys: Arc<Keys>,
    region: Option<String>,
    virtual_host_requests: Mutex<u64>,
    dice: Mutex<Dice>,
    /// How many conditional puts of each target are under way.
    under_way: Mutex<HashMap<String, usize>>,
    requests: Mutex<u64>,
    pub(crate) uploads: Mutex<HashMap<String, Upload>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server on the runtime that this is called in.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let control = TcpListener::bind(("127.0.0.1", 0)).await?;
        let keys = Arc::new(Keys::default());
        let key = Key { secret: options.secret_key, session_token: None, ends_ms: u64::MAX };
        keys.add(&options.access_key, key);
        let shared = Arc::new(Shared {
            objects: options.objects,
            page: options.page.max(1),
            keys: Arc::clone(&keys),
            region: options.region,
            virtual_host_requests: Mutex::default(),
            dice: Mutex::new(Dice::new(options.faults)),
            under_way: Mutex::default(),
            requests: Mutex::default(),
            uploads: Mutex::default(),
        });
        let api = Api { shared: Arc::clone(&shared) };
        let mut builder = S3ServiceBuilder::new(api);
        builder.set_auth(Auth(keys));
        let address = listener.local_addr()?;
        if options.virtual_host {
            let domain = format!("localhost:{}", address.port());
            builder.set_host(SingleDomain::new(&domain).map_err(io::Error::other)?);
        }
        let control_address = control.local_addr()?;
        let tasks = vec![
            task::spawn("s3-double", accept(listener, builder.build(), Arc::clone(&shared))),
            task::spawn("s3-double-control", control::serve(control, Arc::clone(&shared))),
        ];
        Ok(Self { shared, address, control: control_address, tasks })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The port of the control endpoint: GET tells the faults and counts, PUT sets faults.
    pub fn control_port(&self) -> u16 {
        self.control.port()
    }

    /// Shows `faults` from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// How many requests met a fault since the faults were set.
    pub fn faults_shown(&self) -> u64 {
        self.shared.dice.lock().shown()
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        *self.shared.requests.lock()
    }

    /// How many of them named their bucket in the host.
    pub fn virtual_host_requests(&self) -> u64 {
        *self.shared.virtual_host_requests.lock()
    }

    /// Who may ask.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.shared.keys
    }

    /// How many uploads in parts are neither completed nor abandoned.
    pub fn uploads(&self) -> usize {
        self.shared.uploads.lock().len()
    }

    /// What is stored.
    pub fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    /// Returns when the server has ended, which it does not by itself.
    pub async fn wait(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            // Ended by force or not, it has ended.
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    pub(crate) fn list_delay(&self) -> Duration {
        self.dice.lock().faults().list_delay
    }

    pub(crate) fn ignores_conditions(&self) -> bool {
        self.dice.lock().faults().ignore_conditions
    }

    pub(crate) fn repeats_listed(&self) -> bool {
        self.dice.lock().faults().repeat_listed
    }

    pub(crate) fn trickle(&self) -> Duration {
        self.dice.lock().faults().trickle
    }

    fn retry_after_s(&self) -> u64 {
        self.dice.lock().faults().retry_after_s
    }

    /// The answer to a request that is refused for who asks, or for where.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Response<s3s::Body>> {
        let headers = request.headers();
        if let Err(refusal) = self.keys.check(headers) {
            return Some(failure(400, refusal.code, refusal.message));
        }
        let asked = headers.get(header::AUTHORIZATION)?.to_str().ok().and_then(scope)?.region;
        let want = self.region.as_deref().filter(|want| *want != asked)?;
        let words = format!("the region '{asked}' is wrong; expecting '{want}'");
        Some(region_failure(&words, want))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.dice.lock() = Dice::new(faults);
    }

    /// The faults, for people: what they are, how many were shown, how many requests came.
    pub(crate) fn report(&self) -> String {
        let dice = self.dice.lock();
        let requests = *self.requests.lock();
        format!("requests={requests}\nshown={}\nfaults={:?}\n", dice.shown(), dice.faults())
    }

    fn begin(&self, request: &Request<Incoming>) -> (Fate, Duration, Option<UnderWay<'_>>) {
        *self.requests.lock() += 1;
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| host.contains(".localhost")) {
            *self.virtual_host_requests.lock() += 1;
        }
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let headers = request.headers();
        let conditional = *request.method() == Method::PUT
            && (headers.contains_key(header::IF_MATCH)
                || headers.contains_key(header::IF_NONE_MATCH));
        let under_way = conditional.then(|| UnderWay::begin(self, target));
        let raced = under_way.as_ref().is_some_and(|under_way| under_way.raced);
        let asked = Asked { method: request.method().as_str(), target, conditional, raced };
        let (fate, wait) = self.dice.lock().throw(asked);
        (fate, wait, under_way)
    }
}

/// A conditional put that has come and is not answered yet.
struct UnderWay<'a> {
    shared: &'a Shared,
    target: String,
    raced: bool,
}

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared, target: &str) -> Self {
        let mut all = shared.under_way.lock();
        let count = all.entry(target.to_owned()).or_default();
        *count += 1;
        Self { shared, target: target.to_owned(), raced: *count > 1 }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.shared.under_way.lock();
        if let Some(count) = all.get_mut(&self.target) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.target);
            }
        }
    }
}

async fn accept(listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    clock::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let (service, shared) = (service.clone(), Arc::clone(&shared));
                connections.spawn(connection(stream, service, shared));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, service: S3Service, shared: Arc<Shared>) {
    // Small answers would wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| answer(request, service.clone(), Arc::clone(&shared)));
    // An error here is a connection that broke, or that we cut.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// Makes hyper cut the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection cut on purpose")]
struct Cut;

async fn answer(
    request: Request<Incoming>,
    service: S3Service,
    shared: Arc<Shared>,
) -> Result<Response<s3s::Body>, Cut> {
    let (fate, wait, _under_way) = shared.begin(&request);
    if !wait.is_zero() {
        clock::sleep(wait).await;
    }
    match fate {
        Fate::Cut => return Err(Cut),
        Fate::SlowDown => {
            let answer = failure(503, "SlowDown", "Reduce your request rate.");
            return Ok(with_retry_after(answer, shared.retry_after_s()));
        }
        Fate::Error => return Ok(failure(500, "InternalError", "We met an internal error.")),
        Fate::Conflict => {
            let words = "A conflicting conditional operation is in progress.";
            return Ok(failure(409, "ConditionalRequestConflict", words));
        }
        Fate::Well | Fate::ErrorAfter | Fate::LostReply => {}
    }
    if let Some(refusal) = shared.refusal(&request) {
        return Ok(refusal);
    }
    let response = hyper::service::Service::call(&service, request).await.map_err(|_| Cut)?;
    match fate {
        Fate::LostReply => Err(Cut),
        Fate::ErrorAfter => Ok(failure(500, "InternalError", "We met an internal error.")),
        Fate::Well | Fate::Cut | Fate::SlowDown | Fate::Error | Fate::Conflict => Ok(response),
    }
}

fn failure(status: u16, code: &str, message: &str) -> Response<s3s::Body> {
    error(status, &format!("<Code>{code}</Code><Message>{message}</Message>"))
}

fn region_failure(message: &str, region: &str) -> Response<s3s::Body> {
    let code = "AuthorizationHeaderMalformed";
    let elements =
        format!("<Code>{code}</Code><Message>{message}</Message><Region>{region}</Region>");
    error(400, &elements)
}

fn with_retry_after(mut answer: Response<s3s::Body>, seconds: u64) -> Response<s3s::Body> {
    if seconds > 0 {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn error(status: u16, elements: &str) -> Response<s3s::Body> {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error>{elements}</Error>");
    let mut response = Response::new(s3s::Body::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    // The request's body was not read: what follows on this connection would be it.
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// What a service of the control endpoint answers with.
pub(crate) type Answer = Result<Response<s3s::Body>, Infallible>;
