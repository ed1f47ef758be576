//! What a segment is asked, and what it answers: plain data shared by every role.

use std::sync::Arc;

use milvus_expr::Plan;
use milvus_types::{KeyValue, MetricType, PrimaryKey, PrimaryKeys, Timestamp};

/// Query vectors, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Queries {
    /// Dimensions of each.
    pub dim: usize,
    /// `[nq * dim]`.
    pub values: Vec<f32>,
}

impl Queries {
    /// How many queries there are.
    pub fn nq(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Query number `index`.
    pub fn get(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }
}

/// Bounds of a range search, in the metric's own direction: distances `range_filter <= d < radius`,
/// similarities `radius < s <= range_filter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeBounds {
    /// The outer bound, exclusive.
    pub radius: f32,
    /// The inner bound, inclusive.
    pub range_filter: Option<f32>,
}

/// A search of one segment.
#[derive(Clone, Debug)]
pub struct SearchSpec {
    /// The vector field's name.
    pub field: String,
    /// How vectors are compared.
    pub metric: MetricType,
    /// The query vectors.
    pub queries: Arc<Queries>,
    /// How many hits per query.
    pub k: usize,
    /// Search parameters (`ef`, ...), flattened.
    pub params: Vec<KeyValue>,
    /// Which rows count.
    pub filter: Plan,
    /// Only hits within these scores.
    pub range: Option<RangeBounds>,
    /// The snapshot.
    pub mvcc: Timestamp,
}

/// One hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The metric's value, natural sign.
    pub score: f32,
    /// The row in its segment.
    pub row: u32,
    /// The row's primary key.
    pub key: PrimaryKey,
}

/// Rows found by key and filter: `keys[i]` is the key of row `rows[i]`; ascending by key.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Their keys.
    pub keys: PrimaryKeys,
    /// Their places in the segment.
    pub rows: Vec<u32>,
}
