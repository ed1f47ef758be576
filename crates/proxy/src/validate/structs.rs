//! Struct arrays of a schema: their sub-fields, and how they become columns.
//!
//! A struct array is checked as the client sent it; then its sub-fields become fields of the schema
//! called `struct[sub]` ([`flatten`]).

use milvus_types::limits::Limits;
use milvus_types::schema::sub_field_name;
use milvus_types::{CollectionSchema, DataType, Failure, FieldSchema, Result};

use super::{field, names, warmup};
use crate::api::StructArray;

/// A struct array and its sub-fields, as the front door checks them.
pub(crate) fn validate(one: &StructArray, collection: &str, limits: &Limits) -> Result<()> {
    let name = &one.field.name;
    if one.sub_fields.is_empty() {
        return Err(Failure::parameter_invalid(format!(
            "struct array field {name} has no sub-fields"
        )));
    }
    warmup::of_field(&one.field.type_params, "struct field", name)?;
    for sub in &one.sub_fields {
        sub_field(sub, collection, limits)?;
    }
    capacities(one, collection, limits)?;
    if one.field.nullable {
        return Ok(());
    }
    match one.sub_fields.iter().find(|sub| sub.nullable) {
        None => Ok(()),
        Some(sub) => Err(Failure::parameter_invalid(format!(
            "sub-field in non-nullable struct cannot be nullable individually, set nullable on \
             the struct instead: structName={name}, subFieldName={}",
            sub.name
        ))),
    }
}

fn sub_field(sub: &FieldSchema, collection: &str, limits: &Limits) -> Result<()> {
    names::field(&sub.name, limits.name_length)?;
    let name = &sub.name;
    if !matches!(sub.data_type, DataType::Array | DataType::ArrayOfVector) {
        return Err(Failure::parameter_invalid(format!(
            "fields in StructArrayField can only be array or array of struct, but field {name} is {}",
            sub.data_type
        )));
    }
    let nested = [DataType::ArrayOfStruct, DataType::ArrayOfVector, DataType::Array];
    if sub.element_type.is_some_and(|element| nested.contains(&element)) {
        return Err(Failure::parameter_invalid(format!("nested array is not supported {name}")));
    }
    if sub.data_type == DataType::Array {
        field::element_type(sub)?;
    } else {
        vector_elements(sub, limits)?;
    }
    if sub.element_type == Some(DataType::VarChar) {
        field::max_length(sub, collection, limits.varchar_length)?;
    }
    field::max_capacity(sub, collection, limits.array_capacity)?;
    warmup::of_field(&sub.type_params, "field", name)
}

fn vector_elements(sub: &FieldSchema, limits: &Limits) -> Result<()> {
    let has_fixed_size = |element: DataType| {
        element.is_vector()
            && !matches!(element, DataType::SparseFloatVector | DataType::ArrayOfVector)
    };
    if !sub.element_type.is_some_and(has_fixed_size) {
        let element = sub.element_type.map_or("None", DataType::name);
        return Err(Failure::parameter_invalid(format!(
            "Unsupported element type {element} of ArrayOfVector field {}, only fixed dimension \
             vector types are supported",
            sub.name
        )));
    }
    field::dimension(sub, limits.dim)
}

/// The sub-fields of one struct array hold equally many elements at most.
fn capacities(one: &StructArray, collection: &str, limits: &Limits) -> Result<()> {
    let mut expected = None;
    for sub in &one.sub_fields {
        let capacity = field::max_capacity(sub, collection, limits.array_capacity)?;
        let expected = *expected.get_or_insert(capacity);
        if capacity != expected {
            return Err(Failure::parameter_invalid(format!(
                "all sub-fields in struct array field must have the same max_capacity: \
                 structName={}, subFieldName={}, max_capacity={capacity}, expected={expected}",
                one.field.name, sub.name
            )));
        }
    }
    Ok(())
}

/// What Milvus leaves to its coordinator: what a sub-field cannot be.
pub(crate) fn coordinator_checks(one: &StructArray) -> Result<()> {
    for sub in &one.sub_fields {
        let element = sub.element_type.map_or("None", DataType::name);
        let described =
            format!("data type:{}, element type:{element}, name:{}", sub.data_type, sub.name);
        if sub.is_partition_key || sub.is_primary_key {
            return Err(Failure::parameter_invalid(format!(
                "partition key or primary key can not be in struct array field. {described}"
            )));
        }
        if sub.default_value.is_some() {
            return Err(Failure::parameter_invalid(format!(
                "fields in struct array field not support default_value, {described}"
            )));
        }
        field::no_duplicate_params(sub)?;
    }
    Ok(())
}

/// Adds `structs` to `schema`: the sub-fields as columns, nullable where their struct is.
pub(crate) fn flatten(schema: &mut CollectionSchema, structs: Vec<StructArray>) {
    for one in structs {
        for sub in one.sub_fields {
            let name = sub_field_name(&one.field.name, &sub.name);
            let nullable = sub.nullable || one.field.nullable;
            schema.fields.push(FieldSchema { name, nullable, ..sub });
        }
        schema.struct_fields.push(one.field);
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::{KeyValue, StructField};

    use super::*;

    fn sub(name: &str, element: DataType) -> FieldSchema {
        let data_type = if element.is_vector() { DataType::ArrayOfVector } else { DataType::Array };
        FieldSchema {
            name: name.to_owned(),
            data_type,
            element_type: Some(element),
            type_params: vec![
                KeyValue::new("max_capacity", "4"),
                KeyValue::new("dim", "8"),
                KeyValue::new("max_length", "10"),
            ],
            ..FieldSchema::default()
        }
    }

    fn of(sub_fields: Vec<FieldSchema>) -> StructArray {
        let field = StructField { name: "s".to_owned(), ..StructField::default() };
        StructArray { field, sub_fields }
    }

    fn refusal(one: &StructArray) -> String {
        let result = validate(one, "c", &Limits::default()).and_then(|()| coordinator_checks(one));
        result.err().map(|failure| failure.reason).unwrap_or_default()
    }

    #[test]
    fn sub_fields_are_arrays_of_one_size() {
        let sound = of(vec![sub("a", DataType::Int8), sub("v", DataType::FloatVector)]);
        assert_eq!(refusal(&sound), "");
        let other_size = FieldSchema {
            type_params: vec![KeyValue::new("max_capacity", "5")],
            ..sub("b", DataType::Int8)
        };
        let scalar = FieldSchema { data_type: DataType::Int8, ..sub("a", DataType::Int8) };
        let key = FieldSchema { is_partition_key: true, ..sub("a", DataType::Int64) };
        let nullable = FieldSchema { nullable: true, ..sub("a", DataType::Int64) };
        for (one, expected) in [
            (of(vec![]), "struct array field s has no sub-fields: invalid parameter"),
            (
                of(vec![sub("a", DataType::Int8), other_size]),
                "all sub-fields in struct array field must have the same max_capacity: \
                 structName=s, subFieldName=b, max_capacity=5, expected=4: invalid parameter",
            ),
            (
                of(vec![scalar]),
                "fields in StructArrayField can only be array or array of struct, but field a is \
                 Int8: invalid parameter",
            ),
            (
                of(vec![sub("v", DataType::SparseFloatVector)]),
                "Unsupported element type SparseFloatVector of ArrayOfVector field v, only fixed \
                 dimension vector types are supported: invalid parameter",
            ),
            (
                of(vec![sub("a", DataType::JSON)]),
                "element type JSON is not supported: invalid parameter",
            ),
            (
                of(vec![key]),
                "partition key or primary key can not be in struct array field. data type:Array, \
                 element type:Int64, name:a: invalid parameter",
            ),
            (
                of(vec![nullable]),
                "sub-field in non-nullable struct cannot be nullable individually, set nullable on \
                 the struct instead: structName=s, subFieldName=a: invalid parameter",
            ),
        ] {
            assert_eq!(refusal(&one), expected);
        }
    }

    #[test]
    fn structs_become_columns() {
        let mut schema = CollectionSchema::default();
        let mut one = of(vec![sub("a", DataType::Int8)]);
        one.field.nullable = true;
        flatten(&mut schema, vec![one]);
        assert_eq!(schema.fields[0].name, "s[a]");
        assert!(schema.fields[0].nullable && schema.fields[0].struct_name() == Some(("s", "a")));
        assert_eq!(schema.struct_field("s").map(|field| field.nullable), Some(true));
    }
}
