//! Index builds: one for each flushed segment and index, in the background, one at a time
//! (a build uses every core itself).
//!
//! What is to be built follows from manifests and definitions alone, so nothing of it is persisted:
//! a restart finds the same work again. One whose index, partition or collection is dropped is
//! cancelled, and takes what it has written along. A build that fails is tried again a few times; after that
//! the index is `Failed` with the reason, and tried anew now and then.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Shutdown, clock, failpoint, task};
use milvus_format::manifest::Manifest;
use milvus_format::path;
use milvus_roles::BuildIndex;
use milvus_types::{
    CollectionId, ErrorCode, Failure, IndexId, IndexMeta, PartitionId, Result, SegmentId,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::DataCoordinator;

const ATTEMPTS: u32 = 3;
/// After so long a build that has failed is tried anew: a disk that was full may not be any more.
const ANEW: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Builds {
    state: Mutex<State>,
    /// Another build runs, or none.
    turned: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Build>,
    /// Queued or running.
    known: HashSet<(SegmentId, IndexId)>,
    failed: HashMap<(SegmentId, IndexId), (CollectionId, String)>,
    /// Somebody works on the queue.
    worked_on: bool,
    running: Option<Build>,
}

#[derive(Clone)]
struct Build {
    collection_id: CollectionId,
    partition_id: PartitionId,
    segment_id: SegmentId,
    index: Arc<IndexMeta>,
    attempt: u32,
    /// It is for nothing.
    cancel: Shutdown,
}

impl Build {
    fn key(&self) -> (SegmentId, IndexId) {
        (self.segment_id, self.index.id)
    }
}

impl Builds {
    /// Queues builds that are not known yet; true if somebody must begin to work on them.
    fn add(&self, builds: Vec<Build>) -> bool {
        let mut state = self.state.lock();
        for build in builds {
            if !state.failed.contains_key(&build.key()) && state.known.insert(build.key()) {
                state.queue.push_back(build);
            }
        }
        !state.queue.is_empty() && !std::mem::replace(&mut state.worked_on, true)
    }

    fn next(&self) -> Option<Build> {
        let mut state = self.state.lock();
        let next = state.queue.pop_front();
        state.worked_on = next.is_some();
        state.running.clone_from(&next);
        drop(state);
        self.turned.notify_waiters();
        next
    }

    fn done(&self, build: &Build, result: Result<()>) -> Option<Build> {
        let mut state = self.state.lock();
        let failure = result.err().filter(|_| !build.cancel.is_triggered());
        let Some(failure) = failure else {
            state.known.remove(&build.key());
            return None;
        };
        if build.attempt < ATTEMPTS {
            return Some(Build { attempt: build.attempt + 1, ..build.clone() });
        }
        state.known.remove(&build.key());
        state.failed.insert(build.key(), (build.collection_id, failure.reason));
        None
    }

    /// Forgets that builds of a collection have failed; whether any had.
    fn forgive(&self, id: CollectionId) -> bool {
        let mut state = self.state.lock();
        let before = state.failed.len();
        state.failed.retain(|_, (collection, _)| *collection != id);
        state.failed.len() < before
    }

    pub(super) fn failure(&self, segment: SegmentId, index: IndexId) -> Option<String> {
        self.state.lock().failed.get(&(segment, index)).map(|(_, reason)| reason.clone())
    }

    pub(super) fn pending(&self) -> usize {
        self.state.lock().known.len()
    }

    pub(super) fn forget_index(&self, index: IndexId) {
        self.forget(|build| build.index.id == index);
        self.state.lock().failed.retain(|(_, failed), _| *failed != index);
    }

    pub(super) fn forget_partition(&self, id: CollectionId, partition: PartitionId) {
        self.forget(|build| build.collection_id == id && build.partition_id == partition);
    }

    pub(super) fn forget_collection(&self, id: CollectionId) {
        self.forget(|build| build.collection_id == id);
        self.state.lock().failed.retain(|_, (collection, _)| *collection != id);
    }

    /// Takes builds out of the queue, and cancels the one under way.
    fn forget(&self, is_gone: impl Fn(&Build) -> bool) {
        let mut state = self.state.lock();
        let State { queue, known, running, .. } = &mut *state;
        queue.retain(|build| {
            let gone = is_gone(build);
            if gone {
                known.remove(&build.key());
            }
            !gone
        });
        if let Some(running) = running.as_ref().filter(|running| is_gone(running)) {
            running.cancel.trigger();
        }
    }

    /// Returns once no index of a collection is being built that is now.
    pub(super) async fn ended(&self, id: CollectionId) {
        loop {
            let turned = self.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            let running = self.state.lock().running.clone();
            if running.is_none_or(|running| running.collection_id != id) {
                return;
            }
            turned.await;
        }
    }
}

impl DataCoordinator {
    /// Queues what is missing of a collection.
    pub(super) fn schedule_builds(self: &Arc<Self>, id: CollectionId) {
        let Ok(manifest) = self.current(id) else {
            return;
        };
        let mut missing = Vec::new();
        for index in &self.indexes(id) {
            for entry in &manifest.segments {
                if entry.index(index.id).is_none() && !self.is_small(entry.rows) {
                    missing.push(Build {
                        collection_id: id,
                        partition_id: entry.partition_id,
                        segment_id: entry.id,
                        index: index.clone(),
                        attempt: 1,
                        cancel: Shutdown::new(),
                    });
                }
            }
        }
        if self.builds.add(missing) {
            let data = Arc::downgrade(self);
            task::spawn("index-builds", async move {
                while let Some(data) = data.upgrade() {
                    let Some(build) = data.builds.next() else {
                        return;
                    };
                    data.work_on(build).await;
                }
            });
        }
    }

    async fn work_on(self: &Arc<Self>, build: Build) {
        let mut turn = Some(build);
        while let Some(build) = turn.take() {
            let result = self.build_one(&build).await;
            if build.cancel.is_triggered() {
                tracing::info!(segment = %build.segment_id, index = %build.index.name, "index build cancelled");
            } else if let Err(failure) = &result {
                tracing::warn!(
                    segment = %build.segment_id, index = %build.index.name, attempt = build.attempt,
                    %failure, "index build failed"
                );
            }
            let is_failed = result.is_err() && !build.cancel.is_triggered();
            turn = self.builds.done(&build, result);
            if turn.is_some() {
                tokio::select! {
                    () = clock::sleep(Duration::from_secs(1)) => {}
                    () = build.cancel.wait() => {}
                }
            } else if is_failed {
                self.try_anew(build.collection_id);
            }
        }
    }

    /// Queues what has failed of a collection again, after a while.
    fn try_anew(self: &Arc<Self>, id: CollectionId) {
        let data = Arc::downgrade(self);
        task::spawn("index-builds-anew", async move {
            clock::sleep(ANEW).await;
            if let Some(data) = data.upgrade()
                && data.builds.forgive(id)
            {
                data.schedule_builds(id);
            }
        });
    }

    async fn build_one(self: &Arc<Self>, build: &Build) -> Result<()> {
        let defined = |data: &Self| {
            data.indexes(build.collection_id).iter().any(|index| index.id == build.index.id)
        };
        let Ok(collection) = self.parts.root.by_id(build.collection_id) else {
            return Ok(());
        };
        let Ok(manifest) = self.current(build.collection_id) else {
            return Ok(());
        };
        let Some(segment) = manifest.segment(build.segment_id).cloned() else {
            return Ok(());
        };
        if !defined(self) || segment.index(build.index.id).is_some() {
            return Ok(());
        }
        let build_id = self.parts.ids.allocate(1).await?;
        let index = build.index.clone();
        let began = clock::monotonic();
        let (id, segment_id) = (build.collection_id, build.segment_id);
        let file = path::index(id, segment.partition_id, segment_id, index.id, build_id);
        let task = BuildIndex { collection, segment, index, build_id };
        // Not to be interrupted later: the commit may have happened.
        let entry = tokio::select! {
            biased;
            () = build.cancel.wait() => {
                self.parts.builder.settled(id).await;
                self.remove_files(vec![file]).await;
                return Ok(());
            }
            entry = self.parts.builder.build_index(task) => entry?,
        };
        failpoint::hit("index.file-written");
        let rows = entry.rows;
        match self.commit_index(id, segment_id, entry).await {
            Ok(()) | Err(Failure { code: ErrorCode::CollectionNotFound, .. }) => {}
            Err(failure) => return Err(failure),
        }
        failpoint::hit("index.committed");
        let is_named = |manifest: &Manifest| manifest.files().any(|named| named.path == file);
        if !self.current(id).is_ok_and(|manifest| is_named(&manifest)) {
            // Its index, partition or collection went while it was built.
            self.remove_files(vec![file]).await;
            return Ok(());
        }
        tracing::info!(
            segment = %build.segment_id, index = %build.index.name, rows,
            seconds = (clock::monotonic() - began).as_secs_f64(), "index built"
        );
        Ok(())
    }
}
