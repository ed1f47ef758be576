//! The data node: takes build tasks one after the other, in bounded memory.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milvus_base::retry::Backoff;
use milvus_base::{Clock, CpuPool, Governor, Priority, Purpose, Reservation};
use milvus_format::IndexEntry;
use milvus_roles::{BuildIndex, CompactSegments, Compacted, DataNode};
use milvus_storage::ObjectStore;
use milvus_types::error::OrFailure;
use milvus_types::{Failure, Result};
use tokio::sync::Semaphore;

use crate::build::{self, Plan};
use crate::error::BuildError;
use crate::progress::{BuildStatus, Builds};

/// Settings of [`DataService`].
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// Threads of one build.
    pub build_threads: usize,
    /// Builds at the same time.
    pub concurrent_builds: usize,
    /// How long, and how often, a build asks for memory before it gives up.
    pub memory_wait: Backoff,
}

impl Default for DataOptions {
    /// All cores but one where there are more than two, one build at a time, and some ten minutes
    /// of waiting for memory.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            build_threads: if cores > 2 { cores - 1 } else { cores },
            concurrent_builds: 1,
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

/// Builds indexes of segments of an object store.
#[derive(Debug)]
pub struct DataService {
    store: Arc<dyn ObjectStore>,
    governor: Arc<Governor>,
    clock: Clock,
    options: DataOptions,
    /// One thread for each build under way; the index builder starts the others.
    threads: CpuPool,
    slots: Semaphore,
    builds: Builds,
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
        Self {
            store,
            governor,
            clock,
            options,
            // A cancelled build may still hold its thread when the next one takes its slot.
            threads: CpuPool::new("index-build", slots, 2 * slots),
            slots: Semaphore::new(slots),
            builds: Builds::default(),
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
        let job = self.threads.run(Priority::Build, move || {
            // Held until the thread is done, which is later than the caller's end if that cancels.
            let _memory = memory;
            build::run(&task, &plan, bytes, &*store, threads, &progress)
        });
        let built = job.await??;
        let seconds = (self.clock.monotonic().saturating_sub(started)).as_secs_f64();
        tracing::info!(segment = %id, %index, rows, seconds, bytes = built.file.bytes, "index built");
        Ok(built)
    }

    /// Takes `bytes` from the governor, waiting for room for as long as the options say.
    async fn reserve(&self, bytes: u64) -> Result<Reservation, BuildError> {
        let fits_some_day = |error: &milvus_base::MemoryLimitExceeded| bytes <= error.limit_bytes;
        let attempt = || async { self.governor.try_reserve(Purpose::Build, bytes) };
        Ok(self.options.memory_wait.retry(&self.clock, fits_some_day, attempt).await?)
    }
}

#[async_trait]
impl DataNode for DataService {
    async fn compact(&self, task: CompactSegments) -> Result<Compacted> {
        Err(Failure::internal(format!("{} segments are not compacted", task.inputs.len())))
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
