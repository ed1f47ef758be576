//! Scalars: each type's form on arrival, what values it may have, and its column.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryBuilder, BooleanArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
};
use milvus_types::limits::Limits;
use milvus_types::{DataType, Failure, FieldSchema, Result, Value};
use milvus_values::geometry;
use milvus_values::timestamptz::{self, Zone};
use serde::de::IgnoredAny;

use super::floats;

/// The zone that columns of points in time carry.
const COLUMN_ZONE: &str = "UTC";

/// The Arrow type in which the adapter hands over values of `data_type`.
pub(crate) fn input_type(data_type: DataType) -> Option<ArrowType> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type is a scalar")]
    Some(match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar
        | DataType::Text
        | DataType::JSON
        | DataType::Geometry
        | DataType::Timestamptz => ArrowType::Utf8,
        _ => return None,
    })
}

/// The values in the column's type, after complaints about those that the field cannot have.
pub(crate) fn read(
    field: &FieldSchema,
    values: &ArrayRef,
    limits: &Limits,
    zone: &Zone,
) -> Result<ArrayRef> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing to check of the others")]
    match field.data_type {
        DataType::Int8 => in_range(values, i8::MIN.into(), i8::MAX.into())?,
        DataType::Int16 => in_range(values, i16::MIN.into(), i16::MAX.into())?,
        DataType::Float => {
            let floats = values.as_primitive_opt::<Float32Type>();
            floats.map_or(Ok(()), |floats| floats::finite_f32(floats.values()))?;
        }
        DataType::Double => {
            let floats = values.as_primitive_opt::<Float64Type>();
            floats.map_or(Ok(()), |floats| floats::finite_f64(floats.values()))?;
        }
        DataType::VarChar if !field.auto_id => string_lengths(field, values)?,
        DataType::JSON => json(field, values, limits.json_length)?,
        DataType::Geometry => return geometries(values),
        DataType::Timestamptz => return timestamps(values, zone),
        _ => {}
    }
    Ok(narrow(field.data_type, Arc::clone(values)))
}

fn in_range(values: &ArrayRef, low: i32, high: i32) -> Result<()> {
    let Some(numbers) = values.as_primitive_opt::<Int32Type>() else {
        return Ok(());
    };
    match first_outside(numbers, low, high) {
        None => Ok(()),
        Some(index) => Err(out_of_range(index, numbers.value(index), low, high)),
    }
}

pub(crate) fn first_outside(numbers: &Int32Array, low: i32, high: i32) -> Option<usize> {
    numbers.values().iter().position(|value| !(low..=high).contains(value))
}

pub(crate) fn out_of_range(index: usize, value: i32, low: i32, high: i32) -> Failure {
    Failure::parameter_mismatch(
        "integer doesn't overflow",
        "out of range",
        format!("the {index}th element ({value}) out of range: [{low}, {high}]"),
    )
}

fn string_lengths(field: &FieldSchema, values: &ArrayRef) -> Result<()> {
    let (Some(strings), Some(max)) = (values.as_string_opt::<i32>(), field.max_length()) else {
        return Ok(());
    };
    let too_long = strings.offsets().lengths().enumerate().find(|(_, length)| *length > max);
    let Some((row, length)) = too_long else { return Ok(()) };
    Err(Failure::parameter_invalid(format!(
        "length of varchar field {} exceeds max length, row number: {row}, length: {length}, max \
         length: {max}",
        field.name,
    )))
}

fn json(field: &FieldSchema, values: &ArrayRef, max: usize) -> Result<()> {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Ok(());
    };
    let name = &field.name;
    for row in 0..texts.len() {
        let text = texts.value(row);
        let length = text.len();
        if length > max {
            let (kind, what) = if field.is_dynamic {
                ("dynamic field", "dynamic field".to_owned())
            } else {
                ("json string", format!("json field ({name})"))
            };
            return Err(Failure::parameter_mismatch(
                format!("valid length {kind}"),
                "length exceeds max length",
                format!("the length ({length}) of {what} exceeds max length ({max})"),
            ));
        }
        // The dynamic column's rows have been read before.
        if !field.is_dynamic
            && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
        {
            return Err(Failure::parameter_invalid(format!(
                "invalid json in field {name}, row number: {row}: {error}"
            )));
        }
    }
    Ok(())
}

fn geometries(values: &ArrayRef) -> Result<ArrayRef> {
    let texts = values.as_string_opt::<i32>().ok_or_else(|| Failure::internal("no texts"))?;
    let mut shapes = BinaryBuilder::with_capacity(texts.len(), texts.value_data().len());
    for row in 0..texts.len() {
        shapes.append_value(from_wkt(texts.value(row))?);
    }
    Ok(Arc::new(shapes.finish()))
}

fn from_wkt(text: &str) -> Result<Vec<u8>> {
    geometry::from_wkt(text).map_err(|error| {
        Failure::parameter_invalid(format!(
            "invalid Geometry data, transform to wkb failed: {error}"
        ))
    })
}

fn timestamps(values: &ArrayRef, zone: &Zone) -> Result<ArrayRef> {
    let texts = values.as_string_opt::<i32>().ok_or_else(|| Failure::internal("no texts"))?;
    let read = |row: usize| {
        let text = texts.value(row);
        timestamptz::parse(text, zone).map_err(|_| {
            Failure::parameter_invalid(format!(
                "got invalid timestamptz string '{text}': invalid timezone name; must be a valid \
                 IANA Time Zone ID (e.g., 'Asia/Shanghai' or 'UTC')"
            ))
        })
    };
    let micros = (0..texts.len()).map(read).collect::<Result<Vec<i64>>>()?;
    Ok(points_in_time(micros))
}

fn points_in_time(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone(COLUMN_ZONE))
}

/// Small integers arrive as 32 bits.
pub(crate) fn narrow(data_type: DataType, values: ArrayRef) -> ArrayRef {
    let Some(numbers) = values.as_primitive_opt::<Int32Type>() else {
        return values;
    };
    // Out of range was refused before.
    if data_type == DataType::Int8 {
        Arc::new(numbers.unary::<_, Int8Type>(|n| i8::try_from(n).unwrap_or_default()))
    } else if data_type == DataType::Int16 {
        Arc::new(numbers.unary::<_, Int16Type>(|n| i16::try_from(n).unwrap_or_default()))
    } else {
        values
    }
}

/// A field's default as a column of one row.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other type has defaults")]
pub(crate) fn default_value(field: &FieldSchema, value: &Value) -> Result<ArrayRef> {
    let mismatch = || {
        Failure::internal(format!(
            "default value of field {} does not fit type {}",
            field.name, field.data_type
        ))
    };
    let integer = match value {
        Value::Int32(value) => Some(i64::from(*value)),
        Value::Int64(value) => Some(*value),
        _ => None,
    };
    let number = match value {
        Value::Float(value) => Some(f64::from(*value)),
        Value::Double(value) => Some(*value),
        _ => None,
    };
    let text = match value {
        Value::VarChar(text) => Some(text.as_str()),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let array = match field.data_type {
        DataType::Bool => {
            let Value::Bool(value) = value else { return Err(mismatch()) };
            Some(Arc::new(BooleanArray::from(vec![*value])) as ArrayRef)
        }
        DataType::Int8 => integer
            .and_then(|value| i8::try_from(value).ok())
            .map(|value| Arc::new(Int8Array::from(vec![value])) as ArrayRef),
        DataType::Int16 => integer
            .and_then(|value| i16::try_from(value).ok())
            .map(|value| Arc::new(Int16Array::from(vec![value])) as ArrayRef),
        DataType::Int32 => integer
            .and_then(|value| i32::try_from(value).ok())
            .map(|value| Arc::new(Int32Array::from(vec![value])) as ArrayRef),
        DataType::Int64 => integer.map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef),
        #[expect(clippy::cast_possible_truncation, reason = "the value of a 32-bit field")]
        DataType::Float => {
            number.map(|value| Arc::new(Float32Array::from(vec![value as f32])) as ArrayRef)
        }
        DataType::Double => {
            number.map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef)
        }
        DataType::VarChar | DataType::Text | DataType::JSON => {
            text.map(|text| Arc::new(StringArray::from(vec![text])) as ArrayRef)
        }
        DataType::Geometry => match text {
            Some(text) => {
                let mut shapes = BinaryBuilder::new();
                shapes.append_value(from_wkt(text)?);
                Some(Arc::new(shapes.finish()) as ArrayRef)
            }
            None => None,
        },
        DataType::Timestamptz => {
            let read = |text| timestamptz::parse(text, &Zone::utc()).ok();
            let micros = integer.or_else(|| text.and_then(read));
            micros.map(|micros| points_in_time(vec![micros]))
        }
        _ => None,
    };
    array.ok_or_else(mismatch)
}
