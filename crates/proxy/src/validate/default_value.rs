//! A field's default value: its type and size, null and the primary key.
//!
//! A point in time comes as text and is kept as microseconds since the epoch ([`Value::Int64`]), read
//! in the collection's time zone.

use milvus_types::error::OrFailure as _;
use milvus_types::{DataType, ErrorCode, Failure, FieldSchema, Result, Value};
use milvus_values::geometry;
use milvus_values::timestamptz::{self, Zone};

use crate::insert::floats::{finite_f32, finite_f64};

/// Whether the field may be null and have the default it has.
pub(crate) fn validate(field: &FieldSchema) -> Result<()> {
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
    if data_type == DataType::Geometry {
        return geometry_text(value);
    }
    of_type(field, value)
}

fn geometry_text(value: &Value) -> Result<()> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only texts are geometries")]
    match value {
        Value::VarChar(text) if geometry::from_wkt(text).is_ok() => Ok(()),
        _ => Err(Failure::parameter_invalid("invalid default value for geometry field")),
    }
}

fn of_type(field: &FieldSchema, value: &Value) -> Result<()> {
    let data_type = field.data_type;
    let mismatch = |value_type: &str| {
        Err(Failure::parameter_invalid(format!(
            "type ({data_type}) of field ({}) is not equal to the type(DataType_{value_type}) of \
             default_value",
            field.name
        )))
    };
    match value {
        Value::Bool(_) if data_type != DataType::Bool => mismatch("Bool"),
        Value::Int32(_)
            if !matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32) =>
        {
            mismatch("Int")
        }
        Value::Int32(value) => default_range((*value).into(), data_type),
        Value::Int64(_) if data_type != DataType::Int64 => mismatch("Int64"),
        Value::Float(_) if data_type != DataType::Float => mismatch("Float"),
        Value::Float(value) => finite_f32(&[*value]),
        Value::Double(_) if data_type != DataType::Double => mismatch("Double"),
        Value::Double(value) => finite_f64(&[*value]),
        Value::VarChar(_) if !matches!(data_type, DataType::VarChar | DataType::Timestamptz) => {
            mismatch("VarChar")
        }
        Value::VarChar(text) => match field.max_length() {
            Some(max) if data_type == DataType::VarChar && text.len() > max => {
                Err(Failure::parameter_mismatch(
                    "valid length string",
                    "string length exceeds max length",
                    format!("the length ({}) of string exceeds max length ({max})", text.len()),
                ))
            }
            _ => Ok(()),
        },
        Value::Bytes(_) if data_type != DataType::JSON => mismatch("JSON"),
        Value::Array(_) => mismatch("Array"),
        Value::Bool(_) | Value::Int64(_) | Value::Bytes(_) => Ok(()),
    }
}

fn default_range(value: i64, data_type: DataType) -> Result<()> {
    let (low, high): (i64, i64) = if data_type == DataType::Int8 {
        (i8::MIN.into(), i8::MAX.into())
    } else if data_type == DataType::Int16 {
        (i16::MIN.into(), i16::MAX.into())
    } else {
        (i32::MIN.into(), i32::MAX.into())
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

/// Turns the default of a point in time into what is kept. An empty text is no default.
pub(crate) fn normalize(field: &mut FieldSchema, zone: &Zone) -> Result<()> {
    if field.data_type != DataType::Timestamptz {
        return Ok(());
    }
    let Some(Value::VarChar(text)) = &field.default_value else {
        return Ok(());
    };
    field.default_value = match text.as_str() {
        "" => None,
        text => Some(Value::Int64(timestamptz::parse(text, zone).or_failure()?)),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use milvus_types::KeyValue;

    use super::*;

    fn with(data_type: DataType, value: Value) -> FieldSchema {
        FieldSchema {
            name: "f".to_owned(),
            data_type,
            default_value: Some(value),
            type_params: vec![KeyValue::new("max_length", "3")],
            ..FieldSchema::default()
        }
    }

    #[test]
    fn default_values_fit_their_fields() {
        let text = |text: &str| Value::VarChar(text.to_owned());
        for field in [
            with(DataType::Int8, Value::Int32(127)),
            with(DataType::Float, Value::Float(1.0)),
            with(DataType::Geometry, text("POINT (1 2)")),
            with(DataType::Timestamptz, text("2025-01-01T00:00:00Z")),
        ] {
            assert_eq!(validate(&field), Ok(()), "{field:?}");
        }
        for (field, expected) in [
            (
                with(DataType::Float, Value::Float(f32::NAN)),
                "value 'NaN' is not a number or infinity: invalid parameter",
            ),
            (
                with(DataType::Double, Value::Double(f64::NEG_INFINITY)),
                "value '-Inf' is not a number or infinity: invalid parameter",
            ),
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
                with(DataType::VarChar, text("abcd")),
                "the length (4) of string exceeds max length (3): invalid \
                 parameter[expected=valid length string][actual=string length exceeds max length]",
            ),
            (
                with(DataType::JSON, Value::Bytes(b"{}".to_vec())),
                "type not support default_value, type:JSON, name:f: invalid parameter",
            ),
            (
                with(DataType::Geometry, text("POINT")),
                "invalid default value for geometry field: invalid parameter",
            ),
            (
                FieldSchema { is_primary_key: true, ..with(DataType::Int64, Value::Int64(1)) },
                "primary field not support default_value, type:Int64, name:f: invalid parameter",
            ),
            (
                FieldSchema {
                    is_primary_key: true,
                    nullable: true,
                    ..with(DataType::Int64, Value::Int64(1))
                },
                "primary field not support null, type:Int64, name:f: invalid parameter",
            ),
        ] {
            assert_eq!(validate(&field).unwrap_err().reason, expected);
        }
    }

    #[test]
    fn points_in_time_are_read_in_the_zone_of_the_collection() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let text = Value::VarChar("1970-01-01T08:00:01".to_owned());
        let mut field = with(DataType::Timestamptz, text);
        normalize(&mut field, &zone).unwrap();
        assert_eq!(field.default_value, Some(Value::Int64(1_000_000)));
        let mut wrong = with(DataType::Timestamptz, Value::VarChar("timestamp".to_owned()));
        let reason = normalize(&mut wrong, &zone).unwrap_err().reason;
        assert!(
            reason.starts_with(
                "invalid timestamp string: 'timestamp'. Does not match any known format"
            ),
            "{reason}"
        );
        let mut none = with(DataType::Timestamptz, Value::VarChar(String::new()));
        normalize(&mut none, &zone).unwrap();
        assert_eq!(none.default_value, None);
    }
}
