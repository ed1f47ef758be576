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

/// A collection to compact.
#[derive(Clone, Debug, Default)]
pub struct CompactRequest {
    /// By name; empty to name it by identity.
    pub collection_name: String,
    /// By identity, as old clients do.
    pub collection_id: i64,
    /// Only this partition; 0 for all.
    pub partition_id: i64,
    /// Only this shard; empty for all.
    pub vchannel: String,
    /// Only these segments; empty for all.
    pub segments: Vec<SegmentId>,
    /// Order rows by the clustering key.
    pub is_clustering: bool,
    /// Merge delete files.
    pub is_deletes: bool,
    /// Size of the new segments; 0 for the usual one.
    pub target_mib: i64,
}
