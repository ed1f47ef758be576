//! What clients ask to see: replicas, served segments, compactions.

use milvus_types::{CollectionId, IndexId, PartitionId, SegmentId, VChannel};

/// The one replica of a loaded collection.
#[derive(Clone, Debug)]
pub struct ReplicaReply {
    /// The collection.
    pub collection_id: CollectionId,
    /// The loaded partitions.
    pub partitions: Vec<PartitionId>,
    /// Its shards.
    pub vchannels: Vec<VChannel>,
}

/// A sealed segment that answers reads.
#[derive(Clone, Debug)]
pub struct ServedSegment {
    /// Its identity.
    pub id: SegmentId,
    /// Its partition.
    pub partition_id: PartitionId,
    /// Rows inserted, deleted ones included.
    pub rows: u64,
    /// The index that it is searched with, by name and identity.
    pub index: Option<(String, IndexId)>,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The state of compactions: what nobody began is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReply {
    /// Names the compaction; -1 where there was nothing to compact.
    pub id: i64,
    /// How many plans it has.
    pub plan_count: i32,
}
