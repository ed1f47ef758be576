//! Requests and replies of searches, hybrid searches and queries.

use arrow::array::ArrayRef;
use bytes::Bytes;

use milvus_expr::Templates;
use milvus_types::{FieldSchema, KeyValue, PrimaryKeys, Timestamp};

use super::aggregation::{AggregationSpec, Bucket};

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

/// Query vectors under one tag.
#[derive(Clone, Debug, Default)]
pub struct Placeholder {
    /// Which of a plan's placeholders this is; `$0` is the only one there is.
    pub tag: String,
    /// The wire's placeholder type number (101 float vector, 21 text, ...).
    pub kind: i32,
    /// One value for each query.
    pub values: Vec<Bytes>,
}

/// What a search compares with.
#[derive(Clone, Debug, Default)]
pub enum SearchInput {
    /// Nothing, or bytes that do not decode.
    #[default]
    Nothing,
    /// The decoded placeholder group.
    Vectors(Vec<Placeholder>),
    /// The vectors of these rows.
    Keys(PrimaryKeys),
}

/// One function of a function score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankFunction {
    /// Its name.
    pub name: String,
    /// The fields it reads.
    pub input_fields: Vec<String>,
    /// `reranker` and that ranker's parameters, as sent.
    pub params: Vec<KeyValue>,
}

/// How hits are scored anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionScore {
    /// The functions.
    pub functions: Vec<RankFunction>,
    /// `boost_mode`, `function_mode`.
    pub params: Vec<KeyValue>,
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
    /// The query vectors, or where to take them from.
    pub input: SearchInput,
    /// `search_params` as sent (anns_field, topk, params, metric_type, offset, ...).
    pub search_params: Vec<KeyValue>,
    /// What to return.
    pub output_fields: Vec<String>,
    /// The wire's nq.
    pub nq: i64,
    /// How fresh.
    pub consistency: ReadConsistency,
    /// How hits are scored anew.
    pub function_score: Option<FunctionScore>,
    /// Buckets instead of hits.
    pub aggregation: Option<AggregationSpec>,
    /// Kinds of request that this version does not serve (`highlighter`, `function chains`),
    /// refused by name.
    pub unsupported: Vec<String>,
}

/// One search of a hybrid search.
#[derive(Clone, Debug, Default)]
pub struct SubSearch {
    /// The filter.
    pub expr: String,
    /// Values of `{names}` in it.
    pub templates: Templates,
    /// The query vectors.
    pub input: SearchInput,
    /// As of a search.
    pub search_params: Vec<KeyValue>,
    /// The wire's nq.
    pub nq: i64,
}

/// `HybridSearch`.
#[derive(Clone, Debug, Default)]
pub struct HybridSearchApiRequest {
    /// The collection.
    pub collection_name: String,
    /// Only these partitions; empty for all.
    pub partition_names: Vec<String>,
    /// The searches.
    pub searches: Vec<SubSearch>,
    /// `limit`, `offset`, `strategy`, `params`, `group_by_field`, ...
    pub rank_params: Vec<KeyValue>,
    /// The ranker; in its absence `rank_params` name one.
    pub function_score: Option<FunctionScore>,
    /// What to return.
    pub output_fields: Vec<String>,
    /// How fresh.
    pub consistency: ReadConsistency,
    /// As of a search.
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

/// How a reply shows `Timestamptz` values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeFormat {
    /// The zone's name; the collection's unless the request names one.
    pub zone: String,
    /// `year`, `month`, ...: arrays of these numbers instead of texts, unless empty.
    pub fields: Vec<String>,
}

/// Where a search iterator stands.
#[derive(Clone, Debug, PartialEq)]
pub struct IteratorState {
    /// The iterator's name.
    pub token: String,
    /// The score of the last hit so far.
    pub last_bound: f32,
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
    /// How to show timestamps.
    pub times: TimeFormat,
    /// The values that hits were grouped by, one column for each field.
    pub group_values: Vec<OutputColumn>,
    /// Whether the client asked by the older name and expects the one column under it.
    pub legacy_group: bool,
    /// The elements that were hit, where a search is one of elements.
    pub elements: Option<Vec<i64>>,
    /// Where the iterator stands, if one asked.
    pub iterator: Option<IteratorState>,
    /// Buckets instead of hits, query after query.
    pub buckets: Option<Vec<Vec<Bucket>>>,
    /// The snapshot, for the first page of an iterator; 0 for all other requests.
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
    /// How to show timestamps.
    pub times: TimeFormat,
    /// The elements of each row that passed an `element_filter`.
    pub elements: Option<Vec<Vec<i64>>>,
    /// What to list in `output_fields`.
    pub output_fields: Vec<String>,
    /// The key's field name.
    pub primary_field_name: String,
    /// The snapshot, for the first page of an iterator; 0 for all other requests.
    pub session_ts: Timestamp,
}
