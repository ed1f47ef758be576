//! Requests and replies of searches and queries.

use arrow::array::ArrayRef;
use bytes::Bytes;

use milvus_expr::Templates;
use milvus_types::{FieldSchema, KeyValue, PrimaryKeys, Timestamp};

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
