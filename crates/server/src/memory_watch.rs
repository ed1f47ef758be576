//! Keeps the process within its memory limit, and tells what takes how much.
//!
//! What the governor grants is bounded already. What nobody asks it for is measured: buffers of
//! connections and of the log, caches, what the allocator keeps. That much of the limit is not granted,
//! and never less than a share that is kept for it.
//!
//! What is left are the pages of mapped files, which the system counts as this process's memory once
//! they were touched: when they bring it near the limit they are given back, and read again when they are needed. Many searches touch them faster than they
//! are given back; they are the system's to take at any time all the same. Files that do not fit in what
//! is left are read page by page, without reading ahead.
//!
//! Here too: the report of `/memory`. Not here: who is charged for what (`milvus_base::memory`).

use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Governor, Purpose, clock, task};
use milvus_coord::MixCoord;
use milvus_query::{CollectionMemory, QueryService};
use milvus_roles::RootCoord as _;
use milvus_storage::Maps;
use serde_json::{Value, json};

use crate::metrics::{Metrics, Resident, resident};

/// How often memory is looked at while it is half used, and while it is not.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

/// The most that is kept for memory that nobody reserves while nothing is known to use it.
const MOST_KEPT_BACK: u64 = 2 << 30;

/// What the process holds and who holds it.
#[derive(Clone)]
pub struct MemoryWatch {
    governor: Governor,
    maps: Maps,
    query: Arc<QueryService>,
    coord: Arc<MixCoord>,
}

impl MemoryWatch {
    /// Watches what is charged to `governor`, mapped in `maps` and served by `query`.
    pub fn new(
        governor: Governor,
        maps: Maps,
        query: Arc<QueryService>,
        coord: Arc<MixCoord>,
    ) -> Self {
        Self { governor, maps, query, coord }
    }

    /// Gives pages of mapped files back whenever the process comes near its limit. Ends with the
    /// runtime.
    pub fn start(&self) {
        let (governor, maps) = (self.governor.clone(), self.maps.clone());
        task::spawn("memory-watch", async move {
            loop {
                let limit = governor.limit();
                let now = resident().unwrap_or_default();
                governor.set_uncharged(uncharged(now, governor.used(), limit));
                maps.set_sparing(maps.mapped_bytes() > end(limit).saturating_sub(governor.used()));
                if now.all > begin(limit) {
                    let all = || resident().unwrap_or_default().all;
                    let files = maps.release_while(|| all() > end(limit));
                    tracing::debug!(before = now.all, after = all(), files, "pages given back");
                }
                clock::sleep(pause(now.all, limit)).await;
            }
        });
    }

    /// What is held of each collection, at every scrape.
    pub fn show(&self, metrics: &Metrics) {
        let (query, maps) = (self.query.clone(), self.maps.clone());
        metrics.add_source(move |samples| {
            for CollectionMemory { collection_id, stats } in query.collections() {
                let id = collection_id.to_string();
                let labels = [("collection_id", id.as_str())];
                let help = "memory charged for a collection's sealed segments in bytes";
                let name = "milvus_querynode_collection_memory_bytes";
                samples.gauge(name, help, &labels, stats.memory_bytes);
                let help = "bytes of a collection's files that are mapped";
                let name = "milvus_querynode_collection_mapped_bytes";
                samples.gauge(name, help, &labels, stats.file_bytes);
            }
            let help = "bytes of files that are mapped, in memory or not";
            samples.gauge("milvus_mapped_bytes", help, &[], maps.mapped_bytes());
        });
    }

    /// The report: limit, what is charged by purpose, and each collection's part.
    pub async fn report(&self) -> Value {
        let by_purpose = Purpose::ALL.map(|purpose| {
            (purpose.name().to_owned(), Value::from(self.governor.used_for(purpose)))
        });
        let mut collections = Vec::new();
        for CollectionMemory { collection_id, stats } in self.query.collections() {
            // One that is being dropped has no name any more.
            let found = self.coord.describe_collection_by_id(collection_id).await.ok();
            let name = |of: fn(&milvus_types::Collection) -> &str| found.as_deref().map(of);
            collections.push(json!({
                "database": name(|collection| &collection.db_name),
                "collection": name(|collection| &collection.name),
                "collection_id": collection_id.0,
                "segments": stats.segments,
                "rows": stats.rows,
                "memory_bytes": stats.memory_bytes,
                "mapped_bytes": stats.file_bytes,
            }));
        }
        json!({
            "limit_bytes": self.governor.limit(),
            "charged_bytes": self.governor.used(),
            "uncharged_bytes": self.governor.uncharged(),
            "charged_by_purpose": Value::Object(by_purpose.into_iter().collect()),
            "resident_bytes": resident().map(|resident| resident.all),
            "resident_own_bytes": resident().map(|resident| resident.own),
            "mapped_bytes": self.maps.mapped_bytes(),
            "collections": collections,
        })
    }
}

/// What is kept of `limit` for memory that nobody reserves.
pub fn kept_back(limit: u64) -> u64 {
    (limit / 4).min(MOST_KEPT_BACK)
}

/// What of `limit` is not to be granted: what is in use beside the `charged` bytes and a margin, since
/// it may grow until it is measured again.
fn uncharged(now: Resident, charged: u64, limit: u64) -> u64 {
    let margin = kept_back(limit) / 4;
    let beside = now.own.saturating_sub(charged).saturating_add(margin);
    // What the allocator keeps it can give out again: it must not shut out all work.
    beside.clamp(kept_back(limit), limit / 2)
}

/// Above so many resident bytes pages are given back.
fn begin(limit: u64) -> u64 {
    limit / 8 * 7
}

/// Until so few are left.
fn end(limit: u64) -> u64 {
    limit / 4 * 3
}

/// Until memory is looked at next: mappings fill within moments, but not from nothing.
fn pause(resident: u64, limit: u64) -> Duration {
    if resident > limit / 2 { OFTEN } else { SELDOM }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nobody_reserved_is_not_granted_again() {
        const LIMIT: u64 = 512 << 20;
        let own = |megabytes: u64| Resident { all: megabytes << 20, own: megabytes << 20 };
        assert_eq!(uncharged(own(40), 20 << 20, LIMIT), 128 << 20, "a quarter is always kept");
        assert_eq!(uncharged(own(300), 100 << 20, LIMIT), (200 + 32) << 20);
        assert_eq!(uncharged(own(500), 20 << 20, LIMIT), 256 << 20, "half is always granted");
        assert_eq!(uncharged(own(100), 300 << 20, LIMIT), 128 << 20, "not all charged is touched");
        assert_eq!(kept_back(64 << 30), MOST_KEPT_BACK);
    }
}
