//! Growing segments: rows in memory, added at the end while others read.
//!
//! - One writer at a time (calls of [`GrowingSegment::insert`] wait for each other), any number of
//!   readers. A reader takes the list of chunks and works on it without a lock; what is inserted
//!   meanwhile is not in its list.
//! - Rows come in order of timestamps, so what a snapshot sees is a prefix, less the deletes.
//! - Small inserts are merged with their neighbours as a binary counter does: each row is copied
//!   at most log2([`CHUNK_ROWS`]) times, and `n` rows lie in about `n / CHUNK_ROWS` chunks plus
//!   log2(CHUNK_ROWS) small ones, however they came.
//!
//! Not here: the log that makes inserts durable, sealing and flushing (`streaming`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray, UInt64Array};
use arrow::compute;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use milvus_expr::Plan;
use milvus_format::RowChunk;
use milvus_types::{PartitionId, PkType, PrimaryKeys, SegmentId, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::chunk::{Chunk, Rows, batch_bytes};
use crate::deletes::{DeleteBitmap, DeleteSnapshot};
use crate::error::{
    ColumnNotFound, ColumnType, FetchError, InsertError, OpenError, QueryError, SearchError,
};
use crate::live::{Live, Visibility};
use crate::segment::{Segment, select};
use crate::spec::{Hit, SearchSpec, Selection};
use crate::{exact, fetch};

/// The most rows to which small inserts are merged.
pub const CHUNK_ROWS: u32 = 8192;

/// A segment that takes rows.
#[derive(Debug)]
pub struct GrowingSegment {
    id: SegmentId,
    partition_id: PartitionId,
    schema: SchemaRef,
    pk_type: PkType,
    pk_column: usize,
    deletes: DeleteBitmap,
    state: RwLock<State>,
    /// Held by the one insert under way, so that merging needs no lock that readers take.
    writer: Mutex<()>,
}

#[derive(Debug)]
struct State {
    chunks: Arc<[Arc<Chunk>]>,
    /// (first row, timestamp) of each stretch of rows with one timestamp.
    runs: Vec<(u32, Timestamp)>,
    bytes: u64,
}

impl GrowingSegment {
    /// An empty segment for rows of `schema` (of `milvus_types::columns::arrow_schema`), of which
    /// `pk_field` is the primary key.
    pub fn new(
        id: SegmentId,
        partition_id: PartitionId,
        schema: SchemaRef,
        pk_field: &str,
    ) -> Result<Self, OpenError> {
        let no_column = || ColumnNotFound { segment_id: id, column: pk_field.to_owned() };
        let pk_column = schema.index_of(pk_field).map_err(|_| no_column())?;
        let data_type = schema.field(pk_column).data_type();
        let keys = PrimaryKeys::from_array(&arrow::array::new_empty_array(data_type));
        let keys = keys.ok_or_else(|| ColumnType::primary_key(id, pk_field, data_type))?;
        Ok(Self {
            id,
            partition_id,
            pk_type: keys.pk_type(),
            schema,
            pk_column,
            deletes: DeleteBitmap::default(),
            state: RwLock::new(State { chunks: Arc::new([]), runs: Vec::new(), bytes: 0 }),
            writer: Mutex::new(()),
        })
    }

    /// The Arrow schema of its rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds `rows`, which have the schema's columns in their order, at `timestamp`, which is not
    /// before that of any earlier insert. Gives the numbers of the rows.
    pub fn insert(
        &self,
        timestamp: Timestamp,
        rows: RecordBatch,
    ) -> Result<Range<u32>, InsertError> {
        let _writer = self.writer.lock();
        let (chunks, newest) = {
            let state = self.state.read();
            (Arc::clone(&state.chunks), state.newest())
        };
        if let Some(newest) = newest.filter(|newest| timestamp < *newest) {
            let (segment_id, got) = (self.id, timestamp);
            return Err(InsertError::TimestampWentBack { segment_id, got, newest });
        }
        let start = chunks.last().map_or(0, |chunk| chunk.end());
        let end = u32::try_from(rows.num_rows()).ok().and_then(|len| start.checked_add(len));
        let Some(end) = end else {
            let more = rows.num_rows();
            return Err(InsertError::TooManyRows { segment_id: self.id, rows: start, more });
        };
        if start == end {
            return Ok(start..end);
        }
        let schema_error = |source| InsertError::Schema { segment_id: self.id, source };
        let rows = self.conform(&rows).map_err(schema_error)?;
        let bytes = batch_bytes(&rows);
        let chunks = self.append(&chunks, rows).map_err(schema_error)?;

        let mut state = self.state.write();
        state.chunks = chunks;
        state.bytes += bytes;
        if state.newest() != Some(timestamp) {
            state.runs.push((start, timestamp));
        }
        Ok(start..end)
    }

    /// `rows` under this segment's own schema.
    fn conform(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let named = rows.schema_ref().fields().iter().map(|field| field.name());
        if !self.schema.fields().iter().map(|field| field.name()).eq(named.clone()) {
            let got: Vec<_> = named.collect();
            let want: Vec<_> = self.schema.fields().iter().map(|field| field.name()).collect();
            return Err(ArrowError::SchemaError(format!("got columns {got:?}, want {want:?}")));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), rows.columns().to_vec())
    }

    /// `chunks` with `rows` behind them, small neighbours merged.
    fn append(
        &self,
        chunks: &[Arc<Chunk>],
        rows: RecordBatch,
    ) -> Result<Arc<[Arc<Chunk>]>, ArrowError> {
        let mut len = u32::try_from(rows.num_rows())
            .map_err(|_| ArrowError::ComputeError("too many rows".to_owned()))?;
        let mut keep = chunks.len();
        while let Some(last) = keep.checked_sub(1).and_then(|last| chunks.get(last))
            && last.len <= len
            && last.len + len <= CHUNK_ROWS
        {
            len += last.len;
            keep -= 1;
        }
        let (kept, merged) = chunks.split_at(keep);
        let start = kept.last().map_or(0, |chunk| chunk.end());
        let batch = if merged.is_empty() {
            rows
        } else {
            let parts = merged.iter().map(|chunk| &chunk.batch).chain([&rows]);
            compute::concat_batches(&self.schema, parts)?
        };
        let keys = PrimaryKeys::from_array(batch.column(self.pk_column)).ok_or_else(|| {
            ArrowError::SchemaError("the primary key is no integer and no string".to_owned())
        })?;
        let chunk = Arc::new(Chunk::new(start, len, batch, keys));
        Ok(kept.iter().cloned().chain([chunk]).collect())
    }

    /// When the first row came.
    pub fn min_ts(&self) -> Option<Timestamp> {
        self.state.read().runs.first().map(|(_, ts)| *ts)
    }

    /// When the last row came.
    pub fn max_ts(&self) -> Option<Timestamp> {
        self.state.read().newest()
    }

    /// Bytes of the rows' values.
    pub fn bytes(&self) -> u64 {
        self.state.read().bytes
    }

    /// All rows with their timestamps, in order, as a segment file takes them.
    pub fn chunks(&self) -> Vec<RowChunk> {
        let (rows, runs) = {
            let state = self.state.read();
            (self.view(&state), state.runs.clone())
        };
        let chunk = |chunk: &Arc<Chunk>| RowChunk {
            rows: chunk.batch.clone(),
            timestamps: timestamps(&runs, chunk.start..chunk.end()),
        };
        rows.chunks.iter().map(chunk).collect()
    }

    /// The keys of all rows, in order.
    pub fn keys(&self) -> PrimaryKeys {
        let rows = self.rows_now();
        match self.pk_type {
            PkType::Int64 => {
                let mut keys = Vec::with_capacity(rows.len() as usize);
                for chunk in rows.chunks.iter() {
                    if let PrimaryKeys::Int64(chunk) = &chunk.keys {
                        keys.extend_from_slice(chunk.values());
                    }
                }
                PrimaryKeys::Int64(keys.into())
            }
            PkType::VarChar => {
                let chunks = rows.chunks.iter().filter_map(|chunk| match &chunk.keys {
                    PrimaryKeys::VarChar(keys) => Some(keys.iter().flatten()),
                    PrimaryKeys::Int64(_) => None,
                });
                PrimaryKeys::VarChar(StringArray::from_iter_values(chunks.flatten()))
            }
        }
    }

    fn view(&self, state: &State) -> Rows {
        Rows {
            segment_id: self.id,
            schema: Arc::clone(&self.schema),
            pk_type: self.pk_type,
            chunks: Arc::clone(&state.chunks),
        }
    }

    fn rows_now(&self) -> Rows {
        self.view(&self.state.read())
    }

    /// The rows, and what a snapshot at `mvcc` sees of them.
    fn at(&self, mvcc: Timestamp) -> (Rows, Visibility) {
        let (rows, visible) = {
            let state = self.state.read();
            let rows = self.view(&state);
            let first_hidden = state.runs.partition_point(|(_, ts)| *ts <= mvcc);
            let visible = state.runs.get(first_hidden).map_or(rows.len(), |(row, _)| *row);
            (rows, visible)
        };
        (rows, Visibility { rows: visible, alive: self.deletes.alive(visible, mvcc) })
    }
}

impl State {
    fn newest(&self) -> Option<Timestamp> {
        self.runs.last().map(|(_, ts)| *ts)
    }
}

/// The timestamp of `row`.
fn timestamp(runs: &[(u32, Timestamp)], row: u32) -> Timestamp {
    let after = runs.partition_point(|(first, _)| *first <= row);
    after.checked_sub(1).and_then(|run| runs.get(run)).map_or(Timestamp::ZERO, |(_, ts)| *ts)
}

/// The timestamps of `rows`.
fn timestamps(runs: &[(u32, Timestamp)], rows: Range<u32>) -> UInt64Array {
    let mut next = runs.partition_point(|(first, _)| *first <= rows.start);
    let mut ts = timestamp(runs, rows.start);
    UInt64Array::from_iter_values(rows.map(|row| {
        while let Some((first, run_ts)) = runs.get(next).filter(|(first, _)| *first <= row) {
            debug_assert!(*first <= row);
            ts = *run_ts;
            next += 1;
        }
        ts.0
    }))
}

impl Segment for GrowingSegment {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn partition_id(&self) -> PartitionId {
        self.partition_id
    }

    fn rows(&self) -> u32 {
        self.rows_now().len()
    }

    fn search(&self, spec: &SearchSpec) -> Result<Vec<Vec<Hit>>, SearchError> {
        let (rows, visibility) = self.at(spec.mvcc);
        exact::check(&rows, spec)?;
        let live = Live::find(&rows, visibility, &spec.filter, |keys| rows.find_keys(keys))?;
        exact::search(&rows, &live, spec)
    }

    fn select(
        &self,
        filter: &Plan,
        keys: Option<&PrimaryKeys>,
        mvcc: Timestamp,
        limit: Option<usize>,
    ) -> Result<Selection, QueryError> {
        let (rows, visibility) = self.at(mvcc);
        select(&rows, visibility, filter, keys, limit, |keys| rows.find_keys(keys))
    }

    fn count(&self, filter: &Plan, mvcc: Timestamp) -> Result<u64, QueryError> {
        let (rows, visibility) = self.at(mvcc);
        Ok(Live::find(&rows, visibility, filter, |keys| rows.find_keys(keys))?.count())
    }

    fn fetch(&self, rows: &[u32], columns: &[String]) -> Result<RecordBatch, FetchError> {
        let view = self.rows_now();
        fetch::fetch(&view, |row| timestamp(&self.state.read().runs, row), rows, columns)
    }

    fn delete(&self, rows: &[(u32, Timestamp)]) {
        self.deletes.delete(rows.iter().copied());
    }

    fn deletes(&self) -> DeleteSnapshot {
        self.deletes.snapshot()
    }

    fn memory_bytes(&self) -> u64 {
        let state = self.state.read();
        let runs = state.runs.capacity() * size_of::<(u32, Timestamp)>();
        state.bytes + runs as u64 + self.deletes.memory_bytes()
    }
}
