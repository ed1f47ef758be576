//! The vectors of a column as indexes take them: a view that keeps the column alive.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::DataType as ArrowType;
use milvus_index::{Mapped, SparseRows, VectorData};
use milvus_types::{DataType, FieldSchema, SegmentId};

use crate::error::ColumnType;

/// Bytes of an Arrow buffer, as indexes take them.
struct Bytes(Buffer);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn owned(buffer: Buffer) -> Mapped {
    Arc::new(Bytes(buffer))
}

/// The kind of a vector field's vectors: of lists, their elements'.
pub fn vector_type(field: &FieldSchema) -> Option<DataType> {
    let data_type = match field.data_type == DataType::ArrayOfVector {
        true => field.element_type?,
        false => field.data_type,
    };
    (data_type.is_vector() && data_type != DataType::ArrayOfVector).then_some(data_type)
}

/// The vectors of `column` of vector field `field`, of whatever kind: one for each row, or, of
/// lists, all elements of all rows. Nothing is copied. Null rows have vectors too, which mean
/// nothing.
pub fn vector_data(
    segment_id: SegmentId,
    field: &FieldSchema,
    column: &dyn Array,
) -> Result<VectorData, ColumnType> {
    let wrong = || ColumnType::vectors(segment_id, field).found(column.data_type());
    let data_type = vector_type(field).ok_or_else(wrong)?;
    if field.data_type == DataType::ArrayOfVector {
        let lists = column.as_list_opt::<i32>().ok_or_else(wrong)?;
        return plain(data_type, field, lists.values()).ok_or_else(wrong);
    }
    plain(data_type, field, column).ok_or_else(wrong)
}

fn plain(data_type: DataType, field: &FieldSchema, column: &dyn Array) -> Option<VectorData> {
    if data_type == DataType::SparseFloatVector {
        let rows = column.as_binary_opt::<i32>()?;
        let offsets = owned(rows.offsets().inner().inner().clone());
        let rows = SparseRows::new(&offsets, owned(rows.values().clone())).ok()?;
        return Some(VectorData::Sparse(rows));
    }
    let dim = field.dim()?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other column holds vectors")]
    let bytes = match column.data_type() {
        ArrowType::FixedSizeList(..) => {
            let values = column.as_fixed_size_list_opt()?.values().to_data();
            let width = values.data_type().primitive_width()?;
            let buffer = values.buffers().first()?;
            buffer.slice_with_length(values.offset() * width, values.len() * width)
        }
        ArrowType::FixedSizeBinary(width) => {
            let width = usize::try_from(*width).ok()?;
            let values = column.to_data();
            let buffer = values.buffers().first()?;
            buffer.slice_with_length(values.offset() * width, values.len() * width)
        }
        _ => return None,
    };
    VectorData::dense(data_type, dim, owned(bytes)).ok()
}

/// Where each row's list begins among the elements of a column of lists.
pub(crate) fn list_offsets(column: &dyn Array) -> Option<OffsetBuffer<i32>> {
    column.as_list_opt::<i32>().map(|lists| lists.offsets().clone())
}
