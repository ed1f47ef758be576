//! Compaction: which segments are written anew, when, and how far that is.
//!
//! What is to be done follows from a manifest and the time alone ([`policy`]), so nothing of it is
//! persisted: a restart finds the same work again. A commit wakes the worker ([`worker`]); a
//! collection that only time changes (rows expire, deletes get old enough to be purged) sets one
//! timer. An idle collection costs nothing. Compactions asked for by hand are [`jobs`] and go first.
//!
//! One plan is worked on at a time ([`run`]): the data node writes new segments, their indexes are
//! built, then the shard's owner puts them in the place of the old ones.
//!
//! Not here: writing segments (`data`), the switch itself (`streaming`), removing files
//! ([`super::garbage`]).

mod fold;
mod jobs;
mod policy;
mod run;
mod worker;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use milvus_base::{Clock, Shutdown};
use milvus_types::{CollectionId, PartitionId, SegmentId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::jobs::Jobs;

/// When and how segments are compacted.
#[derive(Clone, Debug)]
pub struct CompactionOptions {
    /// `dataCoord.compaction.enableAutoCompaction`: whether anything is compacted unasked.
    pub is_automatic: bool,
    /// `dataCoord.segment.maxSize`: bytes of a full segment.
    pub max_segment_bytes: u64,
    /// `dataCoord.compaction.single.ratio.threshold`: a segment of which so large a share is dead or
    /// expired is written anew.
    pub min_dead_ratio: f64,
    /// So many small segments of about one size are merged.
    pub min_merge: usize,
    /// A segment with more delete files has them merged.
    pub max_delete_files: usize,
    /// How long a dead row stays, so that reads of older snapshots (iterators, searches that fetch
    /// later) still find it. Rows that died more recently are carried over.
    pub retention: Duration,
    /// The same for compactions asked for by hand: whoever asks wants the space back, and waits.
    pub manual_retention: Duration,
    /// `dataCoord.gc.dropTolerance`: how long files stay that no manifest names any more; longer than
    /// segments that were compacted away are served.
    pub file_grace: Duration,
    /// Writing faster than this, bytes a second, holds compaction back.
    pub busy_bytes_per_second: u64,
    /// How long at most: backlogs stay bounded under any load.
    pub max_hold: Duration,
    /// Time.
    pub clock: Clock,
}

impl Default for CompactionOptions {
    /// A minute of retention: longer than any search takes. Five seconds by hand: longer than a
    /// search that has found its rows waits to fetch their fields.
    fn default() -> Self {
        Self {
            is_automatic: true,
            max_segment_bytes: 1 << 30,
            min_dead_ratio: 0.2,
            min_merge: 4,
            max_delete_files: 16,
            retention: Duration::from_secs(60),
            manual_retention: Duration::from_secs(5),
            file_grace: Duration::from_secs(30),
            busy_bytes_per_second: 8 << 20,
            max_hold: Duration::from_secs(30),
            clock: Clock::system(),
        }
    }
}

/// What the worker knows besides manifests.
#[derive(Default)]
pub(super) struct Compactions {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// Collections to be looked at.
    dirty: BTreeSet<CollectionId>,
    /// Collections to be looked at from a time on, milliseconds since the epoch.
    timers: BTreeMap<CollectionId, u64>,
    /// Inputs of plans that failed.
    failing: HashMap<SegmentId, Failing>,
    jobs: Jobs,
    running: Option<Running>,
    /// The collection of the last plan: the next one's turn is first.
    last: Option<CollectionId>,
    load: Load,
    completed: u64,
    failed: u64,
}

struct Failing {
    tries: u32,
    /// When it may be tried again, on the steady clock.
    until: Duration,
}

#[derive(Clone)]
struct Running {
    collection: CollectionId,
    partition: PartitionId,
    /// Stops the work where it may.
    cancel: Shutdown,
    /// Closed when the work has ended.
    ended: watch::Receiver<()>,
}

/// How busy writers are, and what follows for compaction.
#[derive(Default)]
struct Load {
    /// When bytes were last counted, and how many there were.
    counted: Option<(Duration, u64)>,
    /// Since when a plan is held back.
    held_since: Option<Duration>,
    /// No plan begins before this.
    rest_until: Duration,
}

impl Compactions {
    /// Something changed that may make compaction worth while.
    pub(super) fn look_at(&self, id: CollectionId) {
        self.state.lock().dirty.insert(id);
        self.wake.notify_one();
    }

    /// The worker ends once nobody holds the coordinator.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// A collection is gone: work on it is for nothing.
    pub(super) fn forget(&self, id: CollectionId) {
        let mut state = self.state.lock();
        state.dirty.remove(&id);
        state.timers.remove(&id);
        state.cancel(id);
    }

    /// Returns once nothing of a collection is being compacted that is now.
    pub(super) async fn ended(&self, id: CollectionId) {
        let running = self.state.lock().running.clone();
        if let Some(mut running) = running.filter(|running| running.collection == id) {
            while running.ended.changed().await.is_ok() {}
        }
    }

    /// A partition is gone: a plan of it may be under way.
    pub(super) fn forget_partition(&self, id: CollectionId, partition: PartitionId) {
        let state = self.state.lock();
        if state.running.as_ref().is_some_and(|running| running.partition == partition) {
            state.cancel(id);
        }
    }

    /// How many plans were completed, and how many tries failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.completed, state.failed)
    }
}

impl State {
    fn cancel(&self, id: CollectionId) {
        if let Some(running) = self.running.as_ref().filter(|running| running.collection == id) {
            running.cancel.trigger();
        }
    }
}
