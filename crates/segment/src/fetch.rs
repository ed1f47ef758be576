//! Reading the columns of rows found before.
//!
//! Cost: proportional to the rows asked for; values are copied once, from the chunk to the result.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::error::ArrowError;

use milvus_types::columns::TIMESTAMP_COLUMN;
use milvus_types::{FieldSchema, Timestamp};

use crate::chunk::Rows;
use crate::constant::constant;
use crate::error::FetchError;
use crate::gather;

/// Where a row lies: chunk, and row in the chunk.
type Place = (usize, usize);

/// The named columns of `wanted`, in that order. `$timestamp` is a column like others.
pub(crate) fn fetch(
    rows: &Rows,
    timestamp: impl Fn(u32) -> Timestamp,
    wanted: &[u32],
    columns: &[String],
) -> Result<RecordBatch, FetchError> {
    let places = places(rows, wanted)?;
    let failed = |source| FetchError::Gather { segment_id: rows.segment_id, source };
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for name in columns {
        if name == TIMESTAMP_COLUMN {
            fields.push(Arc::new(Field::new(TIMESTAMP_COLUMN, ArrowType::UInt64, false)));
            let values = wanted.iter().map(|row| timestamp(*row).0);
            arrays.push(Arc::new(UInt64Array::from_iter_values(values)) as ArrayRef);
            continue;
        }
        let index = rows.schema.arrow().index_of(name).map_err(|_| rows.no_column(name))?;
        let field = &rows.schema.arrow().fields()[index];
        let array = values(rows, &rows.schema.fields()[index], &places).map_err(failed)?;
        // Rows from before a field that must have values have none.
        let nullable = field.is_nullable() || array.null_count() > 0;
        fields.push(match nullable == field.is_nullable() {
            true => Arc::clone(field),
            false => Arc::new(field.as_ref().clone().with_nullable(true)),
        });
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(wanted.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(failed)
}

/// The column called `name` of `wanted`.
pub(crate) fn column(rows: &Rows, name: &str, wanted: &[u32]) -> Result<ArrayRef, FetchError> {
    let field = rows.schema.field(name).ok_or_else(|| rows.no_column(name))?;
    values(rows, field, &places(rows, wanted)?)
        .map_err(|source| FetchError::Gather { segment_id: rows.segment_id, source })
}

fn places(rows: &Rows, wanted: &[u32]) -> Result<Vec<Place>, FetchError> {
    let mut places = Vec::with_capacity(wanted.len());
    for row in wanted {
        let (index, chunk) = rows.locate(*row)?;
        places.push((index, (*row - chunk.start) as usize));
    }
    Ok(places)
}

/// The values of `field` at `places`.
fn values(rows: &Rows, field: &FieldSchema, places: &[Place]) -> Result<ArrayRef, ArrowError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(rows.chunks.len());
    // Where a chunk's values are among `arrays`; chunks without the column share one row.
    let mut sources = Vec::with_capacity(rows.chunks.len());
    let mut missing = None;
    for chunk in rows.chunks.iter() {
        match chunk.column(field.id) {
            Some(column) => {
                sources.push((arrays.len(), true));
                arrays.push(Arc::clone(column));
            }
            None => {
                let at = *missing.get_or_insert_with(|| {
                    arrays.push(constant(field, 1));
                    arrays.len() - 1
                });
                sources.push((at, false));
            }
        }
    }
    if arrays.is_empty() || places.is_empty() {
        return Ok(constant(field, 1).slice(0, 0));
    }
    let places = places.iter().map(|(chunk, row)| match sources[*chunk] {
        (array, true) => (array, *row),
        (array, false) => (array, 0),
    });
    gather(&arrays, &places.collect::<Vec<_>>())
}
