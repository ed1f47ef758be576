//! Files that no manifest names: of dropped collections, partitions and indexes, which go at once; of
//! segments that were compacted away, which stay for a grace, as reads that began before use them; of
//! flushes, builds and compactions that a crash cut short, which go at the next start.
//!
//! Before files go that an older manifest names, that manifest goes. A mapped file may be removed: who has it open keeps it. A failure to remove is logged, and made
//! good by the sweep at the next start.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milvus_base::task;
use milvus_format::manifest::SegmentEntry;
use milvus_format::{FileMeta, path};
use milvus_types::{CollectionId, IndexId, PartitionId};

use super::DataCoordinator;

/// What waits for the end of its grace.
#[derive(Debug, Default)]
pub(super) struct Retired(AtomicU64);

impl Retired {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl DataCoordinator {
    pub(super) fn remove_files_of(self: &Arc<Self>, id: CollectionId) {
        let prefixes = vec![path::collection(id), path::manifests(id)];
        self.remove_prefixes(prefixes, |_| true);
    }

    pub(super) fn remove_files_of_partition(
        self: &Arc<Self>,
        id: CollectionId,
        partition: PartitionId,
    ) {
        self.remove_prefixes(vec![path::partition(id, partition)], |_| true);
    }

    pub(super) fn remove_files_of_index(self: &Arc<Self>, id: CollectionId, index: IndexId) {
        let name = format!("/index-{index}-");
        self.remove_prefixes(vec![path::collection(id)], move |path| path.contains(&name));
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
        self.retired.0.fetch_add(bytes, Ordering::Relaxed);
        let data = Arc::downgrade(self);
        let options = &self.parts.options.compaction;
        let (clock, grace) = (options.clock.clone(), options.file_grace);
        task::spawn("retired-files", async move {
            clock.sleep(grace).await;
            let Some(data) = data.upgrade() else { return };
            data.remove_older_manifests(id).await;
            let mut removed = 0;
            for prefix in &prefixes {
                removed += data.remove_unnamed(id, prefix).await;
            }
            data.retired.0.fetch_sub(bytes, Ordering::Relaxed);
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

    fn remove_prefixes(
        self: &Arc<Self>,
        prefixes: Vec<String>,
        concerned: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) {
        let data = self.clone();
        task::spawn("garbage", async move {
            for prefix in prefixes {
                data.remove_listed(&prefix, &concerned).await;
            }
        });
    }

    async fn remove_listed(&self, prefix: &str, concerned: impl Fn(&str) -> bool) -> usize {
        let listed = match self.parts.store.list(prefix).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, prefix, "garbage was not listed");
                return 0;
            }
        };
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
    pub(super) async fn sweep(&self) {
        let mut named = HashSet::new();
        for manifest in self.manifests.read().values() {
            named.extend(manifest.files().map(|file| file.path.clone()));
            named.insert(path::manifest(manifest.collection_id, manifest.version));
        }
        // Nobody knows what a damaged manifest names.
        let spare: Vec<String> = self
            .damaged
            .keys()
            .flat_map(|id| [path::collection(*id), path::manifests(*id)])
            .collect();
        let mut removed = 0;
        for prefix in ["segments/", "manifests/"] {
            let spared = |at: &str| spare.iter().any(|prefix| at.starts_with(prefix.as_str()));
            removed += self.remove_listed(prefix, |at| !named.contains(at) && !spared(at)).await;
        }
        if removed > 0 {
            tracing::info!(removed, "removed files that nothing names");
        }
    }
}
