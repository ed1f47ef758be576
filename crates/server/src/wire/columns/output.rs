//! Arrow columns of a result to `FieldData`.
//!
//! Scalars keep one value for each row, a zero where the row is null, with `valid_data` beside them;
//! vectors of null rows are left out, lists of vectors are empty there. The sub-fields of a struct
//! array go into one field of their own, behind the others. Numbers, vectors and JSON share the
//! engine's buffers.

mod lists;
mod times;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, PrimitiveArray, StringArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use bytes::Bytes;

use milvus_proto::{DoubleArray, FloatArray, schema as pb};
use milvus_proxy::api::{OutputColumn, TimeFormat};
use milvus_types::{DataType, Failure, FieldSchema, Result};
use milvus_values::{geometry, sparse};
use pb::field_data::Field;
use pb::scalar_field::Data as Scalars;
use pb::vector_field::Data as Vectors;

use times::TimeForm;

/// The columns of a result, points in time in UTC.
pub fn to_wire(columns: &[OutputColumn]) -> Result<Vec<pb::FieldData>> {
    to_wire_in(columns, &TimeFormat::default())
}

/// The columns of a result, points in time as `times` says.
pub fn to_wire_in(columns: &[OutputColumn], times: &TimeFormat) -> Result<Vec<pb::FieldData>> {
    let times = TimeForm::new(times)?;
    let mut fields = Vec::with_capacity(columns.len());
    let mut structs: Vec<(String, Vec<pb::FieldData>)> = Vec::new();
    for column in columns {
        let mut field = field_data(column, &times)?;
        let Some((owner, sub)) = column.field.struct_name() else {
            fields.push(field);
            continue;
        };
        field.field_name = sub.to_owned();
        match structs.iter_mut().find(|(name, _)| name == owner) {
            Some((_, parts)) => parts.push(field),
            None => structs.push((owner.to_owned(), vec![field])),
        }
    }
    fields.extend(structs.into_iter().map(|(field_name, fields)| pb::FieldData {
        r#type: DataType::ArrayOfStruct.number(),
        field_name,
        field: Some(Field::StructArrays(pb::StructArrayField { fields })),
        ..Default::default()
    }));
    Ok(fields)
}

fn field_data(column: &OutputColumn, times: &TimeForm) -> Result<pb::FieldData> {
    let OutputColumn { field, values } = column;
    let mismatch = || wrong_layout(column);
    let data = if field.data_type.is_vector() {
        Field::Vectors(vectors(field, values).ok_or_else(mismatch)?)
    } else {
        let data = scalars(field, values, times)?.ok_or_else(mismatch)?;
        Field::Scalars(pb::ScalarField { data: Some(data), valid_data: Vec::new() })
    };
    let valid_data = if field.nullable || values.null_count() > 0 {
        (0..values.len()).map(|row| values.is_valid(row)).collect()
    } else {
        Vec::new()
    };
    let in_parts = field.data_type == DataType::Timestamptz && times.is_in_parts();
    let data_type = if in_parts { DataType::Array } else { field.data_type };
    Ok(pb::FieldData {
        r#type: data_type.number(),
        field_name: field.name.clone(),
        field_id: field.id.0,
        is_dynamic: field.is_dynamic,
        valid_data,
        field: Some(data),
    })
}

/// `None` where the column is not of the field's layout.
fn scalars(field: &FieldSchema, values: &ArrayRef, times: &TimeForm) -> Result<Option<Scalars>> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type is a scalar")]
    Ok(match field.data_type {
        DataType::Bool => values.as_boolean_opt().map(|values| {
            let data = values.iter().map(Option::unwrap_or_default).collect();
            Scalars::BoolData(pb::BoolArray { data })
        }),
        DataType::Int8 => small_integers::<Int8Type>(values).map(Scalars::IntData),
        DataType::Int16 => small_integers::<Int16Type>(values).map(Scalars::IntData),
        DataType::Int32 => small_integers::<Int32Type>(values).map(Scalars::IntData),
        DataType::Int64 => values.as_primitive_opt::<Int64Type>().map(|values| {
            let data = values.iter().map(Option::unwrap_or_default).collect();
            Scalars::LongData(pb::LongArray { data })
        }),
        DataType::Float => values
            .as_primitive_opt::<Float32Type>()
            .map(|values| Scalars::FloatData(FloatArray { data: packed(values) })),
        DataType::Double => values
            .as_primitive_opt::<Float64Type>()
            .map(|values| Scalars::DoubleData(DoubleArray { data: packed(values) })),
        DataType::VarChar | DataType::Text => values.as_string_opt::<i32>().map(|values| {
            let data = values.iter().map(|text| text.unwrap_or_default().to_owned()).collect();
            Scalars::StringData(pb::StringArray { data })
        }),
        DataType::JSON => values
            .as_string_opt::<i32>()
            .map(|values| Scalars::JsonData(pb::JsonArray { data: texts(values) })),
        DataType::Geometry => match values.as_binary_opt::<i32>() {
            Some(values) => Some(shapes(field, values)?),
            None => None,
        },
        DataType::Timestamptz => {
            let values = values.as_primitive_opt::<TimestampMicrosecondType>();
            values.map(|values| times.data(values))
        }
        DataType::Array => lists::arrays(field, values).map(Scalars::ArrayData),
        _ => None,
    })
}

fn shapes(field: &FieldSchema, values: &BinaryArray) -> Result<Scalars> {
    let text = |row: usize| {
        if values.is_null(row) {
            return Ok(String::new());
        }
        geometry::to_wkt(values.value(row)).map_err(|error| {
            Failure::internal(format!("row {row} of field {}: {error}", field.name))
        })
    };
    let data = (0..values.len()).map(text).collect::<Result<_>>()?;
    Ok(Scalars::GeometryWktData(pb::GeometryWktArray { data }))
}

/// `None` where the column is not of the field's layout.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other vector is dense")]
fn vectors(field: &FieldSchema, values: &ArrayRef) -> Option<pb::VectorField> {
    let valid_data = Vec::new();
    match field.data_type {
        DataType::SparseFloatVector => {
            let rows = values.as_binary_opt::<i32>()?;
            let array = sparse_rows(rows);
            let dim = array.dim;
            Some(pb::VectorField { dim, data: Some(Vectors::SparseFloatVector(array)), valid_data })
        }
        DataType::ArrayOfVector => {
            let array = lists::vectors(field, values)?;
            let dim = array.dim;
            Some(pb::VectorField { dim, data: Some(Vectors::VectorArray(array)), valid_data })
        }
        kind => {
            let dense = Dense::of(kind, values)?;
            let data = Some(vector_data(kind, dense.present(values)));
            Some(pb::VectorField { dim: dense.dim, data, valid_data })
        }
    }
}

fn sparse_rows(rows: &BinaryArray) -> pb::SparseFloatArray {
    let all = shared(rows.values().clone());
    let offset = |row: usize| {
        rows.value_offsets().get(row).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0)
    };
    let present = (0..rows.len()).filter(|row| rows.is_valid(*row));
    let contents: Vec<Bytes> = present.map(|row| all.slice(offset(row)..offset(row + 1))).collect();
    let dim = contents.iter().map(|row| sparse::dim(row)).max().unwrap_or(0);
    pb::SparseFloatArray { contents, dim }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other vector is dense")]
fn vector_data(kind: DataType, bytes: Bytes) -> Vectors {
    match kind {
        DataType::BinaryVector => Vectors::BinaryVector(bytes),
        DataType::Float16Vector => Vectors::Float16Vector(bytes),
        DataType::BFloat16Vector => Vectors::Bfloat16Vector(bytes),
        DataType::Int8Vector => Vectors::Int8Vector(bytes),
        _ => Vectors::FloatVector(FloatArray { data: bytes }),
    }
}

/// The bytes of dense vectors, a slot for each row.
struct Dense {
    dim: i64,
    /// Bytes of a vector.
    width: usize,
    bytes: Bytes,
}

impl Dense {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other vector is dense")]
    fn of(kind: DataType, values: &ArrayRef) -> Option<Self> {
        if let Some(rows) = values.as_fixed_size_binary_opt() {
            let width = usize::try_from(rows.value_length()).ok()?;
            let per_dim = match kind {
                DataType::BFloat16Vector => width / 2,
                DataType::BinaryVector => width.checked_mul(8)?,
                _ => return None,
            };
            let bytes = shared(rows.values().slice_with_length(0, rows.len() * width));
            return Some(Self { dim: i64::try_from(per_dim).ok()?, width, bytes });
        }
        let rows = values.as_fixed_size_list_opt()?;
        let dim = usize::try_from(rows.value_length()).ok()?;
        let numbers = rows.values().slice(0, rows.len() * dim);
        let (size, bytes) = match kind {
            DataType::FloatVector => (4, packed(numbers.as_primitive_opt::<Float32Type>()?)),
            DataType::Float16Vector => (2, packed(numbers.as_primitive_opt::<Float16Type>()?)),
            DataType::Int8Vector => (1, packed(numbers.as_primitive_opt::<Int8Type>()?)),
            _ => return None,
        };
        Some(Self { dim: rows.value_length().into(), width: dim * size, bytes })
    }

    /// The vectors of rows that are not null, one after the other.
    fn present(&self, rows: &ArrayRef) -> Bytes {
        if rows.null_count() == 0 {
            return self.bytes.clone();
        }
        let present = rows.len() - rows.null_count();
        let mut bytes = Vec::with_capacity(present * self.width);
        for (row, vector) in self.bytes.chunks_exact(self.width.max(1)).enumerate() {
            if rows.is_valid(row) {
                bytes.extend_from_slice(vector);
            }
        }
        bytes.into()
    }
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
