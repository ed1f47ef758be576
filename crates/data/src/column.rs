//! The column of an indexed field: found by the field's id, as vectors or as scalars.
//!
//! A segment written before its field was added has no column of it: all its rows read as the
//! field's default, or as null. Null vectors are zeros here; whoever searches knows which rows they
//! are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use milvus_index::{SparseRows, VectorData};
use milvus_types::columns::FIELD_ID;
use milvus_types::{CollectionSchema, DataType, FieldSchema};

use crate::error::BuildError;

/// The column of `field`, if `rows` has one.
pub(crate) fn find(rows: &RecordBatch, field: &FieldSchema) -> Option<ArrayRef> {
    let id = field.id.to_string();
    let schema = rows.schema_ref();
    let by_id =
        schema.fields().iter().position(|column| column.metadata().get(FIELD_ID) == Some(&id));
    by_id.map(|index| Arc::clone(rows.column(index)))
}

/// The values of scalar `field` in each of `rows`.
pub(crate) fn scalars(rows: &RecordBatch, field: &FieldSchema) -> ArrayRef {
    find(rows, field).unwrap_or_else(|| milvus_segment::constant(field, rows.num_rows()))
}

/// Bytes that the dense vectors of `rows` rows of `schema` take.
pub(crate) fn dense_bytes(schema: &CollectionSchema, rows: usize) -> u64 {
    let of_field = |field: &FieldSchema| row_bytes(field.data_type, field.dim().unwrap_or(0));
    let row: usize = schema.fields.iter().filter_map(of_field).sum();
    (row as u64).saturating_mul(rows as u64)
}

/// The vectors of `field` in each of `rows`; of an array of vectors, all its elements.
pub(crate) fn vectors(rows: &RecordBatch, field: &FieldSchema) -> Result<VectorData, BuildError> {
    let wrong = || BuildError::Field(field.name.clone());
    let Some(column) = find(rows, field) else {
        return absent(field, rows.num_rows()).ok_or_else(wrong);
    };
    let (data_type, column) = match field.element_type {
        Some(element) if field.data_type == DataType::ArrayOfVector => {
            let list = column.as_list_opt::<i32>().ok_or_else(wrong)?;
            (element, Arc::clone(list.values()))
        }
        _ => (field.data_type, column),
    };
    view(data_type, field.dim().unwrap_or(0), &column).ok_or_else(wrong)
}

/// Zeros for rows that were written before `field` was added.
fn absent(field: &FieldSchema, rows: usize) -> Option<VectorData> {
    let dim = field.dim().unwrap_or(0);
    let (data_type, rows) = match (field.data_type, field.element_type) {
        (DataType::ArrayOfVector, element) => (element?, 0),
        (data_type, _) => (data_type, rows),
    };
    if data_type == DataType::SparseFloatVector {
        return SparseRows::from_rows(vec![&[][..]; rows]).ok().map(VectorData::Sparse);
    }
    let zeros = vec![0u8; row_bytes(data_type, dim)?.checked_mul(rows)?];
    VectorData::dense(data_type, dim, Arc::new(zeros)).ok()
}

fn row_bytes(data_type: DataType, dim: usize) -> Option<usize> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not dense vectors")]
    match data_type {
        DataType::FloatVector => dim.checked_mul(4),
        DataType::Float16Vector | DataType::BFloat16Vector => dim.checked_mul(2),
        DataType::Int8Vector => Some(dim),
        DataType::BinaryVector => Some(dim / 8),
        _ => None,
    }
}

/// Bytes of a column, kept alive.
struct Bytes(Buffer);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// `column` as vectors; nothing is copied.
fn view(data_type: DataType, dim: usize, column: &ArrayRef) -> Option<VectorData> {
    if data_type == DataType::SparseFloatVector {
        let rows = column.as_binary_opt::<i32>()?;
        let offsets = Bytes(rows.offsets().inner().inner().clone());
        let bytes = Bytes(rows.values().clone());
        return SparseRows::new(&(Arc::new(offsets) as _), Arc::new(bytes))
            .ok()
            .map(VectorData::Sparse);
    }
    let width = row_bytes(data_type, dim)?;
    let (element, values) = match column.as_fixed_size_list_opt() {
        Some(list) => (width.checked_div(dim)?, list.values().to_data()),
        None => (width, column.as_fixed_size_binary_opt()?.to_data()),
    };
    let start = values.offset().checked_mul(element)?;
    let length = width.checked_mul(column.len())?;
    let buffer = values.buffers().first()?;
    if start.checked_add(length)? > buffer.len() {
        return None;
    }
    let bytes = Bytes(buffer.slice_with_length(start, length));
    VectorData::dense(data_type, dim, Arc::new(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Int8Array, ListArray,
        TimestampMicrosecondArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::DataType as ArrowType;
    use half::f16;
    use milvus_types::columns::{arrow_field, vector_element};
    use milvus_types::{FieldId, KeyValue, Value};

    use super::*;

    fn field(data_type: DataType, element_type: Option<DataType>, dim: usize) -> FieldSchema {
        FieldSchema {
            id: FieldId(101),
            name: "v".to_owned(),
            data_type,
            element_type,
            type_params: vec![KeyValue::new("dim", dim.to_string())],
            ..FieldSchema::default()
        }
    }

    fn read(field: &FieldSchema, column: ArrayRef) -> VectorData {
        let schema = Arc::new(arrow::datatypes::Schema::new(vec![arrow_field(field).unwrap()]));
        let rows = RecordBatch::try_new(schema, vec![column]).unwrap();
        // As of a slice: offsets count.
        vectors(&rows.slice(1, rows.num_rows() - 1), field).unwrap()
    }

    #[test]
    fn vectors_of_every_layout_are_taken_where_they_lie() {
        let halves: Vec<f16> = (0..6u8).map(|n| f16::from_f32(f32::from(n))).collect();
        let list = |values: Vec<f16>| {
            let element = vector_element(ArrowType::Float16);
            FixedSizeListArray::new(element, 2, Arc::new(Float16Array::from(values)), None)
        };
        let float16 =
            read(&field(DataType::Float16Vector, None, 2), Arc::new(list(halves.clone())));
        assert_eq!((float16.rows(), float16.dim()), (2, 2));
        assert_eq!(float16.row(0).bytes(), little_endian(&halves[2..4]));

        let raw = FixedSizeBinaryArray::try_from_iter([[1u8, 2], [3, 4]].into_iter()).unwrap();
        let binary = read(&field(DataType::BinaryVector, None, 16), Arc::new(raw));
        assert_eq!((binary.rows(), binary.dim(), binary.row(0).bytes()), (1, 16, &[3u8, 4][..]));

        let pairs = [[0u8; 8], [1; 8]];
        let column = BinaryArray::from_iter_values(pairs);
        let sparse = read(&field(DataType::SparseFloatVector, None, 0), Arc::new(column));
        assert_eq!((sparse.rows(), sparse.row(0).bytes()), (1, &[1u8; 8][..]));

        let inner = list(halves);
        let element = vector_element(inner.data_type().clone());
        let offsets = OffsetBuffer::from_lengths([1, 2]);
        let lists = ListArray::new(element, offsets, Arc::new(inner), None);
        let of_lists = field(DataType::ArrayOfVector, Some(DataType::Float16Vector), 2);
        let elements = read(&of_lists, Arc::new(lists));
        // All elements of the column, those of other rows too: row numbers are those of elements.
        assert_eq!(elements.rows(), 3);
    }

    #[test]
    fn rows_older_than_their_field_have_zeros_or_the_default() {
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
        let rows = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
        let zeros = vectors(&rows, &field(DataType::Int8Vector, None, 4)).unwrap();
        assert_eq!((zeros.rows(), zeros.row(2).bytes()), (3, &[0u8; 4][..]));
        let plain = |data_type, default_value| FieldSchema {
            default_value,
            type_params: vec![],
            ..field(data_type, None, 0)
        };
        let nulls = scalars(&rows, &plain(DataType::VarChar, None));
        assert_eq!(nulls.null_count(), 3);
        let sevens = scalars(&rows, &plain(DataType::Int8, Some(Value::Int32(7))));
        assert_eq!(*sevens, Int8Array::from(vec![7; 3]));
        let text = |text: &str| Some(Value::VarChar(text.to_owned()));
        let noon = text("1970-01-01T12:00:00+12:00");
        let epoch = scalars(&rows, &plain(DataType::Timestamptz, noon));
        assert_eq!(*epoch, TimestampMicrosecondArray::from(vec![0; 3]).with_timezone("UTC"));
        let points = scalars(&rows, &plain(DataType::Geometry, text("POINT (1 2)")));
        assert_eq!((points.len(), points.null_count()), (3, 0));
    }

    fn little_endian(halves: &[f16]) -> Vec<u8> {
        halves.iter().flat_map(|half| half.to_le_bytes()).collect()
    }
}
