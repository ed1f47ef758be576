//! `Search`: the nearest rows to each query vector.
//!
//! Everything is checked and planned once, in Milvus's order; then all shards are asked at once,
//! their hits merged, and columns fetched for the hits that are returned. Should rows move between
//! the two steps, both are done again.

mod merge;
mod params;
mod placeholder;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use milvus_base::Priority;
use milvus_expr::Plan;
use milvus_index::{IndexType, check_range_params, check_search_params};
use milvus_roles::{SearchReply, SearchRequest, ShardHit};
use milvus_segment::{Queries, RangeBounds};
use milvus_types::error::OrFailure as _;
use milvus_types::{
    Collection, ErrorCode, Failure, FieldSchema, IndexMeta, MetricType, PartitionId, PrimaryKeys,
    Result, Timestamp,
};

use crate::Proxy;
use crate::api::{Context, Placeholder, SearchApiReply, SearchApiRequest};
use crate::output_fields::{self, Output};
use crate::{fetch, plan};
use merge::Merged;
use params::Params;
pub(crate) use params::ignore_growing;

/// A search that has passed every check.
struct Planned {
    collection: Arc<Collection>,
    partitions: Option<Arc<[PartitionId]>>,
    field: String,
    metric: MetricType,
    filter: Plan,
    queries: Arc<Queries>,
    range: Option<RangeBounds>,
    params: Params,
    output: Output,
    guarantee: Timestamp,
    mvcc: Option<Timestamp>,
}

impl Proxy {
    /// The nearest rows to each query vector.
    pub async fn search(&self, cx: &Context, request: SearchApiRequest) -> Result<SearchApiReply> {
        let planned = self.plan_search(cx, request).await?;
        let mut attempt = 1;
        loop {
            match self.run_search(&planned).await {
                Err(failure)
                    if fetch::moved(&failure) && attempt < self.options().requery_attempts =>
                {
                    tracing::debug!(%failure, attempt, "rows moved, searching again");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn plan_search(&self, cx: &Context, request: SearchApiRequest) -> Result<Planned> {
        let limits = &self.options().limits;
        let collection = self.collection(cx, &request.collection_name).await?;
        let schema = &collection.schema;
        let partitions =
            plan::partitions(&collection, &request.partition_names, limits.name_length)?;
        let output = output_fields::parse(&request.output_fields, schema, true)?;
        params::check_nq(&request, limits)?;
        let anns_field = params::anns_field(&request.search_params, schema)?;
        let params = params::parse(&request.search_params, limits)?;
        params.check_collection(collection.id)?;
        let filter = plan::plan(&request.expr, &request.templates, schema, "query")?;
        let field = params::vector_field(schema, &anns_field)?;
        params.check_supported(&request)?;

        let status = self.loaded(&collection, partitions.as_deref().unwrap_or_default()).await?;
        check_loaded_fields(&status.load_fields, field, &output)?;
        let index = self.index_of(&collection, field).await?;
        let metric = metric(&index, params.metric.as_deref())?;
        check_index_params(&index, &params)?;
        let range = check_range_params(metric, &params.search).or_failure()?;
        let queries = self.decode(request.placeholder, field).await?;

        let consistency = request.consistency;
        let snapshot =
            Some(consistency.guarantee_timestamp).filter(|ts| params.iterator && *ts > 0);
        let (guarantee, mvcc) = match snapshot {
            Some(ts) => (Timestamp(ts), Some(Timestamp(ts))),
            None => (self.guarantee(&collection, consistency).await?, None),
        };
        let field = field.name.clone();
        Ok(Planned {
            partitions,
            field,
            metric,
            filter,
            queries: Arc::new(queries),
            range: range.map(|range| RangeBounds {
                radius: range.radius,
                range_filter: range.range_filter,
            }),
            params,
            output,
            guarantee,
            mvcc,
            collection,
        })
    }

    async fn decode(
        &self,
        placeholder: Option<Placeholder>,
        field: &FieldSchema,
    ) -> Result<Queries> {
        let vectors = placeholder.as_ref().map_or(&[][..], |placeholder| &placeholder.values);
        let bytes = vectors.iter().map(Bytes::len).sum();
        let field = field.clone();
        self.compute(Priority::Search, bytes, move || placeholder::decode(placeholder, &field))
            .await
    }

    /// The index of a vector field, by whose metric it is searched.
    async fn index_of(
        &self,
        collection: &Collection,
        field: &FieldSchema,
    ) -> Result<Arc<IndexMeta>> {
        let indexes = self.data().list_indexes(collection.id).await?;
        let index = indexes.into_iter().find(|index| index.field_id == field.id);
        index.ok_or_else(|| {
            Failure::with_fields(ErrorCode::IndexNotFound, &[("collection", &collection.name)])
        })
    }

    async fn run_search(&self, planned: &Planned) -> Result<SearchApiReply> {
        let collection = &planned.collection;
        let shards = collection.vchannels.iter().map(|vchannel| {
            self.streaming().search(SearchRequest {
                collection_id: collection.id,
                vchannel: vchannel.clone(),
                partitions: planned.partitions.clone(),
                field: planned.field.clone(),
                metric: planned.metric,
                queries: Arc::clone(&planned.queries),
                k: planned.params.k(),
                params: planned.params.search.clone(),
                filter: planned.filter.clone(),
                range: planned.range,
                ignore_growing: planned.params.ignore_growing,
                guarantee: planned.guarantee,
                mvcc: planned.mvcc,
            })
        });
        let replies: Vec<SearchReply> =
            join_all(shards).await.into_iter().collect::<Result<_>>()?;
        let session_ts = replies.iter().map(|reply| reply.mvcc).max().unwrap_or(planned.guarantee);
        let shards: Vec<_> = replies.into_iter().map(|reply| reply.hits).collect();
        let hits: usize = shards.iter().flatten().map(Vec::len).sum();
        let (nq, metric) = (planned.queries.nq(), planned.metric);
        let (offset, limit) = (planned.params.offset, planned.params.top_k);
        let merged = self
            .compute(Priority::Search, hits.saturating_mul(size_of::<ShardHit>()), move || {
                Ok(merge::merge(shards, nq, metric, offset, limit))
            })
            .await?;
        self.answer(planned, merged, session_ts).await
    }

    async fn answer(
        &self,
        planned: &Planned,
        merged: Merged,
        session_ts: Timestamp,
    ) -> Result<SearchApiReply> {
        let collection = &planned.collection;
        let schema = &collection.schema;
        let keys: Vec<_> = merged.hits.iter().map(|(_, hit)| hit.key.clone()).collect();
        let keys = PrimaryKeys::from_keys(schema.pk_type(), &keys);
        let places: Vec<_> =
            merged.hits.iter().map(|(shard, hit)| (*shard, hit.location)).collect();
        let columns = self.output_columns(collection, &planned.output, &keys, &places).await?;
        let scores = merged.hits.iter().map(|(_, hit)| planned.params.rounded(hit.score)).collect();
        Ok(SearchApiReply {
            collection_name: collection.name.clone(),
            nq: i64::try_from(planned.queries.nq()).unwrap_or(i64::MAX),
            top_k: merged.topks.iter().copied().max().unwrap_or(0),
            topks: merged.topks,
            scores,
            keys,
            columns,
            output_fields: planned.output.names.clone(),
            primary_field_name: schema.primary_key().map_or_else(String::new, |f| f.name.clone()),
            session_ts,
        })
    }
}

/// Fields that were left out of the load cannot be searched or returned.
pub(crate) fn check_loaded_fields(
    load_fields: &[String],
    anns_field: &FieldSchema,
    output: &Output,
) -> Result<()> {
    if load_fields.is_empty() {
        return Ok(());
    }
    let wanted = std::iter::once(anns_field).chain(&output.fields);
    match wanted.into_iter().find(|field| !load_fields.contains(&field.name)) {
        None => Ok(()),
        Some(field) => {
            Err(Failure::parameter_invalid(format!("field {} is not loaded", field.name)))
        }
    }
}

/// The index's metric, which a request may repeat but not change.
fn metric(index: &IndexMeta, asked: Option<&str>) -> Result<MetricType> {
    let name = index.param("metric_type").unwrap_or_default();
    let metric = MetricType::parse(name).ok_or_else(|| {
        Failure::internal(format!("index {} has unknown metric type {name}", index.name))
    })?;
    match asked.map(str::to_uppercase) {
        Some(asked) if !asked.is_empty() && asked != metric.name() => {
            Err(Failure::parameter_mismatch(metric.name(), asked, "metric type not match"))
        }
        _ => Ok(metric),
    }
}

fn check_index_params(index: &IndexMeta, params: &Params) -> Result<()> {
    let name = index.param("index_type").unwrap_or_default();
    let Some(index_type) = IndexType::parse(name) else {
        return Err(Failure::internal(format!("index {} has unknown type {name}", index.name)));
    };
    check_search_params(index_type, params.k(), &params.search).or_failure().map(drop)
}
