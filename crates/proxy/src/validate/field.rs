//! One field of a schema: its name, parameters and default value.

use milvus_types::limits::Limits;
use milvus_types::{DataType, ErrorCode, Failure, FieldSchema, Result, Value};

use super::names;

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
    Ok(())
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

fn dimension(field: &FieldSchema, max: i64) -> Result<()> {
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
    let binary = field.data_type == DataType::BinaryVector;
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

fn max_length(field: &FieldSchema, collection: &str, max: i64) -> Result<()> {
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

fn max_capacity(field: &FieldSchema, collection: &str, max: i64) -> Result<()> {
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

/// A default value, its type and its size; null and the primary key.
pub(crate) fn default_value(field: &FieldSchema) -> Result<()> {
    let (name, data_type) = (&field.name, field.data_type);
    if field.nullable && field.is_primary_key {
        return Err(Failure::parameter_invalid(format!(
            "primary field not support null, type:{data_type}, name:{name}"
        )));
    }
    let Some(value) = &field.default_value else {
        return Ok(());
    };
    if field.is_primary_key {
        return Err(Failure::parameter_invalid(format!(
            "primary field not support default_value, type:{data_type}, name:{name}"
        )));
    }
    let json = data_type == DataType::JSON && !field.is_dynamic;
    if data_type == DataType::Array || data_type.is_vector() || json {
        return Err(Failure::parameter_invalid(format!(
            "type not support default_value, type:{data_type}, name:{name}"
        )));
    }
    let mismatch = |value_type: &str| {
        Failure::parameter_invalid(format!(
            "type ({data_type}) of field ({name}) is not equal to the type(DataType_{value_type}) \
             of default_value"
        ))
    };
    match value {
        Value::Bool(_) if data_type != DataType::Bool => Err(mismatch("Bool")),
        Value::Int32(_)
            if !matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32) =>
        {
            Err(mismatch("Int32"))
        }
        Value::Int32(value) => default_range((*value).into(), data_type),
        Value::Int64(_) if data_type != DataType::Int64 => Err(mismatch("Int64")),
        Value::Float(_) if data_type != DataType::Float => Err(mismatch("Float")),
        Value::Double(_) if data_type != DataType::Double => Err(mismatch("Double")),
        Value::VarChar(text) => {
            if !matches!(data_type, DataType::VarChar | DataType::Timestamptz) {
                return Err(mismatch("VarChar"));
            }
            match field.max_length() {
                Some(max) if text.len() > max => Err(Failure::parameter_mismatch(
                    "valid length string",
                    "string length exceeds max length",
                    format!("the length ({}) of string exceeds max length ({max})", text.len()),
                )),
                _ => Ok(()),
            }
        }
        Value::Bytes(_) if data_type != DataType::JSON => Err(mismatch("JSON")),
        Value::Array(_) => Err(mismatch("Array")),
        Value::Bool(_) | Value::Int64(_) | Value::Float(_) | Value::Double(_) | Value::Bytes(_) => {
            Ok(())
        }
    }
}

fn default_range(value: i64, data_type: DataType) -> Result<()> {
    let (low, high) = if data_type == DataType::Int8 {
        (i8::MIN.into(), i8::MAX.into())
    } else if data_type == DataType::Int16 {
        (i16::MIN.into(), i16::MAX.into())
    } else if data_type == DataType::Int32 {
        (i32::MIN.into(), i32::MAX.into())
    } else {
        (i64::MIN, i64::MAX)
    };
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::ParameterInvalid,
        format!(
            "default value out of range: invalid parameter[{value} out of range {low} <= value <= \
             {high}]"
        ),
    ))
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

    #[test]
    fn default_values_fit_their_fields() {
        let with = |data_type, value| FieldSchema {
            default_value: Some(value),
            ..field_with(data_type, &[("max_length", "3")])
        };
        assert_eq!(default_value(&with(DataType::Int8, Value::Int32(127))), Ok(()));
        assert_eq!(default_value(&with(DataType::Float, Value::Float(1.0))), Ok(()));
        for (field, expected) in [
            (
                with(DataType::Int8, Value::Int32(128)),
                "default value out of range: invalid parameter[128 out of range -128 <= value <= \
                 127]",
            ),
            (
                with(DataType::VarChar, Value::Int64(1)),
                "type (VarChar) of field (f) is not equal to the type(DataType_Int64) of \
                 default_value: invalid parameter",
            ),
            (
                with(DataType::VarChar, Value::VarChar("abcd".into())),
                "the length (4) of string exceeds max length (3): invalid \
                 parameter[expected=valid length string][actual=string length exceeds max length]",
            ),
            (
                with(DataType::JSON, Value::Bytes(b"{}".to_vec())),
                "type not support default_value, type:JSON, name:f: invalid parameter",
            ),
            (
                FieldSchema { is_primary_key: true, ..with(DataType::Int64, Value::Int64(1)) },
                "primary field not support default_value, type:Int64, name:f: invalid parameter",
            ),
        ] {
            assert_eq!(default_value(&field).unwrap_err().reason, expected);
        }
    }
}
