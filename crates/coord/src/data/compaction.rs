//! Compaction: which segments are written anew, when, and how far that is.
//!
//! What is to be done follows from a manifest and the time alone ([`policy`]), so nothing of it is
//! persisted: a restart finds the same work again. A commit wakes the worker ([`worker`]); a
//! collection that only time changes (rows expire, deletes get old enough to be purged) sets one
//! timer. An idle collection costs nothing. Compactions asked for by hand are [`jobs`]: they go first,
//! and are in the catalogue.
//!
//! A few plans are worked on at a time ([`run`]): the data node writes new segments, their indexes are
//! built, then the shard's owner puts them in the place of the old ones. What writers need more waits
//! ([`throttle`]).
//!
//! Not here: writing segments (`data`), the switch itself (`streaming`), removing files
//! ([`super::garbage`]).

mod fold;
mod jobs;
mod policy;
mod run;
mod throttle;
mod worker;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZero;
use std::time::Duration;

use milvus_base::{Clock, Shutdown};
use milvus_format::manifest::SegmentEntry;
use milvus_types::{CollectionId, PartitionId, SegmentId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::jobs::Jobs;
use self::throttle::Load;

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
    /// Plans worked on at the same time. The data node writes fewer: while indexes of one are built, it
    /// writes another.
    pub max_running: usize,
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
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            is_automatic: true,
            max_segment_bytes: 1 << 30,
            min_dead_ratio: 0.2,
            min_merge: 8,
            max_delete_files: 16,
            max_running: (cores / 4).clamp(1, 4) + 1,
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
    /// Plans under way, by the number they were begun under.
    running: BTreeMap<u64, Running>,
    last_number: u64,
    /// New segments of plans under way.
    outputs: BTreeMap<SegmentId, Output>,
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

/// A segment that a plan has written.
#[derive(Default)]
struct Output {
    bytes: u64,
    /// Whether a commit may have brought it into a manifest.
    was_tried: bool,
}

struct Running {
    collection: CollectionId,
    partition: PartitionId,
    inputs: Vec<SegmentId>,
    /// By hand.
    is_asked: bool,
    /// Stops the work where it may.
    cancel: Shutdown,
    /// Closed when the work has ended.
    ended: watch::Receiver<()>,
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
        state.cancel(|running| running.collection == id);
    }

    /// Returns once nothing of a collection is being compacted that is now.
    pub(super) async fn ended(&self, id: CollectionId) {
        let of_it: Vec<_> = {
            let state = self.state.lock();
            let running = state.running.values().filter(|running| running.collection == id);
            running.map(|running| running.ended.clone()).collect()
        };
        for mut ended in of_it {
            while ended.changed().await.is_ok() {}
        }
    }

    /// A partition is gone: plans of it may be under way.
    pub(super) fn forget_partition(&self, id: CollectionId, partition: PartitionId) {
        let is_of_it =
            |running: &Running| running.collection == id && running.partition == partition;
        self.state.lock().cancel(is_of_it);
    }

    /// Segments were written that nothing names yet.
    fn note_outputs(&self, outputs: &[SegmentEntry]) {
        let mut state = self.state.lock();
        for output in outputs {
            let bytes = output.files().map(|file| file.bytes).sum();
            state.outputs.entry(output.id).or_default().bytes = bytes;
        }
    }

    /// Segments are about to be committed: whatever becomes of that, a manifest may name them.
    pub(super) fn commit_begins(&self, added: impl Iterator<Item = SegmentId>) {
        let mut state = self.state.lock();
        for output in added {
            state.outputs.entry(output).or_default().was_tried = true;
        }
    }

    /// A plan has ended; whether a commit of one of its outputs was tried.
    fn forget_outputs(&self, outputs: &[SegmentId]) -> bool {
        let mut state = self.state.lock();
        let forgotten = outputs.iter().filter_map(|output| state.outputs.remove(output));
        // All of them: each is forgotten.
        forgotten.filter(|output| output.was_tried).count() > 0
    }

    /// Bytes of segments that plans under way have written.
    pub(super) fn unnamed_bytes(&self) -> u64 {
        self.state.lock().outputs.values().map(|output| output.bytes).sum()
    }

    /// How many plans were completed, and how many tries failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.completed, state.failed)
    }
}

impl State {
    fn cancel(&self, is_meant: impl Fn(&Running) -> bool) {
        for running in self.running.values().filter(|running| is_meant(running)) {
            running.cancel.trigger();
        }
    }
}
