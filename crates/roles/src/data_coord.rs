//! Data coordination: manifests, flush commits, index definitions and their progress.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;

use milvus_format::manifest::{
    ChannelCheckpoint, DeleteFile, IndexEntry, Manifest, SegmentEntry, SegmentLevel,
};
use milvus_types::{
    CollectionId, FieldId, IndexId, IndexMeta, IndexState, KeyValue, PartitionId, Result,
    SegmentId, Timestamp, VChannel,
};

use crate::compaction::{CompactCollection, CompactionJob};

/// What a shard owner has written and now asks to be made part of the collection, in one step.
#[derive(Clone, Debug)]
pub struct FlushCommit {
    /// The collection.
    pub collection_id: CollectionId,
    /// New segments, their files durable.
    pub segments: Vec<SegmentEntry>,
    /// New delete files of segments that are already in the manifest or in `segments`.
    pub deletes: Vec<(SegmentId, DeleteFile)>,
    /// Everything of this shard before the checkpoint is now in the manifest.
    pub checkpoint: ChannelCheckpoint,
}

/// What a shard owner replaces in one step.
#[derive(Clone, Debug)]
pub struct CompactionCommit {
    /// The collection.
    pub collection_id: CollectionId,
    /// Segments that leave.
    pub removed: Vec<SegmentId>,
    /// Segments that come, their files durable.
    pub added: Vec<SegmentEntry>,
    /// Delete files of `added` that `added` does not name.
    pub deletes: Vec<(SegmentId, DeleteFile)>,
}

/// An index to be defined. Parameters have passed the proxy's validation.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// The collection.
    pub collection_id: CollectionId,
    /// The field.
    pub field_id: FieldId,
    /// The field's name.
    pub field_name: String,
    /// The name asked for; empty to let the coordinator choose.
    pub index_name: String,
    /// What the client sent, as it is described back.
    pub user_params: Vec<KeyValue>,
    /// What is built: `index_type`, `metric_type` and build parameters, defaulted.
    pub index_params: Vec<KeyValue>,
}

/// How far an index is.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexProgress {
    /// The state over all segments.
    pub state: IndexState,
    /// Rows of flushed segments.
    pub total_rows: u64,
    /// Rows whose segment has the index or is too small to need one.
    pub indexed_rows: u64,
    /// Rows that wait.
    pub pending_rows: u64,
    /// Why it failed, empty otherwise.
    pub fail_reason: String,
}

/// The life of a segment, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Takes rows.
    Growing,
    /// Takes no more rows; being written.
    Flushing,
    /// Written; in the manifest.
    Flushed,
}

/// One segment for `GetPersistentSegmentInfo` and statistics.
#[derive(Clone, Debug)]
pub struct SegmentStatus {
    /// Its identity.
    pub id: SegmentId,
    /// Its partition.
    pub partition_id: PartitionId,
    /// Rows inserted, deleted ones included.
    pub rows: u64,
    /// Its state.
    pub state: SegmentState,
    /// The shard it belongs to.
    pub vchannel: VChannel,
    /// The indexes that are built on it.
    pub indexes: Vec<IndexId>,
    /// Bytes of its files; 0 while it is in memory only.
    pub bytes: u64,
    /// How far compaction has brought it.
    pub level: SegmentLevel,
}

/// What is certain of a log without looking at it. One that is found to be otherwise has lost records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// It was cut before this position on purpose, and nowhere later; `None` where nobody has said.
    pub cut: Option<u64>,
    /// It has reached this position.
    pub reached: u64,
}

/// Manifests, flush commits, indexes and compaction.
#[async_trait]
pub trait DataCoord: Send + Sync {
    /// The collection's current manifest.
    async fn manifest(&self, collection_id: CollectionId) -> Result<Arc<Manifest>>;

    /// Commits what a shard owner flushed; returns the manifest that holds it. The log may be cut
    /// before the checkpoint once this returns.
    async fn commit_flush(&self, commit: FlushCommit) -> Result<Arc<Manifest>>;

    /// Commits what a compaction has replaced; returns the manifest that holds it, or `None`, and
    /// nothing is changed, where a removed segment is gone already.
    async fn commit_compaction(&self, commit: CompactionCommit) -> Result<Option<Arc<Manifest>>>;

    /// Begins to compact a collection by hand; the work goes on after the call returns.
    async fn compact(&self, request: CompactCollection) -> Result<CompactionJob>;

    /// How far a compaction is that was begun by hand; one that nobody knows (any more) is done and
    /// has no plans.
    async fn compaction_job(&self, id: i64) -> Result<CompactionJob>;

    /// Commits index files that a data node built for a segment. A segment or index that is gone
    /// by now makes this a no-op.
    async fn commit_index(
        &self,
        collection_id: CollectionId,
        segment_id: SegmentId,
        entry: IndexEntry,
    ) -> Result<()>;

    /// Defines an index under the rules of Milvus: idempotent when equal, one per field, or one per
    /// path (`json_path` among the build parameters) of a JSON field.
    async fn create_index(&self, request: CreateIndex) -> Result<()>;

    /// Forgets an index; an unknown one is a success. A name that several indexes answer to is
    /// `index duplicates` (702); an empty name means every index of the field.
    async fn drop_index(
        &self,
        collection_id: CollectionId,
        field_name: &str,
        index_name: &str,
    ) -> Result<()>;

    /// Changes parameters of an index; unknown names are `index not found` (700).
    async fn alter_index(
        &self,
        collection_id: CollectionId,
        index_name: &str,
        change: crate::PropertyChange,
    ) -> Result<()>;

    /// The indexes of a collection, in order of creation.
    async fn list_indexes(&self, collection_id: CollectionId) -> Result<Vec<Arc<IndexMeta>>>;

    /// How far an index is, over segments that began before `before` where that is given.
    async fn index_progress(
        &self,
        index: &IndexMeta,
        before: Option<Timestamp>,
    ) -> Result<IndexProgress>;

    /// Every segment of a collection, growing ones included.
    async fn list_segments(&self, collection_id: CollectionId) -> Result<Vec<SegmentStatus>>;

    /// Those flushed segments whose rows are in order of keys.
    async fn sorted_segments(&self, collection_id: CollectionId) -> Result<HashSet<SegmentId>>;

    /// Flushes every shard of a collection: seals now, writes in the background.
    async fn flush(&self, collection_id: CollectionId) -> Result<crate::FlushTicket>;

    /// Whether everything sealed at or before `flush_ts`, and each of `segments`, is flushed.
    async fn is_flushed(
        &self,
        collection_id: CollectionId,
        segments: &[SegmentId],
        flush_ts: Timestamp,
    ) -> Result<bool>;

    /// What is certain of the log of `pchannel`.
    async fn log_bounds(&self, pchannel: &str) -> Result<LogBounds>;

    /// Nobody needs the log of `pchannel` before `before`. To be said before it is cut there.
    async fn log_cut(&self, pchannel: &str, before: u64) -> Result<()>;

    /// What the log of `pchannel` has lost is nobody's any more: it begins at `position` now.
    async fn log_renewed(&self, pchannel: &str, position: u64) -> Result<()>;

    /// The vchannel checkpoint, for replies that name it.
    async fn checkpoint(&self, vchannel: &VChannel) -> Result<Option<ChannelCheckpoint>>;
}
