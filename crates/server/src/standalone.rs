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
use milvus_storage::DataDirLock;
use milvus_streaming::{StreamingOptions, StreamingParts, StreamingService};

use crate::config::Config;
use crate::memory_watch::MemoryWatch;
use crate::metrics::Metrics;
use crate::placement;
use crate::planted::{Planted, arm_failpoint};
use crate::role_metrics;
use crate::start_error::StartError;
use crate::storage::{self, Storage};

/// Searches that may wait for a thread before further ones are refused.
const SEARCH_QUEUE: usize = 64 * 1024;
/// Applies that may wait: one for each shard at most, so this is never reached.
const APPLY_QUEUE: usize = 1 << 24;

/// The roles of one process, running.
pub struct Standalone {
    /// The front door, which the adapters call.
    pub proxy: Proxy,
    /// What takes how much memory.
    pub memory: MemoryWatch,
    streaming: Arc<StreamingService>,
}

/// Opens what is kept in the data directory and starts every role on it. Returns when reads and
/// writes can be served.
///
/// The data directory holds `meta.redb` (the catalogue) and, unless they are elsewhere, data and log
/// (`storage.rs`). The roles' numbers go into `metrics` as sources.
pub async fn assemble(
    config: &Config,
    _lock: &DataDirLock,
    governor: Governor,
    metrics: &Metrics,
) -> Result<Standalone, StartError> {
    arm_failpoint()?;
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
    let kv = kv.map_err(|error| StartError::role("metadata", &error))?;
    let catalogue = Catalogue::open(Arc::new(kv))
        .await
        .map_err(|error| StartError::role("metadata", &error))?;
    let placement = placement::settle(config, &catalogue).await?;
    let Storage { store, maps, cache, wal } =
        storage::open(config, &catalogue, &placement, planted.log).await?;

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
            compaction: compaction_options(config, &shared_governor),
        },
        catalogue,
        store: store.clone(),
        builder,
    })
    .await
    .map_err(|failure| StartError::Role { role: "coordinators", failure })?;
    let streaming = Arc::new(StreamingService::new(StreamingParts {
        options: streaming_options(config, &shared_governor, &planted),
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
    if let Some(cache) = cache {
        role_metrics::watch_cache(metrics, cache);
    }
    let memory = MemoryWatch::new((*shared_governor).clone(), maps, query, coord.clone());
    memory.show(metrics);
    let options = ProxyOptions {
        limits: config.limits.clone(),
        flush_rate_per_collection: config.flush_rate,
        ..ProxyOptions::default()
    };
    let proxy =
        Proxy::new(options, coord.clone(), coord.clone(), coord, owner, shared_governor, requests);
    Ok(Standalone { proxy, memory, streaming })
}

/// Segments grow up to what fits several times into the memory, for what is written out is held until
/// it is.
fn streaming_options(config: &Config, governor: &Governor, planted: &Planted) -> StreamingOptions {
    let segments = &config.segments;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a size in bytes; fractions of a byte do not matter"
    )]
    let seal_bytes = (segments.max_bytes as f64 * segments.seal_proportion) as u64;
    StreamingOptions {
        seal_bytes: seal_bytes.min(governor.limit() / 8),
        max_idle: segments.max_idle,
        max_life: segments.max_life,
        // Served for less long than their files are there.
        retire_after: config.compaction.file_grace * 2 / 3,
        planted_bug: planted.streaming,
        ..StreamingOptions::default()
    }
}

/// Segments are compacted up to what fits into an eighth of the memory: an index is built over each.
fn compaction_options(config: &Config, governor: &Governor) -> CompactionOptions {
    CompactionOptions {
        is_automatic: config.compaction.is_automatic,
        max_segment_bytes: config.segments.max_bytes.min(governor.limit() / 8),
        min_dead_ratio: config.compaction.min_dead_ratio,
        retention: config.compaction.retention,
        file_grace: config.compaction.file_grace,
        ..CompactionOptions::default()
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

impl Standalone {
    /// Stops the roles in order. What was acknowledged is durable already.
    pub async fn stop(self) {
        drop(self.proxy);
        self.streaming.close().await;
    }
}
