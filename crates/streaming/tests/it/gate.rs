//! A query node that can be held at a moment, while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use milvus_expr::Plan;
use milvus_query::QueryService;
use milvus_roles::{LoadSegment, QueryNode, SegmentDeletes, SegmentHits};
use milvus_segment::{Expiry, SearchSpec, Selection};
use milvus_types::{Collection, Failure, PrimaryKeys, Result, SegmentId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Where it can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A segment is loaded, and nobody knows yet.
    Loaded,
    /// Deletes have come, and are not applied yet.
    BeforeDeletes,
}

struct Stop {
    at: Moment,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// The other side of a stop.
pub(crate) struct Hold {
    pub(crate) reached: oneshot::Receiver<()>,
    pub(crate) go: oneshot::Sender<()>,
}

pub(crate) struct Gate {
    pub(crate) service: Arc<QueryService>,
    stop: Mutex<Option<Stop>>,
    /// Whether it loads nothing.
    pub(crate) refuses: AtomicBool,
}

impl Gate {
    pub(crate) fn new(service: Arc<QueryService>) -> Self {
        Self { service, stop: Mutex::default(), refuses: AtomicBool::new(false) }
    }

    /// The next one to come to `at` waits there.
    pub(crate) fn hold(&self, at: Moment) -> Hold {
        let ((reached, is_reached), (go, goes)) = (oneshot::channel(), oneshot::channel());
        *self.stop.lock() = Some(Stop { at, reached, go: goes });
        Hold { reached: is_reached, go }
    }

    async fn pass(&self, moment: Moment) {
        let stop = self.stop.lock().take_if(|stop| stop.at == moment);
        if let Some(stop) = stop {
            stop.reached.send(()).unwrap();
            stop.go.await.unwrap();
        }
    }
}

#[async_trait]
impl QueryNode for Gate {
    async fn load_segment(&self, request: LoadSegment) -> Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Failure::internal("planned"));
        }
        self.service.load_segment(request).await?;
        self.pass(Moment::Loaded).await;
        Ok(())
    }

    async fn release_segment(&self, segment_id: SegmentId) -> Result<()> {
        self.service.release_segment(segment_id).await
    }

    async fn apply_deletes(&self, deletes: Vec<SegmentDeletes>) -> Result<()> {
        self.pass(Moment::BeforeDeletes).await;
        self.service.apply_deletes(deletes).await
    }

    async fn search(
        &self,
        segments: &[SegmentId],
        spec: Arc<SearchSpec>,
    ) -> Result<Vec<SegmentHits>> {
        self.service.search(segments, spec).await
    }

    async fn schema_changed(&self, collection: Arc<Collection>) -> Result<()> {
        self.service.schema_changed(collection).await
    }

    async fn select(
        &self,
        segments: &[SegmentId],
        filter: Plan,
        keys: Option<PrimaryKeys>,
        mvcc: Timestamp,
        expiry: Expiry,
        limit: Option<usize>,
    ) -> Result<Vec<(SegmentId, Selection)>> {
        self.service.select(segments, filter, keys, mvcc, expiry, limit).await
    }

    async fn count(
        &self,
        segments: &[SegmentId],
        filter: Plan,
        mvcc: Timestamp,
        expiry: Expiry,
    ) -> Result<u64> {
        self.service.count(segments, filter, mvcc, expiry).await
    }

    async fn fetch(
        &self,
        segment_id: SegmentId,
        rows: &[u32],
        columns: &[String],
    ) -> Result<RecordBatch> {
        self.service.fetch(segment_id, rows, columns).await
    }
}
