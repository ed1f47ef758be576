//! Opening a segment: map its files, check every byte once, put the parts together.
//!
//! Vector and scalar indexes are opened alike. A corrupt or missing index is not fatal: it is reported, and the segment answers by exact search,
//! slower but right. A corrupt column, key or delete file fails the load.

use std::sync::Arc;

use arrow::buffer::Buffer;
use bytes::Bytes;
use futures::future::{join_all, try_join, try_join_all};
use milvus_base::{CpuPool, Governor, Priority, Purpose, Reservation};
use milvus_format::delete_file::read_deletes;
use milvus_format::{FileMeta, IndexEntry, KeyIndex, SegmentEntry, SegmentFile, open_segment};
use milvus_index::{IndexType, VectorIndex};
use milvus_roles::LoadSegment;
use milvus_scalar::ScalarIndex;
use milvus_segment::{
    PAGE_BYTES_PER_ROW, SealedParts, SealedSegment, Segment as _, SegmentIndex, SegmentSchema,
    merge_deletes, vector_data,
};
use milvus_storage::ObjectStore;
use milvus_types::columns::FIELD_ID;
use milvus_types::error::OrFailure;
use milvus_types::{
    Collection, CollectionId, DataType, ErrorCode, Failure, FieldSchema, MetricType, Result,
    SegmentId, Timestamp,
};

use crate::{error, files};

/// Memory that any loaded segment takes.
const OVERHEAD_BYTES: u64 = 64 << 10;
/// Memory that one deleted row takes.
const DELETE_BYTES: u64 = 40;

/// What loading needs.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) cpu: Arc<CpuPool>,
    pub(crate) governor: Arc<Governor>,
}

/// An index on disk keeps at most one byte of so many in memory.
const DISK_SHARE: u64 = 4;

/// An open segment and the memory charged for it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) segment: Arc<SealedSegment>,
    pub(crate) collection_id: CollectionId,
    /// The version of the schema that it was opened with.
    pub(crate) schema_version: i32,
    pub(crate) file_bytes: u64,
    pub(crate) memory: Reservation,
}

impl Loader {
    /// Opens the segment of `request`. Mapped files are the system's to cache; indexes, deletes and
    /// bookkeeping are charged to the memory governor first.
    pub(crate) async fn load(&self, request: LoadSegment) -> Result<Loaded> {
        let LoadSegment { collection, segment: entry, deletes } = request;
        let mut memory = self
            .governor
            .try_reserve(Purpose::Load, predicted_bytes(&entry, deletes.len()))
            .map_err(|error| error::memory(&error))?;
        let (file, (key_index, persisted)) = try_join(
            self.columns(&entry.columns),
            try_join(self.key_index(&entry.key_index), self.deletes(&entry)),
        )
        .await?;
        let wanted = entry.indexes.iter().filter(|index| is_opened(&collection, index));
        let opened = wanted.map(|index| self.index(&collection, entry.id, index, &file));
        let (mut indexes, mut scalar_indexes) = (Vec::new(), Vec::new());
        for opened in join_all(opened).await.into_iter().flatten() {
            match opened {
                Opened::Vector(index) => indexes.push(index),
                Opened::Scalar(index) => scalar_indexes.push(index),
            }
        }
        let schema = Arc::new(SegmentSchema::new(&collection.schema).or_failure()?);
        let (id, partition_id, stats) = (entry.id, entry.partition_id, entry.stats.clone());
        let open = move || {
            SealedSegment::open(SealedParts {
                id,
                partition_id,
                schema,
                file,
                deletes: merge_deletes(persisted.into_iter().chain(deletes)),
                indexes,
                scalar_indexes,
                key_index: Some(key_index),
                stats,
            })
        };
        let segment =
            self.cpu.run(Priority::Write, open).await.map_err(error::cpu)?.or_failure()?;
        let pages = PAGE_BYTES_PER_ROW * u64::from(segment.rows());
        memory
            .resize(segment.memory_bytes() + pages + OVERHEAD_BYTES)
            .map_err(|error| error::memory(&error))?;
        let file_bytes = entry.files().map(|file| file.bytes).sum();
        let (collection_id, schema_version) = (collection.id, collection.schema.version);
        let segment = Arc::new(segment);
        Ok(Loaded { segment, collection_id, schema_version, file_bytes, memory })
    }

    async fn columns(&self, meta: &FileMeta) -> Result<SegmentFile> {
        let bytes = files::map(&*self.store, meta).await?;
        files::verify(&self.cpu, &bytes, meta).await?;
        let file = meta.clone();
        let open = move || open_segment(&Buffer::from(bytes), &file);
        self.open(meta, open).await
    }

    async fn key_index(&self, meta: &FileMeta) -> Result<KeyIndex> {
        let bytes = files::map(&*self.store, meta).await?;
        // Opening it verifies its own checksum over all its bytes.
        self.open(meta, move || KeyIndex::open(&bytes)).await
    }

    /// What the delete files hold.
    async fn deletes(&self, entry: &SegmentEntry) -> Result<Vec<(u32, Timestamp)>> {
        let lists = try_join_all(entry.delete_files.iter().map(|deletes| async {
            let bytes = files::map(&*self.store, &deletes.file).await?;
            files::verify(&self.cpu, &bytes, &deletes.file).await?;
            self.open(&deletes.file, move || read_deletes(&bytes)).await
        }));
        let entries = lists.await?.into_iter().flatten();
        Ok(entries.map(|entry| (entry.row, entry.timestamp)).collect())
    }

    /// Runs `open` on the CPU pool; its error names the file.
    async fn open<T, E>(
        &self,
        meta: &FileMeta,
        open: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: milvus_types::Coded + std::error::Error + Send + 'static,
    {
        let opened = self.cpu.run(Priority::Write, open).await.map_err(error::cpu)?;
        opened.map_err(|error| Failure::from(&error).context(&meta.path))
    }

    /// An index, or nothing (and a report) where it cannot be opened.
    async fn index(
        &self,
        collection: &Collection,
        segment_id: SegmentId,
        entry: &IndexEntry,
        file: &SegmentFile,
    ) -> Option<Opened> {
        match self.try_index(collection, segment_id, entry, file).await {
            Ok(index) => Some(index),
            Err(failure) => {
                tracing::error!(
                    collection = %collection.name, segment = %segment_id, index = %entry.index_id,
                    %failure, "index cannot be opened; the segment is searched without it"
                );
                None
            }
        }
    }

    async fn try_index(
        &self,
        collection: &Collection,
        segment_id: SegmentId,
        entry: &IndexEntry,
        file: &SegmentFile,
    ) -> Result<Opened> {
        let field = collection.schema.field_by_id(entry.field_id);
        let field = field.ok_or_else(|| missing("field", entry))?;
        if !field.data_type.is_vector() {
            return self.scalar_index(entry, file).await.map(Opened::Scalar);
        }
        self.vector_index(segment_id, field, entry, file).await.map(Opened::Vector)
    }

    async fn scalar_index(
        &self,
        entry: &IndexEntry,
        file: &SegmentFile,
    ) -> Result<Arc<dyn ScalarIndex>> {
        let bytes = files::map(&*self.store, &entry.file).await?;
        let open = move || milvus_scalar::open(Arc::new(Mapped(bytes)));
        let index: Arc<dyn ScalarIndex> = self.open(&entry.file, open).await?.into();
        if index.field() != entry.field_id || index.rows() != file.rows.num_rows() {
            let what = format!(
                "index {} is of field {} over {} rows, want field {} over {}",
                entry.index_id,
                index.field(),
                index.rows(),
                entry.field_id,
                file.rows.num_rows()
            );
            return Err(Failure::wrap(ErrorCode::DataIntegrity, what));
        }
        Ok(index)
    }

    async fn vector_index(
        &self,
        segment_id: SegmentId,
        field: &FieldSchema,
        entry: &IndexEntry,
        file: &SegmentFile,
    ) -> Result<SegmentIndex> {
        let metric = MetricType::parse(&entry.metric).ok_or_else(|| missing("metric", entry))?;
        let id = field.id.to_string();
        let columns = file.schema.fields();
        let at = columns.iter().position(|column| column.metadata().get(FIELD_ID) == Some(&id));
        let column = file.rows.column(at.ok_or_else(|| missing("column", entry))?);
        let vectors = vector_data(segment_id, field, column).or_failure()?;
        // An index on disk is read from, so that it keeps in memory what it was told to and no more.
        let disk = if is_on_disk(entry) {
            self.store.file(&entry.file.path).await.or_failure()?
        } else {
            None
        };
        let index: Arc<dyn VectorIndex> = match disk {
            Some(file) => {
                let open = move || milvus_index::open_file(Arc::new(file), vectors);
                self.open(&entry.file, open).await?
            }
            None => {
                let bytes = files::map(&*self.store, &entry.file).await?;
                let open = move || milvus_index::open(Arc::new(Mapped(bytes)), vectors);
                self.open(&entry.file, open).await?
            }
        };
        if index.metric() != metric {
            let what = format!(
                "index {} has metric {}, its manifest says {metric}",
                entry.index_id,
                index.metric()
            );
            return Err(Failure::wrap(ErrorCode::DataIntegrity, what));
        }
        Ok(SegmentIndex { field: field.id, metric, index })
    }
}

/// An open index.
enum Opened {
    Vector(SegmentIndex),
    Scalar(Arc<dyn ScalarIndex>),
}

/// Whether an index is of use: its field is still there. Lists of vectors are searched exactly.
fn is_opened(collection: &Collection, entry: &IndexEntry) -> bool {
    let field = collection.schema.field_by_id(entry.field_id);
    field.is_some_and(|field| field.data_type != DataType::ArrayOfVector)
}

/// Whether an index is read from its file as it searches.
fn is_on_disk(entry: &IndexEntry) -> bool {
    [IndexType::DiskAnn, IndexType::Aisaq].iter().any(|disk| entry.index_type == disk.name())
}

fn missing(what: &str, entry: &IndexEntry) -> Failure {
    let what = format!("{what} of index {} is not there", entry.index_id);
    Failure::wrap(ErrorCode::DataIntegrity, what)
}

/// A mapped file as an index takes it.
struct Mapped(Bytes);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What loading `entry` will take, before it is known exactly. `deletes` has the persisted ones too.
fn predicted_bytes(entry: &SegmentEntry, deletes: usize) -> u64 {
    let bytes = |index: &IndexEntry| {
        if is_on_disk(index) { index.file.bytes / DISK_SHARE } else { index.file.bytes }
    };
    let indexes: u64 = entry.indexes.iter().map(bytes).sum();
    let persisted: u64 = entry.delete_files.iter().map(|deletes| deletes.rows).sum();
    OVERHEAD_BYTES + indexes + persisted.max(deletes as u64) * DELETE_BYTES
}
