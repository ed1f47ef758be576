//! Compaction as it is asked for by hand, and how far it is.

use milvus_types::{CollectionId, PartitionId, SegmentId, VChannel};

/// A collection to compact.
#[derive(Clone, Debug)]
pub struct CompactCollection {
    /// The collection.
    pub collection_id: CollectionId,
    /// What is asked for.
    pub kind: CompactionKind,
    /// Only this partition.
    pub partition_id: Option<PartitionId>,
    /// Only this shard.
    pub vchannel: Option<VChannel>,
    /// Only these segments; empty for all.
    pub segments: Vec<SegmentId>,
}

/// What a compaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionKind {
    /// Merges small segments and takes dead and expired rows out.
    Merge,
    /// The same, into segments of so many MiB (`target_size`), full ones too.
    Force {
        /// MiB; not less than `dataCoord.segment.maxSize`.
        target_mib: u64,
    },
    /// Merges the delete files of each segment.
    Deletes,
    /// Orders rows by the clustering key.
    Clustering,
}

/// A compaction begun by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactionJob {
    /// Its identity; -1 where there was nothing to compact.
    pub id: i64,
    /// Its parts; none before its turn where another compaction must end first.
    pub plans: Vec<CompactionPlan>,
    /// Whether it waits for its turn.
    pub is_waiting: bool,
}

/// One part of a compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPlan {
    /// What is compacted.
    pub sources: Vec<SegmentId>,
    /// What came of it.
    pub targets: Vec<SegmentId>,
    /// How far it is.
    pub state: CompactionPlanState,
}

/// How far a part of a compaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionPlanState {
    /// Waits, or is worked on.
    Executing,
    /// Done, or there was nothing left to do.
    Completed,
    /// Given up after several tries; what was there before is still there.
    Failed,
}

impl CompactionJob {
    /// Whether nothing of it is left to do.
    pub fn is_done(&self) -> bool {
        !self.is_waiting && self.count(CompactionPlanState::Executing) == 0
    }

    /// How many of its parts are at `state`.
    pub fn count(&self, state: CompactionPlanState) -> usize {
        self.plans.iter().filter(|plan| plan.state == state).count()
    }
}
