//! Which segments have their rows in order of keys: looked up in their key indexes, once for each.

use std::collections::{HashMap, HashSet};

use milvus_format::manifest::SegmentEntry;
use milvus_format::{KeyIndex, Manifest};
use milvus_types::SegmentId;
use parking_lot::Mutex;

use super::DataCoordinator;

/// What was found out; segments never change.
#[derive(Debug, Default)]
pub(super) struct Sorted(Mutex<HashMap<SegmentId, bool>>);

impl DataCoordinator {
    /// The sorted segments of `manifest`. One that cannot be read counts as not sorted.
    pub(super) async fn sorted(&self, manifest: &Manifest) -> HashSet<SegmentId> {
        let mut sorted = HashSet::new();
        for entry in &manifest.segments {
            let known = self.sorted.0.lock().get(&entry.id).copied();
            let is_sorted = match known {
                Some(known) => known,
                None => self.look_up(entry).await,
            };
            if is_sorted {
                sorted.insert(entry.id);
            }
        }
        sorted
    }

    async fn look_up(&self, entry: &SegmentEntry) -> bool {
        let Ok(bytes) = self.parts.store.map(&entry.key_index.path).await else { return false };
        let open = move || KeyIndex::open(&bytes).map(|keys| keys.is_in_row_order());
        let Ok(Ok(is_sorted)) = milvus_base::io::run(open).await else { return false };
        self.sorted.0.lock().insert(entry.id, is_sorted);
        is_sorted
    }

    pub(super) fn forget_sorted(&self, segments: &[SegmentEntry]) {
        let mut known = self.sorted.0.lock();
        for entry in segments {
            known.remove(&entry.id);
        }
    }
}
