//! Fields that are added to a collection or dropped from it, checked in Milvus's order.
//!
//! Rows that were there before have no value of a new field: it is nullable.

use milvus_types::index_meta::find;
use milvus_types::limits::Limits;
use milvus_types::schema::sub_field_name;
use milvus_types::{Collection, CollectionSchema, DataType, Failure, FieldSchema, Result};

use super::properties::TTL_FIELD;
use super::{default_value, field, names, schema, structs};
use crate::api::StructArray;

/// Names of columns and fields that are the server's own.
const SYSTEM: [&str; 5] = ["RowID", "Timestamp", "$meta", "$namespace_id", "__virtual_pk__"];

/// How many fields users count: struct arrays and their sub-fields too.
fn field_count(schema: &CollectionSchema) -> usize {
    schema.fields.iter().filter(|field| !field.is_dynamic).count() + schema.struct_fields.len()
}

fn has_name(schema: &CollectionSchema, name: &str) -> bool {
    schema.field(name).is_some() || schema.struct_field(name).is_some()
}

fn no_system_name(name: &str) -> Result<()> {
    if SYSTEM.contains(&name) {
        return Err(Failure::parameter_invalid(format!(
            "not support to add system field, field name = {name}"
        )));
    }
    Ok(())
}

/// Whether `new` can be added to `schema`.
pub(crate) fn add_field(
    schema: &CollectionSchema,
    new: &FieldSchema,
    limits: &Limits,
) -> Result<()> {
    let name = &new.name;
    if field_count(schema) >= limits.fields {
        return Err(Failure::parameter_invalid(format!(
            "The number of fields has reached the maximum value {}",
            limits.fields
        )));
    }
    if schema.fields.iter().any(|field| field.name == *name) || schema.struct_field(name).is_some()
    {
        return Err(Failure::parameter_invalid(format!("duplicated field name {name}")));
    }
    let with_new = CollectionSchema { fields: vec![new.clone()], ..CollectionSchema::default() };
    schema::text_fields(&with_new)?;
    no_system_name(name)?;
    no_role(schema, new)?;
    if new.data_type.is_vector() {
        if schema.vector_fields().count() >= limits.vector_fields {
            return Err(Failure::parameter_invalid(format!(
                "maximum vector field's number should be limited to {}",
                limits.vector_fields
            )));
        }
        if new.data_type != DataType::SparseFloatVector && new.type_params.is_empty() {
            return Err(Failure::parameter_invalid(format!(
                "vector field must have dimension specified, field name = {name}"
            )));
        }
    }
    field::validate(new, &schema.name, limits)?;
    if !new.nullable {
        return Err(Failure::parameter_invalid(format!(
            "added field must be nullable, please check it, field name = {name}"
        )));
    }
    default_value::validate(new)
        .and_then(|()| field::no_duplicate_params(new))
        .map_err(|failure| failure.context("failed to check field schema"))?;
    schema::field_supported(new)
}

/// A new field has no part in keys, but for the clustering key where there is none.
fn no_role(schema: &CollectionSchema, new: &FieldSchema) -> Result<()> {
    let name = &new.name;
    let refusal = if new.is_primary_key {
        format!("not support to add pk field, field name = {name}")
    } else if new.auto_id {
        format!("only primary field can speficy AutoID with true, field name = {name}")
    } else if new.is_partition_key {
        format!("not support to add partition key field, field name  = {name}")
    } else if new.is_clustering_key && schema.fields.iter().any(|field| field.is_clustering_key) {
        format!("already has another clustering key field, field name: {name}")
    } else if new.is_clustering_key
        && !new.data_type.is_numeric()
        && new.data_type != DataType::VarChar
    {
        format!("clustering key field {name} has unsupported data type {}", new.data_type)
    } else {
        return Ok(());
    };
    Err(Failure::parameter_invalid(refusal))
}

/// Whether struct array `new` can be added to `schema`.
pub(crate) fn add_struct(
    schema: &CollectionSchema,
    new: &StructArray,
    limits: &Limits,
) -> Result<()> {
    let name = &new.field.name;
    if !new.field.nullable {
        return Err(Failure::parameter_invalid(format!(
            "added struct field must be nullable, please check it, struct field name = {name}"
        )));
    }
    names::field(name, limits.name_length)?;
    no_system_name(name)?;
    structs::validate(new, &schema.name, limits)?;
    new.sub_fields.iter().try_for_each(no_sub_field_role)?;
    struct_names(schema, new)?;
    let is_vector = |sub: &&FieldSchema| sub.data_type.is_vector();
    schema::at_most(
        field_count(schema) + new.sub_fields.len() + 1,
        schema.vector_fields().count() + new.sub_fields.iter().filter(is_vector).count(),
        limits,
    )?;
    new.sub_fields.iter().try_for_each(|sub| {
        field::no_duplicate_params(sub)?;
        schema::field_supported(sub)
    })
}

fn no_sub_field_role(sub: &FieldSchema) -> Result<()> {
    no_system_name(&sub.name)?;
    let what = if sub.is_primary_key {
        "primary key"
    } else if sub.auto_id {
        "autoID"
    } else if sub.is_partition_key {
        "partition key"
    } else if sub.is_clustering_key {
        "clustering key"
    } else if sub.default_value.is_some() {
        "default value"
    } else {
        return Ok(());
    };
    Err(Failure::parameter_invalid(format!(
        "{what} is not supported for struct field, field name = {}",
        sub.name
    )))
}

fn struct_names(schema: &CollectionSchema, new: &StructArray) -> Result<()> {
    let duplicated =
        |name: &str| Err(Failure::parameter_invalid(format!("duplicated field name {name}")));
    if has_name(schema, &new.field.name) {
        return duplicated(&new.field.name);
    }
    for (index, sub) in new.sub_fields.iter().enumerate() {
        if new.sub_fields.iter().take(index).any(|before| before.name == sub.name) {
            return duplicated(&sub.name);
        }
        let full = sub_field_name(&new.field.name, &sub.name);
        if has_name(schema, &full) {
            return duplicated(&full);
        }
    }
    Ok(())
}

/// Whether the field or struct array called `name` can be dropped from `collection`.
pub(crate) fn drop_field(collection: &Collection, name: &str) -> Result<()> {
    let schema = &collection.schema;
    let refuse = |what: String| Err(Failure::parameter_invalid(what));
    if name.is_empty() {
        return refuse("field name is empty".to_owned());
    }
    let vectors = schema.vector_fields().count();
    if schema.struct_field(name).is_some() {
        let removed = schema.sub_fields(name).filter(|sub| sub.data_type.is_vector()).count();
        if removed >= vectors {
            return refuse(format!(
                "cannot drop struct array field {name}: it would leave no vector field in the \
                 collection"
            ));
        }
        return Ok(());
    }
    let Some(field) = schema.field(name) else {
        return refuse(format!("field not found: {name}"));
    };
    if let Some((owner, sub)) = field.struct_name()
        && schema.struct_field(owner).is_some()
    {
        return refuse(format!("cannot drop sub-field of struct array field: {owner}.{sub}"));
    }
    if find(&collection.properties, TTL_FIELD) == Some(name) {
        return refuse(format!(
            "cannot drop field {name} because it is referenced by collection property \
             {TTL_FIELD}, drop the property first"
        ));
    }
    let role = if field.is_dynamic || SYSTEM.contains(&name) {
        "system field"
    } else if field.is_primary_key {
        "primary key field"
    } else if field.is_partition_key {
        "partition key field"
    } else if field.is_clustering_key {
        "clustering key field"
    } else if field.data_type.is_vector() && vectors <= 1 {
        "the last vector field"
    } else {
        return Ok(());
    };
    refuse(format!("cannot drop {role}: {name}"))
}

#[cfg(test)]
mod tests;
