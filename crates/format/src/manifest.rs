//! Manifests: everything a collection consists of at one version.
//!
//! A manifest is immutable: a change is [`Manifest::apply`], which gives the next version, written
//! as a new object (`path::manifest`) and made current by compare-and-swap in the catalogue. All
//! edits of one `apply` become visible together, so a flushed segment and the checkpoint that lets
//! its log be truncated are never seen apart. A reader that holds a manifest can read every file it
//! names.
//!
//! Not here: who is current (`meta`), what to flush, merge or collect (`coord`).

mod codec;
mod edit;
mod stats;

use milvus_types::{
    CollectionId, FieldId, FieldStats, IndexId, KeyValue, PartitionId, SegmentId, Timestamp,
    VChannel,
};

use crate::file_meta::FileMeta;

pub use edit::{EditError, ManifestEdit};

/// The segments and channel checkpoints of a collection at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The collection.
    pub collection_id: CollectionId,
    /// Grows by one with each change; 0 is the empty manifest of a new collection.
    pub version: u64,
    /// Its sealed segments, by id.
    pub segments: Vec<SegmentEntry>,
    /// Where replay of each vchannel begins, by vchannel.
    pub checkpoints: Vec<ChannelCheckpoint>,
}

/// A sealed segment and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Its identity.
    pub id: SegmentId,
    /// The partition its rows are in.
    pub partition_id: PartitionId,
    /// The shard its rows are of.
    pub vchannel: VChannel,
    /// How many rows its file has, deleted ones included.
    pub rows: u64,
    /// The oldest row's timestamp.
    pub min_ts: Timestamp,
    /// The newest row's timestamp.
    pub max_ts: Timestamp,
    /// The columns ([`crate::segment_file`]).
    pub columns: FileMeta,
    /// Primary key to row ([`crate::key_index`]).
    pub key_index: FileMeta,
    /// Deleted rows ([`crate::delete_file`]), oldest file first; their union counts.
    pub delete_files: Vec<DeleteFile>,
    /// Vector and scalar indexes built on it.
    pub indexes: Vec<IndexEntry>,
    /// How many of its rows the delete files delete.
    pub deleted_rows: u64,
    /// The version of the schema its columns follow.
    pub schema_version: i32,
    /// How far compaction has brought it.
    pub level: SegmentLevel,
    /// What is known of the values of its scalar columns, by field; of deleted rows, too.
    pub stats: Vec<FieldStats>,
}

/// How far compaction has brought a segment; numbers as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SegmentLevel {
    /// Deletes only.
    L0 = 1,
    /// As flushed, or merged.
    #[default]
    L1 = 2,
    /// Clustered.
    L2 = 3,
}

impl SegmentLevel {
    /// The level with wire number `number`.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::L0),
            2 => Some(Self::L1),
            3 => Some(Self::L2),
            _ => None,
        }
    }

    /// The wire number.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// A file of deleted rows of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteFile {
    /// The file.
    pub file: FileMeta,
    /// How many entries it has.
    pub rows: u64,
    /// The newest delete in it.
    pub max_ts: Timestamp,
}

/// An index built on one field of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The index definition it was built for.
    pub index_id: IndexId,
    /// The indexed field.
    pub field_id: FieldId,
    /// What it is: `HNSW`, `FLAT`, ...
    pub index_type: String,
    /// The metric's name, empty for scalar indexes.
    pub metric: String,
    /// Build parameters.
    pub params: Vec<KeyValue>,
    /// The container.
    pub file: FileMeta,
    /// How many rows it covers.
    pub rows: u64,
    /// Which build made it; part of the file's name.
    pub build_id: i64,
}

/// Where replay of a vchannel begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelCheckpoint {
    /// The vchannel.
    pub vchannel: VChannel,
    /// The log position of the first record that this manifest does not reflect.
    pub position: u64,
    /// Everything at or below this timestamp is in the manifest's segments.
    pub timestamp: Timestamp,
}

impl Manifest {
    /// The manifest of a collection that has no sealed segment yet.
    pub fn empty(collection_id: CollectionId) -> Self {
        Self { collection_id, version: 0, segments: Vec::new(), checkpoints: Vec::new() }
    }

    /// The segment with identity `id`.
    pub fn segment(&self, id: SegmentId) -> Option<&SegmentEntry> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// Where replay of `vchannel` begins.
    pub fn checkpoint(&self, vchannel: &VChannel) -> Option<&ChannelCheckpoint> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.vchannel == *vchannel)
    }

    /// Every file the manifest names.
    pub fn files(&self) -> impl Iterator<Item = &FileMeta> {
        self.segments.iter().flat_map(SegmentEntry::files)
    }

    /// Rows in sealed segments that no delete file deletes.
    pub fn live_rows(&self) -> u64 {
        self.segments.iter().map(SegmentEntry::live_rows).fold(0, u64::saturating_add)
    }
}

impl SegmentEntry {
    /// Every file of the segment.
    pub fn files(&self) -> impl Iterator<Item = &FileMeta> {
        [&self.columns, &self.key_index]
            .into_iter()
            .chain(self.delete_files.iter().map(|deletes| &deletes.file))
            .chain(self.indexes.iter().map(|index| &index.file))
    }

    /// Rows that no delete file deletes.
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deleted_rows)
    }

    /// The segment's part of index `index_id`, if it is built.
    pub fn index(&self, index_id: IndexId) -> Option<&IndexEntry> {
        self.indexes.iter().find(|index| index.index_id == index_id)
    }
}

#[cfg(test)]
mod tests;
