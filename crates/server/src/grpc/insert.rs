//! Insert and upsert.

use milvus_proto::{milvus as pb, schema as schema_pb};
use milvus_proxy::api::InsertRequest;
use milvus_types::{Failure, Result};
use schema_pb::field_partial_update_op::OpType;

use super::call::Call;
use super::mutation::of_rows;
use crate::metrics::Rows;
use crate::wire::columns::input;

pub(super) async fn insert(
    call: &Call<'_>,
    request: pb::InsertRequest,
) -> Result<pb::MutationResult> {
    refuse_namespace(request.namespace.as_deref())?;
    let insert = InsertRequest {
        collection_name: request.collection_name,
        partition_name: request.partition_name,
        columns: input::from_wire(request.fields_data)?,
        num_rows: request.num_rows,
        schema_timestamp: request.schema_timestamp,
        partial_update: false,
    };
    let reply = call.proxy.insert(&call.context(&request.db_name), insert).await?;
    call.metrics.count_rows(Rows::Inserted, reply.insert_count);
    Ok(of_rows(&reply))
}

pub(super) async fn upsert(
    call: &Call<'_>,
    request: pb::UpsertRequest,
) -> Result<pb::MutationResult> {
    refuse_namespace(request.namespace.as_deref())?;
    refuse_array_operations(&request.field_ops)?;
    let upsert = InsertRequest {
        collection_name: request.collection_name,
        partition_name: request.partition_name,
        columns: input::from_wire(request.fields_data)?,
        num_rows: request.num_rows,
        schema_timestamp: request.schema_timestamp,
        partial_update: request.partial_update,
    };
    let reply = call.proxy.upsert(&call.context(&request.db_name), upsert).await?;
    call.metrics.count_rows(Rows::Upserted, reply.upsert_count);
    Ok(of_rows(&reply))
}

/// Fails where a request names a namespace, which no collection here has.
pub(super) fn refuse_namespace(namespace: Option<&str>) -> Result<()> {
    match namespace {
        None | Some("") => Ok(()),
        Some(name) => Err(Failure::unimplemented(format!("namespace {name} is not supported yet"))),
    }
}

fn refuse_array_operations(operations: &[schema_pb::FieldPartialUpdateOp]) -> Result<()> {
    match operations.iter().find(|operation| operation.op() != OpType::Replace) {
        None => Ok(()),
        Some(operation) => Err(Failure::unimplemented(format!(
            "field operation {} of field {} is not supported yet",
            operation.op().as_str_name(),
            operation.field_name
        ))),
    }
}
