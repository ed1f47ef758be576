//! Root coordination: time, ids, databases, collections, partitions.

use std::sync::Arc;

use async_trait::async_trait;

use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, KeyValue, Result,
    Timestamp,
};

/// Hands out timestamps that never go back, not even over restarts.
///
/// An owner of a log channel needs a timestamp while it holds its own lock, so that a reader who
/// takes a later timestamp finds the earlier write already registered. Hence two steps:
/// [`try_allocate`](Self::try_allocate) never waits; when it has nothing, call
/// [`extend`](Self::extend) without the lock and try again.
#[async_trait]
pub trait TimestampOracle: Send + Sync {
    /// The next timestamp, or `None` when the durable high-water mark must be moved first.
    fn try_allocate(&self) -> Option<Timestamp>;

    /// Moves the durable high-water mark ahead of the clock.
    async fn extend(&self) -> Result<()>;

    /// The next timestamp, extending where needed.
    async fn allocate(&self) -> Result<Timestamp> {
        loop {
            if let Some(timestamp) = self.try_allocate() {
                return Ok(timestamp);
            }
            self.extend().await?;
        }
    }
}

/// Hands out ids that are never reused.
#[async_trait]
pub trait IdAllocator: Send + Sync {
    /// The first of `count` consecutive ids.
    async fn allocate_ids(&self, count: u64) -> Result<i64>;
}

/// A database as users see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// Its identity.
    pub id: DatabaseId,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub create_ts: Timestamp,
    /// Properties as set by users.
    pub properties: Vec<KeyValue>,
}

/// What a new collection shall be. The schema has passed the proxy's validation; field ids are
/// given by the coordinator.
#[derive(Clone, Debug)]
pub struct CreateCollection {
    /// The database to create it in.
    pub db_name: String,
    /// Fields, the dynamic field included where it is on; `schema.name` is the collection's name.
    pub schema: CollectionSchema,
    /// How many shards.
    pub shards_num: usize,
    /// The level of reads that name none.
    pub consistency_level: ConsistencyLevel,
    /// Properties as set by the user.
    pub properties: Vec<KeyValue>,
}

/// Databases, collections and partitions. Every change is durable when the call returns.
#[async_trait]
pub trait RootCoord: TimestampOracle + IdAllocator {
    /// All databases.
    async fn list_databases(&self) -> Result<Vec<Database>>;

    /// Creates a collection and its default partition. Creating it again with an equal schema is a
    /// success; with another one `create duplicate collection with different parameters` (1100).
    async fn create_collection(&self, request: CreateCollection) -> Result<Arc<Collection>>;

    /// Drops a collection with all that belongs to it. An unknown one is a success.
    async fn drop_collection(&self, db_name: &str, name: &str) -> Result<()>;

    /// Gives a collection another name.
    async fn rename_collection(
        &self,
        db_name: &str,
        name: &str,
        new_db_name: &str,
        new_name: &str,
    ) -> Result<()>;

    /// The collection called `name`, or `collection not found` (100), `database not found` (800).
    async fn describe_collection(&self, db_name: &str, name: &str) -> Result<Arc<Collection>>;

    /// The collection with identity `id`, or `collection not found` (100).
    async fn describe_collection_by_id(&self, id: CollectionId) -> Result<Arc<Collection>>;

    /// All collections of a database, by name.
    async fn list_collections(&self, db_name: &str) -> Result<Vec<Arc<Collection>>>;

    /// Creates a partition; an existing one is a success.
    async fn create_partition(
        &self,
        db_name: &str,
        collection: &str,
        partition: &str,
    ) -> Result<()>;

    /// Drops a partition with its rows; an unknown one is a success.
    async fn drop_partition(&self, db_name: &str, collection: &str, partition: &str) -> Result<()>;
}
