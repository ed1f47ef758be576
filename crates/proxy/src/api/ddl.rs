//! Requests and replies about what exists: databases, collections, partitions, indexes, load states,
//! flushes and segments.

mod change;
mod introspect;

use std::sync::Arc;

use milvus_roles::{FlushTicket, IndexProgress, LoadState};
use milvus_types::{
    Collection, CollectionId, CollectionSchema, FieldSchema, IndexMeta, KeyValue, PartitionId,
    SegmentId, StructField, Timestamp,
};

pub use change::*;
pub use introspect::*;

/// `CreateCollection`, as decoded; nothing has been validated.
#[derive(Clone, Debug, Default)]
pub struct CreateCollectionRequest {
    /// The name in the request.
    pub collection_name: String,
    /// The decoded schema without struct arrays; `schema.name` is the name inside it.
    pub schema: CollectionSchema,
    /// Its struct arrays.
    pub structs: Vec<StructArray>,
    /// Parts of the schema that this version does not serve, by kind and name
    /// (`function bm25`, ...); refused by name where Milvus would accept.
    pub unsupported: Vec<String>,
    /// Shards; 0 means 1.
    pub shards_num: i32,
    /// The wire's number.
    pub consistency_level: i32,
    /// Properties.
    pub properties: Vec<KeyValue>,
    /// Only with a partition key.
    pub num_partitions: i64,
}

/// A struct array as a client describes it; its sub-fields bear their own names only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StructArray {
    /// The struct array itself.
    pub field: StructField,
    /// What it is made of.
    pub sub_fields: Vec<FieldSchema>,
}

/// A collection as `DescribeCollection` answers it; the adapter hides `$meta`.
#[derive(Clone, Debug)]
pub struct DescribedCollection {
    /// The metadata.
    pub collection: Arc<Collection>,
    /// Other names.
    pub aliases: Vec<String>,
}

/// One entry of `ShowCollections`.
#[derive(Clone, Debug)]
pub struct ListedCollection {
    /// The metadata.
    pub collection: Arc<Collection>,
    /// Loaded share, 0..=100; 0 when not loaded.
    pub loaded_percent: i64,
}

/// One entry of `ShowPartitions`.
#[derive(Clone, Debug)]
pub struct ListedPartition {
    /// Its identity.
    pub id: PartitionId,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub create_ts: Timestamp,
    /// Loaded share, 0..=100.
    pub loaded_percent: i64,
}

/// `LoadCollection` and `LoadPartitions`.
#[derive(Clone, Debug, Default)]
pub struct LoadApiRequest {
    /// The collection.
    pub collection_name: String,
    /// `None` for `LoadCollection`; the names of `LoadPartitions`.
    pub partition_names: Option<Vec<String>>,
    /// Replicas; 0 means 1.
    pub replica_number: i32,
    /// Resource groups; only the default one is served.
    pub resource_groups: Vec<String>,
    /// Reload what is new.
    pub refresh: bool,
    /// Only these fields.
    pub load_fields: Vec<String>,
    /// Leave the dynamic field out.
    pub skip_load_dynamic_field: bool,
}

/// `GetLoadState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStateReply {
    /// No such collection.
    NotExist,
    /// A known collection's state.
    Known(LoadState),
}

/// `CreateIndex`.
#[derive(Clone, Debug, Default)]
pub struct CreateIndexRequest {
    /// The collection.
    pub collection_name: String,
    /// The field.
    pub field_name: String,
    /// The name asked for; may be empty.
    pub index_name: String,
    /// `extra_params` as sent.
    pub params: Vec<KeyValue>,
}

/// One entry of `DescribeIndex`.
#[derive(Clone, Debug)]
pub struct DescribedIndex {
    /// The definition.
    pub index: Arc<IndexMeta>,
    /// The field's name, or the dynamic key's.
    pub field_name: String,
    /// How far it is.
    pub progress: IndexProgress,
}

/// `Flush` of one collection.
#[derive(Clone, Debug)]
pub struct FlushedCollection {
    /// The name asked for.
    pub name: String,
    /// Its identity.
    pub id: CollectionId,
    /// What was sealed.
    pub ticket: FlushTicket,
    /// When, in milliseconds since the epoch.
    pub seal_time_ms: u64,
}

/// `GetFlushState`.
#[derive(Clone, Debug, Default)]
pub struct FlushStateRequest {
    /// Segments to ask for.
    pub segments: Vec<SegmentId>,
    /// Everything sealed up to here.
    pub flush_ts: u64,
    /// The collection, where given.
    pub collection_name: String,
}
