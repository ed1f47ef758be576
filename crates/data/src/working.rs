//! For which collections threads work, also those whose callers have gone away.

use std::collections::BTreeMap;
use std::sync::Arc;

use milvus_types::CollectionId;
use tokio::sync::watch;

/// How many threads work for each collection.
#[derive(Clone, Debug)]
pub(crate) struct Working(Arc<watch::Sender<BTreeMap<CollectionId, usize>>>);

/// Work for a collection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    working: Working,
    id: CollectionId,
}

impl Default for Working {
    fn default() -> Self {
        Self(Arc::new(watch::channel(BTreeMap::new()).0))
    }
}

impl Working {
    pub(crate) fn begin(&self, id: CollectionId) -> Work {
        self.0.send_modify(|counts| *counts.entry(id).or_insert(0) += 1);
        Work { working: self.clone(), id }
    }

    /// Returns once nothing works for `id`.
    pub(crate) async fn ended(&self, id: CollectionId) {
        let mut counts = self.0.subscribe();
        // The sender lives as long as this does.
        let _ = counts.wait_for(|counts| !counts.contains_key(&id)).await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.working.0.send_modify(|counts| {
            let left = counts.get(&self.id).map_or(0, |count| count.saturating_sub(1));
            match left {
                0 => drop(counts.remove(&self.id)),
                left => drop(counts.insert(self.id, left)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn work_ends_with_the_last_of_a_collection() {
        let working = Working::default();
        let (id, other) = (CollectionId(1), CollectionId(2));
        let first = working.begin(id);
        let second = working.begin(id);
        assert!(working.ended(other).now_or_never().is_some());
        drop(first);
        assert!(working.ended(id).now_or_never().is_none());
        drop(second);
        assert!(working.ended(id).now_or_never().is_some());
    }
}
