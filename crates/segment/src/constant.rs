//! Columns of rows that came before their field: the default value, or null, over and over.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt32Array, make_array, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType as ArrowType;

use arrow::array::ArrayData;
use milvus_types::columns::arrow_type;
use milvus_types::{DataType, FieldSchema, Value};
use milvus_values::{geometry, timestamptz};

/// `len` rows of what `field` is where nothing was given.
pub fn constant(field: &FieldSchema, len: usize) -> ArrayRef {
    let Some(one) = default(field) else {
        return nulls(&arrow_type(field).unwrap_or(ArrowType::Null), len);
    };
    if len == 1 {
        return one;
    }
    let rows = UInt32Array::from(vec![0; len]);
    take(&one, &rows, None).unwrap_or_else(|_| nulls(one.data_type(), len))
}

/// As [`constant`], for conditions: of vectors they ask only whether there is one.
pub(crate) fn for_filter(field: &FieldSchema, len: usize) -> ArrayRef {
    if field.data_type.is_vector() && field.data_type != DataType::ArrayOfVector {
        return new_null_array(&ArrowType::Boolean, len);
    }
    constant(field, len)
}

/// `len` nulls; the slots of vectors hold zeros.
fn nulls(data_type: &ArrowType, len: usize) -> ArrayRef {
    let ArrowType::FixedSizeList(item, size) = data_type else {
        return new_null_array(data_type, len);
    };
    let count = usize::try_from(*size).unwrap_or(0).saturating_mul(len);
    let width = item.data_type().primitive_width().unwrap_or(0);
    let zeros = ArrayData::builder(item.data_type().clone())
        .len(count)
        .add_buffer(Buffer::from_vec(vec![0_u8; count * width]))
        .align_buffers(true)
        .build();
    let nulls = Some(NullBuffer::new_null(len));
    zeros
        .and_then(|zeros| {
            FixedSizeListArray::try_new(Arc::clone(item), *size, make_array(zeros), nulls)
        })
        .map_or_else(|_| new_null_array(data_type, len), |array| Arc::new(array) as ArrayRef)
}

/// One row of the field's default value, if it has one of its type.
fn default(field: &FieldSchema) -> Option<ArrayRef> {
    let Some(value) = &field.default_value else {
        // A row from before the dynamic field has no dynamic keys.
        return (field.is_dynamic && !field.nullable)
            .then(|| Arc::new(StringArray::from(vec!["{}"])) as ArrayRef);
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "other types have no defaults")]
    Some(match field.data_type {
        DataType::Bool => match value {
            Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
            _ => return None,
        },
        DataType::Int8 => Arc::new(Int8Array::from(vec![i8::try_from(integer(value)?).ok()?])),
        DataType::Int16 => Arc::new(Int16Array::from(vec![i16::try_from(integer(value)?).ok()?])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![i32::try_from(integer(value)?).ok()?])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![integer(value)?])),
        #[expect(clippy::cast_possible_truncation, reason = "a single's default is a single")]
        DataType::Float => Arc::new(Float32Array::from(vec![double(value)? as f32])),
        DataType::Double => Arc::new(Float64Array::from(vec![double(value)?])),
        DataType::VarChar | DataType::Text | DataType::JSON | DataType::String => {
            Arc::new(StringArray::from(vec![text(value)?]))
        }
        DataType::Timestamptz => {
            let micros = match value {
                Value::VarChar(text) => timestamptz::parse(text, &timestamptz::Zone::utc()).ok()?,
                other => integer(other)?,
            };
            Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
        }
        DataType::Geometry => {
            let wkb = match value {
                Value::Bytes(bytes) => bytes.clone(),
                other => geometry::from_wkt(text(other)?).ok()?,
            };
            Arc::new(BinaryArray::from_iter_values([wkb]))
        }
        _ => return None,
    })
}

fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other value is an integer")]
    match value {
        Value::Int32(value) => Some(i64::from(*value)),
        Value::Int64(value) => Some(*value),
        _ => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other value is a number")]
    match value {
        Value::Float(value) => Some(f64::from(*value)),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other value is text")]
    match value {
        Value::VarChar(text) => Some(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
