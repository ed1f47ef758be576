//! Data nodes: background work on flushed segments. Index builds now; compaction and import later.

use std::sync::Arc;

use async_trait::async_trait;

use milvus_format::manifest::{IndexEntry, SegmentEntry};
use milvus_types::{Collection, IndexMeta, Result};

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

/// Builds indexes in bounded memory.
#[async_trait]
pub trait DataNode: Send + Sync {
    /// Builds an index and writes it durably; the entry is not yet part of any manifest.
    ///
    /// Charges the memory governor first and waits for room. Dropping the future cancels the build.
    async fn build_index(&self, task: BuildIndex) -> Result<IndexEntry>;
}
