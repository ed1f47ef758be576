//! What answers the reads of a shard at a moment: growing segments in memory, sealed ones on query
//! nodes. Readers take a snapshot; every change replaces the whole.

use std::sync::Arc;

use milvus_roles::LoadScope;
use milvus_segment::{GrowingSegment, Segment};
use milvus_types::{Failure, PartitionId, Result, SegmentId};
use parking_lot::RwLock;

#[derive(Clone)]
pub(super) struct Distribution {
    /// Growing and flushing segments of all partitions.
    pub(super) growing: Vec<Arc<GrowingSegment>>,
    /// Segments that the query node serves.
    pub(super) sealed: Vec<(SegmentId, PartitionId)>,
    /// Which partitions answer.
    pub(super) load: LoadScope,
}

/// The part of a distribution that one read concerns.
pub(super) struct ReadSet {
    pub(super) growing: Vec<Arc<GrowingSegment>>,
    pub(super) sealed: Vec<SegmentId>,
}

pub(super) struct Current(RwLock<Arc<Distribution>>);

impl Current {
    pub(super) fn new(load: LoadScope) -> Self {
        let empty = Distribution { growing: Vec::new(), sealed: Vec::new(), load };
        Self(RwLock::new(Arc::new(empty)))
    }

    pub(super) fn get(&self) -> Arc<Distribution> {
        self.0.read().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Distribution)) {
        change(Arc::make_mut(&mut self.0.write()));
    }
}

impl Distribution {
    pub(super) fn is_served(&self, segment: SegmentId) -> bool {
        self.sealed.iter().any(|(id, _)| *id == segment)
    }

    /// The segments that answer for `partitions` (`None`: all that are loaded).
    pub(super) fn read_set(
        &self,
        collection: &str,
        partitions: Option<&[PartitionId]>,
        ignore_growing: bool,
    ) -> Result<ReadSet> {
        if self.load == LoadScope::Nothing {
            return Err(Failure::collection_not_loaded(collection));
        }
        if let Some(missing) = partitions
            .and_then(|asked| asked.iter().find(|partition| !self.load.covers(**partition)))
        {
            return Err(Failure::with_fields(
                milvus_types::ErrorCode::PartitionNotLoaded,
                &[("partition", missing)],
            ));
        }
        let answers = |partition: PartitionId| {
            self.load.covers(partition) && partitions.is_none_or(|asked| asked.contains(&partition))
        };
        let growing = if ignore_growing {
            Vec::new()
        } else {
            self.growing
                .iter()
                .filter(|segment| segment.rows() > 0 && answers(segment.partition_id()))
                .cloned()
                .collect()
        };
        let sealed = self
            .sealed
            .iter()
            .filter(|(_, partition)| answers(*partition))
            .map(|(segment, _)| *segment)
            .collect();
        Ok(ReadSet { growing, sealed })
    }
}
