//! Shards that are always there and hold nothing, and a builder that nobody asks.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use milvus_format::manifest::{IndexEntry, Manifest};
use milvus_roles::{
    BuildIndex, CompactSegments, Compacted, DataNode, FetchRequest, FlushTicket, GrowingStatus,
    LoadScope, OpenChannel, QueryReply, QueryRequest, SearchReply, SearchRequest,
    SegmentReplacement, Streaming, Write, WriteAck,
};
use milvus_types::{Collection, CollectionId, Failure, Result, Timestamp, VChannel};

pub(crate) struct Nothing;

#[async_trait]
impl DataNode for Nothing {
    async fn compact(&self, _: CompactSegments) -> Result<Compacted> {
        Err(Failure::internal("there is nothing to compact"))
    }

    async fn build_index(&self, _: BuildIndex) -> Result<IndexEntry> {
        Err(Failure::internal("there is nothing to build"))
    }

    async fn settled(&self, _: CollectionId) {}
}

#[async_trait]
impl Streaming for Nothing {
    async fn open_channel(&self, _: OpenChannel) -> Result<()> {
        // Others get a turn in the middle of a change.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn refuse_channel(&self, _: &VChannel, _: Failure) -> Result<()> {
        Ok(())
    }

    async fn recovered(&self, _: &[VChannel]) -> Result<()> {
        Ok(())
    }

    async fn drop_channel(&self, _: &VChannel) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn collection_changed(&self, _: Arc<Collection>) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn manifest_changed(&self, _: Arc<Manifest>) -> Result<()> {
        Ok(())
    }

    async fn set_load(&self, _: CollectionId, _: LoadScope) -> Result<()> {
        Ok(())
    }

    async fn load_progress(&self, _: CollectionId) -> Result<i64> {
        Ok(100)
    }

    async fn write(&self, _: Write) -> Result<WriteAck> {
        Ok(WriteAck { timestamp: Timestamp::ZERO })
    }

    async fn flush(&self, _: &VChannel, _: bool) -> Result<FlushTicket> {
        Ok(FlushTicket::default())
    }

    async fn replace_segments(&self, _: SegmentReplacement) -> Result<bool> {
        Ok(false)
    }

    async fn written_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn growing_segments(&self, _: &VChannel) -> Result<Vec<GrowingStatus>> {
        Ok(Vec::new())
    }

    async fn search(&self, _: SearchRequest) -> Result<SearchReply> {
        Err(Failure::internal("there are no rows"))
    }

    async fn query(&self, _: QueryRequest) -> Result<QueryReply> {
        Err(Failure::internal("there are no rows"))
    }

    async fn fetch(&self, _: FetchRequest) -> Result<RecordBatch> {
        Err(Failure::internal("there are no rows"))
    }
}
