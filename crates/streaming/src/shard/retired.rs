//! Segments that were compacted away, and are served a while longer: for reads that took the older
//! distribution, and for fetching what such a read found.
//!
//! They take no deletes any more: a read that uses them began before their place was taken, and sees
//! nothing that was deleted since.

use std::time::Duration;

use milvus_base::clock;
use milvus_types::{PartitionId, SegmentId};

use super::Shard;

/// Segments that leave together.
#[derive(Debug)]
pub(super) struct Retired {
    partition: PartitionId,
    segments: Vec<SegmentId>,
    /// On the steady clock.
    until: Duration,
}

impl Shard {
    /// Keeps `segments` for the grace that the options say.
    pub(super) fn retire(&self, partition: PartitionId, segments: Vec<SegmentId>) {
        let until = clock::monotonic().saturating_add(self.parts.options.retire_after);
        self.retired.lock().push(Retired { partition, segments, until });
    }

    /// Returns when some of them are due; never while there are none.
    pub(super) async fn retired_due(&self) {
        let first = self.retired.lock().iter().map(|retired| retired.until).min();
        match first {
            Some(until) => clock::sleep(until.saturating_sub(clock::monotonic())).await,
            None => std::future::pending().await,
        }
    }

    /// Releases those whose grace is over.
    pub(super) async fn release_due(&self) {
        let now = clock::monotonic();
        self.release_retired(|retired| retired.until <= now).await;
    }

    /// Releases those of partitions that nobody reads any more.
    pub(super) async fn release_retired_of(&self, is_unread: impl Fn(PartitionId) -> bool) {
        self.release_retired(|retired| is_unread(retired.partition)).await;
    }

    async fn release_retired(&self, is_over: impl Fn(&Retired) -> bool) {
        let over: Vec<Retired> = {
            let mut retired = self.retired.lock();
            retired.extract_if(.., |retired| is_over(retired)).collect()
        };
        let over: Vec<SegmentId> = over.into_iter().flat_map(|retired| retired.segments).collect();
        self.release_all(&over).await;
    }
}
