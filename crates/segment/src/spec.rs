//! What a segment is asked, and what it answers: plain data shared by every role.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use milvus_expr::Plan;
use milvus_index::{QueryData, VectorData};
use milvus_types::{DataType, KeyValue, MetricType, PrimaryKey, PrimaryKeys, Timestamp};

use crate::expiry::Expiry;

/// The search parameter that says how many bits a hash has under MHJACCARD: what the field's index was
/// created with, or a row would have another score before it is indexed than after.
pub const HASH_BITS: &str = "mh_element_bit_width";

/// Query vectors, of the searched field's kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Queries {
    /// All vectors.
    pub data: QueryData,
    /// Where each query is a list of vectors: where the lists begin and end, `[nq + 1]`.
    pub lists: Option<Vec<u32>>,
}

impl Queries {
    /// Each vector of `data` is a query.
    pub fn new(data: QueryData) -> Self {
        Self { data, lists: None }
    }

    /// Queries of one float vector each, `[nq * dim]`; `None` if that does not come out even.
    pub fn floats(values: Vec<f32>, dim: usize) -> Option<Self> {
        VectorData::floats(values, dim).ok().map(Self::new)
    }

    /// How many queries there are.
    pub fn nq(&self) -> usize {
        self.lists.as_ref().map_or(self.data.rows(), |offsets| offsets.len().saturating_sub(1))
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

/// Some groups.
pub type GroupSet = HashSet<Arc<[GroupValue]>>;

/// How hits are grouped: one group for each combination of values, null being one too.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupBy {
    /// What makes a group.
    pub fields: Vec<GroupField>,
    /// Hits of a group, at most.
    pub size: usize,
    /// Whether to look further until each group is full.
    pub strict: bool,
    /// Of each query, the only groups that are wanted; any if absent.
    pub only: Option<Arc<[GroupSet]>>,
}

/// One value that hits are grouped by.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupField {
    /// The column.
    pub column: String,
    /// The keys within a JSON column, from the outside in.
    pub path: Vec<String>,
    /// What a JSON value is read as; `None` for its text.
    pub json_type: Option<DataType>,
    /// Whether a JSON value of another type is an error; else it is null.
    pub strict_cast: bool,
}

/// A value that makes a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupValue {
    /// The row has none.
    Null,
    /// true or false
    Bool(bool),
    /// An integer; microseconds of a `Timestamptz`.
    Int(i64),
    /// A string.
    VarChar(Box<str>),
}

/// Where a page of an iterator ended: only hits strictly behind it are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The last hit's score.
    pub score: f32,
    /// Its key.
    pub key: PrimaryKey,
    /// Its element, in a search of elements.
    pub element: Option<u32>,
}

/// How several numbers become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoostMode {
    /// Their product.
    #[default]
    Multiply,
    /// Their sum.
    Sum,
}

/// Changes of the scores of a segment's best hits.
#[derive(Clone, Debug)]
pub struct Boosts {
    /// How the functions' result and the score become one.
    pub boost_mode: BoostMode,
    /// How the results of several functions become one.
    pub function_mode: BoostMode,
    /// The functions.
    pub functions: Vec<Boost>,
}

/// One change of scores.
#[derive(Clone, Debug)]
pub struct Boost {
    /// Which rows it is for; `None` for all.
    pub filter: Option<Plan>,
    /// The number it brings in.
    pub weight: f32,
    /// A random share of the weight, instead of all of it.
    pub random: Option<RandomScore>,
}

/// A number between 0 and 1 that the seed and the row decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomScore {
    /// The seed.
    pub seed: i64,
    /// The column whose value stands for the row; `None` for the row's place.
    pub column: Option<String>,
}

/// A search of one segment.
///
/// A field of vector lists is searched by list where the queries are lists, and by element where
/// they are not: one row may then give several hits.
#[derive(Clone, Debug)]
pub struct SearchSpec {
    /// The vector field's name.
    pub field: String,
    /// How vectors are compared.
    pub metric: MetricType,
    /// The query vectors.
    pub queries: Arc<Queries>,
    /// How many hits per query; how many groups where hits are grouped.
    pub k: usize,
    /// Search parameters (`ef`, ...), flattened; and [`HASH_BITS`] where the metric needs it.
    pub params: Vec<KeyValue>,
    /// Which rows count, and which elements where it has an element filter.
    pub filter: Plan,
    /// Only hits within these scores.
    pub range: Option<RangeBounds>,
    /// Groups of hits.
    pub group_by: Option<GroupBy>,
    /// Whether this is a page of an iterator: ties at its end are cut by key exactly.
    pub iterator: bool,
    /// Only hits behind this one.
    pub after: Option<Cursor>,
    /// Changes of scores.
    pub boosts: Option<Arc<Boosts>>,
    /// The snapshot.
    pub mvcc: Timestamp,
    /// Which rows are too old to count.
    pub expiry: Expiry,
}

impl SearchSpec {
    /// The `k` best rows of `field` by `metric` at `mvcc`: the search that everything else refines.
    pub fn new(
        field: impl Into<String>,
        metric: MetricType,
        queries: Arc<Queries>,
        k: usize,
        filter: Plan,
        mvcc: Timestamp,
    ) -> Self {
        Self {
            field: field.into(),
            metric,
            queries,
            k,
            params: Vec::new(),
            filter,
            range: None,
            group_by: None,
            iterator: false,
            after: None,
            boosts: None,
            mvcc,
            expiry: Expiry::default(),
        }
    }
}

/// One hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The metric's value, natural sign, boosted where that was asked.
    pub score: f32,
    /// The row in its segment.
    pub row: u32,
    /// The row's primary key.
    pub key: PrimaryKey,
    /// The element of the row, in a search of elements.
    pub element: Option<u32>,
    /// The values it is grouped by.
    pub group: Option<Arc<[GroupValue]>>,
}

/// The order of results: best first, ties by ascending key, then by element.
pub fn result_order(
    metric: MetricType,
    a: (f32, &PrimaryKey, Option<u32>),
    b: (f32, &PrimaryKey, Option<u32>),
) -> Ordering {
    let by_score =
        if metric.larger_is_better() { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) };
    by_score.then_with(|| a.1.cmp(b.1)).then_with(|| a.2.cmp(&b.2))
}

/// Rows found by key and filter: `keys[i]` is the key of row `rows[i]`; ascending by key.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Their keys.
    pub keys: PrimaryKeys,
    /// Their places in the segment.
    pub rows: Vec<u32>,
}
