//! Query coordination: what is loaded, and how far loading is.

use async_trait::async_trait;

use milvus_types::{CollectionId, PartitionId, Result};

/// What a client asked to load.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The collection.
    pub collection_id: CollectionId,
    /// Only these partitions; `None` for the collection with all partitions to come.
    pub partitions: Option<Vec<PartitionId>>,
    /// Replicas; 0 means 1.
    pub replica_number: i32,
    /// Only these fields; empty for all.
    pub load_fields: Vec<String>,
    /// Load what was flushed or indexed since.
    pub refresh: bool,
}

/// The state `GetLoadState` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// Not loaded.
    NotLoad,
    /// On its way.
    Loading,
    /// Searchable.
    Loaded,
}

/// What is loaded of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadStatus {
    /// The state over everything asked for.
    pub state: LoadState,
    /// 0..=100.
    pub progress: i64,
    /// The loaded partitions; `None` when the whole collection is loaded.
    pub partitions: Option<Vec<PartitionId>>,
    /// The loaded fields; empty for all.
    pub load_fields: Vec<String>,
    /// Replicas.
    pub replica_number: i32,
}

/// Load states. Durable: what was loaded before a restart is loaded after it.
#[async_trait]
pub trait QueryCoord: Send + Sync {
    /// Begins to load; loading goes on after the call returns. Loading again is a success.
    /// Fails with `there is no vector index on field: [f], please create index firstly` (1100).
    async fn load(&self, request: LoadRequest) -> Result<()>;

    /// Releases a collection, or only `partitions`. Releasing what is not loaded is a success.
    async fn release(
        &self,
        collection_id: CollectionId,
        partitions: Option<Vec<PartitionId>>,
    ) -> Result<()>;

    /// What is loaded; `None` when nothing is.
    async fn load_status(&self, collection_id: CollectionId) -> Result<Option<LoadStatus>>;
}
