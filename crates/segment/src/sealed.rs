//! Sealed segments: rows that never change, read in place from their mapped file.
//!
//! Deletes are kept beside the rows. A filter that the statistics of the columns rule out is not
//! evaluated. A search uses the index of its field and metric where there is one and reads every live
//! vector otherwise; both answer alike up to the index's recall.
//!
//! Not here: mapping files and checking them (`query`), writing them (`milvus_format`).

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use milvus_expr::Plan;
use milvus_format::{KeyIndex, SegmentFile};
use milvus_index::VectorIndex;
use milvus_scalar::{ScalarIndex, ScalarIndexSet};
use milvus_types::{
    FieldId, FieldStats, MetricType, PartitionId, PkType, PrimaryKeys, SegmentId, Timestamp,
};
use parking_lot::RwLock;

use crate::chunk::{Chunk, Rows, field_id};
use crate::deletes::{DeleteBitmap, DeleteSnapshot};
use crate::error::{
    ColumnNotFound, ColumnType, FetchError, FilterError, OpenError, QueryError, SearchError,
};
use crate::expiry::Expiry;
use crate::live::{Live, Visibility};
use crate::pages::Pages;
use crate::schema::SegmentSchema;
use crate::segment::{self, Segment};
use crate::spec::{Hit, SearchSpec, Selection};
use crate::target::Target;
use crate::{fetch, search, select};

/// A vector index of a sealed segment.
#[derive(Clone)]
pub struct SegmentIndex {
    /// The indexed field.
    pub field: FieldId,
    /// The metric it was built for.
    pub metric: MetricType,
    /// The open index.
    pub index: Arc<dyn VectorIndex>,
}

impl std::fmt::Debug for SegmentIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, metric, index: _ } = self;
        f.debug_struct("SegmentIndex").field("field", field).field("metric", metric).finish()
    }
}

/// What a sealed segment is made of.
#[derive(Clone, Debug)]
pub struct SealedParts {
    /// Its identity.
    pub id: SegmentId,
    /// The partition its rows are in.
    pub partition_id: PartitionId,
    /// The collection's current schema.
    pub schema: Arc<SegmentSchema>,
    /// The open columns.
    pub file: SegmentFile,
    /// Deleted rows: of the delete files and those that no file has yet, in any order.
    pub deletes: Vec<(u32, Timestamp)>,
    /// The vector indexes built on it.
    pub indexes: Vec<SegmentIndex>,
    /// The scalar indexes built on it.
    pub scalar_indexes: Vec<Arc<dyn ScalarIndex>>,
    /// Primary key to row; without it keys are found by sorting the key column once.
    pub key_index: Option<KeyIndex>,
    /// What is known of the values of the file's columns; fields without any are not pruned by.
    pub stats: Vec<FieldStats>,
}

/// A segment that takes no more rows.
#[derive(Debug)]
pub struct SealedSegment {
    id: SegmentId,
    partition_id: PartitionId,
    len: u32,
    pk_type: PkType,
    rows: RwLock<Rows>,
    timestamps: arrow::array::UInt64Array,
    min_ts: Timestamp,
    max_ts: Timestamp,
    deletes: DeleteBitmap,
    indexes: Vec<SegmentIndex>,
    scalar_indexes: Option<ScalarIndexSet>,
    key_index: Option<KeyIndex>,
    /// By field.
    stats: Vec<FieldStats>,
    pages: Pages,
}

impl SealedSegment {
    /// Puts the parts together. Fails where they do not fit each other.
    pub fn open(parts: SealedParts) -> Result<Self, OpenError> {
        let SealedParts {
            id,
            partition_id,
            schema,
            file,
            deletes,
            indexes,
            scalar_indexes,
            key_index,
            mut stats,
        } = parts;
        stats.sort_by_key(|stats| stats.field_id);
        let len = u32::try_from(file.rows.num_rows())
            .map_err(|_| OpenError::TooManyRows { segment_id: id, rows: file.rows.num_rows() })?;
        let keys = primary_keys(id, &file, &schema)?;
        check_types(id, &file, &schema)?;
        let pk_type = keys.pk_type();
        let covers = |part: &str, got: u64, fits: bool| match fits {
            true => Ok(()),
            false => Err(OpenError::Rows {
                segment_id: id,
                part: part.to_owned(),
                got,
                want: u64::from(len),
            }),
        };
        let timestamps = file.timestamps.len() as u64;
        covers("$timestamp", timestamps, timestamps == u64::from(len))?;
        if let Some(row) = deletes.iter().map(|(row, _)| *row).max() {
            covers("a delete file", u64::from(row) + 1, row < len)?;
        }
        for SegmentIndex { field, index, .. } in &indexes {
            let got = index.rows() as u64;
            covers(&format!("the index of field {field}"), got, got == u64::from(len))?;
        }
        for index in &scalar_indexes {
            let got = index.rows() as u64;
            covers(&format!("the index of field {}", index.field()), got, got == u64::from(len))?;
        }
        if let Some(keys) = &key_index {
            covers("the key index", keys.len() as u64, keys.len() as u64 == u64::from(len))?;
        }
        let chunk = Arc::new(Chunk::new(0, len, file.rows, keys));
        let timestamps = file.timestamps.values().iter().copied();
        let (min_ts, max_ts) = (timestamps.clone().min(), timestamps.max());
        Ok(Self {
            id,
            partition_id,
            len,
            pk_type,
            rows: RwLock::new(Rows { segment_id: id, schema, chunks: Arc::new([chunk]) }),
            min_ts: Timestamp(min_ts.unwrap_or(u64::MAX)),
            max_ts: Timestamp(max_ts.unwrap_or(0)),
            timestamps: file.timestamps,
            deletes: DeleteBitmap::new(deletes),
            indexes,
            scalar_indexes: (!scalar_indexes.is_empty())
                .then(|| ScalarIndexSet::new(scalar_indexes)),
            key_index,
            stats,
            pages: Pages::default(),
        })
    }

    /// The type of its keys.
    pub fn pk_type(&self) -> PkType {
        self.pk_type
    }

    /// The newest row's timestamp.
    pub fn max_ts(&self) -> Timestamp {
        self.max_ts
    }

    /// Its vector indexes.
    pub fn indexes(&self) -> &[SegmentIndex] {
        &self.indexes
    }

    /// Its scalar indexes.
    pub fn scalar_indexes(&self) -> &[Arc<dyn ScalarIndex>] {
        self.scalar_indexes.as_ref().map_or(&[], |set| set.indexes())
    }

    fn view(&self) -> Rows {
        self.rows.read().clone()
    }

    /// Bytes of its columns, mapped or not.
    pub fn column_bytes(&self) -> u64 {
        self.view().chunks.iter().map(|chunk| chunk.bytes()).sum()
    }

    /// What a snapshot at `mvcc` sees.
    fn visibility(&self, rows: &Rows, mvcc: Timestamp, expiry: &Expiry) -> Visibility {
        let visibility = Visibility { rows: self.len, alive: self.deletes.alive(self.len, mvcc) };
        let timestamps = self.timestamps.values();
        let bits = |passes: &dyn Fn(u64) -> bool| {
            BooleanBuffer::collect_bool(timestamps.len(), |i| passes(timestamps[i]))
        };
        let inserted = (mvcc < self.max_ts).then(|| bits(&|ts| ts <= mvcc.0));
        let before = expiry.rows_before.filter(|before| self.min_ts < *before);
        let fresh = before.map(|before| bits(&|ts| ts >= before.0));
        visibility.and(inserted).and(fresh).and(expiry.unexpired(rows, self.len))
    }

    fn live(
        &self,
        rows: &Rows,
        filter: &Plan,
        mvcc: Timestamp,
        expiry: &Expiry,
    ) -> Result<Live, FilterError> {
        if !filter.may_match(&self.stats) {
            return Ok(Live::All(0));
        }
        let visibility = self.visibility(rows, mvcc, expiry);
        let indexes = self.scalar_indexes.as_ref();
        Live::find(rows, visibility, filter, indexes, |keys| self.find_keys(rows, keys))
    }

    fn find_keys(&self, rows: &Rows, keys: &PrimaryKeys) -> Vec<u32> {
        match &self.key_index {
            Some(index) => index.lookup_many(keys).into_iter().map(|(_, row)| row).collect(),
            None => rows.find_keys(keys),
        }
    }
}

/// The primary key column of `file`.
fn primary_keys(
    id: SegmentId,
    file: &SegmentFile,
    schema: &SegmentSchema,
) -> Result<PrimaryKeys, OpenError> {
    let field = schema.primary_key();
    let no_column = || ColumnNotFound { segment_id: id, column: field.name.clone() };
    let columns = file.rows.schema_ref().fields();
    let at = columns.iter().position(|column| field_id(column) == Some(field.id));
    let column = file.rows.column(at.ok_or_else(no_column)?);
    let keys = PrimaryKeys::from_array(column).filter(|_| column.null_count() == 0);
    keys.ok_or_else(|| ColumnType::primary_key(id, &field.name, column.data_type()).into())
}

/// Every column of `file` that the schema has is of the type that the schema says.
fn check_types(
    segment_id: SegmentId,
    file: &SegmentFile,
    schema: &SegmentSchema,
) -> Result<(), OpenError> {
    for column in file.rows.schema_ref().fields() {
        let Some(id) = field_id(column) else { continue };
        let known = schema.fields().iter().position(|field| field.id == id);
        let Some(want) = known.and_then(|at| schema.arrow().fields().get(at)) else { continue };
        if !column.data_type().equals_datatype(want.data_type()) {
            let (column, got) = (want.name().clone(), column.data_type().clone());
            let want = want.data_type().to_string();
            return Err(ColumnType { segment_id, column, got, want }.into());
        }
    }
    Ok(())
}

impl Segment for SealedSegment {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn partition_id(&self) -> PartitionId {
        self.partition_id
    }

    fn rows(&self) -> u32 {
        self.len
    }

    fn search(&self, spec: &SearchSpec) -> Result<Vec<Vec<Hit>>, SearchError> {
        let rows = self.view();
        let target = Target::new(&rows, spec)?;
        let live = self.live(&rows, &spec.filter, spec.mvcc, &spec.expiry)?;
        let index = self.indexes.iter().find(|index| {
            let kind = (index.index.data_type(), index.index.dim());
            index.field == target.field.id
                && index.metric == spec.metric
                && kind == (target.queries.data_type(), target.queries.dim())
        });
        let index = index.map(|index| &*index.index);
        search::search(&rows, &live, spec, &target, index, &self.pages)
    }

    fn select(
        &self,
        filter: &Plan,
        keys: Option<&PrimaryKeys>,
        mvcc: Timestamp,
        expiry: &Expiry,
        limit: Option<usize>,
    ) -> Result<Selection, QueryError> {
        let rows = self.view();
        if !filter.may_match(&self.stats) {
            return Ok(select::smallest_keys(&rows, std::iter::empty(), limit));
        }
        let visibility = self.visibility(&rows, mvcc, expiry);
        let indexes = self.scalar_indexes.as_ref();
        let find = |keys: &PrimaryKeys| self.find_keys(&rows, keys);
        segment::select(&rows, visibility, filter, keys, limit, indexes, find)
    }

    fn count(&self, filter: &Plan, mvcc: Timestamp, expiry: &Expiry) -> Result<u64, QueryError> {
        Ok(self.live(&self.view(), filter, mvcc, expiry)?.count())
    }

    fn fetch(&self, rows: &[u32], columns: &[String]) -> Result<RecordBatch, FetchError> {
        let timestamp = |row: u32| {
            Timestamp(self.timestamps.values().get(row as usize).copied().unwrap_or_default())
        };
        fetch::fetch(&self.view(), timestamp, rows, columns)
    }

    fn delete(&self, rows: &[(u32, Timestamp)]) {
        let len = self.len;
        self.deletes.delete(rows.iter().copied().filter(|(row, _)| *row < len));
    }

    fn deletes(&self) -> DeleteSnapshot {
        self.deletes.snapshot()
    }

    fn memory_bytes(&self) -> u64 {
        let indexes: u64 = self.indexes.iter().map(|index| index.index.memory_bytes()).sum();
        let scalar: u64 = self.scalar_indexes().iter().map(|index| index.memory_bytes()).sum();
        indexes + scalar + self.deletes.memory_bytes() + self.pages.bytes()
    }

    fn set_schema(&self, schema: Arc<SegmentSchema>) {
        self.rows.write().schema = schema;
    }
}
