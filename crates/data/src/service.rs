//! The data node: takes index builds and compactions, few at a time and in bounded memory.
//!
//! Builds and compactions have threads of their own and do not wait for each other: deletes would
//! pile up behind a long build.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use milvus_base::retry::Backoff;
use milvus_base::{
    Clock, CpuPool, Governor, MemoryLimitExceeded, Priority, Purpose, Reservation, task,
};
use milvus_format::{IndexEntry, path};
use milvus_roles::{BuildIndex, CompactSegments, Compacted, DataNode};
use milvus_storage::ObjectStore;
use milvus_types::error::OrFailure;
use milvus_types::{CollectionId, Result};
use tokio::sync::{Semaphore, oneshot};

use crate::build::{self, Plan};
use crate::compact;
use crate::compact::error::CompactError;
use crate::error::BuildError;
use crate::input::InputBytes;
use crate::progress::{BuildStatus, Builds};
use crate::rows::Cancel;
use crate::working::Working;

/// Settings of [`DataService`].
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// Threads of one build.
    pub build_threads: usize,
    /// Builds at the same time.
    pub concurrent_builds: usize,
    /// Compactions at the same time.
    pub concurrent_compactions: usize,
    /// How long, and how often, a build or compaction asks for memory before it gives up.
    pub memory_wait: Backoff,
}

impl Default for DataOptions {
    /// All cores but one where there are more than two, one build at a time, a compaction for every
    /// four cores, and some ten minutes of waiting for memory.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            build_threads: if cores > 2 { cores - 1 } else { cores },
            concurrent_builds: 1,
            concurrent_compactions: (cores / 4).clamp(1, 4),
            memory_wait: Backoff {
                first: Duration::from_millis(100),
                max: Duration::from_secs(10),
                factor: 2.0,
                jitter: 0.2,
                attempts: 64,
            },
        }
    }
}

/// Builds indexes of segments of an object store, and compacts segments.
#[derive(Debug)]
pub struct DataService {
    store: Arc<dyn ObjectStore>,
    governor: Arc<Governor>,
    clock: Clock,
    options: DataOptions,
    /// One thread for each build under way; the index builder starts the others.
    threads: CpuPool,
    slots: Semaphore,
    /// One thread for each compaction under way.
    compact_threads: CpuPool,
    compact_slots: Semaphore,
    builds: Builds,
    working: Working,
}

impl DataService {
    /// A service with nothing to do yet.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        governor: Arc<Governor>,
        clock: Clock,
        options: DataOptions,
    ) -> Self {
        let slots = options.concurrent_builds.max(1);
        let compact_slots = options.concurrent_compactions.max(1);
        Self {
            store,
            governor,
            clock,
            options,
            // A cancelled build may still hold its thread when the next one takes its slot.
            threads: CpuPool::new("index-build", slots, 2 * slots),
            slots: Semaphore::new(slots),
            compact_threads: CpuPool::new("compaction", compact_slots, 2 * compact_slots),
            compact_slots: Semaphore::new(compact_slots),
            builds: Builds::default(),
            working: Working::default(),
        }
    }

    /// The builds under way.
    pub fn builds(&self) -> Vec<BuildStatus> {
        self.builds.list()
    }

    async fn build(&self, task: BuildIndex) -> Result<IndexEntry, BuildError> {
        let plan = Plan::new(&task)?;
        let entry = self.builds.begin(BuildStatus {
            collection_id: task.collection.id,
            segment_id: task.segment.id,
            index_id: task.index.id,
            build_id: task.build_id,
            rows: task.segment.rows,
            done: 0,
        });
        let _slot = self.slots.acquire().await.map_err(|_| BuildError::Stopped)?;
        let memory = self.reserve(plan.estimate_bytes(&task)).await?;
        let bytes = self.store.map(&task.segment.columns.path).await?;

        let (store, threads) = (Arc::clone(&self.store), self.options.build_threads.max(1));
        let (id, index) = (task.segment.id, task.index.name.clone());
        let started = self.clock.monotonic();
        let rows = task.segment.rows;
        tracing::info!(segment = %id, %index, rows, threads, "index build begins");
        let progress = Arc::clone(&entry.progress);
        let work = self.working.begin(task.collection.id);
        let job = self.threads.run(Priority::Build, move || {
            // Held until the thread is done, which is later than the caller's end if that cancels.
            let (_work, _memory) = (work, memory);
            build::run(&task, &plan, bytes, &*store, threads, &progress)
        });
        let built = job.await??;
        let seconds = (self.clock.monotonic().saturating_sub(started)).as_secs_f64();
        tracing::info!(segment = %id, %index, rows, seconds, bytes = built.file.bytes, "index built");
        Ok(built)
    }

    async fn compact_segments(&self, task: CompactSegments) -> Result<Compacted, CompactError> {
        compact::check(&task)?;
        let _slot = self.compact_slots.acquire().await.map_err(|_| CompactError::Stopped)?;
        let memory = self.reserve(compact::estimate_bytes(&task)).await?;
        let mut bytes = Vec::with_capacity(task.inputs.len());
        for segment in &task.inputs {
            bytes.push(InputBytes::map(&*self.store, segment).await?);
        }
        let started = self.clock.monotonic();
        let segments = task.inputs.len();
        let rows: u64 = task.inputs.iter().map(|segment| segment.rows).sum();
        let cancelled = CancelOnDrop::default();
        let (store, task, flag) = (Arc::clone(&self.store), Arc::new(task), cancelled.0.clone());
        let work = self.working.begin(task.collection.id);
        let job = self.compact_threads.run(Priority::Build, {
            let (store, task) = (Arc::clone(&store), Arc::clone(&task));
            move || {
                // Held until the thread is done, which is later than the caller's end if that cancels.
                let (_work, _memory) = (work, memory);
                compact::run(&task, bytes, &*store, Cancel(&flag))
            }
        });
        let (reply, compacted) = oneshot::channel();
        // Lives as long as the thread writes: whoever cancels has gone before it stops.
        task::spawn("compaction-outputs", {
            let task = Arc::clone(&task);
            async move {
                let compacted = job.await.map_err(CompactError::from).flatten();
                if compacted.is_err() {
                    remove_outputs(&*store, &task).await;
                    let _ = reply.send(compacted);
                } else if reply.send(compacted).is_err() {
                    remove_outputs(&*store, &task).await;
                }
            }
        });
        let compacted = compacted.await.map_err(|_| CompactError::Stopped)??;
        let seconds = (self.clock.monotonic().saturating_sub(started)).as_secs_f64();
        let live: u64 = compacted.outputs.iter().map(|segment| segment.rows).sum();
        let outputs = compacted.outputs.len();
        let partition = task.inputs.first().map(|segment| segment.partition_id.0);
        tracing::info!(collection = %task.collection.id, partition, segments, rows, outputs, live,
            seconds, "segments compacted");
        Ok(compacted)
    }

    /// Takes `bytes` from the governor, waiting for room for as long as the options say.
    async fn reserve(&self, bytes: u64) -> Result<Reservation, MemoryLimitExceeded> {
        let fits_some_day = |error: &MemoryLimitExceeded| bytes <= error.limit_bytes;
        let attempt = || async { self.governor.try_reserve(Purpose::Build, bytes) };
        self.options.memory_wait.retry(&self.clock, fits_some_day, attempt).await
    }
}

/// Removes what a compaction has written that failed or that nobody waits for: where the disk is full,
/// it should not stay so. Their names were never used before, so nothing else is there; what cannot be
/// removed is named by nothing and goes later.
async fn remove_outputs(store: &dyn ObjectStore, task: &CompactSegments) {
    let Some(partition) = task.inputs.first().map(|segment| segment.partition_id) else {
        return;
    };
    for id in &task.output_ids {
        let prefix = path::segment(task.collection.id, partition, *id);
        for object in store.list(&prefix).await.unwrap_or_default() {
            if let Err(error) = store.delete(&object.path).await {
                tracing::warn!(path = object.path, %error, "cannot remove a file");
            }
        }
    }
}

/// Tells the thread that works for a future when that is dropped.
#[derive(Debug, Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl DataNode for DataService {
    async fn compact(&self, task: CompactSegments) -> Result<Compacted> {
        let segments: Vec<_> = task.inputs.iter().map(|segment| segment.id).collect();
        let compacted = Box::pin(self.compact_segments(task)).await;
        compacted.or_failure().inspect_err(|failure| {
            tracing::warn!(?segments, %failure, "compaction failed");
        })
    }

    async fn settled(&self, collection_id: CollectionId) {
        self.working.ended(collection_id).await;
    }

    async fn build_index(&self, task: BuildIndex) -> Result<IndexEntry> {
        let (segment, index) = (task.segment.id, task.index.name.clone());
        let built = Box::pin(self.build(task)).await;
        built.or_failure().map_err(|failure| {
            tracing::warn!(%segment, %index, %failure, "index build failed");
            failure
        })
    }
}
