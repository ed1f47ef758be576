//! `Query`: the rows that pass a filter, in order of their keys; or how many there are.

mod params;

use std::sync::Arc;

use arrow::array::Int64Array;
use futures::future::join_all;
use milvus_expr::Plan;
use milvus_roles::{QueryReply, QueryRequest, RowLocation};
use milvus_types::{
    Collection, DataType, Failure, FieldSchema, PartitionId, PrimaryKey, PrimaryKeys, Result,
    Timestamp,
};

use crate::Proxy;
use crate::api::{Context, OutputColumn, QueryApiReply, QueryApiRequest};
use crate::fetch::Place;
use crate::output_fields::{self, Output};
use crate::{fetch, plan};
use params::Params;

/// A query that has passed every check.
struct Planned {
    collection: Arc<Collection>,
    partitions: Option<Arc<[PartitionId]>>,
    filter: Plan,
    params: Params,
    output: Output,
    guarantee: Timestamp,
    mvcc: Option<Timestamp>,
}

impl Proxy {
    /// Rows, or their number.
    pub async fn query(&self, cx: &Context, request: QueryApiRequest) -> Result<QueryApiReply> {
        let planned = self.plan_query(cx, request).await?;
        let mut attempt = 1;
        loop {
            match self.run_query(&planned).await {
                Err(failure)
                    if fetch::moved(&failure) && attempt < self.options().requery_attempts =>
                {
                    tracing::debug!(%failure, attempt, "rows moved, querying again");
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
        for name in &request.partition_names {
            crate::validate::names::partition(name, false, limits.name_length)?;
        }
        let params = params::parse(&request.query_params, limits)?;
        params.check_collection(collection.id)?;
        let filter = plan::plan(&request.expr, &request.templates, schema, "query")?;
        let mut output = output_fields::parse(&request.output_fields, schema, false)?;
        params.check_supported()?;
        if filter.always_true() && params.limit.is_none() && !output.count {
            return Err(Failure::parameter_invalid("empty expression should be used with limit"));
        }
        let partitions =
            plan::partitions(&collection, &request.partition_names, limits.name_length)?;
        if output.count && params.limit.is_some() {
            return Err(Failure::parameter_invalid(
                "count entities with pagination is not allowed",
            ));
        }
        add_primary_key(&mut output, &collection);

        let status = self.loaded(&collection, partitions.as_deref().unwrap_or_default()).await?;
        check_loaded_fields(&status.load_fields, &output)?;
        let consistency = request.consistency;
        let snapshot =
            Some(consistency.guarantee_timestamp).filter(|ts| params.iterator && *ts > 0);
        let (guarantee, mvcc) = match snapshot {
            Some(ts) => (Timestamp(ts), Some(Timestamp(ts))),
            None => (self.guarantee(&collection, consistency).await?, None),
        };
        Ok(Planned { partitions, filter, params, output, guarantee, mvcc, collection })
    }

    async fn run_query(&self, planned: &Planned) -> Result<QueryApiReply> {
        let found = self.find(planned).await?;
        let collection = &planned.collection;
        let columns = match found.rows {
            Rows::Counted(count) => vec![count_column(count)],
            Rows::Found(rows) => {
                let keys = rows.iter().map(|(key, _)| key);
                let keys = PrimaryKeys::from_keys(collection.schema.pk_type(), keys);
                let places: Vec<Place> = rows.iter().map(|(_, place)| *place).collect();
                self.output_columns(collection, &planned.output, &keys, &places).await?
            }
        };
        let key = collection.schema.primary_key();
        Ok(QueryApiReply {
            collection_name: collection.name.clone(),
            columns,
            output_fields: planned.output.names.clone(),
            primary_field_name: key.map_or_else(String::new, |field| field.name.clone()),
            session_ts: found.mvcc,
        })
    }

    /// Asks all shards at once.
    async fn find(&self, planned: &Planned) -> Result<Found> {
        let Params { limit, offset, .. } = planned.params;
        let shards = planned.collection.vchannels.iter().map(|vchannel| {
            self.streaming().query(QueryRequest {
                collection_id: planned.collection.id,
                vchannel: vchannel.clone(),
                partitions: planned.partitions.clone(),
                filter: planned.filter.clone(),
                keys: None,
                limit: limit.map(|limit| limit + offset),
                count: planned.output.count,
                ignore_growing: planned.params.ignore_growing,
                guarantee: planned.guarantee,
                mvcc: planned.mvcc,
            })
        });
        let replies: Vec<QueryReply> = join_all(shards).await.into_iter().collect::<Result<_>>()?;
        let mvcc = replies.iter().map(|reply| reply.mvcc).max().unwrap_or(planned.guarantee);
        let rows = if planned.output.count {
            Rows::Counted(replies.iter().map(|reply| reply.count).sum())
        } else {
            let shards = replies.into_iter().map(|reply| reply.rows).collect();
            Rows::Found(merge(shards, offset, limit))
        };
        Ok(Found { rows, mvcc })
    }
}

struct Found {
    rows: Rows,
    mvcc: Timestamp,
}

enum Rows {
    Counted(u64),
    Found(Vec<(PrimaryKey, Place)>),
}

/// Rows of several shards in order of their keys, each key once.
fn merge(
    shards: Vec<Vec<(PrimaryKey, RowLocation)>>,
    offset: usize,
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
    rows.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect()
}

/// A query returns the key whether asked for or not.
fn add_primary_key(output: &mut Output, collection: &Collection) {
    let Some(key) = collection.schema.primary_key() else {
        return;
    };
    if !output.count && !output.fields.iter().any(|field| field.is_primary_key) {
        output.fields.push(key.clone());
    }
}

fn check_loaded_fields(load_fields: &[String], output: &Output) -> Result<()> {
    let loaded = |name: &String| load_fields.is_empty() || load_fields.contains(name);
    match output.fields.iter().find(|field| !loaded(&field.name)) {
        None => Ok(()),
        Some(field) => {
            Err(Failure::parameter_invalid(format!("field {} is not loaded", field.name)))
        }
    }
}

fn count_column(count: u64) -> OutputColumn {
    let field = FieldSchema {
        name: "count(*)".to_owned(),
        data_type: DataType::Int64,
        ..FieldSchema::default()
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    OutputColumn { field, values: Arc::new(Int64Array::from(vec![count])) }
}

#[cfg(test)]
mod tests {
    use milvus_types::SegmentId;

    use super::*;

    #[test]
    fn rows_merge_in_order_of_keys_and_are_paged_after() {
        let row =
            |key: i64| (PrimaryKey::Int64(key), RowLocation { segment_id: SegmentId(0), row: 0 });
        let shards = || vec![vec![row(1), row(4), row(5)], vec![row(2), row(4)]];
        let keys = |rows: Vec<(PrimaryKey, Place)>| {
            rows.into_iter().map(|(key, (shard, _))| (key.to_string(), shard)).collect::<Vec<_>>()
        };
        let all = keys(merge(shards(), 0, None));
        // The same key in two partitions is two rows, as the count says.
        let expected = [("1", 0), ("2", 1), ("4", 0), ("4", 1), ("5", 0)];
        assert_eq!(all, expected.map(|(key, shard)| (key.to_owned(), shard)));
        let page = keys(merge(shards(), 1, Some(2)));
        assert_eq!(page, [("2".to_owned(), 1), ("4".to_owned(), 0)]);
    }
}
