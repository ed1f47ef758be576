//! Reading ahead: while one object of the log is read, the ones after it are on their way, so that a
//! replay from a far store takes the time of its bytes and not of its requests.
//!
//! A reader has at most [`OBJECTS_AHEAD`] objects on their way or waiting, and all readers of a log
//! together at most [`BYTES_AHEAD`]. What a reader is at is not counted: it goes on, one object after
//! the other, if others have taken all there is. Requests end with their reader.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::channel::Shared;
use super::extents::Extent;
use super::scan::READ_BYTES;

/// A reader fetches so many objects before it comes to them.
pub(super) const OBJECTS_AHEAD: usize = 32;
/// So many bytes may be fetched ahead, by all readers of a log.
pub(super) const BYTES_AHEAD: u32 = 16 << 20;

/// What all readers of a log may take.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// The objects that a reader will come to next, in their order.
#[derive(Default)]
pub(super) struct Ahead {
    fetches: VecDeque<Fetch>,
}

/// The beginning of an object, on its way.
struct Fetch {
    extent: Extent,
    task: JoinHandle<Result<Bytes, StoreError>>,
    _bytes: OwnedSemaphorePermit,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BYTES_AHEAD as usize)))
    }
}

impl Ahead {
    /// Starts to fetch what lies behind `extent`, as much as may be. Called on the log's runtime.
    pub(super) fn fetch_behind(&mut self, shared: &Arc<Shared>, extent: &Extent) {
        let known = self.fetches.back().map_or(extent.end, |last| last.extent.end);
        let room = OBJECTS_AHEAD.saturating_sub(self.fetches.len());
        let next: Vec<Extent> = shared.state.lock().log.from(known).take(room).collect();
        for extent in next {
            let bytes = extent.bytes.min(READ_BYTES);
            let Some(taken) = shared.remote.ahead.take(bytes) else {
                return;
            };
            let task = fetch(Arc::clone(shared), extent, bytes);
            self.fetches.push_back(Fetch { extent, task, _bytes: taken });
        }
    }

    /// The beginning of `extent`, if it was fetched and is as long as it should be; what was fetched
    /// of objects before it, which were merged or given up meanwhile, is forgotten.
    pub(super) async fn take(&mut self, extent: &Extent) -> Option<Result<Bytes, StoreError>> {
        while let Some(front) = self.fetches.front()
            && front.extent.first < extent.first
        {
            self.fetches.pop_front();
        }
        let mut fetch = self.fetches.pop_front_if(|front| front.extent == *extent)?;
        match (&mut fetch.task).await {
            // The reader finds out how much of it is left.
            Ok(Err(StoreError::InvalidRange { .. })) => None,
            Ok(fetched) => Some(fetched),
            // It panicked, or the runtime ends: the reader's own request tells.
            Err(_) => None,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.fetches.clear();
    }
}

impl Budget {
    fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

fn fetch(shared: Arc<Shared>, extent: Extent, bytes: u64) -> JoinHandle<Result<Bytes, StoreError>> {
    milvus_base::task::spawn("log read-ahead", async move {
        let remote = &shared.remote;
        let path = remote.path(shared.of, &extent);
        remote.retrying_read(&path, bytes, || remote.store.get_range(&path, 0..bytes)).await
    })
}
