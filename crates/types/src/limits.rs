//! Limits that Milvus puts on requests and schemas, with its configuration keys and defaults.
//!
//! Defaults only: `server` overrides them from configuration and hands the struct down.

/// The limits in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// `proxy.maxNameLength`: bytes of a collection, field, partition, index or database name.
    pub name_length: usize,
    /// `proxy.maxCollectionDescriptionLength`.
    pub description_length: usize,
    /// `proxy.maxFieldNum`.
    pub fields: usize,
    /// `proxy.maxVectorFieldNum`.
    pub vector_fields: usize,
    /// `proxy.maxShardNum`.
    pub shards: i32,
    /// `proxy.maxDimension`.
    pub dim: i64,
    /// `proxy.maxVarCharLength`, bytes.
    pub varchar_length: i64,
    /// `proxy.maxArrayCapacity`.
    pub array_capacity: i64,
    /// `common.JSONMaxLength`, bytes.
    pub json_length: usize,
    /// `rootCoord.maxPartitionNum`.
    pub partitions: usize,
    /// `rootCoord.maxDatabaseNum`.
    pub databases: usize,
    /// `quotaAndLimits.limits.maxCollectionNum`.
    pub collections: usize,
    /// `quotaAndLimits.limits.maxCollectionNumPerDB`.
    pub collections_per_db: usize,
    /// `rootCoord.maxGeneralCapacity`: the sum over collections of shards x partitions.
    pub general_capacity: usize,
    /// `quotaAndLimits.limits.topK`.
    pub top_k: i64,
    /// `quotaAndLimits.limits.largeTopK`: of collections whose `query_mode` is `large_topk`.
    pub large_top_k: i64,
    /// `quotaAndLimits.limits.nq`.
    pub nq: i64,
    /// `quotaAndLimits.limits.maxQueryResultWindow`.
    pub query_result_window: i64,
    /// `quotaAndLimits.limits.largeMaxQueryResultWindow`: of such collections.
    pub large_query_result_window: i64,
    /// `quotaAndLimits.limits.maxOutputSize`, bytes.
    pub output_bytes: usize,
    /// `proxy.maxIndexParamsSize`, bytes.
    pub index_params_bytes: usize,
    /// `common.gracefulTime`, milliseconds that Bounded reads may lag.
    pub graceful_time_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name_length: 255,
            description_length: 1024,
            fields: 64,
            vector_fields: 10,
            shards: 16,
            dim: 32768,
            varchar_length: 65535,
            array_capacity: 4096,
            json_length: 65536,
            partitions: 1024,
            databases: 64,
            collections: 65536,
            collections_per_db: 65536,
            general_capacity: 65536,
            top_k: 16384,
            large_top_k: 1_000_000,
            nq: 16384,
            query_result_window: 16384,
            large_query_result_window: 1_000_000,
            output_bytes: 104_857_600,
            index_params_bytes: 102_400,
            graceful_time_ms: 5000,
        }
    }
}

impl Limits {
    /// How much one read may ask for: of a collection whose `query_mode` is `large_topk`, a lot.
    pub fn reading(&self, large: bool) -> Window {
        if large {
            Window { top_k: self.large_top_k, rows: self.large_query_result_window }
        } else {
            Window { top_k: self.top_k, rows: self.query_result_window }
        }
    }
}

/// How much one read may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Hits of a search, those of its offset included.
    pub top_k: i64,
    /// Rows of a query or a hybrid search, those of its offset included.
    pub rows: i64,
}

impl Default for Window {
    fn default() -> Self {
        Limits::default().reading(false)
    }
}
