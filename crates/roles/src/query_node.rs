//! Query nodes: sealed segments, loaded by order of a shard's delegator.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use milvus_expr::Plan;
use milvus_format::manifest::SegmentEntry;
use milvus_segment::{Expiry, Hit, SearchSpec, Selection};
use milvus_types::{Collection, IndexMeta, PrimaryKeys, Result, SegmentId, Timestamp};

/// A segment to serve.
#[derive(Clone, Debug)]
pub struct LoadSegment {
    /// The collection, for schema and paths.
    pub collection: Arc<Collection>,
    /// The definitions of its indexes, for how their files are held.
    pub indexes: Vec<Arc<IndexMeta>>,
    /// The segment as the manifest has it: files, indexes, persisted deletes.
    pub segment: SegmentEntry,
    /// Deletes that no file holds yet.
    pub deletes: Vec<(u32, Timestamp)>,
}

/// Rows of one segment that are dead from a timestamp on.
#[derive(Clone, Debug)]
pub struct SegmentDeletes {
    /// The segment.
    pub segment_id: SegmentId,
    /// (row, delete timestamp), in order of timestamps.
    pub rows: Vec<(u32, Timestamp)>,
}

/// What a search found in one segment, per query, best first.
#[derive(Clone, Debug)]
pub struct SegmentHits {
    /// The segment.
    pub segment_id: SegmentId,
    /// `[nq][<= k]`.
    pub hits: Vec<Vec<Hit>>,
}

/// Serves sealed segments. A segment that is not loaded is `segment not loaded` (601).
#[async_trait]
pub trait QueryNode: Send + Sync {
    /// Opens a segment's files and serves it. Loading one that is already served replaces its
    /// files (a new index, say) without a moment in which it is missing.
    async fn load_segment(&self, request: LoadSegment) -> Result<()>;

    /// Stops serving a segment; one that is not served is a success.
    async fn release_segment(&self, segment_id: SegmentId) -> Result<()>;

    /// Marks rows dead; effective for every later call.
    async fn apply_deletes(&self, deletes: Vec<SegmentDeletes>) -> Result<()>;

    /// Searches several segments at one snapshot.
    async fn search(
        &self,
        segments: &[SegmentId],
        spec: Arc<SearchSpec>,
    ) -> Result<Vec<SegmentHits>>;

    /// The collection's schema changed: its segments answer by the new one from then on.
    async fn schema_changed(&self, collection: Arc<Collection>) -> Result<()>;

    /// Rows that pass `filter` (and have one of `keys`, where given) at `mvcc`, at most `limit`
    /// per segment, smallest keys first.
    async fn select(
        &self,
        segments: &[SegmentId],
        filter: Plan,
        keys: Option<PrimaryKeys>,
        mvcc: Timestamp,
        expiry: Expiry,
        limit: Option<usize>,
    ) -> Result<Vec<(SegmentId, Selection)>>;

    /// How many rows pass `filter` at `mvcc`.
    async fn count(
        &self,
        segments: &[SegmentId],
        filter: Plan,
        mvcc: Timestamp,
        expiry: Expiry,
    ) -> Result<u64>;

    /// The named columns of `rows` of one segment, in the order of `rows`.
    async fn fetch(
        &self,
        segment_id: SegmentId,
        rows: &[u32],
        columns: &[String],
    ) -> Result<RecordBatch>;
}
