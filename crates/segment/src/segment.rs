//! What every segment can do, growing or sealed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use milvus_expr::Plan;
use milvus_scalar::ScalarIndexSet;
use milvus_types::{PartitionId, PrimaryKeys, SegmentId, Timestamp};

use crate::chunk::Rows;
use crate::deletes::DeleteSnapshot;
use crate::error::{FetchError, QueryError, SearchError};
use crate::expiry::Expiry;
use crate::live::{Live, Visibility};
use crate::schema::SegmentSchema;
use crate::spec::{Hit, SearchSpec, Selection};
use crate::{fetch, select};

/// A set of rows of one partition and one shard.
///
/// Every read names its snapshot and sees exactly the rows inserted and not deleted by then. All
/// calls may come from any thread at any time; those that read compute, so they belong on a CPU
/// pool.
pub trait Segment: Send + Sync + std::fmt::Debug {
    /// Its identity.
    fn id(&self) -> SegmentId;

    /// The partition its rows are in.
    fn partition_id(&self) -> PartitionId;

    /// How many rows were inserted, deleted ones included.
    fn rows(&self) -> u32;

    /// The best hits of each query: best first, ties by ascending key.
    fn search(&self, spec: &SearchSpec) -> Result<Vec<Vec<Hit>>, SearchError>;

    /// Rows that pass `filter` and have one of `keys` (where given) at `mvcc`: those with the
    /// `limit` smallest keys, ascending by key.
    fn select(
        &self,
        filter: &Plan,
        keys: Option<&PrimaryKeys>,
        mvcc: Timestamp,
        expiry: &Expiry,
        limit: Option<usize>,
    ) -> Result<Selection, QueryError>;

    /// How many rows pass `filter` at `mvcc`.
    fn count(&self, filter: &Plan, mvcc: Timestamp, expiry: &Expiry) -> Result<u64, QueryError>;

    /// The named columns of `rows`, in the order of `rows`.
    fn fetch(&self, rows: &[u32], columns: &[String]) -> Result<RecordBatch, FetchError>;

    /// Marks rows dead. Doing so again changes nothing; a row keeps its earliest delete timestamp.
    fn delete(&self, rows: &[(u32, Timestamp)]);

    /// Everything deleted so far.
    fn deletes(&self) -> DeleteSnapshot;

    /// Bytes of memory it holds; mapped files do not count.
    fn memory_bytes(&self) -> u64;

    /// The collection's schema changed: reads answer by this one from now on.
    fn set_schema(&self, schema: Arc<SegmentSchema>);
}

/// [`Segment::select`] over `rows`; `find` gives the rows that have a key, in any order.
pub(crate) fn select(
    rows: &Rows,
    visibility: Visibility,
    filter: &Plan,
    keys: Option<&PrimaryKeys>,
    limit: Option<usize>,
    indexes: Option<&ScalarIndexSet>,
    find: impl FnOnce(&PrimaryKeys) -> Vec<u32>,
) -> Result<Selection, QueryError> {
    let Some(keys) = keys else {
        let live = Live::find(rows, visibility, filter, indexes, find)?;
        return Ok(select::smallest_keys(rows, live.iter(), limit));
    };
    let mut found = find(keys);
    found.sort_unstable();
    found.dedup();
    found.retain(|row| visibility.sees(*row));
    if !filter.always_true() && !found.is_empty() {
        let passed = evaluate(rows, filter, &found)?;
        let mut passed = passed.iter();
        found.retain(|_| passed.next() == Some(true));
    }
    Ok(select::smallest_keys(rows, found.into_iter(), limit))
}

/// Which of `found` pass `filter`, reading no other rows.
pub(crate) fn evaluate(
    rows: &Rows,
    filter: &Plan,
    found: &[u32],
) -> Result<BooleanBuffer, QueryError> {
    let columns = rows.names(filter.fields());
    let batch = fetch::fetch(rows, |_| Timestamp::ZERO, found, &columns)?;
    Ok(filter.evaluate(&batch)?)
}
