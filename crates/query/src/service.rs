//! The query node: answers reads of the segments it serves, one CPU job for each segment.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::future::try_join_all;
use milvus_base::{CpuPool, Governor, Priority};
use milvus_expr::Plan;
use milvus_roles::{LoadSegment, QueryNode, SegmentDeletes, SegmentHits};
use milvus_segment::{Expiry, SealedSegment, SearchSpec, Segment, SegmentSchema, Selection};
use milvus_storage::ObjectStore;
use milvus_types::error::OrFailure as _;
use milvus_types::{Coded, Collection, Failure, PrimaryKeys, Result, SegmentId, Timestamp};

use crate::error;
use crate::load::Loader;
use crate::served::{CollectionMemory, QueryStats, Served};

/// Serves sealed segments of an object store.
#[derive(Debug)]
pub struct QueryService {
    loader: Loader,
    /// Threads for reads; loads have others, or reads without end would keep a flush waiting.
    reads: Arc<CpuPool>,
    served: Served,
}

impl QueryService {
    /// A service that serves nothing yet. It reads on `reads`, and opens and checks files on
    /// `loads`.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        reads: Arc<CpuPool>,
        loads: Arc<CpuPool>,
        governor: Arc<Governor>,
    ) -> Self {
        let loader = Loader { store, cpu: loads, governor };
        Self { loader, reads, served: Served::default() }
    }

    /// What is served, for metrics.
    pub fn stats(&self) -> QueryStats {
        self.served.stats()
    }

    /// What is served of each collection, by id.
    pub fn collections(&self) -> Vec<CollectionMemory> {
        self.served.collections()
    }

    /// The segments that are served, in no order.
    pub fn segments(&self) -> Vec<SegmentId> {
        self.served.ids()
    }

    /// Runs `work` over each of `segments` on the CPU pool, side by side. Dropping the future takes
    /// jobs that have not begun out of the queue.
    async fn each<T, E>(
        &self,
        segments: &[SegmentId],
        work: impl Fn(&SealedSegment) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>>
    where
        T: Send + 'static,
        E: Coded + std::error::Error + Send + 'static,
    {
        let jobs = self.served.get(segments)?.into_iter().map(|segment| {
            let work = work.clone();
            let job = self.reads.run(Priority::Search, move || work(&segment));
            async move { job.await.map_err(error::cpu)?.map_err(|error| Failure::from(&error)) }
        });
        try_join_all(jobs.collect::<Vec<_>>()).await
    }
}

#[async_trait]
impl QueryNode for QueryService {
    async fn load_segment(&self, request: LoadSegment) -> Result<()> {
        let (id, collection) = (request.segment.id, Arc::clone(&request.collection));
        let ticket = self.served.begin(id);
        let loaded = Box::pin(self.loader.load(request, self.served.stats().file_bytes))
            .await
            .map_err(|failure| failure.context(format!("load segment {id}")))?;
        let (rows, indexes) = (loaded.segment.rows(), loaded.segment.indexes().len());
        let scalar_indexes = loaded.segment.scalar_indexes().len();
        self.served.publish(ticket, loaded)?;
        tracing::info!(
            collection = %collection.name, segment = %id, rows, indexes, scalar_indexes,
            "segment loaded"
        );
        Ok(())
    }

    async fn release_segment(&self, segment_id: SegmentId) -> Result<()> {
        if self.served.release(segment_id) {
            tracing::info!(segment = %segment_id, "segment released");
        }
        Ok(())
    }

    async fn apply_deletes(&self, deletes: Vec<SegmentDeletes>) -> Result<()> {
        let mut result = Ok(());
        for SegmentDeletes { segment_id, rows } in deletes {
            if !self.served.delete(segment_id, &rows) {
                result = Err(error::not_loaded(segment_id));
            }
        }
        result
    }

    async fn schema_changed(&self, collection: Arc<Collection>) -> Result<()> {
        let schema = Arc::new(SegmentSchema::new(&collection.schema).or_failure()?);
        self.served.set_schema(collection.id, collection.schema.version, &schema);
        Ok(())
    }

    async fn search(
        &self,
        segments: &[SegmentId],
        spec: Arc<SearchSpec>,
    ) -> Result<Vec<SegmentHits>> {
        self.each(segments, move |segment| {
            let hits = segment.search(&spec)?;
            Ok::<_, milvus_segment::SearchError>(SegmentHits { segment_id: segment.id(), hits })
        })
        .await
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
        let keys = Arc::new(keys);
        self.each(segments, move |segment| {
            let selection = segment.select(&filter, (*keys).as_ref(), mvcc, &expiry, limit)?;
            Ok::<_, milvus_segment::QueryError>((segment.id(), selection))
        })
        .await
    }

    async fn count(
        &self,
        segments: &[SegmentId],
        filter: Plan,
        mvcc: Timestamp,
        expiry: Expiry,
    ) -> Result<u64> {
        let counts =
            self.each(segments, move |segment| segment.count(&filter, mvcc, &expiry)).await?;
        Ok(counts.into_iter().sum())
    }

    async fn fetch(
        &self,
        segment_id: SegmentId,
        rows: &[u32],
        columns: &[String],
    ) -> Result<RecordBatch> {
        let (rows, columns) = (rows.to_vec(), columns.to_vec());
        let fetched =
            self.each(&[segment_id], move |segment| segment.fetch(&rows, &columns)).await?;
        fetched.into_iter().next().ok_or_else(|| error::not_loaded(segment_id))
    }
}
