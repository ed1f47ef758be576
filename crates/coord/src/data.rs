//! Data coordination: manifests, index definitions, index builds, compaction, garbage.
//!
//! A manifest version is an object of its own; the catalogue holds which version is current, and is
//! moved by compare-and-swap after the object is durable. Everything a current manifest names is
//! there; what no manifest names is garbage.

mod builds;
mod compaction;
mod garbage;
mod indexes;
mod log_cuts;
mod manifests;
mod sorted;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::try_join_all;
use milvus_format::FileMeta;
use milvus_format::manifest::{
    ChannelCheckpoint, IndexEntry, Manifest, ManifestEdit, SegmentEntry, SegmentLevel,
};
use milvus_meta::{Catalogue, ManifestEntry};
use milvus_roles::{
    CompactionCommit, DataNode, FlushCommit, FlushTicket, SegmentState, SegmentStatus,
};
use milvus_storage::ObjectStore;
use milvus_types::{
    CollectionId, ErrorCode, Failure, IndexMeta, PartitionId, Result, SegmentId, Timestamp,
    VChannel,
};
use parking_lot::RwLock;
use tokio::sync::oneshot;

use self::builds::Builds;
pub use self::compaction::CompactionOptions;
use self::compaction::Compactions;
use self::garbage::Retired;
use self::sorted::Sorted;
use crate::ids::Ids;
use crate::mix::{CoordOptions, StreamingSlot};
use crate::root::RootCoordinator;
use crate::serial::Serial;

pub(crate) struct Parts {
    pub(crate) options: CoordOptions,
    pub(crate) catalogue: Catalogue,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) builder: Arc<dyn DataNode>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) root: Arc<RootCoordinator>,
    pub(crate) streaming: Arc<StreamingSlot>,
}

/// What `/metrics` shows of manifests and index builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataStats {
    /// Flushed segments.
    pub segments: u64,
    /// Rows in them, deleted ones included.
    pub rows: u64,
    /// Rows deleted of them, as far as delete files say.
    pub deleted_rows: u64,
    /// Bytes of all files that manifests name.
    pub bytes: u64,
    /// Bytes of those files that live rows take.
    pub live_bytes: u64,
    /// Bytes of files that no manifest names any more, and that stay for a grace.
    pub retired_bytes: u64,
    /// Bytes of segments that compactions under way have written, and no manifest names yet.
    pub unnamed_bytes: u64,
    /// Index builds that wait or run.
    pub pending_builds: u64,
    /// Compactions done.
    pub compactions: u64,
    /// Compactions that failed; most are tried again.
    pub failed_compactions: u64,
}

impl DataStats {
    /// How many bytes lie on disk for each byte that live rows take, files that wait for removal and
    /// those of compactions under way included; 1 where there is nothing.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn space_amplification(&self) -> f64 {
        let on_disk = self.bytes + self.retired_bytes + self.unnamed_bytes;
        match (on_disk, self.live_bytes) {
            (0, _) => 1.0,
            (on_disk, live) => on_disk as f64 / live.max(1) as f64,
        }
    }
}

pub(crate) struct DataCoordinator {
    parts: Parts,
    manifests: RwLock<HashMap<CollectionId, Arc<Manifest>>>,
    /// Collections whose manifest could not be read at the start, and why.
    damaged: HashMap<CollectionId, Failure>,
    indexes: RwLock<HashMap<CollectionId, Vec<Arc<IndexMeta>>>>,
    builds: Arc<Builds>,
    compactions: Arc<Compactions>,
    retired: Retired,
    sorted: Sorted,
    /// Commits, one after another.
    decisions: Serial,
    /// Records of compactions asked for by hand, one after another.
    job_records: Serial,
}

impl DataCoordinator {
    pub(crate) async fn open(parts: Parts) -> Result<Arc<Self>> {
        let mut manifests = HashMap::new();
        let mut damaged = HashMap::new();
        for collection in parts.root.all() {
            match manifests::read_current(&parts, collection.id).await {
                Ok(manifest) => {
                    manifests.insert(collection.id, Arc::new(manifest));
                }
                // It is there, and will be when the object storage is.
                Err(failure) if is_passing(&failure) => return Err(failure),
                Err(failure) => {
                    tracing::error!(collection = %collection.name, %failure, "no manifest");
                    damaged.insert(collection.id, failure);
                }
            }
        }
        let mut indexes: HashMap<CollectionId, Vec<Arc<IndexMeta>>> = HashMap::new();
        let listed = parts.catalogue.list_indexes().await.map_err(|error| Failure::from(&error))?;
        for index in listed {
            if !is_of_something(&parts, &index.entry) {
                remove_orphan(&parts, &index.entry).await?;
                continue;
            }
            indexes.entry(index.collection_id).or_default().push(Arc::new(index.entry));
        }
        remove_orphaned_manifests(&parts).await?;
        for list in indexes.values_mut() {
            list.sort_by_key(|index| index.id);
        }
        let data = Arc::new(Self {
            parts,
            manifests: RwLock::new(manifests),
            damaged,
            indexes: RwLock::new(indexes),
            builds: Arc::default(),
            compactions: Arc::default(),
            retired: Retired::default(),
            sorted: Sorted::default(),
            decisions: Serial::new("data-coord"),
            job_records: Serial::new("compaction-jobs"),
        });
        data.purge_dropped_partitions().await?;
        data.sweep().await;
        data.restore_jobs().await;
        Ok(data)
    }

    /// Goes on with the index builds and compactions that were under way.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.begin_compactions();
        let collections: Vec<_> = self.manifests.read().keys().copied().collect();
        for collection in collections {
            self.schedule_builds(collection);
        }
    }

    /// A new collection's manifest: version 0, empty, not yet an object.
    pub(crate) fn begin(&self, id: CollectionId) -> Arc<Manifest> {
        let manifest = Arc::new(Manifest::empty(id));
        self.manifests.write().insert(id, manifest.clone());
        manifest
    }

    /// The collection is gone: so are its indexes, builds and, in a moment, its files.
    pub(crate) fn forget(self: &Arc<Self>, id: CollectionId) {
        self.manifests.write().remove(&id);
        self.indexes.write().remove(&id);
        self.builds.forget_collection(id);
        self.compactions.forget(id);
        self.remove_files_of(id);
    }

    pub(crate) fn current(&self, id: CollectionId) -> Result<Arc<Manifest>> {
        if let Some(manifest) = self.manifests.read().get(&id) {
            return Ok(manifest.clone());
        }
        let missing =
            || Failure::with_fields(ErrorCode::CollectionNotFound, &[("collection", &id)]);
        Err(self.damaged.get(&id).cloned().unwrap_or_else(missing))
    }

    pub(crate) fn checkpoint(&self, vchannel: &VChannel) -> Option<ChannelCheckpoint> {
        let manifests = self.manifests.read();
        manifests.values().find_map(|manifest| manifest.checkpoint(vchannel)).cloned()
    }

    pub(crate) async fn commit_flush(
        self: &Arc<Self>,
        commit: FlushCommit,
    ) -> Result<Arc<Manifest>> {
        let id = commit.collection_id;
        let data = self.clone();
        let manifest = self.commit(id, move |manifest| data.flush_edits(manifest, commit)).await?;
        self.schedule_builds(id);
        self.compactions.look_at(id);
        Ok(manifest)
    }

    /// The collection's properties changed: rows may expire now.
    pub(crate) fn properties_changed(&self, id: CollectionId) {
        self.compactions.look_at(id);
    }

    /// What a flush changes. A partition that was dropped meanwhile gets no segment back.
    fn flush_edits(&self, manifest: &Manifest, commit: FlushCommit) -> Result<Vec<ManifestEdit>> {
        let collection = self.parts.root.by_id(commit.collection_id)?;
        let (alive, dropped): (Vec<_>, Vec<_>) = commit
            .segments
            .into_iter()
            .partition(|entry| collection.partition_by_id(entry.partition_id).is_some());
        for entry in &dropped {
            tracing::info!(segment = %entry.id, "flushed after its partition was dropped");
        }
        let known = |id: &SegmentId| {
            manifest.segment(*id).is_some() || alive.iter().any(|entry| entry.id == *id)
        };
        let deletes: Vec<_> = commit
            .deletes
            .into_iter()
            .filter(|(segment_id, _)| known(segment_id))
            .map(|(segment_id, deletes)| {
                let newly_deleted_rows = deletes.rows;
                ManifestEdit::AddDeletes { segment_id, deletes, newly_deleted_rows }
            })
            .collect();
        let mut edits: Vec<_> = alive.into_iter().map(ManifestEdit::AddSegment).collect();
        edits.extend(deletes);
        edits.push(ManifestEdit::SetCheckpoint(commit.checkpoint));
        Ok(edits)
    }

    /// Takes segments out and others in. `None`, and nothing is changed, where one of the former is
    /// gone: its partition was dropped or its collection truncated.
    pub(crate) async fn commit_compaction(
        self: &Arc<Self>,
        commit: CompactionCommit,
    ) -> Result<Option<Arc<Manifest>>> {
        let id = commit.collection_id;
        let removed = commit.removed.clone();
        let files: Vec<FileMeta> =
            commit.added.iter().flat_map(SegmentEntry::files).cloned().collect();
        self.compactions.commit_begins(commit.added.iter().map(|entry| entry.id));
        let data = self.clone();
        let (reply, left) = oneshot::channel();
        let manifest = self
            .commit(id, move |manifest| {
                let (edits, leaving) = data.compaction_edits(manifest, commit)?;
                let _ = reply.send(leaving);
                Ok(edits)
            })
            .await?;
        let left = left.await.unwrap_or_default();
        if left.len() != removed.len() {
            return Ok(None);
        }
        // Of indexes that were dropped while they were built here.
        let named: HashSet<&str> = manifest.files().map(|file| file.path.as_str()).collect();
        let unnamed =
            files.into_iter().filter(|file| !named.contains(file.path.as_str())).collect();
        self.retire_files(id, unnamed);
        self.forget_sorted(&left);
        self.retire_segments(id, &left);
        self.schedule_builds(id);
        self.compactions.look_at(id);
        Ok(Some(manifest))
    }

    /// What a compaction changes, and the segments that leave; nothing where one is gone already.
    fn compaction_edits(
        &self,
        manifest: &Manifest,
        commit: CompactionCommit,
    ) -> Result<(Vec<ManifestEdit>, Vec<SegmentEntry>)> {
        let CompactionCommit { collection_id, removed, added, deletes } = commit;
        let collection = self.parts.root.by_id(collection_id)?;
        let is_alive =
            |entry: &SegmentEntry| collection.partition_by_id(entry.partition_id).is_some();
        let leaving: Vec<SegmentEntry> =
            removed.iter().filter_map(|id| manifest.segment(*id)).cloned().collect();
        if leaving.len() != removed.len() || !leaving.iter().chain(&added).all(is_alive) {
            return Ok((Vec::new(), Vec::new()));
        }
        let defined: Vec<_> = self.indexes(collection_id).iter().map(|index| index.id).collect();
        let mut edits: Vec<_> = removed.into_iter().map(ManifestEdit::RemoveSegment).collect();
        for mut entry in added {
            // An index may have been dropped while it was built here.
            entry.indexes.retain(|index| defined.contains(&index.index_id));
            edits.push(ManifestEdit::AddSegment(entry));
        }
        edits.extend(deletes.into_iter().map(|(segment_id, deletes)| {
            let newly_deleted_rows = deletes.rows;
            ManifestEdit::AddDeletes { segment_id, deletes, newly_deleted_rows }
        }));
        Ok((edits, leaving))
    }

    pub(crate) async fn commit_index(
        self: &Arc<Self>,
        id: CollectionId,
        segment_id: SegmentId,
        index: IndexEntry,
    ) -> Result<()> {
        let data = self.clone();
        let manifest = self
            .commit(id, move |manifest| {
                let defined = data.indexes(id).iter().any(|meta| meta.id == index.index_id);
                let there = manifest.segment(segment_id).is_some();
                Ok(if defined && there {
                    vec![ManifestEdit::AddIndex { segment_id, index }]
                } else {
                    Vec::new()
                })
            })
            .await?;
        self.tell_streaming(manifest);
        self.compactions.look_at(id);
        Ok(())
    }

    pub(crate) async fn drop_partition(
        self: &Arc<Self>,
        id: CollectionId,
        partition: PartitionId,
    ) -> Result<()> {
        self.compactions.forget_partition(id, partition);
        self.builds.forget_partition(id, partition);
        self.commit(id, move |manifest| {
            let has = manifest.segments.iter().any(|entry| entry.partition_id == partition);
            Ok(if has { vec![ManifestEdit::RemovePartition(partition)] } else { Vec::new() })
        })
        .await?;
        self.remove_files_of_partition(id, partition);
        Ok(())
    }

    /// A crash may have come between dropping a partition and taking it out of the manifest.
    async fn purge_dropped_partitions(self: &Arc<Self>) -> Result<()> {
        for collection in self.parts.root.all() {
            let Ok(manifest) = self.current(collection.id) else { continue };
            let mut gone: Vec<_> = manifest
                .segments
                .iter()
                .map(|entry| entry.partition_id)
                .filter(|partition| collection.partition_by_id(*partition).is_none())
                .collect();
            gone.sort();
            gone.dedup();
            for partition in gone {
                self.drop_partition(collection.id, partition).await?;
            }
        }
        Ok(())
    }

    /// Has the shards reopen what changed; they may be waiting for a commit themselves.
    fn tell_streaming(self: &Arc<Self>, manifest: Arc<Manifest>) {
        let data = self.clone();
        milvus_base::task::spawn("manifest-changed", async move {
            let told = match data.parts.streaming.get() {
                Ok(streaming) => streaming.manifest_changed(manifest).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = told {
                tracing::warn!(%failure, "a changed manifest was not taken up");
            }
        });
    }

    pub(crate) async fn flush(&self, id: CollectionId) -> Result<FlushTicket> {
        let collection = self.parts.root.by_id(id)?;
        let streaming = self.parts.streaming.get()?;
        let shards = collection.vchannels.iter().map(|vchannel| streaming.flush(vchannel, false));
        let mut ticket = FlushTicket::default();
        for shard in try_join_all(shards).await? {
            ticket.sealed.extend(shard.sealed);
            ticket.flushed.extend(shard.flushed);
            ticket.flush_ts = ticket.flush_ts.max(shard.flush_ts);
        }
        Ok(ticket)
    }

    pub(crate) async fn is_flushed(
        &self,
        id: CollectionId,
        segments: &[SegmentId],
        flush_ts: Timestamp,
    ) -> Result<bool> {
        let collection = self.parts.root.by_id(id)?;
        let streaming = self.parts.streaming.get()?;
        for vchannel in &collection.vchannels {
            let waits = streaming.growing_segments(vchannel).await?.into_iter().any(|segment| {
                segments.contains(&segment.segment_id)
                    || (segment.sealed && segment.min_ts <= flush_ts)
            });
            if waits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) async fn list_segments(&self, id: CollectionId) -> Result<Vec<SegmentStatus>> {
        let collection = self.parts.root.by_id(id)?;
        let streaming = self.parts.streaming.get()?;
        let mut listed = Vec::new();
        for vchannel in &collection.vchannels {
            listed.extend(streaming.growing_segments(vchannel).await?.into_iter().map(|segment| {
                let state =
                    if segment.sealed { SegmentState::Flushing } else { SegmentState::Growing };
                SegmentStatus {
                    id: segment.segment_id,
                    partition_id: segment.partition_id,
                    rows: segment.rows,
                    state,
                    vchannel: vchannel.clone(),
                    indexes: Vec::new(),
                    bytes: 0,
                    level: SegmentLevel::L1,
                }
            }));
        }
        // After the growing ones: a segment on its way is then seen once, as flushed.
        for entry in &self.current(id)?.segments {
            listed.retain(|segment: &SegmentStatus| segment.id != entry.id);
            listed.push(SegmentStatus {
                id: entry.id,
                partition_id: entry.partition_id,
                rows: entry.rows,
                state: SegmentState::Flushed,
                vchannel: entry.vchannel.clone(),
                indexes: entry.indexes.iter().map(|index| index.index_id).collect(),
                bytes: entry.files().map(|file| file.bytes).sum(),
                level: entry.level,
            });
        }
        Ok(listed)
    }

    pub(crate) async fn sorted_segments(&self, id: CollectionId) -> Result<HashSet<SegmentId>> {
        let manifest = self.current(id)?;
        Ok(self.sorted(&manifest).await)
    }

    pub(crate) fn stats(&self) -> DataStats {
        let mut stats = DataStats::default();
        for manifest in self.manifests.read().values() {
            for entry in &manifest.segments {
                stats.segments += 1;
                stats.rows += entry.rows;
                stats.deleted_rows += entry.deleted_rows;
                stats.live_bytes += live_share(entry);
            }
            stats.bytes += manifest.files().map(|file| file.bytes).sum::<u64>();
        }
        stats.retired_bytes = self.retired.bytes();
        stats.unnamed_bytes = self.compactions.unnamed_bytes();
        stats.pending_builds = self.builds.pending() as u64;
        (stats.compactions, stats.failed_compactions) = self.compactions.counts();
        stats
    }
}

impl Drop for DataCoordinator {
    fn drop(&mut self) {
        self.compactions.wake();
    }
}

/// Bytes of a segment's files that its live rows take.
fn live_share(entry: &SegmentEntry) -> u64 {
    let indexes = entry.indexes.iter().map(|index| &index.file);
    let files = [&entry.columns, &entry.key_index].into_iter().chain(indexes);
    let bytes: u128 = files.map(|file| u128::from(file.bytes)).sum();
    let live = bytes * u128::from(entry.live_rows()) / u128::from(entry.rows.max(1));
    u64::try_from(live).unwrap_or(u64::MAX)
}

/// Whether a failure says that the object storage is away, and nothing of what is in it. A start that
/// meets it fails, to be tried again: what is served would otherwise lack this until the next start.
fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::ServiceUnavailable
            | ErrorCode::IoTooManyRequests
            | ErrorCode::IoInvalidCredentials
    )
}

/// Whether the field that `index` is of exists.
fn is_of_something(parts: &Parts, index: &IndexMeta) -> bool {
    let collection = parts.root.by_id(index.collection_id);
    collection.is_ok_and(|collection| collection.schema.field_by_id(index.field_id).is_some())
}

/// A collection may have been dropped while its first manifest was committed.
async fn remove_orphaned_manifests(parts: &Parts) -> Result<()> {
    let listed = parts.catalogue.list::<ManifestEntry>().await;
    for manifest in listed.map_err(|error| Failure::from(&error))? {
        let id = manifest.entry.collection_id;
        if parts.root.by_id(id).is_err() {
            let removed = parts.catalogue.remove::<ManifestEntry>(&id).await;
            removed.map_err(|error| Failure::from(&error))?;
        }
    }
    Ok(())
}

/// A stop between the end of a field or a collection and that of its indexes leaves some.
async fn remove_orphan(parts: &Parts, index: &IndexMeta) -> Result<()> {
    tracing::info!(
        collection = %index.collection_id, index = %index.name, "index of a dropped field removed"
    );
    let removed = parts.catalogue.remove::<IndexMeta>(&(index.collection_id, index.id)).await;
    removed.map_err(|error| Failure::from(&error))
}
