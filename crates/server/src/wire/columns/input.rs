//! `FieldData` of an insert to Arrow.
//!
//! Numbers keep the buffer they arrived in: floats share the request's bytes if those are aligned
//! and are copied once if not, integers and booleans move. Vectors stay the bytes they are. Strings,
//! JSON, arrays and sparse rows are copied once, into one run. Whether a column fits its field is for
//! `proxy` to say.

mod lists;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type};
use bytes::Bytes;

use milvus_proto::schema as pb;
use milvus_proxy::api::{InputColumn, InputValues, PackedVectors};
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
            (vector_values(&field_name, vectors.dim, vectors.data)?, either(inner, valid_data))
        }
        Some(Field::StructArrays(structs)) => {
            let inside =
                |field: &pb::FieldData| matches!(field.field, Some(Field::StructArrays(_)));
            if structs.fields.iter().any(inside) {
                return Err(Failure::parameter_invalid(format!(
                    "unexpected field data type in struct array field, fieldName: {field_name}"
                )));
            }
            (InputValues::Structs(from_wire(structs.fields)?), valid_data)
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
        Scalars::GeometryWktData(array) => Arc::new(strings(field_name, &array.data)?),
        Scalars::ArrayData(array) => {
            return lists::arrays(field_name, array.data).map(InputValues::Arrays);
        }
        Scalars::BytesData(array) => return Ok(unsupported("Bytes", array.data.len())),
        Scalars::GeometryData(array) => return Ok(unsupported("Geometry", array.data.len())),
        Scalars::TimestamptzData(array) => return Ok(unsupported("Timestamptz", array.data.len())),
        Scalars::MolData(array) => return Ok(unsupported("Mol", array.data.len())),
        Scalars::MolSmilesData(array) => return Ok(unsupported("Mol", array.data.len())),
        Scalars::DateData(array) => return Ok(unsupported("Date", array.data.len())),
        Scalars::TimeData(array) => return Ok(unsupported("Time", array.data.len())),
    };
    Ok(InputValues::Scalars(values))
}

fn vector_values(field_name: &str, dim: i64, data: Option<Vectors>) -> Result<InputValues> {
    let (kind, bytes) = match data {
        None => return Ok(InputValues::Missing),
        Some(Vectors::FloatVector(array)) => (DataType::FloatVector, array.data),
        Some(Vectors::BinaryVector(data)) => (DataType::BinaryVector, data),
        Some(Vectors::Float16Vector(data)) => (DataType::Float16Vector, data),
        Some(Vectors::Bfloat16Vector(data)) => (DataType::BFloat16Vector, data),
        Some(Vectors::Int8Vector(data)) => (DataType::Int8Vector, data),
        Some(Vectors::SparseFloatVector(array)) => {
            return sparse_rows(field_name, &array.contents).map(InputValues::SparseVectors);
        }
        Some(Vectors::VectorArray(array)) => {
            return lists::vectors(field_name, array).map(InputValues::VectorLists);
        }
    };
    Ok(InputValues::Vectors(PackedVectors { kind, dim, bytes: Buffer::from(bytes) }))
}

/// Little-endian numbers as an array: no copy if the bytes happen to be aligned, else one.
fn numbers<T: ArrowPrimitiveType>(data: Bytes) -> PrimitiveArray<T> {
    let length = data.len() / size_of::<T::Native>();
    let is_aligned = data.as_ptr().align_offset(align_of::<T::Native>()) == 0;
    let buffer = if is_aligned { Buffer::from(data) } else { Buffer::from(&data[..]) };
    PrimitiveArray::new(ScalarBuffer::new(buffer, 0, length), None)
}

/// Rows of bytes in one run.
fn sparse_rows(field_name: &str, rows: &[Bytes]) -> Result<ArrayRef> {
    let run = Run::of(field_name, rows)?;
    let rows = BinaryArray::try_new(run.offsets, run.bytes.into(), None);
    Ok(Arc::new(rows.map_err(|error| broken(field_name, &error))?))
}

/// Texts in one run, each checked to be UTF-8.
fn strings<T: AsRef<[u8]>>(field_name: &str, texts: &[T]) -> Result<StringArray> {
    for (row, text) in texts.iter().enumerate() {
        if std::str::from_utf8(text.as_ref()).is_err() {
            return Err(Failure::parameter_invalid(format!(
                "field {field_name} has invalid UTF-8 in row {row}"
            )));
        }
    }
    let run = Run::of(field_name, texts)?;
    StringArray::try_new(run.offsets, run.bytes.into(), None)
        .map_err(|error| broken(field_name, &error))
}

/// Pieces of different lengths, one after the other.
struct Run {
    bytes: Vec<u8>,
    offsets: OffsetBuffer<i32>,
}

impl Run {
    fn of<T: AsRef<[u8]>>(field_name: &str, pieces: &[T]) -> Result<Self> {
        let total: usize = pieces.iter().map(|piece| piece.as_ref().len()).sum();
        check_total(field_name, total)?;
        let mut bytes = Vec::with_capacity(total);
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece.as_ref()));
        let offsets = OffsetBuffer::from_lengths(pieces.iter().map(|piece| piece.as_ref().len()));
        Ok(Self { bytes, offsets })
    }
}

/// Offsets are of 32 bits.
fn check_total(field_name: &str, total: usize) -> Result<()> {
    i32::try_from(total).map(drop).map_err(|_| {
        Failure::parameter_invalid(format!("field {field_name} has {total} bytes in one request"))
    })
}

fn broken(field_name: &str, error: &arrow::error::ArrowError) -> Failure {
    Failure::internal(format!("field {field_name}: {error}"))
}
