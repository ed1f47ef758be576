//! `Insert` and `Upsert`: columns are checked and laid out once, rows go to the shard of their key.
//!
//! The checks run in Milvus's order: dynamic keys, structs, row count, which columns are there,
//! keys, partition, then each column's values. What a request leaves out is filled in, and keys are
//! made, only for requests without faults. With one shard nothing is copied on the way to the log.

pub(crate) mod arrays;
pub(crate) mod build;
mod columns;
mod dynamic;
pub(crate) mod floats;
pub(crate) mod key;
pub(crate) mod partition_key;
pub(crate) mod prepare;
mod scalars;
pub(crate) mod split;
mod structs;
mod vector_lists;
mod vectors;

use std::sync::Arc;

use futures::future::join_all;
use milvus_base::{Priority, Purpose};
use milvus_roles::Write;
use milvus_types::{Collection, ErrorCode, Failure, PrimaryKeys, Result, Timestamp};

pub(crate) use columns::{lacking, may_be_left_out};
use prepare::{Operation, Prepared};

use crate::Proxy;
use crate::api::{Context, FieldOpKind, InputColumn, InputValues, InsertRequest, MutationReply};
use crate::partial_update;
use crate::validate::names;

impl Proxy {
    /// Inserts rows; they are durable and visible when this returns.
    pub async fn insert(&self, cx: &Context, request: InsertRequest) -> Result<MutationReply> {
        names::collection(&request.collection_name, self.options().limits.name_length)?;
        let collection = self.collection(cx, &request.collection_name).await?;
        check_schema_timestamp(&collection, &request)?;
        let prepared = self.write_rows(&collection, request, Operation::Insert).await?;
        Ok(MutationReply {
            insert_count: count(&prepared.keys),
            delete_count: 0,
            upsert_count: 0,
            keys: prepared.keys,
            timestamp: prepared.timestamp,
        })
    }

    /// Inserts rows in the place of those with the same keys.
    pub async fn upsert(&self, cx: &Context, mut request: InsertRequest) -> Result<MutationReply> {
        let collection = self.collection(cx, &request.collection_name).await?;
        check_schema_timestamp(&collection, &request)?;
        partial_update::check_ops(&collection.schema, &request)?;
        request.partial_update |=
            request.field_ops.iter().any(|op| op.kind != Some(FieldOpKind::Replace));
        if request.partial_update && !collection.schema.struct_fields.is_empty() {
            return Err(Failure::parameter_invalid(
                "partial upsert is not supported for collections with struct array fields",
            ));
        }
        let limits = &self.options().limits;
        if collection.schema.partition_key().is_some() {
            partition_key::refuse_name(&request.partition_name)?;
        }
        names::collection(&request.collection_name, limits.name_length)?;
        let mut replaced = None;
        let mut carried = None;
        if request.partial_update {
            let completed = self.complete_rows(&collection, request).await?;
            (request, replaced) = (completed.request, Some(completed.existing));
            carried = Some(completed.memory);
        }
        let prepared = self.write_rows(&collection, request, Operation::Upsert).await?;
        drop(carried);
        let rows = count(&prepared.keys);
        Ok(MutationReply {
            insert_count: rows,
            delete_count: replaced.unwrap_or(rows),
            upsert_count: rows,
            keys: prepared.keys,
            timestamp: prepared.timestamp,
        })
    }

    async fn write_rows(
        &self,
        collection: &Arc<Collection>,
        request: InsertRequest,
        operation: Operation,
    ) -> Result<Written> {
        let bytes = request.columns.iter().map(column_bytes).sum();
        // Held until the shards have the rows and charge them themselves.
        let _in_flight = self.reserve(Purpose::Insert, bytes).await?;
        let (limits, of) = (self.options().limits.clone(), Arc::clone(collection));
        let checked = self
            .compute(Priority::Write, bytes, move || {
                prepare::check(&of, request, operation, &limits)
            })
            .await?;
        let to_fill = checked.bytes_to_fill();
        let _filling = self.reserve(Purpose::Insert, to_fill).await?;
        let first_id = match checked.keys_to_make() {
            Some(keys) => Some(self.root().allocate_ids(keys).await?),
            None => None,
        };
        let bytes = bytes.saturating_add(to_fill);
        let prepared =
            self.compute(Priority::Write, bytes, move || checked.prepare(first_id)).await?;
        let Prepared { keys, writes } = prepared;
        let timestamp = self.write_all(collection, writes).await?;
        Ok(Written { keys, timestamp })
    }

    /// Writes to every shard at once and waits for all; the latest of their timestamps.
    pub(crate) async fn write_all(
        &self,
        collection: &Collection,
        writes: Vec<Write>,
    ) -> Result<Timestamp> {
        let acks = join_all(writes.into_iter().map(|write| self.streaming().write(write))).await;
        let mut latest = Timestamp::ZERO;
        for ack in acks {
            // A shard goes with its collection.
            let ack = ack.map_err(|failure| {
                if failure.code == ErrorCode::ChannelNotFound {
                    Failure::collection_not_found(&collection.db_name, &collection.name)
                } else {
                    failure
                }
            })?;
            latest = latest.max(ack.timestamp);
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

/// Memory that a column of a request takes.
pub(crate) fn column_bytes(column: &InputColumn) -> usize {
    let values = match &column.values {
        InputValues::Scalars(values)
        | InputValues::SparseVectors(values)
        | InputValues::Stored(values) => values.get_array_memory_size(),
        InputValues::Arrays(arrays) => arrays.lists.get_array_memory_size(),
        InputValues::Vectors(vectors) => vectors.bytes.len(),
        InputValues::VectorLists(lists) => {
            lists.bytes.len().saturating_add(size_of_val(&lists.lengths[..]))
        }
        InputValues::Structs(parts) => parts.iter().map(column_bytes).sum(),
        InputValues::Unsupported { .. } | InputValues::Missing => 0,
    };
    values.saturating_add(column.valid.len())
}
