//! Index builds: one for each flushed segment and index, in the background, one at a time
//! (a build uses every core itself).
//!
//! What is to be built follows from manifests and definitions alone, so nothing of it is persisted:
//! a restart finds the same work again. A build that fails is tried again a few times; after that
//! the index is `Failed` with the reason, and tried anew now and then.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{clock, task};
use milvus_roles::BuildIndex;
use milvus_types::{CollectionId, ErrorCode, Failure, IndexId, IndexMeta, Result, SegmentId};
use parking_lot::Mutex;

use super::DataCoordinator;

const ATTEMPTS: u32 = 3;
/// After so long a build that has failed is tried anew: a disk that was full may not be any more.
const ANEW: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Builds(Mutex<State>);

#[derive(Default)]
struct State {
    queue: VecDeque<Build>,
    /// Queued or running.
    known: HashSet<(SegmentId, IndexId)>,
    failed: HashMap<(SegmentId, IndexId), (CollectionId, String)>,
    running: bool,
}

#[derive(Clone)]
struct Build {
    collection_id: CollectionId,
    segment_id: SegmentId,
    index: Arc<IndexMeta>,
    attempt: u32,
}

impl Build {
    fn key(&self) -> (SegmentId, IndexId) {
        (self.segment_id, self.index.id)
    }
}

impl Builds {
    /// Queues builds that are not known yet; true if somebody must begin to work on them.
    fn add(&self, builds: Vec<Build>) -> bool {
        let mut state = self.0.lock();
        for build in builds {
            if !state.failed.contains_key(&build.key()) && state.known.insert(build.key()) {
                state.queue.push_back(build);
            }
        }
        !state.queue.is_empty() && !std::mem::replace(&mut state.running, true)
    }

    fn next(&self) -> Option<Build> {
        let mut state = self.0.lock();
        let next = state.queue.pop_front();
        state.running = next.is_some();
        next
    }

    fn done(&self, build: &Build, result: Result<()>) -> Option<Build> {
        let mut state = self.0.lock();
        let Err(failure) = result else {
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
        let mut state = self.0.lock();
        let before = state.failed.len();
        state.failed.retain(|_, (collection, _)| *collection != id);
        state.failed.len() < before
    }

    pub(super) fn failure(&self, segment: SegmentId, index: IndexId) -> Option<String> {
        self.0.lock().failed.get(&(segment, index)).map(|(_, reason)| reason.clone())
    }

    pub(super) fn pending(&self) -> usize {
        self.0.lock().known.len()
    }

    pub(super) fn forget_index(&self, index: IndexId) {
        let mut state = self.0.lock();
        state.queue.retain(|build| build.index.id != index);
        state.known.retain(|(_, known)| *known != index);
        state.failed.retain(|(_, failed), _| *failed != index);
    }

    pub(super) fn forget_collection(&self, id: CollectionId) {
        let mut state = self.0.lock();
        let gone: Vec<_> =
            state.queue.iter().filter(|build| build.collection_id == id).map(Build::key).collect();
        state.queue.retain(|build| build.collection_id != id);
        state.known.retain(|key| !gone.contains(key));
        state.failed.retain(|_, (collection, _)| *collection != id);
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
                    let (segment_id, index) = (entry.id, index.clone());
                    missing.push(Build { collection_id: id, segment_id, index, attempt: 1 });
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
            if let Err(failure) = &result {
                tracing::warn!(
                    segment = %build.segment_id, index = %build.index.name, attempt = build.attempt,
                    %failure, "index build failed"
                );
            }
            let is_failed = result.is_err();
            turn = self.builds.done(&build, result);
            if turn.is_some() {
                clock::sleep(Duration::from_secs(1)).await;
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
        let task = BuildIndex { collection, segment, index, build_id };
        let entry = self.parts.builder.build_index(task).await?;
        let rows = entry.rows;
        match self.commit_index(build.collection_id, build.segment_id, entry).await {
            Err(Failure { code: ErrorCode::CollectionNotFound, .. }) => return Ok(()),
            result => result?,
        }
        tracing::info!(
            segment = %build.segment_id, index = %build.index.name, rows,
            seconds = (clock::monotonic() - began).as_secs_f64(), "index built"
        );
        Ok(())
    }
}
