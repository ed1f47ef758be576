//! Growing segments: rows in memory, added at the end while others read.
//!
//! - One writer at a time (calls of [`GrowingSegment::insert`] wait for each other), any number of
//!   readers. A reader takes the list of chunks and works on it without a lock; what is inserted
//!   meanwhile is not in its list.
//! - Rows come in order of timestamps, so what a snapshot sees is a prefix, less the deletes.
//! - Small inserts are merged with their neighbours as a binary counter does: each row is copied
//!   at most log2([`CHUNK_ROWS`]) times, and `n` rows lie in about `n / CHUNK_ROWS` chunks plus
//!   log2(CHUNK_ROWS) small ones, however they came.
//! - Float vectors are coded once, when there are enough of them, so that a search reads an eighth of
//!   their bytes and gives the same answers ([`crate::coded`]).
//! - When the collection's schema changes, rows keep the columns they came with; see
//!   [`crate::schema`]. Rows that follow an older schema, or a newer one, are taken all the same.
//!
//! Not here: the log that makes inserts durable, sealing and flushing (`streaming`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, RecordBatch, StringArray, UInt64Array};
use arrow::compute;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use milvus_expr::Plan;
use milvus_format::RowChunk;
use milvus_types::{FieldId, PartitionId, PkType, PrimaryKeys, SegmentId, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::chunk::{Chunk, Rows, batch_bytes, field_id};
use crate::codes::CODED_ROWS;
use crate::deletes::{DeleteBitmap, DeleteSnapshot};
use crate::error::{FetchError, InsertError, QueryError, SearchError};
use crate::expiry::Expiry;
use crate::live::{Live, Visibility};
use crate::pages::Pages;
use crate::schema::SegmentSchema;
use crate::segment::{Segment, select};
use crate::spec::{Hit, SearchSpec, Selection};
use crate::target::Target;
use crate::{fetch, search};

/// The most rows to which small inserts are merged.
pub const CHUNK_ROWS: u32 = 8192;

/// A segment that takes rows.
#[derive(Debug)]
pub struct GrowingSegment {
    id: SegmentId,
    partition_id: PartitionId,
    schema: RwLock<Arc<SegmentSchema>>,
    deletes: DeleteBitmap,
    state: RwLock<State>,
    /// Held by the one insert under way, so that merging needs no lock that readers take.
    writer: Mutex<()>,
    pages: Pages,
}

#[derive(Debug)]
struct State {
    chunks: Arc<[Arc<Chunk>]>,
    /// (first row, timestamp) of each stretch of rows with one timestamp.
    runs: Vec<(u32, Timestamp)>,
    bytes: u64,
}

impl GrowingSegment {
    /// An empty segment for rows of `schema`.
    pub fn new(id: SegmentId, partition_id: PartitionId, schema: Arc<SegmentSchema>) -> Self {
        Self {
            id,
            partition_id,
            schema: RwLock::new(schema),
            deletes: DeleteBitmap::default(),
            state: RwLock::new(State { chunks: Arc::new([]), runs: Vec::new(), bytes: 0 }),
            writer: Mutex::new(()),
            pages: Pages::default(),
        }
    }

    /// The schema it answers by.
    pub fn schema(&self) -> Arc<SegmentSchema> {
        Arc::clone(&self.schema.read())
    }

    /// Adds `rows` at `timestamp`, which is not before that of any earlier insert. Gives the numbers
    /// of the rows. Columns are matched by field: those the schema lacks are left out, those that
    /// `rows` lack must be ones that rows can be without.
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
        let schema = self.schema();
        let rows = conform(&schema, &rows).map_err(schema_error)?;
        let bytes = batch_bytes(&rows);
        let chunks = append(self.id, &schema, &chunks, rows).map_err(schema_error)?;

        let mut state = self.state.write();
        state.chunks = chunks;
        state.bytes += bytes;
        if state.newest() != Some(timestamp) {
            state.runs.push((start, timestamp));
        }
        Ok(start..end)
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

    /// All rows with their timestamps, in order, as a segment file takes them: with every column of
    /// the schema given.
    pub fn chunks(&self) -> Result<(SchemaRef, Vec<RowChunk>), ArrowError> {
        let (rows, runs) = {
            let schema = self.schema();
            let state = self.state.read();
            (view(self.id, schema, &state), state.runs.clone())
        };
        let columns: Vec<Vec<ArrayRef>> = rows
            .chunks
            .iter()
            .map(|chunk| rows.schema.fields().iter().map(|f| chunk.column_or_constant(f)).collect())
            .collect();
        let nulls = |at: usize| columns.iter().any(|columns| columns[at].null_count() > 0);
        let fields = rows.schema.arrow().fields().iter().enumerate().map(|(at, field)| {
            let nullable = field.is_nullable() || nulls(at);
            Arc::new(field.as_ref().clone().with_nullable(nullable))
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let chunks = rows.chunks.iter().zip(columns).map(|(chunk, columns)| {
            Ok(RowChunk {
                rows: RecordBatch::try_new(Arc::clone(&schema), columns)?,
                timestamps: timestamps(&runs, chunk.start..chunk.end()),
            })
        });
        let chunks = chunks.collect::<Result<_, ArrowError>>()?;
        Ok((schema, chunks))
    }

    /// The keys of all rows, in order.
    pub fn keys(&self) -> PrimaryKeys {
        let rows = self.rows_now();
        match rows.schema.pk_type() {
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

    fn rows_now(&self) -> Rows {
        let schema = self.schema();
        view(self.id, schema, &self.state.read())
    }

    /// The rows, and what a snapshot at `mvcc` sees of them.
    fn at(&self, mvcc: Timestamp, expiry: &Expiry) -> (Rows, Visibility) {
        let schema = self.schema();
        let (rows, visible, expired) = {
            let state = self.state.read();
            let rows = view(self.id, schema, &state);
            let visible = state.first_after(|ts| ts <= mvcc).unwrap_or(rows.len());
            let before = expiry.rows_before;
            let expired = before
                .map_or(0, |before| state.first_after(|ts| ts < before).unwrap_or(rows.len()));
            (rows, visible, expired.min(visible))
        };
        let alive = self.deletes.alive(visible, mvcc);
        let fresh = (expired > 0).then(|| {
            let mut fresh = BooleanBufferBuilder::new(visible as usize);
            fresh.append_n(expired as usize, false);
            fresh.append_n((visible - expired) as usize, true);
            fresh.finish()
        });
        let unexpired = expiry.unexpired(&rows, visible);
        let visibility = Visibility { rows: visible, alive };
        (rows, visibility.and(fresh).and(unexpired))
    }
}

fn view(segment_id: SegmentId, schema: Arc<SegmentSchema>, state: &State) -> Rows {
    Rows { segment_id, schema, chunks: Arc::clone(&state.chunks) }
}

/// The columns of `rows` that `schema` has, in its order and under its names.
fn conform(schema: &SegmentSchema, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let given = rows.schema_ref().fields();
    let find = |id: FieldId, name: &str| {
        let of = |at: usize| field_id(&given[at]);
        (0..given.len())
            .find(|at| of(*at) == Some(id))
            // Rows that do not say which fields they have are taken at their names.
            .or_else(|| (0..given.len()).find(|at| of(*at).is_none() && given[*at].name() == name))
    };
    let mut fields = Vec::with_capacity(given.len());
    let mut columns = Vec::with_capacity(given.len());
    for (field, column) in schema.fields().iter().zip(schema.arrow().fields()) {
        match find(field.id, &field.name) {
            Some(at) => {
                fields.push(Arc::clone(column));
                columns.push(Arc::clone(rows.column(at)));
            }
            None if field.nullable || field.default_value.is_some() || field.is_dynamic => {}
            None => {
                let names = given.iter().map(|field| field.name());
                return Err(ArrowError::SchemaError(format!(
                    "got columns {:?}, want {} too",
                    names.collect::<Vec<_>>(),
                    field.name
                )));
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// `chunks` with `rows` behind them, small neighbours of the same columns merged.
fn append(
    segment_id: SegmentId,
    schema: &SegmentSchema,
    chunks: &[Arc<Chunk>],
    rows: RecordBatch,
) -> Result<Arc<[Arc<Chunk>]>, ArrowError> {
    let mut len = u32::try_from(rows.num_rows())
        .map_err(|_| ArrowError::ComputeError("too many rows".to_owned()))?;
    let mut keep = chunks.len();
    while let Some(last) = keep.checked_sub(1).and_then(|last| chunks.get(last))
        && last.len <= len
        && last.len + len <= CHUNK_ROWS
        && last.batch.schema_ref() == rows.schema_ref()
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
        compute::concat_batches(rows.schema_ref(), parts)?
    };
    let keys = batch.column_by_name(&schema.primary_key().name);
    let keys = keys.and_then(|keys| PrimaryKeys::from_array(keys)).ok_or_else(|| {
        ArrowError::SchemaError("the primary key is no integer and no string".to_owned())
    })?;
    let mut chunk = Chunk::new(start, len, batch, keys);
    if len >= CODED_ROWS {
        let before = kept.last().map(|chunk| &**chunk);
        chunk = chunk.coded(segment_id, schema, before, merged);
    }
    Ok(kept.iter().cloned().chain([Arc::new(chunk)]).collect())
}

impl State {
    fn newest(&self) -> Option<Timestamp> {
        self.runs.last().map(|(_, ts)| *ts)
    }

    /// The first row behind those whose timestamps are `early`, if there is one.
    fn first_after(&self, early: impl Fn(Timestamp) -> bool) -> Option<u32> {
        let runs = self.runs.partition_point(|(_, ts)| early(*ts));
        self.runs.get(runs).map(|(row, _)| *row)
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
        let (rows, visibility) = self.at(spec.mvcc, &spec.expiry);
        let target = Target::new(&rows, spec)?;
        let live = Live::find(&rows, visibility, &spec.filter, None, |keys| rows.find_keys(keys))?;
        search::search(&rows, &live, spec, &target, None, &self.pages)
    }

    fn select(
        &self,
        filter: &Plan,
        keys: Option<&PrimaryKeys>,
        mvcc: Timestamp,
        expiry: &Expiry,
        limit: Option<usize>,
    ) -> Result<Selection, QueryError> {
        let (rows, visibility) = self.at(mvcc, expiry);
        select(&rows, visibility, filter, keys, limit, None, |keys| rows.find_keys(keys))
    }

    fn count(&self, filter: &Plan, mvcc: Timestamp, expiry: &Expiry) -> Result<u64, QueryError> {
        let (rows, visibility) = self.at(mvcc, expiry);
        Ok(Live::find(&rows, visibility, filter, None, |keys| rows.find_keys(keys))?.count())
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
        let codes: u64 = state.chunks.iter().map(|chunk| chunk.code_bytes()).sum();
        state.bytes + codes + runs as u64 + self.deletes.memory_bytes() + self.pages.bytes()
    }

    fn set_schema(&self, schema: Arc<SegmentSchema>) {
        *self.schema.write() = schema;
    }
}
