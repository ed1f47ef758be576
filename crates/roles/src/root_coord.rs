//! Root coordination: time, ids, databases, collections, partitions.

use std::sync::Arc;

use async_trait::async_trait;

use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, FieldSchema,
    KeyValue, Result, StructField, Timestamp,
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
    /// With a partition key: how many partitions its values are spread over.
    pub num_partitions: Option<usize>,
}

/// Another name of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The database of both.
    pub db_name: String,
    /// The other name.
    pub name: String,
    /// The collection's own name.
    pub collection: String,
}

/// Properties to set and keys to take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyChange {
    /// Set to these values.
    pub set: Vec<KeyValue>,
    /// Taken away.
    pub delete: Vec<String>,
}

/// A change of a collection that keeps its identity.
#[derive(Clone, Debug, PartialEq)]
pub enum CollectionChange {
    /// Of properties. `collection.description`, `consistency_level` and `dynamicfield.enabled` are
    /// not stored as properties: they set what they name.
    Properties(PropertyChange),
    /// Of a field's type parameters; `field.description` sets the description.
    Field {
        /// The field.
        name: String,
        /// The change.
        params: PropertyChange,
    },
    /// Another field. Rows that were there before have its default, or null.
    AddField(FieldSchema),
    /// Another struct array.
    AddStructField {
        /// The struct array itself.
        field: StructField,
        /// Its sub-fields, called `struct[sub]`.
        sub_fields: Vec<FieldSchema>,
    },
    /// A field, or a struct array with its sub-fields, goes, and its indexes with it.
    DropField(String),
}

/// Databases, collections and partitions. Every change is durable when the call returns.
#[async_trait]
pub trait RootCoord: TimestampOracle + IdAllocator {
    /// All databases.
    async fn list_databases(&self) -> Result<Vec<Database>>;

    /// Creates a database: `database already exist: D` (65535), `exceeded the limit` (801).
    async fn create_database(&self, name: &str, properties: Vec<KeyValue>) -> Result<()>;

    /// Drops an empty database; an unknown one is a success, `default` and one that has
    /// collections are refused.
    async fn drop_database(&self, name: &str) -> Result<()>;

    /// Changes a database's properties, or `database not found` (800).
    async fn alter_database(&self, name: &str, change: PropertyChange) -> Result<()>;

    /// Gives a collection another name: 1601 and 1602 where the name is taken; again on the same
    /// collection is a success.
    async fn create_alias(&self, db_name: &str, alias: &str, collection: &str) -> Result<()>;

    /// Takes an alias away; an unknown one is a success.
    async fn drop_alias(&self, db_name: &str, alias: &str) -> Result<()>;

    /// Points an alias to another collection: `alias not found` (1600), 100.
    async fn alter_alias(&self, db_name: &str, alias: &str, collection: &str) -> Result<()>;

    /// The aliases of a database, by name; only those of `collection` where given.
    async fn list_aliases(&self, db_name: &str, collection: Option<&str>) -> Result<Vec<Alias>>;

    /// Removes every row and keeps all else. Rows written after the call returns stay.
    async fn truncate_collection(&self, db_name: &str, name: &str) -> Result<()>;

    /// Changes a collection; a change of the schema moves its version and `update_ts`.
    async fn alter_collection(
        &self,
        db_name: &str,
        name: &str,
        change: CollectionChange,
    ) -> Result<()>;

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

    /// The collection with name or alias `name`, or `collection not found` (100), `database not
    /// found` (800).
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
