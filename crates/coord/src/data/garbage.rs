//! Files that no manifest names: of dropped collections, partitions and indexes, and of flushes and
//! builds that a crash cut short.
//!
//! A mapped file may be removed: who has it open keeps it. A failure to remove is logged, and made
//! good by the sweep at the next start.

use std::collections::HashSet;
use std::sync::Arc;

use milvus_base::task;
use milvus_format::path;
use milvus_types::{CollectionId, IndexId, PartitionId};

use super::DataCoordinator;

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
