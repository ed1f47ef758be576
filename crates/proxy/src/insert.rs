//! `Insert` and `Upsert`: columns are checked and laid out once, rows go to the shard of their key.
//!
//! The checks run in Milvus's order: dynamic keys, row count, which columns are there, keys,
//! partition, then each column's values. With one shard nothing is copied on the way to the log.

mod build;
mod columns;
mod dynamic;
pub(crate) mod key;
mod prepare;
pub(crate) mod split;

use std::sync::Arc;

use futures::future::join_all;
use milvus_base::{Priority, Purpose};
use milvus_roles::Write;
use milvus_types::{Collection, ErrorCode, Failure, PrimaryKeys, Result, Timestamp};

use crate::Proxy;
use crate::api::{Context, InputColumn, InputValues, InsertRequest, MutationReply};
use crate::validate::names;
use prepare::{Operation, Prepared, prepare};

impl Proxy {
    /// Inserts rows; they are durable and visible when this returns.
    pub async fn insert(&self, cx: &Context, request: InsertRequest) -> Result<MutationReply> {
        names::collection(&request.collection_name, self.options().limits.name_length)?;
        let prepared = self.write_rows(cx, request, Operation::Insert).await?;
        Ok(MutationReply {
            insert_count: count(&prepared.keys),
            delete_count: 0,
            upsert_count: 0,
            keys: prepared.keys,
            timestamp: prepared.timestamp,
        })
    }

    /// Inserts rows in the place of those with the same keys.
    pub async fn upsert(&self, cx: &Context, request: InsertRequest) -> Result<MutationReply> {
        let prepared = self.write_rows(cx, request, Operation::Upsert).await?;
        let rows = count(&prepared.keys);
        Ok(MutationReply {
            insert_count: rows,
            delete_count: rows,
            upsert_count: rows,
            keys: prepared.keys,
            timestamp: prepared.timestamp,
        })
    }

    async fn write_rows(
        &self,
        cx: &Context,
        mut request: InsertRequest,
        operation: Operation,
    ) -> Result<Written> {
        let collection = self.collection(cx, &request.collection_name).await?;
        check_schema_timestamp(&collection, &request)?;
        let bytes = request.columns.iter().map(column_bytes).sum();
        // Held until the shards have the rows and charge them themselves.
        let _in_flight = self.reserve(Purpose::Insert, bytes)?;
        if request.partial_update {
            request = self.complete_rows(&collection, request).await?;
        }
        let first_id = match collection.schema.primary_key() {
            Some(key) if key.auto_id && request.num_rows > 0 => {
                Some(self.root().allocate_ids(request.num_rows.into()).await?)
            }
            _ => None,
        };
        let limits = self.options().limits.clone();
        let prepared = self
            .compute(Priority::Write, bytes, move || {
                prepare(&collection, request, operation, first_id, &limits)
            })
            .await?;
        let Prepared { keys, writes } = prepared;
        let timestamp = self.write_all(writes).await?;
        Ok(Written { keys, timestamp })
    }

    /// Writes to every shard at once and waits for all; the latest of their timestamps.
    pub(crate) async fn write_all(&self, writes: Vec<Write>) -> Result<Timestamp> {
        let acks = join_all(writes.into_iter().map(|write| self.streaming().write(write))).await;
        let mut latest = Timestamp::ZERO;
        for ack in acks {
            latest = latest.max(ack?.timestamp);
        }
        Ok(latest)
    }
}

struct Written {
    keys: PrimaryKeys,
    timestamp: Timestamp,
}

fn count(keys: &PrimaryKeys) -> i64 {
    i64::try_from(keys.len()).unwrap_or(i64::MAX)
}

/// A client with an old view of the schema is told so, and asks again with the new one.
fn check_schema_timestamp(collection: &Arc<Collection>, request: &InsertRequest) -> Result<()> {
    let seen = request.schema_timestamp;
    if seen == 0 || seen == collection.update_ts.0 {
        return Ok(());
    }
    Err(Failure::with_fields(
        ErrorCode::CollectionSchemaMismatch,
        &[("collection", &request.collection_name)],
    ))
}

fn column_bytes(column: &InputColumn) -> usize {
    let values = match &column.values {
        InputValues::Scalars(values) | InputValues::FloatVectors { values, .. } => {
            values.get_array_memory_size()
        }
        InputValues::Unsupported { .. } | InputValues::Missing => 0,
    };
    values.saturating_add(column.valid.len())
}
