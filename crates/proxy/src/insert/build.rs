//! One column's values: checked with Milvus's texts, then laid out as `milvus_types::columns` says.
//!
//! Three passes over all columns, as in Milvus, so that the first complaint is the same: values
//! ([`check`]), nulls and defaults ([`fill`]), row counts and dimensions ([`align`]).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, FixedSizeListArray, Float32Array, Float64Array,
    Int32Array, Int64Array, StringArray, UInt32Array, new_empty_array,
};
use arrow::compute::{interleave, take};
use arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
};
use milvus_types::columns::vector_element;
use milvus_types::limits::Limits;
use milvus_types::{DataType, Failure, FieldSchema, Result, Value};
use serde::de::IgnoredAny;

use super::columns::Bound;
use crate::api::InputValues;

/// The Arrow type in which the adapter hands over values of `data_type`.
fn input_type(data_type: DataType) -> Option<ArrowType> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other scalar is served")]
    Some(match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar | DataType::JSON => ArrowType::Utf8,
        _ => return None,
    })
}

/// Complains about values that the field cannot have.
pub(crate) fn check(bound: &Bound<'_>, limits: &Limits) -> Result<()> {
    if let InputValues::Unsupported { kind, .. } = &bound.column.values {
        return Err(Failure::parameter_invalid(format!(
            "data of kind {kind} for field {} is not supported yet",
            bound.field.name
        )));
    }
    if bound.field.data_type == DataType::FloatVector {
        return match &bound.column.values {
            InputValues::FloatVectors { values, .. } if !values.is_empty() => finite_f32(values),
            InputValues::FloatVectors { .. }
            | InputValues::Scalars(_)
            | InputValues::Unsupported { .. }
            | InputValues::Missing => Err(illegal(bound.field)),
        };
    }
    let given = match &bound.column.values {
        InputValues::Scalars(values) if !values.is_empty() => values,
        InputValues::Scalars(_) | InputValues::Missing => {
            let may_lack = bound.field.nullable || bound.field.default_value.is_some();
            return if may_lack { Ok(()) } else { Err(illegal(bound.field)) };
        }
        InputValues::FloatVectors { .. } | InputValues::Unsupported { .. } => {
            return Err(illegal(bound.field));
        }
    };
    if Some(given.data_type()) != input_type(bound.field.data_type).as_ref() {
        return Err(illegal(bound.field));
    }
    check_scalars(bound, given, limits)
}

fn check_scalars(bound: &Bound<'_>, values: &ArrayRef, limits: &Limits) -> Result<()> {
    let field = bound.field;
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing to check of the others")]
    match field.data_type {
        DataType::Int8 => in_range(values, i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => in_range(values, i16::MIN.into(), i16::MAX.into()),
        DataType::Float => finite_f32(values),
        DataType::Double => {
            let floats = values.as_primitive_opt::<Float64Type>();
            let bad = floats.and_then(|floats| floats.values().iter().find(|x| !x.is_finite()));
            bad.map_or(Ok(()), |value| Err(not_finite(*value)))
        }
        DataType::VarChar if !field.auto_id => string_lengths(field, values),
        DataType::JSON => json(bound, values, limits.json_length),
        _ => Ok(()),
    }
}

fn illegal(field: &FieldSchema) -> Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type gets here")]
    let (kind, need) = match field.data_type {
        DataType::FloatVector => ("float vector field", "float vector"),
        DataType::VarChar => ("varchar field", "string array"),
        DataType::JSON => ("json field", "json array"),
        DataType::Bool => ("field", "bool array"),
        DataType::Int64 => ("field", "long int array"),
        DataType::Float => ("field", "float32 array"),
        DataType::Double => ("field", "float64(double) array"),
        _ => ("field", "int array"),
    };
    Failure::parameter_mismatch(
        format!("need {need}"),
        "got nil",
        format!("{kind} '{}' is illegal, array type mismatch", field.name),
    )
}

fn finite_f32(values: &ArrayRef) -> Result<()> {
    let Some(floats) = values.as_primitive_opt::<Float32Type>() else {
        return Ok(());
    };
    let floats: &[f32] = floats.values();
    // Without an early exit in the loop the compiler can use wide registers.
    let all_finite = floats
        .chunks(1024)
        .all(|chunk| chunk.iter().fold(true, |finite, value| finite & value.is_finite()));
    if all_finite {
        return Ok(());
    }
    let bad = floats.iter().find(|value| !value.is_finite());
    bad.map_or(Ok(()), |value| Err(not_finite(f64::from(*value))))
}

fn not_finite(value: f64) -> Failure {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    };
    Failure::parameter_invalid(format!("value '{text}' is not a number or infinity"))
}

fn in_range(values: &ArrayRef, low: i32, high: i32) -> Result<()> {
    let Some(numbers) = values.as_primitive_opt::<Int32Type>() else {
        return Ok(());
    };
    let range = low..=high;
    match numbers.values().iter().enumerate().find(|(_, value)| !range.contains(value)) {
        None => Ok(()),
        Some((index, value)) => Err(Failure::parameter_mismatch(
            "integer doesn't overflow",
            "out of range",
            format!("the {index}th element ({value}) out of range: [{low}, {high}]"),
        )),
    }
}

fn string_lengths(field: &FieldSchema, values: &ArrayRef) -> Result<()> {
    let (Some(strings), Some(max)) = (values.as_string_opt::<i32>(), field.max_length()) else {
        return Ok(());
    };
    let too_long = (0..strings.len()).find(|row| strings.value(*row).len() > max);
    let Some(row) = too_long else { return Ok(()) };
    Err(Failure::parameter_invalid(format!(
        "length of varchar field {} exceeds max length, row number: {row}, length: {}, max \
         length: {max}",
        field.name,
        strings.value(row).len()
    )))
}

fn json(bound: &Bound<'_>, values: &ArrayRef, max: usize) -> Result<()> {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Ok(());
    };
    let name = &bound.field.name;
    for row in 0..texts.len() {
        let text = texts.value(row);
        let length = text.len();
        if length > max {
            let (kind, what) = if bound.field.is_dynamic {
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
        if !bound.field.is_dynamic
            && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
        {
            return Err(Failure::parameter_invalid(format!(
                "invalid json in field {name}, row number: {row}: {error}"
            )));
        }
    }
    Ok(())
}

/// Puts nulls and defaults where no value was given. A vector's values stay a plain row of floats.
pub(crate) fn fill(bound: &Bound<'_>, rows: usize) -> Result<ArrayRef> {
    let (field, valid) = (bound.field, &bound.column.valid);
    let values = match &bound.column.values {
        InputValues::Scalars(values) | InputValues::FloatVectors { values, .. } => {
            Arc::clone(values)
        }
        InputValues::Missing | InputValues::Unsupported { .. } => {
            new_empty_array(&input_type(field.data_type).unwrap_or(ArrowType::Float32))
        }
    };
    let wrong_valid = |expected: usize| {
        Failure::parameter_mismatch(
            expected,
            valid.len(),
            format!("the length of valid_data of field({}) is wrong", field.name),
        )
    };
    let sparse = field.nullable || field.default_value.is_some();
    if !sparse {
        return if valid.is_empty() { narrow(field, values) } else { Err(wrong_valid(0)) };
    }
    if !valid.is_empty() && valid.len() != rows {
        return Err(wrong_valid(rows));
    }
    let present =
        if valid.is_empty() { rows } else { valid.iter().filter(|valid| **valid).count() };
    // An absent column arrives without a type of its own.
    let values = if values.is_empty() {
        new_empty_array(&input_type(field.data_type).unwrap_or(ArrowType::Null))
    } else {
        values
    };
    if values.len() != present {
        return Err(Failure::parameter_mismatch(
            present,
            values.len(),
            "the length of field is wrong",
        ));
    }
    if present == rows {
        return narrow(field, values);
    }
    let default = field.default_value.as_ref().map(|value| default_array(field, value));
    narrow(field, expand(&values, valid, default.transpose()?)?)
}

/// Spreads the present values over all rows.
fn expand(values: &ArrayRef, valid: &[bool], default: Option<ArrayRef>) -> Result<ArrayRef> {
    let mut next = 0;
    let mut places = valid.iter().map(|valid| {
        valid.then(|| {
            next += 1;
            next - 1
        })
    });
    let spread = match default {
        Some(default) => {
            let places: Vec<(usize, usize)> =
                places.map(|place| place.map_or((1, 0), |place| (0, place))).collect();
            interleave(&[&**values, &*default], &places)
        }
        None => {
            let places: UInt32Array =
                places.by_ref().map(|place| place.and_then(|at| u32::try_from(at).ok())).collect();
            take(values, &places, None)
        }
    };
    spread.map_err(|error| Failure::internal(format!("cannot spread values over rows: {error}")))
}

/// One default value, in the type that values arrive in.
fn default_array(field: &FieldSchema, value: &Value) -> Result<ArrayRef> {
    let mismatch = || {
        Failure::internal(format!(
            "default value of field {} does not fit type {}",
            field.name, field.data_type
        ))
    };
    let array: ArrayRef = match (value, input_type(field.data_type).ok_or_else(mismatch)?) {
        (Value::Bool(value), ArrowType::Boolean) => Arc::new(BooleanArray::from(vec![*value])),
        (Value::Int64(value), ArrowType::Int64) => Arc::new(Int64Array::from(vec![*value])),
        (Value::Int32(value), ArrowType::Int32) => Arc::new(Int32Array::from(vec![*value])),
        (Value::Int64(value), ArrowType::Int32) => {
            Arc::new(Int32Array::from(vec![i32::try_from(*value).map_err(|_| mismatch())?]))
        }
        (Value::Float(value), ArrowType::Float32) => Arc::new(Float32Array::from(vec![*value])),
        (Value::Double(value), ArrowType::Float64) => Arc::new(Float64Array::from(vec![*value])),
        #[expect(clippy::cast_possible_truncation, reason = "the value of a 32-bit field")]
        (Value::Double(value), ArrowType::Float32) => {
            Arc::new(Float32Array::from(vec![*value as f32]))
        }
        (Value::VarChar(value), ArrowType::Utf8) => Arc::new(StringArray::from(vec![&**value])),
        (Value::Bytes(value), ArrowType::Utf8) => {
            let text = std::str::from_utf8(value).map_err(|_| mismatch())?;
            Arc::new(StringArray::from(vec![text]))
        }
        _ => return Err(mismatch()),
    };
    Ok(array)
}

/// Small integers arrive as 32 bits.
fn narrow(field: &FieldSchema, values: ArrayRef) -> Result<ArrayRef> {
    let Some(numbers) = values.as_primitive_opt::<Int32Type>() else {
        return Ok(values);
    };
    // Out of range was refused before; nulls may hold anything.
    Ok(if field.data_type == DataType::Int8 {
        Arc::new(numbers.unary::<_, Int8Type>(|n| i8::try_from(n).unwrap_or_default()))
    } else if field.data_type == DataType::Int16 {
        Arc::new(numbers.unary::<_, Int16Type>(|n| i16::try_from(n).unwrap_or_default()))
    } else {
        values
    })
}

/// Complains about lengths; a vector column becomes a list of fixed size.
pub(crate) fn align(bound: &Bound<'_>, values: ArrayRef, rows: usize) -> Result<ArrayRef> {
    let name = &bound.field.name;
    let wrong_rows = |got: usize| {
        Failure::parameter_mismatch(
            rows,
            got,
            format!(
                "the num_rows ({got}) of field ({name}) is not equal to passed num_rows ({rows})"
            ),
        )
    };
    let InputValues::FloatVectors { dim: given, .. } = bound.column.values else {
        return if values.len() == rows { Ok(values) } else { Err(wrong_rows(values.len())) };
    };
    let dim =
        bound.field.dim().filter(|dim| *dim > 0).ok_or_else(|| {
            Failure::parameter_invalid("dim(0) should be greater than 0".to_owned())
        })?;
    if !values.len().is_multiple_of(dim) {
        return Err(Failure::parameter_invalid(format!(
            "the length({}) of float data should divide the dim({dim})",
            values.len()
        )));
    }
    if usize::try_from(given) != Ok(dim) {
        return Err(Failure::parameter_mismatch(
            dim,
            given,
            format!("the dim ({given}) of field data({name}) is not equal to schema dim ({dim})"),
        ));
    }
    if values.len() / dim != rows {
        return Err(wrong_rows(values.len() / dim));
    }
    let size = i32::try_from(dim).map_err(|_| Failure::internal(format!("dimension {dim}")))?;
    let list = FixedSizeListArray::try_new(vector_element(ArrowType::Float32), size, values, None);
    let list = list.map_err(|error| Failure::internal(format!("vectors of {name}: {error}")))?;
    Ok(Arc::new(list))
}
