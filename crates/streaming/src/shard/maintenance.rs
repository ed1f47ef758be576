//! What happens to a shard's segments besides writes: flush, load, release, new index files.
//!
//! One task for each shard takes these one after another, so that a segment is never loaded,
//! replaced and dropped at once. Writes and reads go on meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use milvus_base::clock;
use milvus_format::key_index::KeyIndex;
use milvus_format::manifest::{Manifest, SegmentEntry};
use milvus_roles::{LoadScope, LoadSegment, SegmentDeletes, SegmentReplacement};
use milvus_segment::Segment;
use milvus_types::{PartitionId, Result, SegmentId, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use super::Shard;
use super::flush::Flushing;
use super::state::{Flushed, SealedSet, Unflushed};

pub(super) enum Task {
    Flush {
        set: SealedSet,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Replies when everything sealed before is committed.
    Settle {
        reply: oneshot::Sender<Result<()>>,
    },
    SetLoad {
        load: LoadScope,
        reply: oneshot::Sender<Result<()>>,
        pending: PendingLoad,
    },
    ManifestChanged {
        manifest: Arc<Manifest>,
        reply: oneshot::Sender<Result<()>>,
    },
    Replace {
        replacement: Box<SegmentReplacement>,
        reply: oneshot::Sender<Result<bool>>,
    },
}

/// A load that is queued or under way; counted until it is dropped.
pub(super) struct PendingLoad(watch::Sender<usize>);

impl PendingLoad {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for PendingLoad {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// How long a flush that failed waits for its next try.
const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn maintenance_loop(shard: Arc<Shard>, mut tasks: mpsc::UnboundedReceiver<Task>) {
    // Sets that could not be flushed yet, oldest first: checkpoints must not overtake each other.
    let mut unflushed: VecDeque<Flushing> = VecDeque::new();
    loop {
        let task = tokio::select! {
            task = tasks.recv() => match task { Some(task) => Some(task), None => break },
            () = clock::sleep(RETRY), if !unflushed.is_empty() || shard.has_waiting() => None,
            () = shard.retired_due() => {
                shard.release_due().await;
                continue;
            }
            () = shard.stop.wait() => break,
        };
        match task {
            Some(Task::Flush { set, reply }) => {
                unflushed.push_back(Flushing::new(set));
                let _ = reply.send(shard.flush_sets(&mut unflushed).await);
            }
            Some(Task::Settle { reply }) => {
                let _ = reply.send(shard.flush_sets(&mut unflushed).await);
            }
            Some(Task::SetLoad { load, reply, pending }) => {
                let result = shard.set_load_now(load).await;
                drop(pending);
                let _ = reply.send(result);
            }
            Some(Task::ManifestChanged { manifest, reply }) => {
                let _ = reply.send(shard.take_manifest(&manifest).await);
            }
            Some(Task::Replace { replacement, reply }) => {
                let _ = reply.send(Box::pin(shard.replace_now(*replacement)).await);
                let _ = shard.reload_changed().await;
            }
            None => {
                let _ = shard.flush_sets(&mut unflushed).await;
                shard.retry_hand_over().await;
                shard.retry_swaps().await;
            }
        }
    }
    // Nobody else knows of what a flush has written that ends here.
    if shard.dropped.load(Ordering::Relaxed) {
        shard.remove_files(unflushed.iter().flat_map(|flushing| &flushing.files)).await;
    }
}

impl Shard {
    async fn ask(&self, task: impl FnOnce(oneshot::Sender<Result<()>>) -> Task) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.maintenance.send(task(reply)).map_err(|_| self.gone())?;
        done.await.map_err(|_| self.gone())?
    }

    pub(crate) async fn set_load(&self, load: LoadScope) -> Result<()> {
        self.begin_load(load)?.await.map_err(|_| self.gone())?
    }

    /// Queues a load; reads that need it wait from now on.
    pub(super) fn begin_load(&self, load: LoadScope) -> Result<oneshot::Receiver<Result<()>>> {
        let (reply, done) = oneshot::channel();
        let pending = PendingLoad::new(&self.pending_loads);
        self.maintenance.send(Task::SetLoad { load, reply, pending }).map_err(|_| self.gone())?;
        Ok(done)
    }

    /// Returns when everything sealed before is committed.
    pub(super) async fn all_committed(&self) -> Result<()> {
        self.ask(|reply| Task::Settle { reply }).await
    }

    pub(crate) async fn manifest_changed(&self, manifest: Arc<Manifest>) -> Result<()> {
        self.ask(|reply| Task::ManifestChanged { manifest, reply }).await
    }

    pub(crate) async fn replace_segments(&self, replacement: SegmentReplacement) -> Result<bool> {
        let (reply, done) = oneshot::channel();
        let task = Task::Replace { replacement: Box::new(replacement), reply };
        self.maintenance.send(task).map_err(|_| self.gone())?;
        done.await.map_err(|_| self.gone())?
    }

    /// Writes out, commits and hands over, oldest first; what fails stays in `sets`.
    async fn flush_sets(self: &Arc<Self>, sets: &mut VecDeque<Flushing>) -> Result<()> {
        while let Some(set) = sets.front_mut() {
            if let Err(failure) = self.flush_set(set).await {
                tracing::error!(vchannel = %self.vchannel, %failure, "flush failed, will be retried");
                return Err(failure);
            }
            sets.pop_front();
        }
        Ok(())
    }

    async fn flush_set(self: &Arc<Self>, flushing: &mut Flushing) -> Result<()> {
        let deletes = self.write_set(flushing).await?;
        self.commit_set(flushing, deletes).await?;
        // Committed: from here on nothing may make this set be written again.
        {
            let mut state = self.state.lock();
            state.flushing_from.pop_front();
        }
        let written = std::mem::take(&mut flushing.segments);
        let set = &flushing.set;
        if let Err(failure) = self.hand_over(set, written).await {
            tracing::error!(vchannel = %self.vchannel, %failure, "flushed segments are not served");
        }
        self.flushes.fetch_add(1, Ordering::Relaxed);
        (self.truncate)(set.position);
        // Indexes may have been built since the commit.
        self.reload_changed().await
    }

    /// Moves flushed segments from memory to the query node, without a moment in between in which
    /// a row is missing, seen twice, or misses a delete.
    async fn hand_over(
        self: &Arc<Self>,
        set: &SealedSet,
        written: Vec<(SegmentEntry, KeyIndex)>,
    ) -> Result<()> {
        // From here on deletes go to both copies.
        let fresh: Vec<SegmentId> = {
            let mut state = self.state.lock();
            let persisted = |(_, timestamp): &(u32, Timestamp)| *timestamp <= set.timestamp;
            state.deletes_written(set.timestamp);
            let mut fresh = Vec::new();
            for (entry, keys) in written {
                let id = entry.id;
                let Some(unflushed) =
                    state.flushing.iter().find(|unflushed| unflushed.segment.id() == id)
                else {
                    continue; // its partition was dropped meanwhile
                };
                let all = unflushed.segment.deletes().rows;
                let unpersisted = all.iter().filter(|delete| !persisted(delete)).copied().collect();
                let dead = all.into_iter().collect();
                let flushed = Flushed {
                    entry,
                    keys,
                    dead,
                    unpersisted,
                    served: false,
                    served_indexes: Vec::new(),
                };
                state.flushed.insert(id, flushed);
                fresh.push(id);
            }
            state.commit(&fresh);
            fresh
        };
        let load = self.current.get().load.clone();
        let served = self.serve(&fresh, &load).await;
        self.drop_memory_copies();
        served
    }

    /// Whether something that is committed is not served yet.
    fn has_waiting(&self) -> bool {
        !self.state.lock().committed.is_empty() || self.has_swaps()
    }

    /// Has committed segments served that could not be served when they were flushed.
    async fn retry_hand_over(&self) {
        let waiting: Vec<SegmentId> = {
            let state = self.state.lock();
            state.committed.iter().map(|unflushed| unflushed.segment.id()).collect()
        };
        let load = self.current.get().load.clone();
        if let Err(failure) = self.serve(&waiting, &load).await {
            let vchannel = &self.vchannel;
            tracing::warn!(%vchannel, %failure, "flushed segments are still not served");
        }
        self.drop_memory_copies();
    }

    /// Drops memory copies of committed segments that the query node serves, or that nobody reads.
    fn drop_memory_copies(&self) {
        let distribution = self.current.get();
        let needed = |unflushed: &Unflushed| {
            let segment = &unflushed.segment;
            distribution.load.covers(segment.partition_id())
                && !distribution.is_served(segment.id())
        };
        let gone: Vec<SegmentId> = {
            let state = self.state.lock();
            let gone = state.committed.iter().filter(|unflushed| !needed(unflushed));
            gone.map(|unflushed| unflushed.segment.id()).collect()
        };
        if gone.is_empty() {
            return;
        }
        self.current.change(|distribution| {
            distribution.growing.retain(|segment| !gone.contains(&segment.id()));
        });
        let dropped: Vec<Unflushed> = {
            let mut state = self.state.lock();
            let (dropped, kept) = std::mem::take(&mut state.committed)
                .into_iter()
                .partition(|unflushed| gone.contains(&unflushed.segment.id()));
            state.committed = kept;
            dropped
        };
        // Key maps and rows can be large: freed off the async threads.
        drop(self.parts.apply.run(milvus_base::Priority::Write, move || drop(dropped)));
    }

    /// Has the query node serve those of `segments` that `load` covers, then lets reads use them.
    async fn serve(&self, segments: &[SegmentId], load: &LoadScope) -> Result<()> {
        for id in segments {
            let covered = {
                let state = self.state.lock();
                state.flushed.get(id).is_some_and(|f| load.covers(f.entry.partition_id))
            };
            if covered {
                self.serve_one(*id).await?;
            }
        }
        Ok(())
    }

    /// Loads one segment, or reloads it with the files its entry names now, and lets reads use it.
    async fn serve_one(&self, id: SegmentId) -> Result<()> {
        let Some(partition) = self.load_one(id).await? else {
            return Ok(());
        };
        let state = self.state.lock();
        // Under the lock, so that a partition dropped at this moment is not brought back.
        if state.flushed.contains_key(&id) {
            self.current.change(|distribution| {
                distribution.growing.retain(|segment| segment.id() != id);
                if !distribution.is_served(id) {
                    distribution.sealed.push((id, partition));
                }
            });
        }
        Ok(())
    }

    /// Has the query node open one segment and know every delete of it; `None` if it is gone.
    pub(super) async fn load_one(&self, id: SegmentId) -> Result<Option<PartitionId>> {
        let (segment, deletes, known) = {
            let state = self.state.lock();
            let Some(flushed) = state.flushed.get(&id) else {
                return Ok(None);
            };
            let dead = flushed.dead.iter().map(|(row, timestamp)| (*row, *timestamp));
            (flushed.entry.clone(), dead.collect(), flushed.unpersisted.len())
        };
        let (partition, indexes) = (segment.partition_id, segment.indexes.clone());
        let definitions = self.parts.data.list_indexes(self.collection_id).await?;
        let collection = self.collection();
        let request = LoadSegment { collection, indexes: definitions, segment, deletes };
        self.parts.query.load_segment(request).await?;
        // Deletes that came while it loaded; later ones are forwarded by the apply loop.
        let missed = {
            let mut state = self.state.lock();
            state.flushed.get_mut(&id).map(|flushed| {
                flushed.served = true;
                flushed.served_indexes = indexes;
                flushed.unpersisted.get(known..).unwrap_or_default().to_vec()
            })
        };
        let Some(missed) = missed else {
            self.parts.query.release_segment(id).await?; // its partition was dropped
            return Ok(None);
        };
        if !missed.is_empty() {
            let missed = SegmentDeletes { segment_id: id, rows: missed };
            self.parts.query.apply_deletes(vec![missed]).await?;
        }
        Ok(Some(partition))
    }

    async fn unserve(&self, segments: &[SegmentId]) -> Result<()> {
        self.current
            .change(|distribution| distribution.sealed.retain(|(id, _)| !segments.contains(id)));
        {
            let mut state = self.state.lock();
            for id in segments {
                if let Some(flushed) = state.flushed.get_mut(id) {
                    flushed.served = false;
                }
            }
        }
        for id in segments {
            self.parts.query.release_segment(*id).await?;
        }
        Ok(())
    }

    async fn set_load_now(self: &Arc<Self>, load: LoadScope) -> Result<()> {
        self.retry_swaps().await;
        let waiting = self.waiting_outputs();
        let (to_serve, to_release): (Vec<_>, Vec<_>) = {
            let state = self.state.lock();
            let distribution = self.current.get();
            let covered = |id: &SegmentId| {
                let flushed = state.flushed.get(id).or_else(|| state.retiring.get(id));
                flushed.is_some_and(|f| load.covers(f.entry.partition_id))
            };
            (
                state
                    .flushed
                    .keys()
                    .filter(|id| covered(id) && !distribution.is_served(**id))
                    .filter(|id| !waiting.contains(id))
                    .copied()
                    .collect(),
                distribution.sealed.iter().map(|(id, _)| *id).filter(|id| !covered(id)).collect(),
            )
        };
        if load == LoadScope::Nothing {
            self.current.change(|distribution| distribution.load = LoadScope::Nothing);
            self.drop_memory_copies();
            self.release_retired_of(|_| true).await;
            return self.unserve(&to_release).await;
        }
        // Narrow first, widen last: a read never meets a partition whose segments are not there.
        self.progress.begin(to_serve.len());
        for id in &to_serve {
            self.serve(std::slice::from_ref(id), &load).await?;
            self.progress.step();
        }
        self.current.change(|distribution| distribution.load = load.clone());
        self.drop_memory_copies();
        self.release_retired_of(|partition| !load.covers(partition)).await;
        self.unserve(&to_release).await
    }

    /// Takes over what the manifest says of this shard's segments, unless it is older than what
    /// is known, and reopens those whose index files changed.
    async fn take_manifest(&self, manifest: &Manifest) -> Result<()> {
        self.adopt(manifest);
        self.reload_changed().await
    }

    async fn reload_changed(&self) -> Result<()> {
        let changed: Vec<SegmentId> = {
            let state = self.state.lock();
            let changed = state
                .flushed
                .iter()
                .filter(|(_, f)| f.served && f.served_indexes != f.entry.indexes);
            changed.map(|(id, _)| *id).collect()
        };
        for id in changed {
            self.serve_one(id).await?;
        }
        Ok(())
    }

    /// Takes over the entries of `manifest`, unless a newer one was seen.
    pub(super) fn adopt(&self, manifest: &Manifest) {
        let mut state = self.state.lock();
        if manifest.version <= state.manifest_version {
            return;
        }
        state.manifest_version = manifest.version;
        for (id, flushed) in &mut state.flushed {
            if let Some(entry) = manifest.segment(*id) {
                flushed.entry = entry.clone();
            }
        }
    }
}
