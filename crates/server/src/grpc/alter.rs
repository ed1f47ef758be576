//! Changes of a collection: properties, parameters of fields and indexes, fields added and dropped.

use milvus_proto::milvus::alter_collection_schema_request::action::Op;
use milvus_proto::milvus::alter_collection_schema_request::drop_request::Identifier;
use milvus_proto::milvus::alter_collection_schema_request::{AddRequest, DropRequest};
use milvus_proto::{Message as _, common, milvus as pb, schema as schema_pb};
use milvus_proxy::api::{AddFieldRequest, AddStructFieldRequest, AlterRequest, Context, FieldName};
use milvus_types::{ErrorCode, Failure, Result};

use super::call::Call;
use crate::wire::status::success;
use crate::wire::{key_values, schema};

fn change(set: Vec<common::KeyValuePair>, delete: Vec<String>) -> AlterRequest {
    AlterRequest { set: key_values::from_wire(set), delete }
}

pub(super) async fn collection(
    call: &Call<'_>,
    request: pb::AlterCollectionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    let change = change(request.properties, request.delete_keys);
    call.proxy.alter_collection(&cx, &request.collection_name, change).await?;
    Ok(success())
}

pub(super) async fn field(
    call: &Call<'_>,
    request: pb::AlterCollectionFieldRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    let change = change(request.properties, request.delete_keys);
    let (collection, field) = (&request.collection_name, &request.field_name);
    call.proxy.alter_collection_field(&cx, collection, field, change).await?;
    Ok(success())
}

pub(super) async fn index(
    call: &Call<'_>,
    request: pb::AlterIndexRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    let change = change(request.extra_params, request.delete_keys);
    call.proxy.alter_index(&cx, &request.collection_name, &request.index_name, change).await?;
    Ok(success())
}

pub(super) async fn add_field(
    call: &Call<'_>,
    request: pb::AddCollectionFieldRequest,
) -> Result<common::Status> {
    let wire = schema_pb::FieldSchema::decode(request.schema).map_err(|error| {
        Failure::parameter_invalid(format!("failed to unmarshal field schema: {error}"))
    })?;
    let cx = call.context(&request.db_name);
    add(call, &cx, request.collection_name, wire).await?;
    Ok(success())
}

async fn add(
    call: &Call<'_>,
    cx: &Context,
    collection_name: String,
    wire: schema_pb::FieldSchema,
) -> Result<()> {
    let schema::Decoded { part: field, unsupported } = schema::field_from_wire(wire)?;
    call.proxy.add_field(cx, AddFieldRequest { collection_name, field, unsupported }).await
}

pub(super) async fn add_struct_field(
    call: &Call<'_>,
    request: pb::AddCollectionStructFieldRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    let wire = request
        .struct_array_field_schema
        .ok_or_else(|| Failure::parameter_invalid("struct array field schema is nil"))?;
    let schema::Decoded { part: one, unsupported } = schema::struct_from_wire(wire)?;
    let collection_name = request.collection_name;
    let add = AddStructFieldRequest { collection_name, one, unsupported };
    call.proxy.add_struct_field(&cx, add).await?;
    Ok(success())
}

pub(super) async fn schema(
    call: &Call<'_>,
    request: pb::AlterCollectionSchemaRequest,
) -> Result<pb::AlterCollectionSchemaResponse> {
    let cx = call.context(&request.db_name);
    let action = request
        .action
        .ok_or_else(|| Failure::parameter_invalid("action is nil in alter schema task"))?;
    match action.op {
        Some(Op::AddRequest(wire)) => {
            add(call, &cx, request.collection_name, new_field(wire)?).await?;
        }
        Some(Op::DropRequest(wire)) => {
            let field = dropped_field(wire)?;
            call.proxy.drop_field(&cx, &request.collection_name, field).await?;
        }
        None => {
            return Err(Failure::parameter_invalid(
                "unknown action type in alter collection schema request",
            ));
        }
    }
    Ok(pb::AlterCollectionSchemaResponse { alter_status: Some(success()) })
}

/// The one field that a request adds. Functions come later.
fn new_field(wire: AddRequest) -> Result<schema_pb::FieldSchema> {
    if wire.func_schema.len() > 1 {
        return Err(Failure::parameter_invalid(
            "For now, at most one function schema is supported",
        ));
    }
    if wire.field_infos.len() > 1 {
        return Err(Failure::parameter_invalid("For now, only one field info is supported"));
    }
    if let Some(function) = wire.func_schema.first() {
        return Err(Failure::parameter_invalid(format!(
            "function {} is not supported yet",
            function.name
        )));
    }
    let Some(info) = wire.field_infos.into_iter().next() else {
        return Err(Failure::parameter_invalid("fieldInfos and function schema are both empty"));
    };
    // Milvus reads neither.
    if !info.index_name.is_empty() || !info.extra_params.is_empty() {
        tracing::debug!(index = info.index_name, "the index of a new field is not created with it");
    }
    info.field_schema.ok_or_else(|| Failure::parameter_invalid("fieldSchema is nil in fieldInfos"))
}

fn dropped_field(wire: DropRequest) -> Result<FieldName> {
    match wire.identifier {
        Some(Identifier::FieldName(name)) => Ok(FieldName::Name(name)),
        Some(Identifier::FieldId(id)) => Ok(FieldName::Id(id)),
        Some(Identifier::FunctionName(name)) if name.is_empty() => {
            Err(Failure::parameter_invalid("function name is empty"))
        }
        // No collection has a function yet.
        Some(Identifier::FunctionName(name)) => {
            Err(Failure::parameter_invalid(format!("function not found: {name}")))
        }
        None => Err(Failure::wrap(
            ErrorCode::ParameterMissing,
            "drop request must specify field_name, field_id, or function_name",
        )),
    }
}
