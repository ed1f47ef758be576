//! One shard: its log channel, its rows, its readers.
//!
//! Two tasks serve a shard and sleep when it is idle: the apply loop (`write`) and maintenance.
//! They end with [`Shard::stop`].

mod distribution;
mod flush;
mod idle;
mod inflight;
mod keys;
mod maintenance;
mod merge;
mod open;
mod outage;
mod partitions;
mod read;
mod replace;
mod retired;
mod room;
mod state;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use milvus_base::{CpuPool, Governor, Shutdown};
use milvus_roles::{
    DataCoord, FlushTicket, GrowingStatus, IdAllocator, QueryNode, TimestampOracle,
};
use milvus_segment::Segment;
use milvus_storage::ObjectStore;
use milvus_types::{Collection, CollectionId, Result, VChannel};
use milvus_wal::LogChannel;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, watch};

use self::distribution::Current;
use self::inflight::Inflight;
use self::maintenance::Task;
use self::state::ShardState;
use self::write::Item;
use crate::options::StreamingOptions;
use crate::relief::Held;
use crate::stats::StreamingStats;

/// What every shard of a process shares.
pub(crate) struct Parts {
    pub(crate) options: StreamingOptions,
    pub(crate) oracle: Arc<dyn TimestampOracle>,
    pub(crate) ids: Arc<dyn IdAllocator>,
    pub(crate) data: Arc<dyn DataCoord>,
    pub(crate) query: Arc<dyn QueryNode>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) cpu: CpuPool,
    pub(crate) apply: CpuPool,
    pub(crate) governor: Governor,
    /// Bytes of rows written to every shard, ever.
    pub(crate) written_bytes: AtomicU64,
}

pub(crate) struct Shard {
    parts: Arc<Parts>,
    vchannel: VChannel,
    collection_id: CollectionId,
    pk_field: String,
    collection: RwLock<Arc<Collection>>,
    /// What partitions are now that were emptied.
    renewed: RwLock<partitions::Renewed>,
    log: Arc<dyn LogChannel>,
    inflight: Inflight,
    state: Mutex<ShardState>,
    current: Current,
    /// Compactions that are committed, but whose outputs could not answer yet.
    swaps: Mutex<Vec<replace::Swap>>,
    retired: Mutex<Vec<retired::Retired>>,
    queue: mpsc::UnboundedSender<Item>,
    maintenance: mpsc::UnboundedSender<Task>,
    progress: LoadProgress,
    /// Loads that are queued or under way: reads wait for them rather than fail.
    pending_loads: watch::Sender<usize>,
    /// A write came: the idle clock starts again.
    wrote: Notify,
    writes: AtomicU64,
    flushes: AtomicU64,
    /// Called when a flush is committed, to cut the log.
    truncate: Box<dyn Fn(u64) + Send + Sync>,
    pub(crate) stop: Shutdown,
    /// Its collection is gone, and so is what it has not committed.
    dropped: AtomicBool,
    trouble: Mutex<outage::Trouble>,
}

/// How far the load under way is.
#[derive(Default)]
struct LoadProgress {
    total: AtomicU64,
    done: AtomicU64,
}

impl LoadProgress {
    fn begin(&self, total: usize) {
        self.total.store(total as u64, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shard {
    pub(crate) fn vchannel(&self) -> &VChannel {
        &self.vchannel
    }

    pub(crate) fn collection_id(&self) -> CollectionId {
        self.collection_id
    }

    pub(crate) fn collection(&self) -> Arc<Collection> {
        self.collection.read().clone()
    }

    fn count_writes(&self, count: usize) {
        self.writes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// (done, total) segments of the load under way.
    pub(crate) fn load_progress(&self) -> (u64, u64) {
        let total = self.progress.total.load(Ordering::Relaxed);
        (self.progress.done.load(Ordering::Relaxed).min(total), total)
    }

    /// What a flush of this shard would free.
    pub(crate) fn held(&self) -> Held {
        let state = self.state.lock();
        let bytes = |unflushed: &Vec<state::Unflushed>| -> u64 {
            unflushed.iter().map(|unflushed| unflushed.segment.bytes()).sum()
        };
        let flushing = bytes(&state.flushing) + bytes(&state.committed);
        Held { growing: bytes(&state.growing), flushing }
    }

    /// Has what grows be written out, without waiting for it.
    pub(crate) fn seal_soon(&self) {
        let _ = self.enqueue(Item::Seal { reply: None });
    }

    pub(crate) fn growing_segments(&self) -> Vec<GrowingStatus> {
        let state = self.state.lock();
        let status = |unflushed: &state::Unflushed, sealed| GrowingStatus {
            segment_id: unflushed.segment.id(),
            partition_id: unflushed.segment.partition_id(),
            rows: u64::from(unflushed.segment.rows()),
            sealed,
            min_ts: unflushed.min_ts,
        };
        let growing = state.growing.iter().map(|unflushed| status(unflushed, false));
        let flushing = state.flushing.iter().map(|unflushed| status(unflushed, true));
        growing.chain(flushing).collect()
    }

    /// Seals; with `wait`, returns when everything sealed, now or before, is committed.
    pub(crate) async fn flush(&self, wait: bool) -> Result<FlushTicket> {
        let sealed = self.seal().await?;
        if wait {
            match sealed.committed {
                Some(committed) => committed.await.map_err(|_| self.gone())??,
                None => self.all_committed().await?,
            }
        }
        Ok(sealed.ticket)
    }

    /// The first log position that a restart would need, `Ok(None)` if none, and `Err` with the
    /// last applied position when writes are under way.
    pub(crate) fn needs_log_from(&self) -> Result<Option<u64>, u64> {
        // In this order: a write that is not pending any more is in the state.
        let busy = self.inflight.is_busy();
        let state = self.state.lock();
        let needs = state.needs_log_from();
        if busy { Err(needs.unwrap_or(state.position)) } else { Ok(needs) }
    }

    pub(crate) fn add_stats(&self, stats: &mut StreamingStats) {
        let state = self.state.lock();
        stats.channels += 1;
        for unflushed in state.growing.iter().chain(&state.flushing).chain(&state.committed) {
            stats.growing_segments += 1;
            stats.growing_rows += u64::from(unflushed.segment.rows());
            stats.growing_bytes += unflushed.segment.bytes();
        }
        for flushed in state.flushed.values() {
            stats.flushed_segments += 1;
            stats.flushed_rows += flushed.entry.rows;
            stats.pending_deletes += flushed.unpersisted.len() as u64;
        }
        stats.writes += self.writes.load(Ordering::Relaxed);
        stats.flushes += self.flushes.load(Ordering::Relaxed);
    }

    /// Ends the shard's tasks and has the query node forget its segments.
    pub(crate) async fn drop_all(&self) {
        self.dropped.store(true, Ordering::Relaxed);
        self.stop.trigger();
        self.inflight.close();
        let served = self.current.get().sealed.clone();
        self.current.change(|distribution| {
            distribution.growing.clear();
            distribution.sealed.clear();
            distribution.load = milvus_roles::LoadScope::Nothing;
        });
        for (segment, _) in served {
            if let Err(failure) = self.parts.query.release_segment(segment).await {
                tracing::warn!(%segment, %failure, "segment of a dropped shard stays loaded");
            }
        }
        self.swaps.lock().clear();
        self.release_retired_of(|_| true).await;
        let dropped = {
            let mut state = self.state.lock();
            state.flushed.clear();
            state.retiring.clear();
            let flushing = std::mem::take(&mut state.flushing);
            let committed = std::mem::take(&mut state.committed);
            (std::mem::take(&mut state.growing), flushing, committed)
        };
        drop(self.parts.apply.run(milvus_base::Priority::Write, move || drop(dropped)));
    }
}
