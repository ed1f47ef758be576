//! The rows of an output on their way into its files.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Schema, SchemaRef};
use milvus_base::failpoint;
use milvus_format::delete_file::write_deletes;
use milvus_format::key_index::write_key_index;
use milvus_format::{
    DeleteEntry, DeleteFile, EncodeError, FileMeta, RowSource, SegmentEntry, TakePiece, path,
    write_segment_from,
};
use milvus_roles::CompactSegments;
use milvus_segment::{SegmentSchema, gather};
use milvus_storage::{ObjectStore, ObjectWriter};
use milvus_types::{PrimaryKeys, SegmentId};

use super::error::CompactError;
use super::input::{Input, InputColumn};
use super::{Cancel, Place};

/// About how many bytes of one column are gathered at once.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;
const PIECE_ROWS: usize = 1 << 16;
const WHAT: &str = "segment file";

/// Rows of the inputs, under the schema of today.
pub(crate) struct Rows<'a> {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Which of the columns is the primary key.
    key: Option<usize>,
    places: &'a [Place],
    cancel: Cancel<'a>,
}

/// A column of all inputs.
#[derive(Clone)]
pub(crate) struct Column {
    /// The values of each input.
    inputs: Vec<InputColumn>,
    arrays: Vec<ArrayRef>,
    piece_rows: usize,
    has_no_nulls: bool,
}

impl Column {
    fn new(inputs: Vec<InputColumn>) -> Self {
        let arrays: Vec<ArrayRef> =
            inputs.iter().map(|column| Arc::clone(column.array())).collect();
        let rows: usize = arrays.iter().map(|array| array.len()).sum();
        let size = |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(0);
        let bytes: usize = arrays.iter().map(size).sum();
        let width = bytes.checked_div(rows).unwrap_or(0).max(1);
        let piece = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX) / width;
        let has_no_nulls = arrays.iter().all(|array| array.null_count() == 0);
        Self { inputs, arrays, piece_rows: piece.clamp(64, PIECE_ROWS), has_no_nulls }
    }

    /// The values of each input.
    pub(crate) fn inputs(&self) -> &[InputColumn] {
        &self.inputs
    }

    fn gather(&self, places: &[Place]) -> Result<ArrayRef, EncodeError> {
        let place = |place: &Place| {
            let input = place.input as usize;
            let row = place.row as usize;
            (input, self.inputs.get(input).map_or(row, |column| column.at(row).1))
        };
        let places: Vec<(usize, usize)> = places.iter().map(place).collect();
        gather(&self.arrays, &places).map_err(|source| EncodeError::Arrow { what: WHAT, source })
    }
}

impl<'a> Rows<'a> {
    /// The rows at `places` among those of `inputs`.
    pub(crate) fn new(
        schema: &SegmentSchema,
        inputs: &'a [Input],
        places: &'a [Place],
        cancel: Cancel<'a>,
    ) -> Self {
        let mut fields = Vec::with_capacity(schema.fields().len());
        let mut columns = Vec::with_capacity(schema.fields().len() + 1);
        for (at, field) in schema.arrow().fields().iter().enumerate() {
            let of_field = inputs.iter().filter_map(|input| input.column(at).cloned());
            let column = Column::new(of_field.collect());
            // Rows from before a field that must have values have none.
            let nullable = field.is_nullable() || !column.has_no_nulls;
            fields.push(field.as_ref().clone().with_nullable(nullable));
            columns.push(column);
        }
        let timestamps =
            inputs.iter().map(|input| InputColumn::Values(Arc::new(input.timestamps().clone())));
        columns.push(Column::new(timestamps.collect()));
        let key = schema.fields().iter().position(|field| field.is_primary_key);
        Self { schema: Arc::new(Schema::new(fields)), columns, key, places, cancel }
    }

    /// Some of them.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            columns: self.columns.clone(),
            key: self.key,
            places: self.places.get(rows).unwrap_or_default(),
            cancel: self.cancel,
        }
    }

    pub(crate) fn places(&self) -> &'a [Place] {
        self.places
    }

    /// The columns, the timestamps last.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn keys(&self) -> Result<PrimaryKeys, EncodeError> {
        let column = self.key.and_then(|at| self.columns.get(at));
        let column = column.map(|column| column.gather(self.places)).transpose()?;
        column.and_then(|column| PrimaryKeys::from_array(&column)).ok_or_else(|| {
            let reason = "its primary key is neither Int64 nor VarChar".to_owned();
            EncodeError::Mismatch { what: "key index", reason }
        })
    }
}

impl RowSource for Rows<'_> {
    fn rows(&self) -> u64 {
        self.places.len() as u64
    }

    fn pieces(&self, column: usize, take: TakePiece<'_>) -> Result<(), EncodeError> {
        let Some(column) = self.columns.get(column) else { return Ok(()) };
        self.places.chunks(column.piece_rows).try_for_each(|places| {
            if self.cancel.is_raised() {
                return Err(EncodeError::Cancelled { what: WHAT });
            }
            take(&column.gather(places)?)
        })
    }

    fn has_no_nulls(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.has_no_nulls)
    }
}

/// Writes segment `id` of `rows`, of which `deletes` are deleted.
pub(crate) fn segment(
    task: &CompactSegments,
    id: SegmentId,
    rows: &Rows<'_>,
    deletes: &[DeleteEntry],
    store: &dyn ObjectStore,
) -> Result<SegmentEntry, CompactError> {
    let first = task.inputs.first().ok_or(CompactError::NoInputs)?;
    let (collection, partition) = (task.collection.id, first.partition_id);
    let columns_path = path::columns(collection, partition, id);
    let info = put(store, &columns_path, |out| write_segment_from(out, &rows.schema, rows))?;
    failpoint::hit("compact.columns");
    let keys_path = path::keys(collection, partition, id);
    let keys = put(store, &keys_path, |out| write_key_index(&rows.keys()?, out))?;
    let newest = deletes.iter().map(|delete| delete.timestamp).max();
    let delete_file = newest.map(|max_ts| {
        // A later file of the segment is named for a later time.
        let path = path::deletes(collection, partition, id, max_ts.0);
        let written = put(store, &path, |out| write_deletes(out, deletes))?;
        Ok::<_, CompactError>(DeleteFile {
            file: written.at(path),
            rows: deletes.len() as u64,
            max_ts,
        })
    });
    let columns: FileMeta = info.at(columns_path);
    Ok(SegmentEntry {
        id,
        partition_id: partition,
        vchannel: first.vchannel.clone(),
        rows: info.rows,
        min_ts: info.min_ts,
        max_ts: info.max_ts,
        columns,
        key_index: keys.at(keys_path),
        delete_files: delete_file.transpose()?.into_iter().collect(),
        indexes: Vec::new(),
        deleted_rows: deletes.len() as u64,
        schema_version: task.collection.schema.version,
        level: task.level,
        stats: info.stats,
    })
}

/// Puts what `write` writes at `path`; durable when it returns.
fn put<T>(
    store: &dyn ObjectStore,
    path: &str,
    write: impl FnOnce(&mut ObjectWriter) -> Result<T, EncodeError>,
) -> Result<T, CompactError> {
    let mut out = store.writer(path)?;
    let written = write(&mut out).map_err(|source| {
        if let EncodeError::Cancelled { .. } = source {
            return CompactError::Cancelled;
        }
        CompactError::Write { path: path.to_owned(), source }
    })?;
    out.finish()?;
    Ok(written)
}
