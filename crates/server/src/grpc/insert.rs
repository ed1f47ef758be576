//! Insert and upsert. What is refused is refused whole: every row is in `err_index`.

use milvus_proto::{milvus as pb, schema as schema_pb};
use milvus_proxy::api::{FieldOp, FieldOpKind, InsertRequest, MutationReply};
use milvus_types::{Failure, Result};
use schema_pb::field_partial_update_op::OpType;

use super::call::{Call, log};
use super::mutation::{of_refusal, of_rows};
use crate::metrics::Rows;
use crate::wire::columns::input;

pub(super) async fn insert(
    call: &Call<'_>,
    request: pb::InsertRequest,
) -> Result<pb::MutationResult> {
    let rows = request.num_rows;
    let result = run_insert(call, request).await;
    Ok(reply(call, "Insert", rows, result, Rows::Inserted))
}

async fn run_insert(call: &Call<'_>, request: pb::InsertRequest) -> Result<MutationReply> {
    refuse_namespace(request.namespace.as_deref())?;
    let insert = InsertRequest {
        collection_name: request.collection_name,
        partition_name: request.partition_name,
        columns: input::from_wire(request.fields_data)?,
        num_rows: request.num_rows,
        schema_timestamp: request.schema_timestamp,
        partial_update: false,
        field_ops: Vec::new(),
    };
    call.proxy.insert(&call.context(&request.db_name), insert).await
}

pub(super) async fn upsert(
    call: &Call<'_>,
    request: pb::UpsertRequest,
) -> Result<pb::MutationResult> {
    let rows = request.num_rows;
    let result = run_upsert(call, request).await;
    Ok(reply(call, "Upsert", rows, result, Rows::Upserted))
}

async fn run_upsert(call: &Call<'_>, request: pb::UpsertRequest) -> Result<MutationReply> {
    refuse_namespace(request.namespace.as_deref())?;
    let upsert = InsertRequest {
        collection_name: request.collection_name,
        partition_name: request.partition_name,
        columns: input::from_wire(request.fields_data)?,
        num_rows: request.num_rows,
        schema_timestamp: request.schema_timestamp,
        partial_update: request.partial_update,
        field_ops: request.field_ops.into_iter().map(field_op).collect(),
    };
    call.proxy.upsert(&call.context(&request.db_name), upsert).await
}

fn field_op(op: schema_pb::FieldPartialUpdateOp) -> FieldOp {
    let kind = OpType::try_from(op.op).ok().map(|kind| match kind {
        OpType::Replace => FieldOpKind::Replace,
        OpType::ArrayAppend => FieldOpKind::ArrayAppend,
        OpType::ArrayRemove => FieldOpKind::ArrayRemove,
    });
    FieldOp { field_name: op.field_name, kind, number: op.op }
}

fn reply(
    call: &Call<'_>,
    rpc: &'static str,
    rows: u32,
    result: Result<MutationReply>,
    counter: Rows,
) -> pb::MutationResult {
    match result {
        Ok(reply) => {
            call.metrics.count_rows(counter, reply.insert_count);
            of_rows(&reply)
        }
        Err(failure) => {
            log(rpc, &failure);
            of_refusal(rows, &failure)
        }
    }
}

/// Fails where a request names a namespace, which no collection here has.
pub(super) fn refuse_namespace(namespace: Option<&str>) -> Result<()> {
    match namespace {
        None | Some("") => Ok(()),
        Some(name) => Err(Failure::unimplemented(format!("namespace {name} is not supported yet"))),
    }
}
