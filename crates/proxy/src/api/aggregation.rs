//! Search aggregation: hits in nested buckets, with metrics.

use std::collections::BTreeMap;

use milvus_types::{FieldId, PrimaryKey, Value};

/// One level of buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AggregationSpec {
    /// The fields whose values make a bucket.
    pub fields: Vec<String>,
    /// Buckets to return.
    pub size: i64,
    /// Buckets to look at; 0 for `size`.
    pub search_size: i64,
    /// What to compute of each bucket, by alias.
    pub metrics: BTreeMap<String, MetricSpec>,
    /// The order of buckets, most important criterion first.
    pub order: Vec<SortSpec>,
    /// The hits to return of each bucket.
    pub top_hits: Option<TopHitsSpec>,
    /// Buckets within each bucket.
    pub sub_aggregation: Option<Box<AggregationSpec>>,
}

/// A metric of a bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSpec {
    /// `avg`, `sum`, `count`, `min` or `max`.
    pub op: String,
    /// A field, `_score`, or `*` to count all.
    pub field_name: String,
}

/// One criterion of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortSpec {
    /// Of buckets: a metric's alias, `_count` or `_key`; of hits: a field or `_score`.
    pub name: String,
    /// `asc` or `desc`.
    pub direction: String,
    /// Whether nulls come first; of hits only.
    pub null_first: bool,
}

/// Hits of a bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopHitsSpec {
    /// How many.
    pub size: i64,
    /// Their order; by score in the end.
    pub sort: Vec<SortSpec>,
}

/// A named scalar value, `None` for null.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedValue {
    /// The field.
    pub field_id: FieldId,
    /// Its name.
    pub field_name: String,
    /// Its value.
    pub value: Option<Value>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// The values that make it.
    pub key: Vec<NamedValue>,
    /// Hits in it.
    pub count: i64,
    /// Metrics by alias; one of nothing is left out.
    pub metrics: BTreeMap<String, Value>,
    /// Its best hits.
    pub hits: Vec<BucketHit>,
    /// Buckets within.
    pub sub_buckets: Vec<Bucket>,
}

/// A hit of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketHit {
    /// Its key.
    pub key: PrimaryKey,
    /// Its score.
    pub score: f32,
    /// Its output fields.
    pub fields: Vec<NamedValue>,
}
