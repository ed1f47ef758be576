//! One segment on its way into other files: its own, verified, and its columns under today's schema.
//!
//! A column is matched by its field's id. A field that the file lacks reads as its default value or
//! null; a column whose field was dropped is left out.

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, UInt64Array};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use milvus_format::delete_file::read_deletes;
use milvus_format::{DecodeError, DeleteEntry, FileMeta, SegmentEntry, open_segment, verify};
use milvus_segment::{Expiry, SegmentSchema, constant};
use milvus_storage::{ObjectStore, StoreError};
use milvus_types::{Coded, ErrorCode, FieldSchema, SegmentId, Timestamp};

use crate::column;

/// Why a segment's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("file {path}")]
    File {
        path: String,
        #[source]
        source: DecodeError,
    },
    #[error("file {path} has {got} rows, its manifest says {want}")]
    Rows { path: String, got: u64, want: u64 },
    #[error("file {path} deletes row {row} of a segment of {rows} rows")]
    DeletedRow { path: String, row: u32, rows: usize },
    #[error("column {column} of file {path} is {got}, want {want}")]
    Column { path: String, column: String, got: String, want: String },
}

impl Coded for InputError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::File { source, .. } => source.code(),
            Self::Rows { .. } | Self::DeletedRow { .. } | Self::Column { .. } => {
                ErrorCode::DataIntegrity
            }
        }
    }
}

/// The bytes of a segment: its columns, mapped, and each of its delete files.
#[derive(Clone, Debug)]
pub(crate) struct InputBytes {
    columns: Bytes,
    deletes: Vec<Bytes>,
}

impl InputBytes {
    /// Those of `segment` in `store`.
    pub(crate) async fn map(
        store: &dyn ObjectStore,
        segment: &SegmentEntry,
    ) -> Result<Self, StoreError> {
        let columns = store.map(&segment.columns.path).await?;
        let mut deletes = Vec::with_capacity(segment.delete_files.len());
        for deleted in &segment.delete_files {
            deletes.push(store.map(&deleted.file.path).await?);
        }
        Ok(Self { columns, deletes })
    }
}

/// A row of one of several inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) input: u32,
    pub(crate) row: u32,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Input {
    id: SegmentId,
    timestamps: UInt64Array,
    /// One for each field of the schema.
    columns: Vec<InputColumn>,
    /// Each deleted row once, at its earliest, by row.
    deletes: Vec<DeleteEntry>,
}

/// The values of one field.
#[derive(Clone, Debug)]
pub(crate) enum InputColumn {
    /// A value for each row.
    Values(ArrayRef),
    /// One row, which every row is equal to.
    Same(ArrayRef),
}

impl InputColumn {
    /// The array, and where in it the value of `row` is.
    pub(crate) fn at(&self, row: usize) -> (&ArrayRef, usize) {
        match self {
            Self::Values(values) => (values, row),
            Self::Same(value) => (value, 0),
        }
    }

    pub(crate) fn array(&self) -> &ArrayRef {
        match self {
            Self::Values(array) | Self::Same(array) => array,
        }
    }
}

impl Input {
    /// Opens `segment` from its `bytes`, every one of which is verified.
    pub(crate) fn open(
        segment: &SegmentEntry,
        bytes: InputBytes,
        schema: &SegmentSchema,
    ) -> Result<Self, InputError> {
        let meta = &segment.columns;
        let file = in_file(meta, verify(&bytes.columns, meta))
            .and_then(|()| in_file(meta, open_segment(&Buffer::from(bytes.columns), meta)))?;
        let rows = file.rows.num_rows();
        if rows as u64 != segment.rows {
            let (path, got) = (meta.path.clone(), rows as u64);
            return Err(InputError::Rows { path, got, want: segment.rows });
        }
        let columns = (schema.fields().iter().zip(schema.arrow().fields()))
            .map(|(field, want)| match column::find(&file.rows, field) {
                Some(values) if values.data_type().equals_datatype(want.data_type()) => {
                    check_key(meta, field, &values)?;
                    Ok(InputColumn::Values(values))
                }
                Some(values) => Err(wrong_column(meta, field, &values, want.data_type())),
                None if field.is_primary_key => Err(InputError::Column {
                    path: meta.path.clone(),
                    column: field.name.clone(),
                    got: "missing".to_owned(),
                    want: want.data_type().to_string(),
                }),
                None => Ok(InputColumn::Same(constant(field, 1))),
            })
            .collect::<Result<_, _>>()?;
        let deletes = deletes(segment, &bytes.deletes, rows)?;
        Ok(Self { id: segment.id, timestamps: file.timestamps, columns, deletes })
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.id
    }

    pub(crate) fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// Each row's insert timestamp.
    pub(crate) fn timestamps(&self) -> &UInt64Array {
        &self.timestamps
    }

    /// The values of the schema's field number `field`.
    pub(crate) fn column(&self, field: usize) -> Option<&InputColumn> {
        self.columns.get(field)
    }

    /// Each deleted row once, at its earliest, by row.
    pub(crate) fn deletes(&self) -> &[DeleteEntry] {
        &self.deletes
    }

    /// Which rows stay: those that were not deleted at or before `purge_until` and have not expired.
    pub(crate) fn kept(
        &self,
        purge_until: Timestamp,
        expiry: &Expiry,
        schema: &SegmentSchema,
    ) -> BooleanBuffer {
        let before = expiry.rows_before.unwrap_or(Timestamp::ZERO).0;
        let mut kept = BooleanBufferBuilder::new(self.rows());
        for ts in self.timestamps.values() {
            kept.append(*ts >= before);
        }
        for delete in self.deletes.iter().filter(|delete| delete.timestamp <= purge_until) {
            kept.set_bit(delete.row as usize, false);
        }
        let kept = kept.finish();
        match self.unexpired(expiry, schema) {
            Some(unexpired) => &kept & &unexpired,
            None => kept,
        }
    }

    /// Which rows have not expired by the field of `expiry`; `None` for all.
    fn unexpired(&self, expiry: &Expiry, schema: &SegmentSchema) -> Option<BooleanBuffer> {
        let (name, now) = expiry.field.as_ref()?;
        let field = schema.fields().iter().position(|field| field.name == *name)?;
        let column = self.column(field)?;
        let times = column.array().as_primitive_opt::<TimestampMicrosecondType>()?;
        let stays = |row: usize| {
            let (_, row) = column.at(row);
            times.is_null(row) || times.value(row) > *now
        };
        Some(BooleanBuffer::collect_bool(self.rows(), stays))
    }
}

fn in_file<T>(meta: &FileMeta, read: Result<T, DecodeError>) -> Result<T, InputError> {
    read.map_err(|source| InputError::File { path: meta.path.clone(), source })
}

fn check_key(meta: &FileMeta, field: &FieldSchema, values: &ArrayRef) -> Result<(), InputError> {
    if !field.is_primary_key || values.null_count() == 0 {
        return Ok(());
    }
    Err(InputError::Column {
        path: meta.path.clone(),
        column: field.name.clone(),
        got: format!("{} with {} nulls", values.data_type(), values.null_count()),
        want: "a primary key without nulls".to_owned(),
    })
}

fn wrong_column(
    meta: &FileMeta,
    field: &FieldSchema,
    values: &ArrayRef,
    want: &arrow::datatypes::DataType,
) -> InputError {
    InputError::Column {
        path: meta.path.clone(),
        column: field.name.clone(),
        got: values.data_type().to_string(),
        want: want.to_string(),
    }
}

/// The deletes in all delete files of `segment`, whose `files` are in the order of their entries.
fn deletes(
    segment: &SegmentEntry,
    files: &[Bytes],
    rows: usize,
) -> Result<Vec<DeleteEntry>, InputError> {
    let mut all = Vec::new();
    for (meta, bytes) in segment.delete_files.iter().map(|file| &file.file).zip(files) {
        in_file(meta, verify(bytes, meta))?;
        let entries = in_file(meta, read_deletes(bytes))?;
        if let Some(beyond) = entries.iter().find(|entry| entry.row as usize >= rows) {
            let (path, row) = (meta.path.clone(), beyond.row);
            return Err(InputError::DeletedRow { path, row, rows });
        }
        all.extend(entries);
    }
    // By row, then timestamp: the first of each row is its earliest.
    all.sort_unstable();
    all.dedup_by_key(|entry| entry.row);
    all.shrink_to_fit();
    Ok(all)
}
