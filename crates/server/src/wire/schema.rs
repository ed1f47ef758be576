//! Schemas: as clients send them and as they are described back.
//!
//! Parts of a schema that this version does not serve are collected by name instead of dropped, so
//! that `proxy` can refuse them where Milvus would have accepted them.

use milvus_proto::schema as pb;
use milvus_types::{CollectionSchema, DataType, Failure, FieldId, FieldSchema, Result, Value};
use pb::value_field::Data as DefaultData;

use super::key_values;

/// A schema out of a request, and the parts of it that are not served.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// What is served.
    pub schema: CollectionSchema,
    /// What is not, by kind and name: `function bm25`.
    pub unsupported: Vec<String>,
}

/// The schema of a `CreateCollection`.
pub fn from_wire(schema: pb::CollectionSchema) -> Result<Decoded> {
    let mut unsupported = unsupported_parts(&schema);
    let mut fields = Vec::with_capacity(schema.fields.len());
    for field in schema.fields {
        fields.extend(field_from_wire(field, &mut unsupported)?);
    }
    let schema = CollectionSchema {
        name: schema.name,
        description: schema.description,
        fields,
        struct_fields: Vec::new(),
        enable_dynamic_field: schema.enable_dynamic_field,
        properties: key_values::from_wire(schema.properties),
        version: schema.version,
    };
    Ok(Decoded { schema, unsupported })
}

fn unsupported_parts(schema: &pb::CollectionSchema) -> Vec<String> {
    let functions = schema.functions.iter().map(|function| format!("function {}", function.name));
    let structs =
        schema.struct_array_fields.iter().map(|field| format!("struct array field {}", field.name));
    let external = (!schema.external_source.is_empty() || !schema.external_spec.is_empty())
        .then(|| format!("external source {}", schema.external_source));
    let namespace = schema.enable_namespace.then(|| "namespace".to_owned());
    functions.chain(structs).chain(external).chain(namespace).collect()
}

/// The field, or `None` if its type has no name here.
fn field_from_wire(
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
    let default_value = match field.default_value.and_then(|value| value.data) {
        None => None,
        Some(value) => {
            let value = default_from_wire(value);
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

fn default_from_wire(value: DefaultData) -> Option<Value> {
    Some(match value {
        DefaultData::BoolData(value) => Value::Bool(value),
        DefaultData::IntData(value) => Value::Int32(value),
        DefaultData::LongData(value) => Value::Int64(value),
        DefaultData::FloatData(value) => Value::Float(value),
        DefaultData::DoubleData(value) => Value::Double(value),
        DefaultData::StringData(value) => Value::VarChar(value),
        DefaultData::BytesData(value) => Value::Bytes(value.into()),
        DefaultData::TimestamptzData(_) | DefaultData::DateData(_) | DefaultData::TimeData(_) => {
            return None;
        }
    })
}

/// The schema as it is described to clients: without the hidden field of dynamic keys.
#[expect(deprecated, reason = "the collection-level auto_id must be written to fill the message")]
pub fn to_wire(schema: &CollectionSchema) -> pb::CollectionSchema {
    pb::CollectionSchema {
        name: schema.name.clone(),
        description: schema.description.clone(),
        auto_id: false,
        fields: schema.fields.iter().filter(|field| !field.is_dynamic).map(field_to_wire).collect(),
        enable_dynamic_field: schema.enable_dynamic_field,
        properties: key_values::to_wire(&schema.properties),
        version: schema.version,
        ..Default::default()
    }
}

fn field_to_wire(field: &FieldSchema) -> pb::FieldSchema {
    let default_value = field.default_value.as_ref().and_then(|value| {
        let data = Some(default_to_wire(field.data_type, value)?);
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

/// A default in the form that its field's type has on the wire.
fn default_to_wire(data_type: DataType, value: &Value) -> Option<DefaultData> {
    #[expect(clippy::cast_possible_truncation, reason = "a float's default was made of a float")]
    Some(match value {
        Value::Bool(value) => DefaultData::BoolData(*value),
        Value::Int32(value) => DefaultData::IntData(*value),
        Value::Float(value) => DefaultData::FloatData(*value),
        Value::Int64(value) if data_type == DataType::Int64 => DefaultData::LongData(*value),
        Value::Int64(value) => match i32::try_from(*value) {
            Ok(small) => DefaultData::IntData(small),
            Err(_) => DefaultData::LongData(*value),
        },
        Value::Double(value) if data_type == DataType::Float => {
            DefaultData::FloatData(*value as f32)
        }
        Value::Double(value) => DefaultData::DoubleData(*value),
        Value::VarChar(value) => DefaultData::StringData(value.clone()),
        Value::Bytes(value) => DefaultData::BytesData(value.clone().into()),
        Value::Array(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use milvus_types::KeyValue;

    use super::*;

    fn field(name: &str, data_type: DataType) -> FieldSchema {
        FieldSchema { id: FieldId(100), name: name.into(), data_type, ..Default::default() }
    }

    #[test]
    fn a_schema_comes_back_as_it_was_without_the_hidden_field() {
        let with_default = |data_type, value| FieldSchema {
            default_value: Some(value),
            nullable: true,
            ..field("d", data_type)
        };
        let visible = vec![
            FieldSchema { is_primary_key: true, auto_id: true, ..field("id", DataType::Int64) },
            FieldSchema {
                type_params: vec![KeyValue::new("dim", "8")],
                ..field("v", DataType::FloatVector)
            },
            FieldSchema { element_type: Some(DataType::Int8), ..field("a", DataType::Array) },
            with_default(DataType::Int8, Value::Int32(-1)),
            with_default(DataType::Int64, Value::Int64(1 << 40)),
            with_default(DataType::Float, Value::Float(0.5)),
            with_default(DataType::Double, Value::Double(0.1)),
            with_default(DataType::VarChar, Value::VarChar("x".into())),
            with_default(DataType::Bool, Value::Bool(true)),
        ];
        let mut schema = CollectionSchema {
            name: "c".into(),
            description: "words".into(),
            fields: visible.clone(),
            struct_fields: Vec::new(),
            enable_dynamic_field: true,
            properties: vec![KeyValue::new("k", "v")],
            version: 3,
        };
        schema.fields.push(FieldSchema { is_dynamic: true, ..field("$meta", DataType::JSON) });
        let decoded = from_wire(to_wire(&schema)).unwrap();
        schema.fields = visible;
        assert_eq!(decoded, Decoded { schema, unsupported: vec![] });
    }

    #[test]
    fn what_is_not_served_is_named() {
        let wire = pb::CollectionSchema {
            functions: vec![pb::FunctionSchema { name: "bm25".into(), ..Default::default() }],
            struct_array_fields: vec![pb::StructArrayFieldSchema {
                name: "s".into(),
                ..Default::default()
            }],
            fields: vec![pb::FieldSchema {
                name: "m".into(),
                data_type: pb::DataType::Mol as i32,
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            from_wire(wire).unwrap().unsupported,
            ["function bm25", "struct array field s", "data type Mol of field m"]
        );
        let none =
            pb::CollectionSchema { fields: vec![pb::FieldSchema::default()], ..Default::default() };
        let error = from_wire(none).unwrap_err();
        assert_eq!(error.reason, "data type None is not valid: invalid parameter");
    }
}
