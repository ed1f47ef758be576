//! The life of the server: lock, listen, start the roles, serve, drain, stop.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Governor, Shutdown, memory, task};
use milvus_storage::DataDirLock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::Admin;
use crate::config::Config;
use crate::grpc::serve::{MessageLimits, serve};
use crate::grpc::{Admission, Service};
use crate::memory_watch;
use crate::metrics::Metrics;
use crate::standalone::assemble;
use crate::start_error::StartError;

/// The exit code of a process that a second signal ended at once.
const EXIT_AT_ONCE: i32 = 130;
/// How long connections without a request may stay open at a stop.
const CONNECTIONS_CLOSE: Duration = Duration::from_secs(1);

/// Runs every role until a signal stops it.
pub async fn standalone(config: Config, memory_limit: Option<u64>) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let lock = DataDirLock::acquire(&config.data_dir)?;
    let listener = listen(SocketAddr::new(config.address, config.port), "--port").await?;
    let admin_listener = listen_for_admin(&config).await?;

    let limit = memory_limit.unwrap_or_else(memory::default_limit_bytes);
    let governor = Governor::new(limit);
    governor.set_uncharged(memory_watch::kept_back(limit));
    let metrics = Arc::new(Metrics::new()?);
    metrics.watch_memory(governor.clone());
    let shutdown = Shutdown::new();
    let admin = Admin::new(Arc::clone(&metrics));
    let admin_address = admin_listener.local_addr()?;
    let admin_stop = Shutdown::new();
    let admin_task = task::spawn("admin", admin.clone().serve(admin_listener, admin_stop.clone()));

    let roles = tokio::select! {
        roles = assemble(&config, &lock, governor.clone(), &metrics) => roles?,
        () = signals.next() => return Ok(()),
    };
    let address = listener.local_addr()?;
    let service = Service::new(roles.proxy.clone(), Arc::clone(&metrics));
    let under_way = service.under_way().clone();
    let admission = Admission::new(governor);
    let limits = MessageLimits {
        request_bytes: config.max_request_bytes,
        reply_bytes: config.max_reply_bytes,
    };
    let serving = serve(listener, service, limits, admission, shutdown.clone());
    let mut serving = task::spawn("grpc", serving);
    roles.memory.start();
    admin.show_memory(roles.memory.clone());
    admin.set_ready(true);
    announce(&config, address, admin_address)?;
    tracing::info!(%address, memory_limit = limit, file = ?config.file, "ready");

    tokio::select! {
        () = signals.next() => {}
        ended = &mut serving => ended.map_err(io::Error::other)??,
    }
    tracing::info!("stopping: no new requests");
    admin.set_ready(false);
    shutdown.trigger();
    let drained = tokio::select! {
        drained = under_way.wait_for(config.graceful_stop) => drained,
        () = signals.next() => exit_at_once(),
    };
    if !drained {
        tracing::warn!(requests = under_way.len(), "requests did not end in time");
    }
    // Idle connections are asked to close; a client that does not listen is left behind.
    tokio::select! {
        _ = tokio::time::timeout(CONNECTIONS_CLOSE, serving) => {}
        () = signals.next() => exit_at_once(),
    }
    tokio::select! {
        () = roles.stop() => {}
        () = signals.next() => exit_at_once(),
    }
    admin_stop.trigger();
    // Nobody waits for scrapers.
    admin_task.abort();
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

/// Tells on standard output where to connect and what to try.
fn announce(config: &Config, address: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    let data_dir =
        std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    writeln!(out, "metrics on {admin}")?;
    writeln!(out, "data in {}", data_dir.display())?;
    writeln!(out, "try: {}", example(address))?;
    out.flush()
}

/// A command that shows that the server answers.
fn example(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!(
        "python3 -c \"from pymilvus import MilvusClient; \
         print(MilvusClient('http://{host}:{}').list_collections())\"",
        address.port()
    )
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, flag, source })
}

/// The admin port: the one asked for, or another free one if nobody asked.
async fn listen_for_admin(config: &Config) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), config.metrics_port);
    match listen(address, "--metrics-port").await {
        Err(error) if !config.metrics_port_is_asked_for => {
            let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
            let listener = listen(any, "--metrics-port").await?;
            tracing::warn!(%error, "metrics are on a free port instead");
            Ok(listener)
        }
        other => other,
    }
}

/// The signals that ask the server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn exit_at_once() -> ! {
    tracing::warn!("second signal: stopping at once");
    std::process::exit(EXIT_AT_ONCE)
}
