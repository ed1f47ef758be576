//! Arrow columns of a result to `FieldData`.
//!
//! Scalars keep one value for each row, a zero where the row is null, with `valid_data` beside them;
//! vectors of null rows are left out. Floats and JSON share the engine's buffers.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, PrimitiveArray, StringArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use bytes::Bytes;

use milvus_proto::{DoubleArray, FloatArray, schema as pb};
use milvus_proxy::api::OutputColumn;
use milvus_types::{DataType, Failure, Result};
use pb::field_data::Field;
use pb::scalar_field::Data as Scalars;
use pb::vector_field::Data as Vectors;

/// The columns of a result.
pub fn to_wire(columns: &[OutputColumn]) -> Result<Vec<pb::FieldData>> {
    columns.iter().map(field_data).collect()
}

fn field_data(column: &OutputColumn) -> Result<pb::FieldData> {
    let OutputColumn { field, values } = column;
    let data = if field.data_type == DataType::FloatVector {
        Field::Vectors(vectors(column)?)
    } else {
        Field::Scalars(pb::ScalarField { data: Some(scalars(column)?), valid_data: Vec::new() })
    };
    let valid_data = if field.nullable || values.null_count() > 0 {
        (0..values.len()).map(|row| values.is_valid(row)).collect()
    } else {
        Vec::new()
    };
    Ok(pb::FieldData {
        r#type: field.data_type.number(),
        field_name: field.name.clone(),
        field_id: field.id.0,
        is_dynamic: field.is_dynamic,
        valid_data,
        field: Some(data),
    })
}

fn scalars(column: &OutputColumn) -> Result<Scalars> {
    let OutputColumn { field, values } = column;
    let mismatch = || wrong_layout(column);
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is an error")]
    Ok(match field.data_type {
        DataType::Bool => {
            let values = values.as_boolean_opt().ok_or_else(mismatch)?;
            let data = values.iter().map(Option::unwrap_or_default).collect();
            Scalars::BoolData(pb::BoolArray { data })
        }
        DataType::Int8 => {
            Scalars::IntData(small_integers::<Int8Type>(values).ok_or_else(mismatch)?)
        }
        DataType::Int16 => {
            Scalars::IntData(small_integers::<Int16Type>(values).ok_or_else(mismatch)?)
        }
        DataType::Int32 => {
            Scalars::IntData(small_integers::<Int32Type>(values).ok_or_else(mismatch)?)
        }
        DataType::Int64 => {
            let values = values.as_primitive_opt::<Int64Type>().ok_or_else(mismatch)?;
            let data = values.iter().map(Option::unwrap_or_default).collect();
            Scalars::LongData(pb::LongArray { data })
        }
        DataType::Float => {
            let values = values.as_primitive_opt::<Float32Type>().ok_or_else(mismatch)?;
            Scalars::FloatData(FloatArray { data: packed(values) })
        }
        DataType::Double => {
            let values = values.as_primitive_opt::<Float64Type>().ok_or_else(mismatch)?;
            Scalars::DoubleData(DoubleArray { data: packed(values) })
        }
        DataType::VarChar | DataType::Text => {
            let values = values.as_string_opt::<i32>().ok_or_else(mismatch)?;
            let data = values.iter().map(|text| text.unwrap_or_default().to_owned()).collect();
            Scalars::StringData(pb::StringArray { data })
        }
        DataType::JSON => {
            let values = values.as_string_opt::<i32>().ok_or_else(mismatch)?;
            Scalars::JsonData(pb::JsonArray { data: texts(values) })
        }
        _ => return Err(wrong_layout(column)),
    })
}

fn vectors(column: &OutputColumn) -> Result<pb::VectorField> {
    let values = column.values.as_fixed_size_list_opt().ok_or_else(|| wrong_layout(column))?;
    let floats = present_floats(values).ok_or_else(|| wrong_layout(column))?;
    Ok(pb::VectorField {
        dim: values.value_length().into(),
        data: Some(Vectors::FloatVector(FloatArray { data: floats })),
        valid_data: Vec::new(),
    })
}

/// The vectors of rows that are not null, one after the other.
fn present_floats(values: &FixedSizeListArray) -> Option<Bytes> {
    let floats = values.values().as_primitive_opt::<Float32Type>()?;
    let dim = usize::try_from(values.value_length()).ok()?;
    if values.null_count() == 0 {
        return Some(packed(&floats.slice(0, values.len() * dim)));
    }
    let present = (0..values.len()).filter(|row| values.is_valid(*row));
    let data = present.flat_map(|row| &floats.values()[row * dim..(row + 1) * dim]);
    Some(FloatArray::from_numbers(data.copied()).data)
}

fn small_integers<T>(values: &ArrayRef) -> Option<pb::IntArray>
where
    T: ArrowPrimitiveType,
    i32: From<T::Native>,
{
    let values = values.as_primitive_opt::<T>()?;
    let data = values.iter().map(|value| value.map_or(0, i32::from)).collect();
    Some(pb::IntArray { data })
}

/// The numbers as bytes, zero where null; shares the array's buffer if nothing is null.
fn packed<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>) -> Bytes {
    let values = if values.null_count() == 0 {
        values.values().clone()
    } else {
        values.iter().map(Option::unwrap_or_default).collect()
    };
    shared(values.into_inner())
}

/// The texts, empty where null; all share the array's buffer.
fn texts(values: &StringArray) -> Vec<Bytes> {
    let all = shared(values.values().clone());
    let text = |row: usize| {
        let offsets = values.value_offsets();
        let start = usize::try_from(offsets[row]).unwrap_or(0);
        let end = usize::try_from(offsets[row + 1]).unwrap_or(0);
        all.slice(start..end)
    };
    let one = |row| if values.is_valid(row) { text(row) } else { Bytes::new() };
    (0..values.len()).map(one).collect()
}

fn shared(buffer: Buffer) -> Bytes {
    if buffer.is_empty() { Bytes::new() } else { Bytes::from_owner(buffer) }
}

fn wrong_layout(column: &OutputColumn) -> Failure {
    Failure::internal(format!(
        "field {} of type {} came as a column of {}",
        column.field.name,
        column.field.data_type,
        column.values.data_type()
    ))
}
