//! The traits through which roles talk, and what they say to each other.
//!
//! `proxy`, `coord`, `streaming`, `query` and `data` never depend on each other: they hold these
//! traits. Standalone hands the implementations over directly; a cluster puts the internal protocol
//! behind the same traits. Requests and replies are plain data. A failed call is a
//! [`milvus_types::Failure`]: code and text travel whole, so remote and in-process callers match
//! alike.

pub mod compaction;
pub mod data_coord;
pub mod data_node;
pub mod expiry;
pub mod query_coord;
pub mod query_node;
pub mod root_coord;
pub mod streaming;

pub use compaction::{
    CompactCollection, CompactionJob, CompactionKind, CompactionPlan, CompactionPlanState,
};
pub use data_coord::{
    CompactionCommit, CreateIndex, DataCoord, FlushCommit, IndexProgress, LogBounds, SegmentState,
    SegmentStatus,
};
pub use data_node::{BuildIndex, CompactSegments, Compacted, DataNode, MovedRows, RowOrder};
pub use query_coord::{LoadRequest, LoadState, LoadStatus, QueryCoord};
pub use query_node::{LoadSegment, QueryNode, SegmentDeletes, SegmentHits};
pub use root_coord::{
    Alias, CollectionChange, CreateCollection, Database, IdAllocator, PropertyChange, RootCoord,
    TimestampOracle,
};
pub use streaming::{
    FetchRequest, FlushTicket, GrowingStatus, LoadScope, OpenChannel, QueryReply, QueryRequest,
    RowLocation, SearchReply, SearchRequest, SegmentReplacement, ShardHit, Streaming, Write,
    WriteAck, WriteKind,
};
