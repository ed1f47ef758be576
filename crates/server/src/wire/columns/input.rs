//! `FieldData` of an insert to Arrow.
//!
//! Numbers keep the buffer they arrived in: floats share the request's bytes if those are aligned
//! and are copied once if not, integers and booleans move. Strings and JSON are copied once. Whether
//! a column fits its field is for `proxy` to say.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, PrimitiveArray, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type};
use bytes::Bytes;

use milvus_proto::schema as pb;
use milvus_proxy::api::{InputColumn, InputValues};
use milvus_types::{DataType, Failure, Result};
use pb::field_data::Field;
use pb::scalar_field::Data as Scalars;
use pb::vector_field::Data as Vectors;

/// The columns of an insert.
pub fn from_wire(fields: Vec<pb::FieldData>) -> Result<Vec<InputColumn>> {
    fields.into_iter().map(column).collect()
}

fn column(field: pb::FieldData) -> Result<InputColumn> {
    let pb::FieldData { r#type, field_name, is_dynamic, valid_data, field, field_id: _ } = field;
    let data_type = DataType::from_number(r#type);
    // Newer clients say inside the column which rows are present, older ones beside it.
    let (values, valid) = match field {
        None => (InputValues::Missing, valid_data),
        Some(Field::Scalars(scalars)) => {
            let inner = scalars.valid_data;
            let values = match scalars.data {
                None => InputValues::Missing,
                Some(data) => scalar_values(&field_name, data)?,
            };
            (values, either(inner, valid_data))
        }
        Some(Field::Vectors(vectors)) => {
            let inner = vectors.valid_data;
            (vector_values(vectors.dim, vectors.data), either(inner, valid_data))
        }
        Some(Field::StructArrays(structs)) => {
            (unsupported("ArrayOfStruct", structs.fields.len()), valid_data)
        }
    };
    Ok(InputColumn { name: field_name, is_dynamic, data_type, values, valid })
}

fn either(inner: Vec<bool>, outer: Vec<bool>) -> Vec<bool> {
    if inner.is_empty() { outer } else { inner }
}

fn unsupported(kind: &str, rows: usize) -> InputValues {
    InputValues::Unsupported { kind: kind.to_owned(), rows }
}

fn scalar_values(field_name: &str, data: Scalars) -> Result<InputValues> {
    let values: ArrayRef = match data {
        Scalars::BoolData(array) => Arc::new(BooleanArray::from(array.data)),
        Scalars::IntData(array) => Arc::new(Int32Array::from(array.data)),
        Scalars::LongData(array) => Arc::new(Int64Array::from(array.data)),
        Scalars::FloatData(array) => Arc::new(numbers::<Float32Type>(array.data)),
        Scalars::DoubleData(array) => Arc::new(numbers::<Float64Type>(array.data)),
        Scalars::StringData(array) => Arc::new(strings(field_name, &array.data)?),
        Scalars::JsonData(array) => Arc::new(strings(field_name, &array.data)?),
        Scalars::BytesData(array) => return Ok(unsupported("Bytes", array.data.len())),
        Scalars::ArrayData(array) => return Ok(unsupported("Array", array.data.len())),
        Scalars::GeometryData(array) => return Ok(unsupported("Geometry", array.data.len())),
        Scalars::GeometryWktData(array) => return Ok(unsupported("Geometry", array.data.len())),
        Scalars::TimestamptzData(array) => return Ok(unsupported("Timestamptz", array.data.len())),
        Scalars::MolData(array) => return Ok(unsupported("Mol", array.data.len())),
        Scalars::MolSmilesData(array) => return Ok(unsupported("Mol", array.data.len())),
        Scalars::DateData(array) => return Ok(unsupported("Date", array.data.len())),
        Scalars::TimeData(array) => return Ok(unsupported("Time", array.data.len())),
    };
    Ok(InputValues::Scalars(values))
}

fn vector_values(dim: i64, data: Option<Vectors>) -> InputValues {
    let rows = |length: usize, row_bits: usize| {
        let dim = usize::try_from(dim).unwrap_or(0);
        length.saturating_mul(8).checked_div(dim.saturating_mul(row_bits)).unwrap_or(0)
    };
    match data {
        None => InputValues::Missing,
        Some(Vectors::FloatVector(array)) => {
            InputValues::FloatVectors { dim, values: Arc::new(numbers::<Float32Type>(array.data)) }
        }
        Some(Vectors::BinaryVector(data)) => unsupported("BinaryVector", rows(data.len(), 1)),
        Some(Vectors::Float16Vector(data)) => unsupported("Float16Vector", rows(data.len(), 16)),
        Some(Vectors::Bfloat16Vector(data)) => unsupported("BFloat16Vector", rows(data.len(), 16)),
        Some(Vectors::Int8Vector(data)) => unsupported("Int8Vector", rows(data.len(), 8)),
        Some(Vectors::SparseFloatVector(array)) => {
            unsupported("SparseFloatVector", array.contents.len())
        }
        Some(Vectors::VectorArray(array)) => unsupported("ArrayOfVector", array.data.len()),
    }
}

/// Little-endian numbers as an array: no copy if the bytes happen to be aligned, else one.
fn numbers<T: ArrowPrimitiveType>(data: Bytes) -> PrimitiveArray<T> {
    let length = data.len() / size_of::<T::Native>();
    let is_aligned = data.as_ptr().align_offset(align_of::<T::Native>()) == 0;
    let buffer = if is_aligned { Buffer::from(data) } else { Buffer::from(&data[..]) };
    PrimitiveArray::new(ScalarBuffer::new(buffer, 0, length), None)
}

/// Texts in one run, each checked to be UTF-8.
fn strings<T: AsRef<[u8]>>(field_name: &str, texts: &[T]) -> Result<StringArray> {
    let total: usize = texts.iter().map(|text| text.as_ref().len()).sum();
    let too_long = || {
        Failure::parameter_invalid(format!("field {field_name} has {total} bytes in one request"))
    };
    i32::try_from(total).map_err(|_| too_long())?;
    let mut run = Vec::with_capacity(total);
    for (row, text) in texts.iter().enumerate() {
        if std::str::from_utf8(text.as_ref()).is_err() {
            return Err(Failure::parameter_invalid(format!(
                "field {field_name} has invalid UTF-8 in row {row}"
            )));
        }
        run.extend_from_slice(text.as_ref());
    }
    let offsets = OffsetBuffer::from_lengths(texts.iter().map(|text| text.as_ref().len()));
    StringArray::try_new(offsets, Buffer::from_vec(run), None)
        .map_err(|error| Failure::internal(format!("field {field_name}: {error}")))
}
