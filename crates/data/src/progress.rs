//! What is being built, and how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use milvus_types::{CollectionId, IndexId, SegmentId};
use parking_lot::Mutex;

/// One build under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildStatus {
    /// The collection.
    pub collection_id: CollectionId,
    /// The segment.
    pub segment_id: SegmentId,
    /// The index definition.
    pub index_id: IndexId,
    /// Which attempt.
    pub build_id: i64,
    /// Rows to index.
    pub rows: u64,
    /// Rows done.
    pub done: u64,
}

/// A build as its own thread and the list of builds see it.
#[derive(Debug)]
pub(crate) struct Progress {
    status: BuildStatus,
    done: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Notes that `done` rows are indexed, and reports each further quarter.
    pub(crate) fn report(&self, done: usize) {
        let done = done as u64;
        let before = self.done.fetch_max(done, Ordering::Relaxed);
        let quarter = |done: u64| (done * 4).checked_div(self.status.rows).unwrap_or(4);
        if quarter(done) > quarter(before) {
            let BuildStatus { segment_id, index_id, rows, .. } = self.status;
            tracing::info!(segment = %segment_id, index = %index_id, done, rows, "index build");
        }
    }

    /// The flag that the build looks at.
    pub(crate) fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// The builds under way.
#[derive(Debug, Default)]
pub(crate) struct Builds(Mutex<Vec<Arc<Progress>>>);

/// A build in the list; dropped, it leaves the list and the build stops.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    builds: &'a Builds,
    pub(crate) progress: Arc<Progress>,
}

impl Builds {
    pub(crate) fn begin(&self, status: BuildStatus) -> Entry<'_> {
        let progress = Arc::new(Progress {
            status,
            done: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        });
        self.0.lock().push(Arc::clone(&progress));
        Entry { builds: self, progress }
    }

    pub(crate) fn list(&self) -> Vec<BuildStatus> {
        let status = |progress: &Arc<Progress>| BuildStatus {
            done: progress.done.load(Ordering::Relaxed),
            ..progress.status.clone()
        };
        self.0.lock().iter().map(status).collect()
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.progress.cancelled.store(true, Ordering::Relaxed);
        self.builds.0.lock().retain(|progress| !Arc::ptr_eq(progress, &self.progress));
    }
}
