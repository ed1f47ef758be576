//! `Query`: the rows that pass a filter, in order of their keys or of fields; or what is computed of
//! them.
//!
//! Shards give keys and places of the rows; everything else works on those and fetches columns for
//! what is returned, ordered by or computed with.

mod aggregate;
mod elements;
mod order;
pub(crate) mod params;

use std::sync::Arc;

use futures::future::join_all;
use milvus_expr::Plan;
use milvus_roles::{QueryReply, QueryRequest, RowLocation};
use milvus_types::{Collection, Failure, PartitionId, PrimaryKey, PrimaryKeys, Result, Timestamp};

use crate::Proxy;
use crate::api::{Context, OutputColumn, QueryApiReply, QueryApiRequest, TimeFormat};
use crate::fetch::Place;
use crate::order_by::{self, OrderBy};
use crate::output_fields::{self, Output};
use crate::search::plan::check_loaded;
use crate::search::shards::{Moment, snapshot};
use crate::{fetch, plan};
use aggregate::{Aggregation, check_order, counted};
use elements::{Window, cut};
use params::Params;

/// A query that has passed every check.
struct Planned {
    collection: Arc<Collection>,
    partitions: Option<Arc<[PartitionId]>>,
    filter: Plan,
    params: Params,
    output: Output,
    aggregation: Option<Aggregation>,
    order_by: Vec<OrderBy>,
    times: TimeFormat,
    moment: Moment,
    /// Whether the reply names the snapshot.
    first_page: bool,
}

impl Proxy {
    /// Rows, or what is computed of them.
    pub async fn query(&self, cx: &Context, request: QueryApiRequest) -> Result<QueryApiReply> {
        let mut planned = Box::pin(self.plan_query(cx, request.clone())).await?;
        let mut attempt = 1;
        loop {
            match Box::pin(self.run_query(&planned)).await {
                Err(failure)
                    if fetch::moved(&failure) && attempt < self.options().requery_attempts =>
                {
                    tracing::debug!(%failure, attempt, "rows moved, querying again");
                    attempt += 1;
                }
                Err(failure) if self.replans(&failure, attempt).await => {
                    planned = Box::pin(self.plan_query(cx, request.clone())).await?;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn plan_query(&self, cx: &Context, request: QueryApiRequest) -> Result<Planned> {
        let limits = &self.options().limits;
        let collection = self.named_collection(cx, &request.collection_name).await?;
        let schema = &collection.schema;
        plan::check_names(&collection, &request.partition_names, limits.name_length)?;
        let params =
            params::parse(&request.query_params, self.window(&collection), schema.pk_type())?;
        params.check_collection(collection.id)?;
        params.check_order()?;
        let times = plan::times(&collection, &request.query_params)?;
        let filter =
            plan::plan_in_zone(&request.expr, &request.templates, schema, &times.zone, "query")?;
        let mut output = output_fields::parse(&request.output_fields, schema, false)?;
        let group_by: Vec<&str> = params.group_by.iter().map(String::as_str).collect();
        let aggregates = !output.aggregates.is_empty();
        let aggregation = Aggregation::new(&request.output_fields, &group_by, &output, schema);
        check_order(&params.order_by, &group_by, aggregates)?;
        let order_by = order_by::parse_for_query(&params.order_by, schema)?;
        let aggregation = aggregation?;
        if filter.always_true() && params.limit.is_none() && !aggregates {
            return Err(Failure::parameter_invalid("empty expression should be used with limit"));
        }
        let named = plan::partitions(&collection, &request.partition_names, limits.name_length)?;
        let partitions = plan::pruned(&collection, named.as_ref(), &filter)?;
        let counts = aggregation.as_ref().is_some_and(Aggregation::counts_rows);
        if counts && params.limit.is_some() && group_by.is_empty() {
            return Err(Failure::parameter_invalid(
                "count entities with pagination is not allowed",
            ));
        }
        if aggregation.is_none() {
            add_primary_key(&mut output, &collection);
        }

        let status = self.loaded(&collection, partitions.as_deref().unwrap_or_default()).await?;
        let used = aggregation.as_ref().map_or_else(Vec::new, Aggregation::columns);
        check_loaded(&status, &collection, &used.iter().collect::<Vec<_>>(), &filter, &output)?;
        let moment = self.moment(&collection, request.consistency, params.iterator).await?;
        let first_page = params.iterator && request.consistency.guarantee_timestamp == 0;
        Ok(Planned {
            collection,
            partitions,
            filter,
            params,
            output,
            aggregation,
            order_by,
            times,
            moment,
            first_page,
        })
    }

    async fn run_query(&self, planned: &Planned) -> Result<QueryApiReply> {
        let Params { limit, offset, .. } = planned.params;
        let collection = &planned.collection;
        let mut reply = QueryApiReply {
            collection_name: collection.name.clone(),
            columns: Vec::new(),
            times: planned.times.clone(),
            elements: None,
            output_fields: planned.output.names.clone(),
            primary_field_name: collection
                .schema
                .primary_key()
                .map_or_else(String::new, |field| field.name.clone()),
            session_ts: Timestamp::ZERO,
        };
        let mvcc = if let Some(aggregation) = &planned.aggregation {
            let (columns, mvcc) = self.computed(planned, aggregation).await?;
            reply.columns = columns;
            mvcc
        } else if planned.filter.element_filter().is_some() {
            // Every row has an element that passes; the one before the first may be used up.
            let wanted = limit.map(|limit| limit + offset + 1);
            let (rows, mvcc) = self.find(planned, wanted).await?;
            let rows = self.elements(collection, &planned.filter, rows).await?;
            let after = planned.params.cursor.as_ref();
            let kept = cut(rows, Window { offset, limit, after });
            let (rows, elements): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
            reply.columns = self.columns(planned, &rows).await?;
            reply.elements = Some(elements);
            mvcc
        } else if planned.order_by.is_empty() {
            let (rows, mvcc) = self.find(planned, limit.map(|limit| limit + offset)).await?;
            let rows: Vec<_> =
                rows.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
            reply.columns = self.columns(planned, &rows).await?;
            mvcc
        } else {
            let (rows, mvcc) = self.find(planned, None).await?;
            let page = (offset, limit.unwrap_or(usize::MAX));
            let rows = self.ordered_rows(collection, &planned.order_by, rows, page).await?;
            reply.columns = self.columns(planned, &rows).await?;
            mvcc
        };
        if planned.first_page {
            reply.session_ts = mvcc;
        }
        Ok(reply)
    }

    /// The output columns of `rows`.
    async fn columns(
        &self,
        planned: &Planned,
        rows: &[(PrimaryKey, Place)],
    ) -> Result<Vec<OutputColumn>> {
        let collection = &planned.collection;
        let keys = rows.iter().map(|(key, _)| key);
        let keys = PrimaryKeys::from_keys(collection.schema.pk_type(), keys);
        let places: Vec<Place> = rows.iter().map(|(_, place)| *place).collect();
        self.output_columns(collection, &planned.output, &keys, &places).await
    }

    /// What is computed of the rows.
    async fn computed(
        &self,
        planned: &Planned,
        aggregation: &Aggregation,
    ) -> Result<(Vec<OutputColumn>, Timestamp)> {
        if aggregation.only_counts() {
            let replies = self.ask(planned, None, true).await?;
            let count = replies.iter().map(|reply| reply.count).sum();
            return Ok((counted(aggregation, count), mvcc(&replies, planned)));
        }
        let (rows, mvcc) = self.find(planned, None).await?;
        let places: Vec<Place> = rows.into_iter().map(|(_, place)| place).collect();
        let Params { limit, offset, .. } = planned.params;
        let columns = self
            .aggregated(
                &planned.collection,
                aggregation,
                &places,
                &planned.order_by,
                (offset, limit),
            )
            .await?;
        Ok((columns, mvcc))
    }

    /// The first `limit` rows in order of their keys, and the snapshot they were found in.
    async fn find(
        &self,
        planned: &Planned,
        limit: Option<usize>,
    ) -> Result<(Vec<(PrimaryKey, Place)>, Timestamp)> {
        let replies = self.ask(planned, limit, false).await?;
        let mvcc = mvcc(&replies, planned);
        let shards = replies.into_iter().map(|reply| reply.rows).collect();
        Ok((merge(shards, limit), mvcc))
    }

    /// Asks all shards at once.
    async fn ask(
        &self,
        planned: &Planned,
        limit: Option<usize>,
        count: bool,
    ) -> Result<Vec<QueryReply>> {
        let shards = planned.collection.vchannels.iter().map(|vchannel| {
            self.streaming().query(QueryRequest {
                collection_id: planned.collection.id,
                vchannel: vchannel.clone(),
                partitions: planned.partitions.clone(),
                filter: planned.filter.clone(),
                keys: None,
                limit,
                count,
                ignore_growing: planned.params.ignore_growing,
                guarantee: planned.moment.guarantee,
                mvcc: planned.moment.mvcc,
            })
        });
        join_all(shards).await.into_iter().collect()
    }
}

fn mvcc(replies: &[QueryReply], planned: &Planned) -> Timestamp {
    snapshot(replies.iter().map(|reply| reply.mvcc), planned.moment.guarantee)
}

/// Rows of several shards in order of their keys.
fn merge(
    shards: Vec<Vec<(PrimaryKey, RowLocation)>>,
    limit: Option<usize>,
) -> Vec<(PrimaryKey, Place)> {
    let several = shards.len() > 1;
    let mut rows: Vec<(PrimaryKey, Place)> = shards
        .into_iter()
        .enumerate()
        .flat_map(|(shard, rows)| rows.into_iter().map(move |(key, at)| (key, (shard, at))))
        .collect();
    if several {
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    rows.truncate(limit.unwrap_or(usize::MAX));
    rows
}

/// A query returns the key whether asked for or not.
fn add_primary_key(output: &mut Output, collection: &Collection) {
    if let Some(key) = collection.schema.primary_key() {
        output.add(key);
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::SegmentId;

    use super::*;

    #[test]
    fn rows_merge_in_order_of_keys() {
        let row =
            |key: i64| (PrimaryKey::Int64(key), RowLocation { segment_id: SegmentId(0), row: 0 });
        let shards = || vec![vec![row(1), row(4), row(5)], vec![row(2), row(4)]];
        let keys = |rows: Vec<(PrimaryKey, Place)>| {
            rows.into_iter().map(|(key, (shard, _))| (key.to_string(), shard)).collect::<Vec<_>>()
        };
        let all = keys(merge(shards(), None));
        // The same key in two partitions is two rows, as the count says.
        let expected = [("1", 0), ("2", 1), ("4", 0), ("4", 1), ("5", 0)];
        assert_eq!(all, expected.map(|(key, shard)| (key.to_owned(), shard)));
        let first = keys(merge(shards(), Some(2)));
        assert_eq!(first, [("1".to_owned(), 0), ("2".to_owned(), 1)]);
    }
}
