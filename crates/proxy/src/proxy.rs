//! The handle that adapters hold, and what every operation needs: the roles behind it, the
//! collection a request names, a place to compute.

use std::sync::Arc;
use std::time::Duration;

use milvus_base::{CpuPool, Governor, Priority, Purpose, Reservation};
use milvus_roles::{DataCoord, QueryCoord, RootCoord, Streaming};
use milvus_types::{Collection, ErrorCode, Failure, PartitionId, Result, Timestamp};

use crate::ProxyOptions;
use crate::api::Context;
use crate::rate::RateLimiter;
use crate::search::iterator::Iterators;
use crate::validate::names;

/// How long a request waits for memory.
const MEMORY_PATIENCE: Duration = Duration::from_secs(10);

/// The front door; clones share it.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    options: ProxyOptions,
    root: Arc<dyn RootCoord>,
    data: Arc<dyn DataCoord>,
    query: Arc<dyn QueryCoord>,
    streaming: Arc<dyn Streaming>,
    governor: Arc<Governor>,
    cpu: Arc<CpuPool>,
    flushes: RateLimiter,
    iterators: Iterators,
}

impl Proxy {
    /// A front door to these roles. Memory of requests is charged to `governor`, and large
    /// requests are checked on `cpu`.
    pub fn new(
        options: ProxyOptions,
        root: Arc<dyn RootCoord>,
        data: Arc<dyn DataCoord>,
        query: Arc<dyn QueryCoord>,
        streaming: Arc<dyn Streaming>,
        governor: Arc<Governor>,
        cpu: Arc<CpuPool>,
    ) -> Self {
        let flushes = RateLimiter::new(options.flush_rate_per_collection);
        let iterators = Iterators::default();
        Self(Arc::new(Inner {
            options,
            root,
            data,
            query,
            streaming,
            governor,
            cpu,
            flushes,
            iterators,
        }))
    }

    /// The settings it was made with.
    pub fn options(&self) -> &ProxyOptions {
        &self.0.options
    }

    /// A fresh timestamp.
    pub async fn allocate_timestamp(&self) -> Result<Timestamp> {
        self.root().allocate().await
    }

    pub(crate) fn root(&self) -> &dyn RootCoord {
        &*self.0.root
    }

    pub(crate) fn data(&self) -> &dyn DataCoord {
        &*self.0.data
    }

    pub(crate) fn query_coord(&self) -> &dyn QueryCoord {
        &*self.0.query
    }

    pub(crate) fn streaming(&self) -> &dyn Streaming {
        &*self.0.streaming
    }

    pub(crate) fn iterators(&self) -> &Iterators {
        &self.0.iterators
    }

    pub(crate) fn flushes(&self) -> &RateLimiter {
        &self.0.flushes
    }

    /// The collection a request names, which it need not name well.
    pub(crate) async fn collection(&self, cx: &Context, name: &str) -> Result<Arc<Collection>> {
        self.root().describe_collection(&cx.db_name, name).await
    }

    /// The collection a request names, its name checked first.
    pub(crate) async fn named_collection(
        &self,
        cx: &Context,
        name: &str,
    ) -> Result<Arc<Collection>> {
        names::collection(name, self.options().limits.name_length)?;
        self.collection(cx, name).await
    }

    /// Takes memory for a request in flight, waiting a while for it.
    pub(crate) async fn reserve(&self, purpose: Purpose, bytes: usize) -> Result<Reservation> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0
            .governor
            .reserve_within(purpose, bytes, MEMORY_PATIENCE)
            .await
            .map_err(|error| Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string()))
    }

    /// Runs `f` here when it touches few `bytes`, else on the CPU pool.
    pub(crate) async fn compute<T, F>(&self, priority: Priority, bytes: usize, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        if bytes < self.options().cpu_threshold_bytes {
            return f();
        }
        match self.0.cpu.run(priority, f).await {
            Ok(result) => result,
            Err(error) => Err(cpu_failure(&error)),
        }
    }
}

fn cpu_failure(error: &milvus_base::CpuError) -> Failure {
    let code = match error {
        milvus_base::CpuError::QueueFull { .. } => ErrorCode::TooManyRequests,
        milvus_base::CpuError::Closed { .. } => ErrorCode::ServiceUnavailable,
        milvus_base::CpuError::NoThread { .. } => ErrorCode::ResourceInsufficient,
        milvus_base::CpuError::Panicked(_) => ErrorCode::ServiceInternal,
    };
    Failure::wrap(code, error)
}

/// The partition called `name`, or `partition not found[partition=..]` (200).
pub(crate) fn partition_id(collection: &Collection, name: &str) -> Result<PartitionId> {
    let partition = collection.partition(name);
    partition.map(|partition| partition.id).ok_or_else(|| Failure::partition_not_found(name))
}
