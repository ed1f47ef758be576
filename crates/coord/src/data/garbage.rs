//! Files that no manifest names: of dropped collections, partitions and indexes, which go at once; of
//! segments that were compacted away, which stay for a grace, as reads that began before use them; of
//! flushes, builds and compactions that a crash cut short, which go at the next start.
//!
//! Work on what is dropped was cancelled, but its threads may write a little longer: what they wrote goes
//! when they have ended.
//!
//! Before files go that an older manifest names, that manifest goes. A mapped file may be removed: who
//! has it open keeps it. A failure to remove is logged, and made good by the sweep at the next start.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use milvus_base::task;
use milvus_format::manifest::SegmentEntry;
use milvus_format::{FileMeta, path};
use milvus_storage::ObjectMeta;
use milvus_types::{CollectionId, IndexId, PartitionId};
use parking_lot::Mutex;

use super::DataCoordinator;

/// What waits for the end of its grace.
#[derive(Debug, Default)]
pub(super) struct Retired {
    bytes: Mutex<HashMap<CollectionId, u64>>,
    /// Collections that keep everything until the next start.
    spared: Mutex<HashSet<CollectionId>>,
}

impl Retired {
    /// Bytes of all collections.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.lock().values().sum()
    }

    pub(super) fn bytes_of(&self, id: CollectionId) -> u64 {
        self.bytes.lock().get(&id).copied().unwrap_or(0)
    }

    fn add(&self, id: CollectionId, bytes: u64) {
        *self.bytes.lock().entry(id).or_default() += bytes;
    }

    fn subtract(&self, id: CollectionId, bytes: u64) {
        let mut all = self.bytes.lock();
        let left = all.get(&id).map_or(0, |waiting| waiting.saturating_sub(bytes));
        if left == 0 {
            all.remove(&id);
        } else {
            all.insert(id, left);
        }
    }

    fn spare(&self, collections: HashSet<CollectionId>) {
        *self.spared.lock() = collections;
    }

    fn is_spared(&self, id: CollectionId) -> bool {
        self.spared.lock().contains(&id)
    }
}

impl DataCoordinator {
    pub(super) fn remove_files_of(self: &Arc<Self>, id: CollectionId) {
        self.remove_dropped(id, vec![path::collection(id), path::manifests(id)]);
    }

    pub(super) fn remove_files_of_partition(
        self: &Arc<Self>,
        id: CollectionId,
        partition: PartitionId,
    ) {
        self.remove_dropped(id, vec![path::partition(id, partition)]);
    }

    pub(super) fn remove_files_of_index(self: &Arc<Self>, id: CollectionId, index: IndexId) {
        let name = format!("/index-{index}-");
        let data = self.clone();
        task::spawn("garbage", async move {
            data.remove_listed(&path::collection(id), |path| path.contains(&name)).await;
        });
    }

    /// Removes what was dropped: what is there now at once, so that the space is back, and what work
    /// that was under way has written meanwhile as soon as it has ended. It was cancelled before.
    fn remove_dropped(self: &Arc<Self>, id: CollectionId, prefixes: Vec<String>) {
        let data = self.clone();
        task::spawn("garbage", async move {
            data.remove_all(&prefixes).await;
            data.builds.ended(id).await;
            data.compactions.ended(id).await;
            data.parts.builder.settled(id).await;
            data.remove_all(&prefixes).await;
        });
    }

    async fn remove_all(&self, prefixes: &[String]) {
        for prefix in prefixes {
            self.remove_listed(prefix, |_| true).await;
        }
    }

    /// Segments left the manifest: everything of them goes after the grace.
    pub(super) fn retire_segments(self: &Arc<Self>, id: CollectionId, segments: &[SegmentEntry]) {
        let bytes = segments.iter().flat_map(SegmentEntry::files).map(|file| file.bytes).sum();
        let prefixes: Vec<String> =
            segments.iter().map(|entry| path::segment(id, entry.partition_id, entry.id)).collect();
        self.retire(id, bytes, prefixes);
    }

    /// Files left the manifest: they go after the grace.
    pub(super) fn retire_files(self: &Arc<Self>, id: CollectionId, files: Vec<FileMeta>) {
        let bytes = files.iter().map(|file| file.bytes).sum();
        self.retire(id, bytes, files.into_iter().map(|file| file.path).collect());
    }

    fn retire(self: &Arc<Self>, id: CollectionId, bytes: u64, prefixes: Vec<String>) {
        if prefixes.is_empty() {
            return;
        }
        self.retired.add(id, bytes);
        let data = Arc::downgrade(self);
        let options = &self.parts.options.compaction;
        let (clock, grace) = (options.clock.clone(), options.file_grace);
        task::spawn("retired-files", async move {
            clock.sleep(grace).await;
            let Some(data) = data.upgrade() else { return };
            if data.retired.is_spared(id) {
                // They stay, and are not waited for.
                data.retired.subtract(id, bytes);
                return;
            }
            data.remove_older_manifests(id).await;
            let mut removed = 0;
            for prefix in &prefixes {
                removed += data.remove_unnamed(id, prefix).await;
            }
            data.retired.subtract(id, bytes);
            tracing::info!(collection = %id, removed, bytes, "removed files of compacted segments");
        });
    }

    /// Removes what lies under `prefix` and the collection's manifest does not name.
    pub(super) async fn remove_unnamed(&self, id: CollectionId, prefix: &str) -> usize {
        let named: HashSet<String> = match self.current(id) {
            Ok(manifest) => manifest.files().map(|file| file.path.clone()).collect(),
            Err(_) => HashSet::new(),
        };
        self.remove_listed(prefix, |path| !named.contains(path)).await
    }

    async fn remove_older_manifests(&self, id: CollectionId) {
        let Ok(current) = self.current(id) else { return };
        let is_older =
            |at: &str| path::manifest_version(at).is_some_and(|version| version < current.version);
        self.remove_listed(&path::manifests(id), is_older).await;
    }

    pub(super) async fn remove_files(&self, paths: Vec<String>) {
        for path in paths {
            if let Err(error) = self.parts.store.delete(&path).await {
                tracing::warn!(%error, %path, "garbage stays");
            }
        }
    }

    async fn remove_listed(&self, prefix: &str, concerned: impl Fn(&str) -> bool) -> usize {
        let listed = self.list(prefix).await;
        self.remove_among(listed.unwrap_or_default(), concerned).await
    }

    async fn list(&self, prefix: &str) -> Option<Vec<ObjectMeta>> {
        let listed = self.parts.store.list(prefix).await;
        listed.inspect_err(|error| tracing::warn!(%error, prefix, "garbage was not listed")).ok()
    }

    async fn remove_among(
        &self,
        listed: Vec<ObjectMeta>,
        concerned: impl Fn(&str) -> bool,
    ) -> usize {
        let mut removed = 0;
        for object in listed.into_iter().filter(|object| concerned(&object.path)) {
            match self.parts.store.delete(&object.path).await {
                Ok(()) => removed += 1,
                Err(error) => tracing::warn!(%error, path = %object.path, "garbage stays"),
            }
        }
        removed
    }

    /// Removes what an earlier life left behind: every file that no current manifest names.
    ///
    /// Runs before any shard is open, when nobody can be writing a file that is not named yet.
    ///
    /// A collection of which something is missing keeps everything: what nothing names may be what it
    /// is repaired with, by hand or by `milvus check`.
    pub(super) async fn sweep(&self) {
        let Some(files) = self.list(path::SEGMENTS).await else { return };
        let incomplete = self.incomplete(&files).await;
        let mut named = HashSet::new();
        for manifest in self.manifests.read().values() {
            named.extend(manifest.files().map(|file| file.path.clone()));
            named.insert(path::manifest(manifest.collection_id, manifest.version));
        }
        // Nobody knows what a damaged manifest names.
        let spared: HashSet<String> = self
            .damaged
            .keys()
            .chain(&incomplete)
            .flat_map(|id| [path::collection(*id), path::manifests(*id)])
            .collect();
        self.retired.spare(incomplete);
        let is_garbage = |at: &str| !named.contains(at) && !is_within(at, &spared);
        let manifests = self.list(path::MANIFESTS).await.unwrap_or_default();
        let removed = self.remove_among(files, is_garbage).await
            + self.remove_among(manifests, is_garbage).await;
        if removed > 0 {
            tracing::info!(removed, "removed files that nothing names");
        }
    }

    /// The collections whose manifest names a file that is not among `files`, or of another size. What a
    /// list does not show yet is asked for by name.
    async fn incomplete(&self, files: &[ObjectMeta]) -> HashSet<CollectionId> {
        let sizes: HashMap<&str, u64> =
            files.iter().map(|object| (object.path.as_str(), object.size)).collect();
        let manifests: Vec<_> = self.manifests.read().values().cloned().collect();
        let mut incomplete = HashSet::new();
        for manifest in manifests {
            let wrong = |file: &&FileMeta| sizes.get(file.path.as_str()) != Some(&file.bytes);
            for file in manifest.files().filter(wrong) {
                let got = self.parts.store.head(&file.path).await.map(|object| object.size);
                if got.as_ref().ok() == Some(&file.bytes) {
                    continue;
                }
                tracing::error!(
                    collection = %manifest.collection_id, path = %file.path, ?got,
                    want_bytes = file.bytes,
                    "a file is missing or cut short; every file of its collection is kept"
                );
                incomplete.insert(manifest.collection_id);
                break;
            }
        }
        incomplete
    }
}

/// Whether `path` lies under its collection's prefix among `prefixes`.
fn is_within(path: &str, prefixes: &HashSet<String>) -> bool {
    let ends = path.match_indices('/').nth(1).map(|(at, _)| at + 1);
    ends.and_then(|end| path.get(..end)).is_some_and(|prefix| prefixes.contains(prefix))
}
