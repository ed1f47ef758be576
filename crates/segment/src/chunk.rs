//! Chunks: the rows of a segment as Arrow batches, numbered through.
//!
//! A growing segment has several chunks that change as rows arrive; a sealed one has the batch of
//! its file. Everything that reads rows ([`crate::live`], [`crate::exact`], [`crate::select`],
//! [`crate::fetch`]) works on a list of chunks and does not care.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Float32Type, SchemaRef};

use milvus_types::columns::FIELD_ID;
use milvus_types::{FieldId, PkType, PrimaryKeys, SegmentId};

use crate::error::{ColumnNotFound, ColumnType, RowOutOfRange};

/// Rows that lie side by side.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The number of the first row in the segment.
    pub(crate) start: u32,
    /// How many rows.
    pub(crate) len: u32,
    /// Their columns.
    pub(crate) batch: RecordBatch,
    /// Their primary keys: one of the columns.
    pub(crate) keys: PrimaryKeys,
    /// Rows of the chunk in order of key; made when a key is first looked for.
    key_order: OnceLock<Box<[u32]>>,
}

impl Chunk {
    pub(crate) fn new(start: u32, len: u32, batch: RecordBatch, keys: PrimaryKeys) -> Self {
        Self { start, len, batch, keys, key_order: OnceLock::new() }
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

/// Bytes of the values of `batch`, whoever else shares their buffers.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> u64 {
    let bytes = |column: &Arc<dyn Array>| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(bytes).sum::<usize>() as u64
}

/// The chunks of a segment at one moment, in order and without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) segment_id: SegmentId,
    pub(crate) schema: SchemaRef,
    pub(crate) pk_type: PkType,
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

    /// The names of the columns of `fields`, as far as there are such columns.
    pub(crate) fn names(&self, fields: &[FieldId]) -> Vec<String> {
        let ids: Vec<String> = fields.iter().map(FieldId::to_string).collect();
        let wanted =
            |field: &&Arc<Field>| field.metadata().get(FIELD_ID).is_some_and(|id| ids.contains(id));
        self.schema.fields().iter().filter(wanted).map(|field| field.name().clone()).collect()
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

/// The values and the dimension of a float vector column.
pub(crate) fn float_vectors<'a>(
    segment_id: SegmentId,
    name: &str,
    column: &'a dyn Array,
) -> Result<(&'a [f32], usize), ColumnType> {
    let wrong = || ColumnType::float_vectors(segment_id, name, column.data_type());
    let list = column.as_fixed_size_list_opt().ok_or_else(wrong)?;
    let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
    let dim = usize::try_from(list.value_length()).map_err(|_| wrong())?;
    Ok((values.values(), dim))
}

/// Whether `data_type` is that of a float vector column.
pub(crate) fn is_float_vector(data_type: &ArrowType) -> bool {
    matches!(data_type, ArrowType::FixedSizeList(item, _) if *item.data_type() == ArrowType::Float32)
}
