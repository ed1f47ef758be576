//! What the front door takes and answers: one plain struct for each request and reply.
//!
//! No protobuf and no HTTP here: `server` turns the wire into these once, and back once. Vectors
//! and strings are Arrow arrays from the socket on.

use std::sync::Arc;

use arrow::array::ArrayRef;
use bytes::Bytes;

use milvus_expr::Templates;
use milvus_roles::{FlushTicket, IndexProgress, LoadState};
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, FieldSchema, IndexMeta,
    KeyValue, PartitionId, PrimaryKeys, SegmentId, Timestamp,
};

/// What every request carries besides its body.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The database: the request's own `db_name`, else the `dbname` metadata, else `default`.
    pub db_name: String,
}

/// `CreateCollection`, as decoded; nothing has been validated.
#[derive(Clone, Debug, Default)]
pub struct CreateCollectionRequest {
    /// The name in the request.
    pub collection_name: String,
    /// The decoded schema; `schema.name` is the name inside it.
    pub schema: CollectionSchema,
    /// Parts of the schema that this version does not serve, by kind and name
    /// (`function bm25`, `struct array field s`, ...); refused by name where Milvus would accept.
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
    /// How far it is.
    pub progress: IndexProgress,
}

/// One column of an insert as the client sent it.
#[derive(Clone, Debug)]
pub struct InputColumn {
    /// `field_name` on the wire; may be empty for the dynamic column.
    pub name: String,
    /// `is_dynamic` on the wire.
    pub is_dynamic: bool,
    /// The wire's type number, as a type; `None` if the number is unknown.
    pub data_type: Option<DataType>,
    /// The values that are present ("compact": nulls are left out where `valid` says so).
    pub values: InputValues,
    /// One flag per row; empty means every row is present.
    pub valid: Vec<bool>,
}

/// The typed array that the wire's oneof carried.
#[derive(Clone, Debug)]
pub enum InputValues {
    /// Scalars: Boolean, Int32 (Int8..Int32 fields), Int64, Float32, Float64, Utf8 (VarChar; JSON
    /// text, checked to be UTF-8 by the adapter).
    Scalars(ArrayRef),
    /// Float vectors: `dim` as the wire says, values row-major Float32 (`[rows * dim]`).
    FloatVectors {
        /// As the wire says.
        dim: i64,
        /// `Float32Array`.
        values: ArrayRef,
    },
    /// A kind that this version does not serve; its name for the message, and how many rows.
    Unsupported {
        /// `SparseFloatVector`, `Array`, ...
        kind: String,
        /// Rows, as far as the adapter can tell.
        rows: usize,
    },
    /// The oneof was empty.
    Missing,
}

/// `Insert` and `Upsert`.
#[derive(Clone, Debug, Default)]
pub struct InsertRequest {
    /// The collection.
    pub collection_name: String,
    /// The partition; empty for the default.
    pub partition_name: String,
    /// Columns.
    pub columns: Vec<InputColumn>,
    /// Rows the client says there are.
    pub num_rows: u32,
    /// The client's view of the schema; 0 when it sends none.
    pub schema_timestamp: u64,
    /// Upsert only: overlay the given columns.
    pub partial_update: bool,
}

/// `Delete`.
#[derive(Clone, Debug, Default)]
pub struct DeleteRequest {
    /// The collection.
    pub collection_name: String,
    /// The partition; empty for all.
    pub partition_name: String,
    /// Which rows.
    pub expr: String,
    /// Values of `{names}` in `expr`.
    pub templates: Templates,
    /// The wire's number, for deletes that must query first.
    pub consistency_level: i32,
}

/// `MutationResult`.
#[derive(Clone, Debug)]
pub struct MutationReply {
    /// The rows' keys (new ones where the server makes them); the deleted keys of a delete.
    pub keys: PrimaryKeys,
    /// Rows inserted.
    pub insert_count: i64,
    /// Keys deleted.
    pub delete_count: i64,
    /// Rows upserted.
    pub upsert_count: i64,
    /// When: what the client sends back for Session reads.
    pub timestamp: Timestamp,
}

/// How fresh a read must be, as the client sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadConsistency {
    /// 0 Strong, 1 Eventually, 2 Bounded, else a timestamp.
    pub guarantee_timestamp: u64,
    /// The wire's number.
    pub level: i32,
    /// Use the collection's level instead.
    pub use_default: bool,
}

/// The query vectors of a search.
#[derive(Clone, Debug)]
pub struct Placeholder {
    /// The wire's placeholder type number (101 float vector, 21 text, ...).
    pub kind: i32,
    /// One value for each query.
    pub values: Vec<Bytes>,
}

/// `Search`.
#[derive(Clone, Debug, Default)]
pub struct SearchApiRequest {
    /// The collection.
    pub collection_name: String,
    /// Only these partitions; empty for all.
    pub partition_names: Vec<String>,
    /// The filter.
    pub expr: String,
    /// Values of `{names}` in it.
    pub templates: Templates,
    /// The query vectors, `None` where the request has no decodable placeholder.
    pub placeholder: Option<Placeholder>,
    /// `search_params` as sent (anns_field, topk, params, metric_type, offset, ...).
    pub search_params: Vec<KeyValue>,
    /// What to return.
    pub output_fields: Vec<String>,
    /// The wire's nq.
    pub nq: i64,
    /// How fresh.
    pub consistency: ReadConsistency,
    /// Kinds of request that this version does not serve (`function score`, `search by ids`,
    /// `highlighter`, `search aggregation`), refused by name.
    pub unsupported: Vec<String>,
}

/// One column of a result, one value for each row of the result.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    /// The field; for dynamic keys the `$meta` field, its values cut to the keys asked for.
    pub field: FieldSchema,
    /// Arrow layout of `milvus_types::columns`.
    pub values: ArrayRef,
}

/// `SearchResults`.
#[derive(Clone, Debug)]
pub struct SearchApiReply {
    /// The collection's name.
    pub collection_name: String,
    /// Queries.
    pub nq: i64,
    /// The longest of `topks`.
    pub top_k: i64,
    /// Hits of each query.
    pub topks: Vec<i64>,
    /// All hits, query after query.
    pub scores: Vec<f32>,
    /// Their keys.
    pub keys: PrimaryKeys,
    /// Their fields.
    pub columns: Vec<OutputColumn>,
    /// What to list in `output_fields`.
    pub output_fields: Vec<String>,
    /// The key's field name.
    pub primary_field_name: String,
    /// The snapshot, for iterators and sessions.
    pub session_ts: Timestamp,
}

/// `Query`.
#[derive(Clone, Debug, Default)]
pub struct QueryApiRequest {
    /// The collection.
    pub collection_name: String,
    /// Only these partitions; empty for all.
    pub partition_names: Vec<String>,
    /// The filter.
    pub expr: String,
    /// Values of `{names}` in it.
    pub templates: Templates,
    /// What to return.
    pub output_fields: Vec<String>,
    /// `query_params` as sent (limit, offset, ignore_growing, ...).
    pub query_params: Vec<KeyValue>,
    /// How fresh.
    pub consistency: ReadConsistency,
}

/// `QueryResults`.
#[derive(Clone, Debug)]
pub struct QueryApiReply {
    /// The collection's name.
    pub collection_name: String,
    /// Columns, all of one length; `count(*)` is one Int64 column of that name.
    pub columns: Vec<OutputColumn>,
    /// What to list in `output_fields`.
    pub output_fields: Vec<String>,
    /// The key's field name.
    pub primary_field_name: String,
    /// The snapshot.
    pub session_ts: Timestamp,
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

/// The level with wire number `number`, `Strong` if unknown.
pub fn consistency_level(number: i32) -> ConsistencyLevel {
    ConsistencyLevel::from_number(number).unwrap_or_default()
}
