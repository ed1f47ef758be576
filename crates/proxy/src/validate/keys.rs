//! The special fields of a schema: primary key, auto id, partition key, clustering key.

use milvus_types::limits::Limits;
use milvus_types::{CollectionSchema, DataType, ErrorCode, Failure, FieldSchema, Result};

use super::schema::Request;

/// Partitions of a collection with a partition key that asks for no number.
pub(crate) const DEFAULT_KEY_PARTITIONS: usize = 16;

/// One field, of a type that keys can have.
pub(crate) fn primary_key(schema: &CollectionSchema) -> Result<()> {
    let mut keys = schema.fields.iter().filter(|field| field.is_primary_key);
    let Some(first) = keys.next() else {
        return Err(Failure::wrap(ErrorCode::ParameterMissing, "primary key is not specified"));
    };
    primary_key_type(first)?;
    if let Some(second) = keys.next() {
        return Err(Failure::parameter_invalid(format!(
            "there are more than one primary key, field name = {}, {}",
            first.name, second.name
        )));
    }
    Ok(())
}

fn primary_key_type(field: &FieldSchema) -> Result<()> {
    if matches!(field.data_type, DataType::Int64 | DataType::VarChar) {
        return Ok(());
    }
    Err(Failure::parameter_invalid("the data type of primary key should be Int64 or VarChar"))
}

/// Only the primary key can be made by the server.
pub(crate) fn auto_id(request: &Request<'_>) -> Result<()> {
    let schema = request.schema;
    let mut first: Option<&FieldSchema> = None;
    for field in schema.fields.iter().filter(|field| field.auto_id) {
        if let Some(first) = first {
            return Err(Failure::parameter_invalid(format!(
                "only one field can speficy AutoID with true, field name = {}, {}",
                first.name, field.name
            )));
        }
        if !field.is_primary_key {
            return Err(Failure::parameter_invalid(format!(
                "only primary field can speficy AutoID with true, field name = {}",
                field.name
            )));
        }
        first = Some(field);
    }
    match sub_fields(request).find(|sub| sub.auto_id) {
        None => Ok(()),
        Some(sub) => Err(Failure::parameter_invalid(format!(
            "autoID is not supported for struct field, field name = {}",
            sub.name
        ))),
    }
}

/// The sub-fields of every struct array of the request.
fn sub_fields<'r>(request: &'r Request<'_>) -> impl Iterator<Item = &'r FieldSchema> {
    request.structs.iter().flat_map(|one| &one.sub_fields)
}

fn illegal(request: &Request<'_>, what: String) -> Failure {
    let name = request.collection_name;
    Failure::with_fields(ErrorCode::CollectionIllegalSchema, &[("collection", &name)]).context(what)
}

/// At most one partition key, and partitions only with it.
pub(crate) fn partition_key(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let mut first: Option<&FieldSchema> = None;
    for field in request.schema.fields.iter().filter(|field| field.is_partition_key) {
        if let Some(first) = first {
            return Err(Failure::parameter_invalid(format!(
                "there are more than one partition key, field name = {}, {}",
                first.name, field.name
            )));
        }
        if field.is_primary_key {
            return Err(Failure::parameter_invalid(
                "the partition key field must not be primary field",
            ));
        }
        if field.nullable {
            return Err(Failure::parameter_invalid("partition key field not support nullable"));
        }
        if !matches!(field.data_type, DataType::Int64 | DataType::VarChar) {
            return Err(Failure::parameter_invalid(
                "the data type of partition key should be Int64 or VarChar",
            ));
        }
        if request.num_partitions < 0 {
            return Err(Failure::parameter_invalid(
                "the specified partitions should be greater than 0 if partition key is used",
            ));
        }
        if usize::try_from(request.num_partitions).unwrap_or(usize::MAX) > limits.partitions {
            return Err(Failure::parameter_invalid(format!(
                "partition number ({}) exceeds max configuration ({})",
                request.num_partitions, limits.partitions
            )));
        }
        first = Some(field);
    }
    if let Some(sub) = sub_fields(request).find(|sub| sub.is_partition_key) {
        return Err(illegal(
            request,
            format!("partition key is not supported for struct field, field name = {}", sub.name),
        ));
    }
    if first.is_none() && request.num_partitions != 0 {
        return Err(Failure::parameter_invalid(
            "num_partitions should only be specified with partition key field enabled",
        ));
    }
    Ok(())
}

/// At most one clustering key. It is kept and described; nothing is clustered by it yet.
pub(crate) fn clustering_key(request: &Request<'_>) -> Result<()> {
    let mut first: Option<&FieldSchema> = None;
    for field in request.schema.fields.iter().filter(|field| field.is_clustering_key) {
        let data_type = field.data_type;
        if !data_type.is_numeric() && data_type != DataType::VarChar && !data_type.is_vector() {
            return Err(illegal(
                request,
                format!(
                    "clustering key field {} has unsupported data type {data_type}",
                    field.name
                ),
            ));
        }
        if data_type.is_vector() {
            return Err(Failure::with_fields(
                ErrorCode::CollectionVectorClusteringKeyNotAllowed,
                &[("collection", &request.collection_name)],
            ));
        }
        if let Some(first) = first {
            return Err(illegal(
                request,
                format!(
                    "there are more than one clustering key, field name = {}, {}",
                    first.name, field.name
                ),
            ));
        }
        first = Some(field);
    }
    match sub_fields(request).find(|sub| sub.is_clustering_key) {
        None => Ok(()),
        Some(sub) => Err(illegal(
            request,
            format!("clustering key is not supported for struct field, field name = {}", sub.name),
        )),
    }
}
