//! The data node, and what it was asked for.

use async_trait::async_trait;
use milvus_data::DataService;
use milvus_format::manifest::IndexEntry;
use milvus_roles::{BuildIndex, CompactSegments, Compacted, DataNode};
use milvus_types::{Result, SegmentId};
use parking_lot::Mutex;

pub(crate) struct Node {
    pub(crate) service: DataService,
    /// The inputs of every compaction.
    pub(crate) compacted: Mutex<Vec<Vec<SegmentId>>>,
}

#[async_trait]
impl DataNode for Node {
    async fn compact(&self, task: CompactSegments) -> Result<Compacted> {
        self.compacted.lock().push(task.inputs.iter().map(|input| input.id).collect());
        self.service.compact(task).await
    }

    async fn build_index(&self, task: BuildIndex) -> Result<IndexEntry> {
        self.service.build_index(task).await
    }
}
