//! One field of a schema: its name and its type's parameters.
//!
//! Not here: default values (`default_value`), sub-fields (`structs`).

use std::collections::HashSet;

use milvus_types::limits::Limits;
use milvus_types::{DataType, ErrorCode, Failure, FieldSchema, Result};

use super::{names, warmup};

/// Name, dimension, length, capacity.
pub(crate) fn validate(field: &FieldSchema, collection: &str, limits: &Limits) -> Result<()> {
    names::field(&field.name, limits.name_length)?;
    if field.data_type.is_vector() {
        dimension(field, limits.dim)?;
    }
    let strings = field.data_type == DataType::VarChar
        || (field.data_type == DataType::Array && field.element_type == Some(DataType::VarChar));
    if strings {
        max_length(field, collection, limits.varchar_length)?;
    }
    if field.data_type == DataType::Array {
        element_type(field)?;
        max_capacity(field, collection, limits.array_capacity)?;
    }
    if field.data_type == DataType::ArrayOfVector {
        return Err(Failure::parameter_invalid(format!(
            "array of vector can only be in the struct array field, field name: {}",
            field.name
        )));
    }
    warmup::of_field(&field.type_params, "field", &field.name)
}

/// The text of a failed conversion, as clients of Milvus know it.
fn not_an_integer(text: &str) -> Failure {
    Failure::new(
        ErrorCode::Unexpected,
        format!("strconv.ParseInt: parsing {text:?}: invalid syntax"),
    )
}

fn integer_param(field: &FieldSchema, key: &str) -> Result<Option<i64>> {
    field.type_param(key).map(|text| text.parse().map_err(|_| not_an_integer(text))).transpose()
}

pub(crate) fn dimension(field: &FieldSchema, max: i64) -> Result<()> {
    let name = &field.name;
    let dim = integer_param(field, "dim")?;
    if field.data_type == DataType::SparseFloatVector {
        return match dim {
            Some(_) => Err(Failure::parameter_invalid(format!(
                "dim should not be specified for sparse vector field {name}({})",
                field.id
            ))),
            None => Ok(()),
        };
    }
    let dim = dim.ok_or_else(|| {
        Failure::parameter_invalid(format!(
            "dimension is not defined in field type params of field {name}, check type param \
             `dim` for vector field"
        ))
    })?;
    if dim <= 1 {
        return Err(Failure::parameter_invalid(format!(
            "invalid dimension: {dim}. should be in range 2 ~ {max}"
        )));
    }
    let element =
        if field.data_type == DataType::ArrayOfVector { field.element_type } else { None };
    let binary = element.unwrap_or(field.data_type) == DataType::BinaryVector;
    if binary && dim % 8 != 0 {
        return Err(Failure::parameter_invalid(format!(
            "invalid dimension: {dim} of field {name}. binary vector dimension should be multiple \
             of 8. "
        )));
    }
    let (kind, max) = if binary { ("binary", max * 8) } else { ("float", max) };
    if dim > max {
        return Err(Failure::parameter_invalid(format!(
            "invalid dimension: {dim} of field {name}. {kind} vector dimension should be in range \
             2 ~ {max}"
        )));
    }
    Ok(())
}

pub(crate) fn max_length(field: &FieldSchema, collection: &str, max: i64) -> Result<()> {
    let name = &field.name;
    let length = integer_param(field, "max_length")?.ok_or_else(|| {
        Failure::wrap(
            ErrorCode::ParameterMissing,
            format!(
                "type param(max_length) should be specified for the field({name}) of collection \
                 {collection}"
            ),
        )
    })?;
    if length > max || length <= 0 {
        return Err(Failure::parameter_invalid(format!(
            "the maximum length specified for the field({name}) should be in (0, {max}], but got \
             {length} instead"
        )));
    }
    Ok(())
}

/// The checked `max_capacity` of an array.
pub(crate) fn max_capacity(field: &FieldSchema, collection: &str, max: i64) -> Result<i64> {
    let name = &field.name;
    let Some(text) = field.type_param("max_capacity") else {
        return Err(Failure::wrap(
            ErrorCode::ParameterMissing,
            format!(
                "type param(max_capacity) should be specified for array field {name} of collection \
                 {collection}"
            ),
        ));
    };
    let capacity: i64 = text.parse().map_err(|_| {
        Failure::parameter_invalid(format!(
            "the value for max_capacity of field {name} must be an integer"
        ))
    })?;
    if capacity > max || capacity <= 0 {
        return Err(Failure::parameter_invalid(format!(
            "the maximum capacity specified for a Array should be in (0, {max}]"
        )));
    }
    Ok(capacity)
}

/// No type parameter is given twice.
pub(crate) fn no_duplicate_params(field: &FieldSchema) -> Result<()> {
    let mut seen = HashSet::new();
    for pair in &field.type_params {
        if !seen.insert(pair.key.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated type param key {:?}",
                pair.key
            )));
        }
    }
    Ok(())
}

/// An array's elements are scalars.
pub(crate) fn element_type(field: &FieldSchema) -> Result<()> {
    let scalar = |data_type: DataType| {
        data_type == DataType::Bool || data_type.is_numeric() || data_type == DataType::VarChar
    };
    match field.element_type {
        Some(element) if scalar(element) => Ok(()),
        Some(DataType::String) => Err(Failure::parameter_invalid(
            "string data type not supported yet, please use VarChar type instead",
        )),
        Some(element) => {
            Err(Failure::parameter_invalid(format!("element type {element} is not supported")))
        }
        None => Err(Failure::parameter_invalid("element data type None is not valid")),
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::KeyValue;

    use super::*;

    fn field_with(data_type: DataType, params: &[(&str, &str)]) -> FieldSchema {
        FieldSchema {
            name: "f".to_owned(),
            data_type,
            type_params: params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect(),
            ..FieldSchema::default()
        }
    }

    #[test]
    fn parameters_of_types() {
        type Case<'a> = (DataType, &'a [(&'a str, &'a str)], &'a str);
        let cases: &[Case<'_>] = &[
            (DataType::FloatVector, &[("dim", "2")], ""),
            (
                DataType::FloatVector,
                &[],
                "dimension is not defined in field type params of field f, check type param `dim` \
                 for vector field: invalid parameter",
            ),
            (
                DataType::FloatVector,
                &[("dim", "1")],
                "invalid dimension: 1. should be in range 2 ~ 32768: invalid parameter",
            ),
            (
                DataType::FloatVector,
                &[("dim", "32769")],
                "invalid dimension: 32769 of field f. float vector dimension should be in range 2 \
                 ~ 32768: invalid parameter",
            ),
            (
                DataType::FloatVector,
                &[("dim", "x")],
                "strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                DataType::BinaryVector,
                &[("dim", "9")],
                "invalid dimension: 9 of field f. binary vector dimension should be multiple of \
                 8. : invalid parameter",
            ),
            (
                DataType::SparseFloatVector,
                &[("dim", "9")],
                "dim should not be specified for sparse vector field f(0): invalid parameter",
            ),
            (DataType::VarChar, &[("max_length", "65535")], ""),
            (
                DataType::VarChar,
                &[("max_length", "0")],
                "the maximum length specified for the field(f) should be in (0, 65535], but got 0 \
                 instead: invalid parameter",
            ),
            (
                DataType::VarChar,
                &[],
                "type param(max_length) should be specified for the field(f) of collection c: \
                 missing parameter",
            ),
        ];
        for (data_type, params, expected) in cases {
            let result = validate(&field_with(*data_type, params), "c", &Limits::default());
            let reason = result.err().map(|failure| failure.reason).unwrap_or_default();
            assert_eq!(reason, *expected);
        }
    }
}
