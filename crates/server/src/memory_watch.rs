//! Keeps the process within its memory limit, and tells what takes how much.
//!
//! What the governor grants is bounded already. What is left are the pages of mapped files, which the
//! system counts as this process's memory once they were touched: when they bring it near the limit
//! they are given back, and read again when they are needed. Many searches touch them faster than they
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

use crate::metrics::{Metrics, resident_bytes};

/// How often memory is looked at while it is half used, and while it is not.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

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
                maps.set_sparing(maps.mapped_bytes() > end(limit).saturating_sub(governor.used()));
                let resident = || resident_bytes().unwrap_or(0);
                let before = resident();
                if before > begin(limit) {
                    let files = maps.release_while(|| resident() > end(limit));
                    tracing::debug!(before, after = resident(), files, "mapped pages given back");
                }
                clock::sleep(pause(before, limit)).await;
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
            "charged_by_purpose": Value::Object(by_purpose.into_iter().collect()),
            "resident_bytes": resident_bytes(),
            "mapped_bytes": self.maps.mapped_bytes(),
            "collections": collections,
        })
    }
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
