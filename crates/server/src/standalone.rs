//! Role assembly: every role in one process, each holding the others by their traits.
//!
//! The one function that knows concrete roles is [`assemble`].

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use milvus_base::{Clock, CpuPool, Governor};
use milvus_coord::{CompactionOptions, CoordOptions, CoordParts, MixCoord};
use milvus_data::{DataOptions, DataService};
use milvus_meta::{Catalogue, EmbeddedKv};
use milvus_proxy::{Proxy, ProxyOptions};
use milvus_query::QueryService;
use milvus_roles::Streaming;
use milvus_storage::{DataDirLock, LocalStore, ObjectStore};
use milvus_streaming::{StreamingOptions, StreamingParts, StreamingService};
use milvus_types::{Coded, Failure};
use milvus_wal::{LocalWal, LocalWalOptions};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::planted::Planted;
use crate::role_metrics;
use crate::start_error::StartError;

/// Searches that may wait for a thread before further ones are refused.
const SEARCH_QUEUE: usize = 64 * 1024;
/// Applies that may wait: one for each shard at most, so this is never reached.
const APPLY_QUEUE: usize = 1 << 24;

/// The roles of one process, running.
pub struct Standalone {
    /// The front door, which the adapters call.
    pub proxy: Proxy,
    streaming: Arc<StreamingService>,
}

/// Opens what is kept in the data directory and starts every role on it. Returns when reads and
/// writes can be served.
///
/// The data directory holds `meta.redb` (the catalogue), `log/` and `objects/`. The roles' numbers
/// go into `metrics` as sources.
pub async fn assemble(
    config: &Config,
    _lock: &DataDirLock,
    governor: Governor,
    metrics: &Metrics,
) -> Result<Standalone, StartError> {
    let planted = Planted::from_environment()?;
    let dir = &config.data_dir;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // A pool serves its highest priority first, always; so what must not starve has its own.
    let search = Arc::new(CpuPool::new("search", cores, SEARCH_QUEUE));
    let requests = Arc::new(CpuPool::new("requests", cores, SEARCH_QUEUE));
    let loads = Arc::new(CpuPool::new("loads", cores, APPLY_QUEUE));
    let apply = CpuPool::new("apply", cores, APPLY_QUEUE);
    let shared_governor = Arc::new(governor.clone());

    refuse_data_without_catalogue(dir)?;
    let kv = EmbeddedKv::open(dir.join("meta.redb")).await;
    let kv = kv.map_err(|error| failed("metadata", &error))?;
    let catalogue =
        Catalogue::open(Arc::new(kv)).await.map_err(|error| failed("metadata", &error))?;
    let objects = dir.join("objects");
    let store = milvus_base::io::try_run(move || LocalStore::open(objects)).await;
    let store: Arc<dyn ObjectStore> = Arc::new(store.map_err(|error| failed("storage", &error))?);
    let log_options = LocalWalOptions { planted_bug: planted.log, ..LocalWalOptions::default() };
    let wal = LocalWal::open(dir.join("log"), log_options).await;
    let wal = Arc::new(wal.map_err(|error| failed("log", &error))?);

    let query =
        Arc::new(QueryService::new(store.clone(), search.clone(), loads, shared_governor.clone()));
    let builder = Arc::new(DataService::new(
        store.clone(),
        shared_governor.clone(),
        Clock::system(),
        DataOptions::default(),
    ));
    let coord = MixCoord::open(CoordParts {
        options: CoordOptions {
            limits: config.limits.clone(),
            pchannels: config.channel_count,
            pchannel_prefix: config.channel_prefix.clone(),
            min_rows_to_index: config.segments.min_rows_to_index,
            compaction: CompactionOptions {
                is_automatic: config.segments.is_compacted,
                max_segment_bytes: config.segments.max_bytes,
                min_dead_ratio: config.segments.min_dead_ratio,
                retention: config.segments.retention,
                file_grace: config.segments.file_grace,
                ..CompactionOptions::default()
            },
        },
        catalogue,
        store: store.clone(),
        builder,
    })
    .await
    .map_err(|failure| StartError::Role { role: "coordinators", failure })?;
    let streaming = Arc::new(StreamingService::new(StreamingParts {
        options: streaming_options(config, &planted),
        oracle: coord.clone(),
        ids: coord.clone(),
        data: coord.clone(),
        query: query.clone(),
        store,
        wal,
        cpu: (*search).clone(),
        apply,
        governor,
    }));
    let owner: Arc<dyn Streaming> = streaming.clone();
    coord
        .recover(owner.clone())
        .await
        .map_err(|failure| StartError::Role { role: "shards", failure })?;

    role_metrics::watch(metrics, &coord, &streaming, &query);
    let options = ProxyOptions {
        limits: config.limits.clone(),
        flush_rate_per_collection: config.flush_rate,
        ..ProxyOptions::default()
    };
    let proxy =
        Proxy::new(options, coord.clone(), coord.clone(), coord, owner, shared_governor, requests);
    Ok(Standalone { proxy, streaming })
}

fn streaming_options(config: &Config, planted: &Planted) -> StreamingOptions {
    let segments = &config.segments;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a size in bytes; fractions of a byte do not matter"
    )]
    let seal_bytes = (segments.max_bytes as f64 * segments.seal_proportion) as u64;
    StreamingOptions {
        seal_bytes,
        max_idle: segments.max_idle,
        max_life: segments.max_life,
        // Served for less long than their files are there.
        retire_after: segments.file_grace * 2 / 3,
        planted_bug: planted.streaming,
        ..StreamingOptions::default()
    }
}

/// Without its catalogue every file of a data directory looks like garbage: nothing may be opened.
fn refuse_data_without_catalogue(dir: &Path) -> Result<(), StartError> {
    let has_catalogue =
        std::fs::metadata(dir.join("meta.redb")).is_ok_and(|catalogue| catalogue.len() > 0);
    let has_segments = std::fs::read_dir(dir.join("objects").join("segments"))
        .is_ok_and(|mut segments| segments.next().is_some());
    if has_catalogue || !has_segments {
        return Ok(());
    }
    Err(StartError::CatalogueMissing { data_dir: dir.to_owned() })
}

fn failed<E: Coded + std::error::Error>(role: &'static str, error: &E) -> StartError {
    StartError::Role { role, failure: Failure::from(error) }
}

impl Standalone {
    /// Stops the roles in order. What was acknowledged is durable already.
    pub async fn stop(self) {
        drop(self.proxy);
        self.streaming.close().await;
    }
}
