//! The vectors of a column as indexes take them: a view that keeps the column alive.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::Float32Type;
use milvus_index::Vectors;
use milvus_types::SegmentId;

use crate::chunk::float_vectors;
use crate::error::ColumnType;

struct Floats(ScalarBuffer<f32>);

impl AsRef<[f32]> for Floats {
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

/// The vectors of `column`, called `name`, of a segment; nothing is copied.
pub fn vectors(
    segment_id: SegmentId,
    name: &str,
    column: &dyn Array,
) -> Result<Vectors, ColumnType> {
    let wrong = || ColumnType::float_vectors(segment_id, name, column.data_type());
    let (_, dim) = float_vectors(segment_id, name, column)?;
    let list = column.as_fixed_size_list_opt().ok_or_else(wrong)?;
    let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
    Vectors::new(Arc::new(Floats(values.values().clone())), dim).map_err(|_| wrong())
}
