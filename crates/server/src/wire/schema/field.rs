//! One field of a schema.

use milvus_proto::schema as pb;
use milvus_types::{DataType, Failure, FieldId, FieldSchema, Result};
use milvus_values::timestamptz::Zone;

use super::default_value;
use crate::wire::key_values;

/// The field, or `None` if its type has no name here.
pub(super) fn from_wire(
    field: pb::FieldSchema,
    unsupported: &mut Vec<String>,
) -> Result<Option<FieldSchema>> {
    if field.data_type == pb::DataType::None as i32 {
        return Err(Failure::parameter_invalid("data type None is not valid"));
    }
    let Some(data_type) = DataType::from_number(field.data_type) else {
        let name = pb::DataType::try_from(field.data_type)
            .map_or_else(|_| field.data_type.to_string(), |known| known.as_str_name().to_owned());
        unsupported.push(format!("data type {name} of field {}", field.name));
        return Ok(None);
    };
    if field.is_function_output {
        unsupported.push(format!("function output field {}", field.name));
    }
    if field.element_nullable {
        unsupported.push(format!("null elements of field {}", field.name));
    }
    if !field.external_field.is_empty() {
        unsupported.push(format!("external mapping of field {}", field.name));
    }
    let default_value = match field.default_value.and_then(|value| value.data) {
        None => None,
        Some(value) => {
            let value = default_value::from_wire(data_type, value);
            if value.is_none() {
                unsupported.push(format!("default value of field {}", field.name));
            }
            value
        }
    };
    Ok(Some(FieldSchema {
        id: FieldId(field.field_id),
        name: field.name,
        description: field.description,
        data_type,
        element_type: DataType::from_number(field.element_type),
        is_primary_key: field.is_primary_key,
        auto_id: field.auto_id,
        is_dynamic: field.is_dynamic,
        is_partition_key: field.is_partition_key,
        is_clustering_key: field.is_clustering_key,
        nullable: field.nullable,
        default_value,
        type_params: key_values::from_wire(field.type_params),
    }))
}

pub(super) fn to_wire(field: &FieldSchema, zone: &Zone) -> pb::FieldSchema {
    let default_value = field.default_value.as_ref().and_then(|value| {
        let data = Some(default_value::to_wire(field.data_type, value, zone)?);
        Some(pb::ValueField { data })
    });
    pb::FieldSchema {
        field_id: field.id.0,
        name: field.name.clone(),
        is_primary_key: field.is_primary_key,
        description: field.description.clone(),
        data_type: field.data_type.number(),
        type_params: key_values::to_wire(&field.type_params),
        auto_id: field.auto_id,
        element_type: field.element_type.map_or(0, DataType::number),
        default_value,
        is_dynamic: field.is_dynamic,
        is_partition_key: field.is_partition_key,
        is_clustering_key: field.is_clustering_key,
        nullable: field.nullable,
        ..Default::default()
    }
}
