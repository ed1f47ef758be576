//! Sealed segments: rows that never change, read in place from their mapped file.
//!
//! Deletes are kept beside the rows. A search uses the index of its field and metric where there is
//! one and reads every live vector otherwise; both answer alike up to the index's recall.
//!
//! Not here: mapping files and checking them (`query`), writing them (`milvus_format`).

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use milvus_expr::Plan;
use milvus_format::{KeyIndex, SegmentFile};
use milvus_index::VectorIndex;
use milvus_types::{MetricType, PartitionId, PkType, PrimaryKeys, SegmentId, Timestamp};

use crate::chunk::{Chunk, Rows};
use crate::deletes::{DeleteBitmap, DeleteSnapshot};
use crate::error::{
    ColumnNotFound, ColumnType, FetchError, FilterError, OpenError, QueryError, SearchError,
};
use crate::live::{Live, Visibility};
use crate::segment::{Segment, select};
use crate::spec::{Hit, SearchSpec, Selection};
use crate::{exact, fetch, indexed};

/// A vector index of a sealed segment.
#[derive(Clone)]
pub struct SegmentIndex {
    /// The indexed field's name.
    pub field: String,
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
    /// The name of the primary key field.
    pub pk_field: String,
    /// The open columns.
    pub file: SegmentFile,
    /// Deleted rows: of the delete files and those that no file has yet, in any order.
    pub deletes: Vec<(u32, Timestamp)>,
    /// The indexes built on it.
    pub indexes: Vec<SegmentIndex>,
    /// Primary key to row; without it keys are found by sorting the key column once.
    pub key_index: Option<KeyIndex>,
}

/// A segment that takes no more rows.
#[derive(Debug)]
pub struct SealedSegment {
    id: SegmentId,
    partition_id: PartitionId,
    rows: Rows,
    timestamps: arrow::array::UInt64Array,
    max_ts: Timestamp,
    deletes: DeleteBitmap,
    indexes: Vec<SegmentIndex>,
    key_index: Option<KeyIndex>,
}

impl SealedSegment {
    /// Puts the parts together. Fails where they do not fit each other.
    pub fn open(parts: SealedParts) -> Result<Self, OpenError> {
        let SealedParts { id, partition_id, pk_field, file, deletes, indexes, key_index } = parts;
        let len = u32::try_from(file.rows.num_rows())
            .map_err(|_| OpenError::TooManyRows { segment_id: id, rows: file.rows.num_rows() })?;
        let keys = primary_keys(id, &file, &pk_field)?;
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
            covers(&format!("the index of {field}"), got, got == u64::from(len))?;
        }
        if let Some(keys) = &key_index {
            covers("the key index", keys.len() as u64, keys.len() as u64 == u64::from(len))?;
        }
        let schema = file.rows.schema();
        let chunk = Arc::new(Chunk::new(0, len, file.rows, keys));
        Ok(Self {
            id,
            partition_id,
            rows: Rows { segment_id: id, schema, pk_type, chunks: Arc::new([chunk]) },
            max_ts: Timestamp(file.timestamps.values().iter().copied().max().unwrap_or(0)),
            timestamps: file.timestamps,
            deletes: DeleteBitmap::new(deletes),
            indexes,
            key_index,
        })
    }

    /// The type of its keys.
    pub fn pk_type(&self) -> PkType {
        self.rows.pk_type
    }

    /// The newest row's timestamp.
    pub fn max_ts(&self) -> Timestamp {
        self.max_ts
    }

    /// Its indexes.
    pub fn indexes(&self) -> &[SegmentIndex] {
        &self.indexes
    }

    /// Bytes of its columns, mapped or not.
    pub fn column_bytes(&self) -> u64 {
        self.rows.chunks.iter().map(|chunk| chunk.bytes()).sum()
    }

    /// What a snapshot at `mvcc` sees.
    fn visibility(&self, mvcc: Timestamp) -> Visibility {
        let rows = self.rows.len();
        let alive = self.deletes.alive(rows, mvcc);
        if mvcc >= self.max_ts {
            return Visibility { rows, alive };
        }
        let timestamps = self.timestamps.values();
        let inserted = BooleanBuffer::collect_bool(timestamps.len(), |i| timestamps[i] <= mvcc.0);
        let alive = alive.map_or_else(|| inserted.clone(), |alive| &inserted & &alive);
        Visibility { rows, alive: Some(alive) }
    }

    fn live(&self, filter: &Plan, mvcc: Timestamp) -> Result<Live, FilterError> {
        Live::find(&self.rows, self.visibility(mvcc), filter, |keys| self.find_keys(keys))
    }

    fn find_keys(&self, keys: &PrimaryKeys) -> Vec<u32> {
        match &self.key_index {
            Some(index) => index.lookup_many(keys).into_iter().map(|(_, row)| row).collect(),
            None => self.rows.find_keys(keys),
        }
    }
}

/// The primary key column of `file`.
fn primary_keys(id: SegmentId, file: &SegmentFile, field: &str) -> Result<PrimaryKeys, OpenError> {
    let no_column = || ColumnNotFound { segment_id: id, column: field.to_owned() };
    let column = file.rows.column_by_name(field).ok_or_else(no_column)?;
    let keys = PrimaryKeys::from_array(column).filter(|_| column.null_count() == 0);
    keys.ok_or_else(|| ColumnType::primary_key(id, field, column.data_type()).into())
}

impl Segment for SealedSegment {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn partition_id(&self) -> PartitionId {
        self.partition_id
    }

    fn rows(&self) -> u32 {
        self.rows.len()
    }

    fn search(&self, spec: &SearchSpec) -> Result<Vec<Vec<Hit>>, SearchError> {
        exact::check(&self.rows, spec)?;
        let live = self.live(&spec.filter, spec.mvcc)?;
        let fits = |index: &&SegmentIndex| index.field == spec.field && index.metric == spec.metric;
        match self.indexes.iter().find(fits) {
            Some(index) => indexed::search(&self.rows, &*index.index, &live, spec),
            None => exact::search(&self.rows, &live, spec),
        }
    }

    fn select(
        &self,
        filter: &Plan,
        keys: Option<&PrimaryKeys>,
        mvcc: Timestamp,
        limit: Option<usize>,
    ) -> Result<Selection, QueryError> {
        let visibility = self.visibility(mvcc);
        select(&self.rows, visibility, filter, keys, limit, |keys| self.find_keys(keys))
    }

    fn count(&self, filter: &Plan, mvcc: Timestamp) -> Result<u64, QueryError> {
        Ok(self.live(filter, mvcc)?.count())
    }

    fn fetch(&self, rows: &[u32], columns: &[String]) -> Result<RecordBatch, FetchError> {
        let timestamp = |row: u32| {
            Timestamp(self.timestamps.values().get(row as usize).copied().unwrap_or_default())
        };
        fetch::fetch(&self.rows, timestamp, rows, columns)
    }

    fn delete(&self, rows: &[(u32, Timestamp)]) {
        let len = self.rows.len();
        self.deletes.delete(rows.iter().copied().filter(|(row, _)| *row < len));
    }

    fn deletes(&self) -> DeleteSnapshot {
        self.deletes.snapshot()
    }

    fn memory_bytes(&self) -> u64 {
        let indexes: u64 = self.indexes.iter().map(|index| index.index.memory_bytes()).sum();
        indexes + self.deletes.memory_bytes()
    }
}
