//! Chunks: the rows of a segment as Arrow batches, numbered through.
//!
//! A growing segment has several chunks that change as rows arrive; a sealed one has the batch of
//! its file. Everything that reads rows ([`crate::live`], [`crate::exact`], [`crate::select`],
//! [`crate::fetch`]) works on a list of chunks and does not care.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};

use milvus_expr::EvaluateError;
use milvus_types::columns::FIELD_ID;
use milvus_types::{FieldId, FieldSchema, PrimaryKeys, SegmentId};

use crate::codes::{Codes, coded_row_bytes};
use crate::constant::{constant, for_filter};
use crate::error::{ColumnNotFound, RowOutOfRange};
use crate::schema::SegmentSchema;
use crate::vectors::vector_data;

/// Rows that lie side by side.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The number of the first row in the segment.
    pub(crate) start: u32,
    /// How many rows.
    pub(crate) len: u32,
    /// Their columns, those that they came with.
    pub(crate) batch: RecordBatch,
    /// The field of each column.
    ids: Box<[Option<FieldId>]>,
    /// Their primary keys: one of the columns.
    pub(crate) keys: PrimaryKeys,
    /// Codes of some of the columns of vectors.
    codes: Vec<(FieldId, Codes)>,
    /// Rows of the chunk in order of key; made when a key is first looked for.
    key_order: OnceLock<Box<[u32]>>,
}

impl Chunk {
    pub(crate) fn new(start: u32, len: u32, batch: RecordBatch, keys: PrimaryKeys) -> Self {
        let fields = batch.schema_ref().fields().iter();
        let ids = fields.map(|field| field_id(field)).collect();
        Self { start, len, batch, ids, keys, codes: Vec::new(), key_order: OnceLock::new() }
    }

    /// With the codes of those columns that are vectors of `schema` and worth coding. `parts` are the
    /// chunks that it was merged from, as far as they were chunks, and `before` is the one before it.
    pub(crate) fn coded(
        mut self,
        segment_id: SegmentId,
        schema: &SegmentSchema,
        before: Option<&Self>,
        parts: &[Arc<Self>],
    ) -> Self {
        for field in schema.fields().iter().filter(|field| coded_row_bytes(field).is_some()) {
            let before = before.and_then(|chunk| chunk.codes(field.id));
            let part = |part: &'_ Arc<Self>| (part.start - self.start) as usize;
            let parts: Vec<(usize, &Codes)> = parts
                .iter()
                .filter_map(|chunk| Some((part(chunk), chunk.codes(field.id)?)))
                .collect();
            // That a column holds other values than it should is for those who read it to say.
            let vectors = self.column(field.id).map(|own| vector_data(segment_id, field, own));
            let codes = vectors.and_then(Result::ok);
            let codes = codes.and_then(|vectors| Codes::after(&vectors, before, &parts));
            self.codes.extend(codes.map(|codes| (field.id, codes)));
        }
        self
    }

    /// The codes of field `id`, if its vectors have any here.
    pub(crate) fn codes(&self, id: FieldId) -> Option<&Codes> {
        self.codes.iter().find(|(field, _)| *field == id).map(|(_, codes)| codes)
    }

    /// Bytes of all codes.
    pub(crate) fn code_bytes(&self) -> u64 {
        self.codes.iter().map(|(_, codes)| codes.bytes()).sum()
    }

    /// The column of field `id`, if its rows came with one.
    pub(crate) fn column(&self, id: FieldId) -> Option<&ArrayRef> {
        let at = self.ids.iter().position(|own| *own == Some(id))?;
        self.batch.columns().get(at)
    }

    /// The column of `field`; of rows that came without one, the default value or null.
    pub(crate) fn column_or_constant(&self, field: &FieldSchema) -> ArrayRef {
        match self.column(field.id) {
            Some(column) => Arc::clone(column),
            None => constant(field, self.len as usize),
        }
    }

    pub(crate) fn end(&self) -> u32 {
        self.start + self.len
    }

    /// Bytes of its values; buffers that it shares with others are not counted twice.
    pub(crate) fn bytes(&self) -> u64 {
        batch_bytes(&self.batch)
    }

    /// Appends to `rows` the numbers in the segment of the rows that have one of `keys`.
    pub(crate) fn find_keys(&self, keys: &PrimaryKeys, rows: &mut Vec<u32>) {
        match (&self.keys, keys) {
            (PrimaryKeys::Int64(own), PrimaryKeys::Int64(wanted)) => {
                let own = own.values();
                self.find(wanted.values().iter().copied(), |row| own[row as usize], rows);
            }
            (PrimaryKeys::VarChar(own), PrimaryKeys::VarChar(wanted)) => {
                self.find(wanted.iter().flatten(), |row| own.value(row as usize), rows);
            }
            // A key of another type is the key of no row.
            (PrimaryKeys::Int64(_), PrimaryKeys::VarChar(_))
            | (PrimaryKeys::VarChar(_), PrimaryKeys::Int64(_)) => {}
        }
    }

    fn find<K: Ord>(
        &self,
        wanted: impl Iterator<Item = K>,
        key: impl Fn(u32) -> K,
        rows: &mut Vec<u32>,
    ) {
        let order = self.key_order.get_or_init(|| {
            let mut order: Vec<u32> = (0..self.len).collect();
            order.sort_by_key(|row| key(*row));
            order.into()
        });
        for wanted in wanted {
            let first = order.partition_point(|row| key(*row) < wanted);
            let same = order.iter().skip(first).take_while(|row| key(**row) == wanted);
            rows.extend(same.map(|row| self.start + row));
        }
    }
}

/// The identity of the field that a column is of.
pub(crate) fn field_id(field: &Field) -> Option<FieldId> {
    field.metadata().get(FIELD_ID)?.parse().ok().map(FieldId)
}

/// Bytes of the values of `batch`, whoever else shares their buffers.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> u64 {
    let bytes = |column: &Arc<dyn Array>| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(bytes).sum::<usize>() as u64
}

/// The chunks of a segment at one moment, in order and without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) segment_id: SegmentId,
    pub(crate) schema: Arc<SegmentSchema>,
    pub(crate) chunks: Arc<[Arc<Chunk>]>,
}

impl Rows {
    /// How many rows there are.
    pub(crate) fn len(&self) -> u32 {
        self.chunks.last().map_or(0, |chunk| chunk.end())
    }

    /// The chunk that holds `row`, by its place in the list.
    pub(crate) fn locate(&self, row: u32) -> Result<(usize, &Chunk), RowOutOfRange> {
        let index = self.chunks.partition_point(|chunk| chunk.end() <= row);
        match self.chunks.get(index) {
            Some(chunk) => Ok((index, chunk)),
            None => Err(RowOutOfRange { segment_id: self.segment_id, row, rows: self.len() }),
        }
    }

    /// The chunks that have rows below `visible`, with how many.
    pub(crate) fn visible(&self, visible: u32) -> impl Iterator<Item = (&Chunk, u32)> {
        self.chunks
            .iter()
            .take_while(move |chunk| chunk.start < visible)
            .map(move |chunk| (&**chunk, chunk.len.min(visible - chunk.start)))
    }

    /// The names of `fields`, as far as there are such fields.
    pub(crate) fn names(&self, fields: &[FieldId]) -> Vec<String> {
        let known = fields.iter().filter_map(|id| self.schema.field_by_id(*id));
        known.map(|field| field.name.clone()).collect()
    }

    /// The first `len` rows of `chunk` with the columns of `fields`, for conditions on them.
    pub(crate) fn batch(
        &self,
        chunk: &Chunk,
        fields: &[FieldId],
        len: u32,
    ) -> Result<RecordBatch, EvaluateError> {
        let len = len as usize;
        let mut columns = Vec::with_capacity(fields.len());
        let mut named = Vec::with_capacity(fields.len());
        for field in fields.iter().filter_map(|id| self.schema.field_by_id(*id)) {
            let column = match chunk.column(field.id) {
                Some(column) if column.len() == len => Arc::clone(column),
                Some(column) => column.slice(0, len.min(column.len())),
                None => for_filter(field, len),
            };
            named.push(Field::new(&field.name, column.data_type().clone(), true));
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(named)), columns, &options)
            .map_err(|error| EvaluateError::Arrow { cause: error.to_string() })
    }

    /// The rows that have one of `keys`, in any order, by each chunk's own order of keys.
    pub(crate) fn find_keys(&self, keys: &PrimaryKeys) -> Vec<u32> {
        let mut found = Vec::new();
        for chunk in self.chunks.iter() {
            chunk.find_keys(keys, &mut found);
        }
        found
    }

    /// The error of a column that is not there.
    pub(crate) fn no_column(&self, column: &str) -> ColumnNotFound {
        ColumnNotFound { segment_id: self.segment_id, column: column.to_owned() }
    }
}
