//! The delegator: answers a read of the shard over growing and sealed segments at one snapshot.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::future::try_join_all;
use milvus_base::{Priority, clock};
use milvus_roles::{
    FetchRequest, QueryReply, QueryRequest, RowLocation, SearchReply, SearchRequest, SegmentHits,
    expiry,
};
use milvus_segment::{Expiry, SearchSpec, Segment, Selection};
use milvus_types::{
    Collection, ErrorCode, Failure, PartitionId, PrimaryKey, Result, SegmentId, Timestamp,
};

use super::Shard;
use super::distribution::ReadSet;
use super::merge::merge_hits;
use super::write::cpu_failure;

/// How long a read waits for a load.
const LOAD_WAIT: Duration = Duration::from_secs(60);
/// How often a read begins, where the segments it takes leave before it has read them.
const READ_TRIES: u32 = 4;

impl Shard {
    /// What answers a read. Where it is not loaded but about to be, waits for that.
    async fn read_set(
        &self,
        partitions: Option<&[PartitionId]>,
        ignore_growing: bool,
    ) -> Result<ReadSet> {
        let partitions = self.renewed.read().read(partitions);
        let partitions = partitions.as_deref();
        let mut pending = self.pending_loads.subscribe();
        loop {
            let loading = *pending.borrow_and_update() > 0;
            let set =
                self.current.get().read_set(&self.collection().name, partitions, ignore_growing);
            match set {
                Err(_) if loading => {
                    let changed = tokio::select! {
                        changed = pending.changed() => changed.is_ok(),
                        () = clock::sleep(LOAD_WAIT) => false,
                    };
                    if !changed {
                        // It is there, and will answer.
                        let code = ErrorCode::CollectionNotFullyLoaded;
                        let name = &self.collection().name;
                        return Err(Failure::with_fields(code, &[("collection", name)]));
                    }
                }
                set => return set,
            }
        }
    }

    pub(crate) async fn search(self: &Arc<Self>, request: SearchRequest) -> Result<SearchReply> {
        let mvcc = self.snapshot(request.guarantee, request.mvcc).await?;
        let (partitions, ignore_growing) = (request.partitions, request.ignore_growing);
        let nq = request.queries.nq();
        let spec = Arc::new(SearchSpec {
            field: request.field,
            metric: request.metric,
            queries: request.queries,
            k: request.k,
            params: request.params,
            filter: request.filter,
            range: request.range,
            group_by: request.group_by,
            iterator: request.iterator,
            after: request.after,
            boosts: request.boosts,
            mvcc,
            expiry: expired(&self.collection(), request.mvcc),
        });
        let mut tries = READ_TRIES;
        let found = loop {
            let set = self.read_set(partitions.as_deref(), ignore_growing).await?;
            match self.search_set(set, &spec).await {
                Err(failure) if is_outdated(&failure, &mut tries) => {}
                found => break found?,
            }
        };
        Ok(SearchReply { mvcc, hits: merge_hits(found, nq, &spec) })
    }

    async fn search_set(&self, set: ReadSet, spec: &Arc<SearchSpec>) -> Result<Vec<SegmentHits>> {
        let ReadSet { growing, sealed } = set;
        let in_memory = try_join_all(growing.into_iter().map(|segment| {
            let spec = spec.clone();
            let job = self.parts.cpu.run(Priority::Search, move || {
                segment
                    .search(&spec)
                    .map(|hits| SegmentHits { segment_id: segment.id(), hits })
                    .map_err(|error| Failure::from(&error))
            });
            async move { job.await.map_err(cpu_failure)? }
        }));
        let on_nodes = async {
            if sealed.is_empty() {
                return Ok(Vec::new());
            }
            self.parts.query.search(&sealed, spec.clone()).await
        };
        let (mut found, served) = futures::try_join!(in_memory, on_nodes)?;
        found.extend(served);
        Ok(found)
    }

    pub(crate) async fn query(self: &Arc<Self>, request: QueryRequest) -> Result<QueryReply> {
        let mvcc = self.snapshot(request.guarantee, request.mvcc).await?;
        let expiry = expired(&self.collection(), request.mvcc);
        let counted = request.count && request.keys.is_none();
        let mut tries = READ_TRIES;
        let found = loop {
            let set = self.read_set(request.partitions.as_deref(), request.ignore_growing).await?;
            let found = if counted {
                let count = self.count(set, &request, mvcc, expiry.clone()).await;
                count.map(|count| (Vec::new(), count))
            } else {
                let found = self.select_set(set, &request, mvcc, &expiry).await;
                found.map(|found| (found, 0))
            };
            match found {
                Err(failure) if is_outdated(&failure, &mut tries) => {}
                found => break found?,
            }
        };
        let (found, count) = found;
        if counted {
            return Ok(QueryReply { mvcc, rows: Vec::new(), count });
        }
        let limit = request.limit;
        let merge = move || {
            let mut rows: Vec<(PrimaryKey, RowLocation)> = found
                .into_iter()
                .flat_map(|(segment_id, selection)| {
                    let keys: Vec<_> = selection.keys.iter().collect();
                    keys.into_iter()
                        .zip(selection.rows)
                        .map(move |(key, row)| (key, RowLocation { segment_id, row }))
                })
                .collect();
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            rows.truncate(limit.unwrap_or(usize::MAX));
            rows
        };
        let rows = self.parts.cpu.run(Priority::Search, merge).await.map_err(cpu_failure)?;
        let count = rows.len() as u64;
        let rows = if request.count { Vec::new() } else { rows };
        Ok(QueryReply { mvcc, rows, count })
    }

    async fn select_set(
        &self,
        set: ReadSet,
        request: &QueryRequest,
        mvcc: Timestamp,
        expiry: &Expiry,
    ) -> Result<Vec<(SegmentId, Selection)>> {
        let ReadSet { growing, sealed } = set;
        let in_memory = try_join_all(growing.into_iter().map(|segment| {
            let (filter, keys, limit) =
                (request.filter.clone(), request.keys.clone(), request.limit);
            let expiry = expiry.clone();
            let job = self.parts.cpu.run(Priority::Search, move || {
                segment
                    .select(&filter, keys.as_ref(), mvcc, &expiry, limit)
                    .map(|selection| (segment.id(), selection))
                    .map_err(|error| Failure::from(&error))
            });
            async move { job.await.map_err(cpu_failure)? }
        }));
        let on_nodes = async {
            if sealed.is_empty() {
                return Ok(Vec::new());
            }
            let (filter, keys) = (request.filter.clone(), request.keys.clone());
            let limit = request.limit;
            self.parts.query.select(&sealed, filter, keys, mvcc, expiry.clone(), limit).await
        };
        let (mut found, served) = futures::try_join!(in_memory, on_nodes)?;
        found.extend(served);
        Ok(found)
    }

    async fn count(
        self: &Arc<Self>,
        set: ReadSet,
        request: &QueryRequest,
        mvcc: Timestamp,
        expiry: Expiry,
    ) -> Result<u64> {
        let in_memory = try_join_all(set.growing.into_iter().map(|segment| {
            let (filter, expiry) = (request.filter.clone(), expiry.clone());
            let job = self.parts.cpu.run(Priority::Search, move || {
                segment.count(&filter, mvcc, &expiry).map_err(|error| Failure::from(&error))
            });
            async move { job.await.map_err(cpu_failure)? }
        }));
        let on_nodes = async {
            if set.sealed.is_empty() {
                return Ok(0);
            }
            let filter = request.filter.clone();
            self.parts.query.count(&set.sealed, filter, mvcc, expiry.clone()).await
        };
        let (in_memory, on_nodes) = futures::try_join!(in_memory, on_nodes)?;
        Ok(in_memory.into_iter().sum::<u64>() + on_nodes)
    }

    pub(crate) async fn fetch(self: &Arc<Self>, request: FetchRequest) -> Result<RecordBatch> {
        let mut segments: Vec<(SegmentId, Vec<u32>, Vec<u32>)> = Vec::new();
        for (place, location) in (0_u32..).zip(&request.rows) {
            match segments.iter_mut().find(|(id, _, _)| *id == location.segment_id) {
                Some((_, rows, places)) => {
                    rows.push(location.row);
                    places.push(place);
                }
                None => segments.push((location.segment_id, vec![location.row], vec![place])),
            }
        }
        let distribution = self.current.get();
        let columns = Arc::new(request.columns);
        let parts = try_join_all(segments.iter().map(|(id, rows, _)| {
            let growing = distribution.growing.iter().find(|segment| segment.id() == *id).cloned();
            let columns = columns.clone();
            async move {
                match growing {
                    Some(segment) => {
                        let rows = rows.clone();
                        let job = move || {
                            segment.fetch(&rows, &columns).map_err(|error| Failure::from(&error))
                        };
                        self.parts.cpu.run(Priority::Search, job).await.map_err(cpu_failure)?
                    }
                    None => {
                        self.parts.query.fetch(*id, rows, &columns).await.map_err(gone_meanwhile)
                    }
                }
            }
        }))
        .await?;
        let places: Vec<u32> = segments.into_iter().flat_map(|(_, _, places)| places).collect();
        let job = move || in_asked_order(parts, &places);
        self.parts.cpu.run(Priority::Search, job).await.map_err(cpu_failure)?
    }
}

/// Whether a read met a segment that is served no more: what took its place answers, if tried again.
fn is_outdated(failure: &Failure, tries: &mut u32) -> bool {
    *tries = tries.saturating_sub(1);
    failure.code == ErrorCode::SegmentNotLoaded && *tries > 0
}

/// What has expired for a read that names no snapshot (now), or for one of `snapshot`.
fn expired(collection: &Collection, snapshot: Option<Timestamp>) -> Expiry {
    expiry::expiry_at(collection, snapshot.map_or_else(clock::now_ms, Timestamp::physical_ms))
}

/// A segment that stopped being served between search and fetch is a reason to search again.
fn gone_meanwhile(failure: Failure) -> Failure {
    if failure.code == ErrorCode::SegmentNotLoaded {
        return Failure::wrap(ErrorCode::InconsistentRequery, failure.reason);
    }
    failure
}

/// Rows of `parts`, one after another, put to `places`.
fn in_asked_order(parts: Vec<RecordBatch>, places: &[u32]) -> Result<RecordBatch> {
    let Some(first) = parts.first() else {
        return Ok(RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())));
    };
    let in_order = places.windows(2).all(|pair| pair[0] < pair[1]);
    let arrow_failure = |error: arrow::error::ArrowError| Failure::internal(error);
    if parts.len() == 1 && in_order {
        return Ok(first.clone());
    }
    let all = concat_batches(&first.schema(), &parts).map_err(arrow_failure)?;
    if in_order {
        return Ok(all);
    }
    let mut order = vec![0_u32; places.len()];
    for (row, place) in (0_u32..).zip(places) {
        order[*place as usize] = row;
    }
    take_record_batch(&all, &UInt32Array::from(order)).map_err(arrow_failure)
}
