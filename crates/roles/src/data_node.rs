//! Data nodes: background work on flushed segments: index builds and compaction; import later.

use std::sync::Arc;

use async_trait::async_trait;

use milvus_format::manifest::{IndexEntry, SegmentEntry, SegmentLevel};
use milvus_segment::Expiry;
use milvus_types::{Collection, CollectionId, FieldId, IndexMeta, Result, SegmentId, Timestamp};

/// One index to build for one segment.
#[derive(Clone, Debug)]
pub struct BuildIndex {
    /// The collection, for paths and the field.
    pub collection: Arc<Collection>,
    /// The segment as the manifest has it.
    pub segment: SegmentEntry,
    /// The definition.
    pub index: Arc<IndexMeta>,
    /// Names this attempt's file, never reused.
    pub build_id: i64,
}

/// Segments to be written anew: as fewer ones, without dead rows, or in another order.
#[derive(Clone, Debug)]
pub struct CompactSegments {
    /// The collection, for paths and the schema that the new segments follow.
    pub collection: Arc<Collection>,
    /// The segments as the manifest has them, of one partition and one shard, at most one of each.
    pub inputs: Vec<SegmentEntry>,
    /// What rows are ordered by, within and across the new segments.
    pub order: RowOrder,
    /// Rows deleted at or before this go; later deletes are carried over to the new segments.
    pub purge_until: Timestamp,
    /// Rows that have expired by this go.
    pub expiry: Expiry,
    /// A new segment ends when its columns have about so many bytes.
    pub target_bytes: u64,
    /// Names of the new segments, never used before; at least one. With fewer names than
    /// `target_bytes` asks for, the last segment gets the rest.
    pub output_ids: Vec<SegmentId>,
    /// The level of the new segments.
    pub level: SegmentLevel,
}

/// What the rows of a compacted segment are ordered by; ties by primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The primary key.
    Key,
    /// A scalar field (the clustering key); rows without a value first.
    Field(FieldId),
}

/// What came of [`CompactSegments`]: durable files that no manifest names yet.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The new segments, each with at least one row; none if every row is gone. Deletes after
    /// `purge_until` that the inputs' delete files hold are in their delete files.
    pub outputs: Vec<SegmentEntry>,
    /// Where the rows of each input went, in the order of the inputs.
    pub moved: Vec<MovedRows>,
}

/// Where the rows of one segment went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedRows {
    /// The segment.
    pub from: SegmentId,
    /// For each of its rows (output, row): a place among `Compacted::outputs`, and the row there;
    /// `(u32::MAX, u32::MAX)` for a row that is gone.
    pub to: Vec<(u32, u32)>,
}

impl MovedRows {
    /// Where `row` went: its output's place and the row there; `None` if it is gone.
    pub fn target(&self, row: u32) -> Option<(usize, u32)> {
        let (output, row) = *self.to.get(usize::try_from(row).ok()?)?;
        (output != u32::MAX).then_some((output as usize, row))
    }
}

/// Builds indexes and compacts segments in bounded memory.
#[async_trait]
pub trait DataNode: Send + Sync {
    /// Writes segments anew; the inputs stay as they are, and nothing is part of any manifest.
    ///
    /// Charges the memory governor first and waits for room. Dropping the future cancels the work;
    /// files it has written by then are named by nothing.
    async fn compact(&self, task: CompactSegments) -> Result<Compacted>;

    /// Builds an index and writes it durably; the entry is not yet part of any manifest.
    ///
    /// Charges the memory governor first and waits for room. Dropping the future cancels the build.
    async fn build_index(&self, task: BuildIndex) -> Result<IndexEntry>;

    /// Returns once nothing is written for a collection any more, also of work whose future was
    /// dropped: from then on what no manifest names can be removed for good.
    async fn settled(&self, collection_id: CollectionId);
}
