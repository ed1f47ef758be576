//! Reading the columns of rows found before.
//!
//! Cost: proportional to the rows asked for; vectors are copied once, from the chunk to the result.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, RecordBatchOptions,
    UInt32Array, UInt64Array,
};
use arrow::compute;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::error::ArrowError;

use milvus_types::Timestamp;
use milvus_types::columns::TIMESTAMP_COLUMN;

use crate::chunk::{Rows, float_vectors, is_float_vector};
use crate::error::FetchError;

/// The named columns of `wanted`, in that order. `$timestamp` is a column like others.
pub(crate) fn fetch(
    rows: &Rows,
    timestamp: impl Fn(u32) -> Timestamp,
    wanted: &[u32],
    columns: &[String],
) -> Result<RecordBatch, FetchError> {
    let mut places = Vec::with_capacity(wanted.len());
    for row in wanted {
        let (index, chunk) = rows.locate(*row)?;
        places.push((index, (*row - chunk.start) as usize));
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for name in columns {
        if name == TIMESTAMP_COLUMN {
            fields.push(Arc::new(Field::new(TIMESTAMP_COLUMN, ArrowType::UInt64, false)));
            let values = wanted.iter().map(|row| timestamp(*row).0);
            arrays.push(Arc::new(UInt64Array::from_iter_values(values)) as ArrayRef);
            continue;
        }
        let index = rows.schema.index_of(name).map_err(|_| rows.no_column(name))?;
        fields.push(Arc::clone(&rows.schema.fields()[index]));
        arrays.push(
            gather(rows, name, index, wanted, &places)
                .map_err(|source| FetchError::Gather { segment_id: rows.segment_id, source })?,
        );
    }
    let options = RecordBatchOptions::new().with_row_count(Some(wanted.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|source| FetchError::Gather { segment_id: rows.segment_id, source })
}

/// Column number `index` of `wanted`, which lie at `places` (chunk, row in the chunk).
fn gather(
    rows: &Rows,
    name: &str,
    index: usize,
    wanted: &[u32],
    places: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let column = |chunk: usize| rows.chunks[chunk].batch.column(index);
    let data_type = rows.schema.field(index).data_type();
    let nulls = rows.chunks.iter().any(|chunk| chunk.batch.column(index).is_nullable());
    if is_float_vector(data_type) && !nulls {
        return gather_vectors(rows, name, index, places);
    }
    match &*rows.chunks {
        [] => Ok(arrow::array::new_empty_array(data_type)),
        [chunk] => {
            let wanted = UInt32Array::from_iter_values(wanted.iter().map(|row| row - chunk.start));
            compute::take(column(0), &wanted, None)
        }
        chunks => {
            let arrays: Vec<&dyn Array> = (0..chunks.len()).map(|c| &**column(c)).collect();
            compute::interleave(&arrays, places)
        }
    }
}

fn gather_vectors(
    rows: &Rows,
    name: &str,
    index: usize,
    places: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let ArrowType::FixedSizeList(item, size) = rows.schema.field(index).data_type() else {
        return Err(ArrowError::SchemaError(format!("column {name} holds no vectors")));
    };
    let mut vectors = Vec::with_capacity(rows.chunks.len());
    for chunk in rows.chunks.iter() {
        let column = chunk.batch.column(index);
        let (values, dim) = float_vectors(rows.segment_id, name, column)
            .map_err(|error| ArrowError::SchemaError(error.to_string()))?;
        vectors.push((values, dim));
    }
    let mut values = Vec::with_capacity(places.len() * usize::try_from(*size).unwrap_or(0));
    for (chunk, row) in places {
        let (vectors, dim) = vectors[*chunk];
        values.extend_from_slice(&vectors[row * dim..(row + 1) * dim]);
    }
    let values = Arc::new(Float32Array::from(values));
    Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, values, None)?))
}
