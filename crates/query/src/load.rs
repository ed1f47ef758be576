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
    Collection, CollectionId, DataType, ErrorCode, Failure, FieldSchema, IndexMeta, MetricType,
    Result, SegmentId, Timestamp,
};

use crate::residency::{self, Held, ToRead, Warmup};
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
/// One that is mapped keeps about one byte of so many beside its file.
const MAPPED_SHARE: u64 = 64;

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
    /// Opens the segment of `request`. Mapped files are the system's to cache, and its pages can be
    /// taken away at any time; what indexes keep beside them, deletes and bookkeeping are charged to
    /// the memory governor first. `served_bytes` are in files that are served already.
    pub(crate) async fn load(&self, request: LoadSegment, served_bytes: u64) -> Result<Loaded> {
        let LoadSegment { collection, indexes: definitions, segment: entry, deletes } = request;
        let is_wanted = |index: &&IndexEntry| is_opened(&collection, index);
        let is_copied = |index: &&IndexEntry| {
            let definition = residency::definition(&definitions, index.index_id);
            !is_on_disk(index) && !residency::maps_index(&collection, definition)
        };
        let maps_columns = residency::maps_columns(&collection);
        let copied: u64 = if maps_columns { 0 } else { entry.columns.bytes };
        let copied_indexes = entry.indexes.iter().filter(is_wanted).filter(is_copied);
        let copied = copied + copied_indexes.map(|index| index.file.bytes).sum::<u64>();
        let predicted = predicted_bytes(&entry, deletes.len());
        let mut memory = self
            .governor
            .try_reserve(Purpose::Load, predicted + copied)
            .map_err(|error| error::memory(&error))?;
        let (file, (key_index, persisted)) = try_join(
            self.columns(&entry.columns, maps_columns),
            try_join(self.key_index(&entry.key_index), self.deletes(&entry)),
        )
        .await?;
        let mut to_read = ToRead::default();
        if maps_columns {
            add_columns(&mut to_read, &collection, &file);
        }
        let wanted = || entry.indexes.iter().filter(is_wanted);
        // What an index reads from its file is part of what it says it takes.
        let in_files: u64 = wanted().filter(|i| !is_on_disk(i)).map(|i| i.file.bytes).sum();
        let opened = wanted().map(|index| {
            let definition = residency::definition(&definitions, index.index_id);
            self.index(&collection, entry.id, index, definition, &file)
        });
        let (mut indexes, mut scalar_indexes) = (Vec::new(), Vec::new());
        for (opened, warmup, bytes) in join_all(opened).await.into_iter().flatten() {
            if let Some(bytes) = bytes {
                to_read.add(warmup, bytes);
            }
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
        let held = segment.memory_bytes().saturating_sub(in_files) + copied;
        memory.resize(held + pages + OVERHEAD_BYTES).map_err(|error| error::memory(&error))?;
        let file_bytes: u64 = entry.files().map(|file| file.bytes).sum();
        let free = self.governor.limit().saturating_sub(self.governor.in_use());
        if served_bytes.saturating_add(file_bytes) <= free {
            to_read.read().await;
        } else if to_read.bytes() > 0 {
            tracing::debug!(segment = %id, file_bytes, served_bytes, free, "too large to be warmed up");
        }
        let (collection_id, schema_version) = (collection.id, collection.schema.version);
        let segment = Arc::new(segment);
        Ok(Loaded { segment, collection_id, schema_version, file_bytes, memory })
    }

    async fn columns(&self, meta: &FileMeta, is_mapped: bool) -> Result<SegmentFile> {
        let bytes = files::map(&*self.store, meta).await?;
        files::verify(&*self.store, &self.cpu, &bytes, meta).await?;
        let file = meta.clone();
        let open = move || open_segment(&hold(bytes, is_mapped), &file);
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
            files::verify(&*self.store, &self.cpu, &bytes, &deletes.file).await?;
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
        definition: Option<&IndexMeta>,
        file: &SegmentFile,
    ) -> Option<(Opened, Warmup, Option<Buffer>)> {
        match self.try_index(collection, segment_id, entry, definition, file).await {
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
        definition: Option<&IndexMeta>,
        file: &SegmentFile,
    ) -> Result<(Opened, Warmup, Option<Buffer>)> {
        let field = collection.schema.field_by_id(entry.field_id);
        let field = field.ok_or_else(|| missing("field", entry))?;
        // An index on disk is read from, so that it keeps in memory what it was told to and no more.
        let disk = if is_on_disk(entry) {
            self.store.file(&entry.file.path).await.or_failure()?
        } else {
            None
        };
        if let Some(disk) = disk {
            let vectors = vectors_of(segment_id, field, entry, file)?;
            let open = move || milvus_index::open_file(Arc::new(disk), vectors);
            let index: Arc<dyn VectorIndex> = self.open(&entry.file, open).await?;
            let opened = Opened::Vector(checked(index, field, entry)?);
            return Ok((opened, Warmup::Disable, None));
        }
        let is_mapped = residency::maps_index(collection, definition);
        let mapped = files::map(&*self.store, &entry.file).await?;
        let bytes = milvus_base::io::run(move || hold(mapped, is_mapped));
        let bytes = bytes.await.map_err(Failure::internal)?;
        let opened = if field.data_type.is_vector() {
            let (vectors, bytes) = (vectors_of(segment_id, field, entry, file)?, bytes.clone());
            let open = move || milvus_index::open(Arc::new(Held(bytes)), vectors);
            let index: Arc<dyn VectorIndex> = self.open(&entry.file, open).await?;
            Opened::Vector(checked(index, field, entry)?)
        } else {
            Opened::Scalar(self.scalar_index(entry, bytes.clone(), file).await?)
        };
        let warmup = residency::warmup_of_index(collection, field, definition);
        Ok((opened, warmup, is_mapped.then_some(bytes)))
    }

    async fn scalar_index(
        &self,
        entry: &IndexEntry,
        bytes: Buffer,
        file: &SegmentFile,
    ) -> Result<Arc<dyn ScalarIndex>> {
        let open = move || milvus_scalar::open(Arc::new(Held(bytes)));
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
}

/// The vectors that an index is over.
fn vectors_of(
    segment_id: SegmentId,
    field: &FieldSchema,
    entry: &IndexEntry,
    file: &SegmentFile,
) -> Result<milvus_index::VectorData> {
    let at = column_of(field, file).ok_or_else(|| missing("column", entry))?;
    vector_data(segment_id, field, file.rows.column(at)).or_failure()
}

/// Where the column of `field` is.
fn column_of(field: &FieldSchema, file: &SegmentFile) -> Option<usize> {
    let id = field.id.to_string();
    let columns = file.schema.fields();
    columns.iter().position(|column| column.metadata().get(FIELD_ID) == Some(&id))
}

/// An index that is of the metric its manifest says.
fn checked(
    index: Arc<dyn VectorIndex>,
    field: &FieldSchema,
    entry: &IndexEntry,
) -> Result<SegmentIndex> {
    let metric = MetricType::parse(&entry.metric).ok_or_else(|| missing("metric", entry))?;
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

/// Notes what is to be read of the columns.
fn add_columns(to_read: &mut ToRead, collection: &Collection, file: &SegmentFile) {
    for field in &collection.schema.fields {
        if let Some(at) = column_of(field, file) {
            let policy = residency::warmup_of_field(collection, field);
            to_read.add_column(policy, &file.rows.column(at).to_data());
        }
    }
}

/// `bytes` as they are, or copied.
fn hold(bytes: Bytes, is_mapped: bool) -> Buffer {
    if is_mapped { Buffer::from(bytes) } else { residency::copied(&bytes) }
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

/// What loading `entry` will take, before it is known exactly. `deletes` has the persisted ones too.
fn predicted_bytes(entry: &SegmentEntry, deletes: usize) -> u64 {
    let bytes = |index: &IndexEntry| {
        index.file.bytes / if is_on_disk(index) { DISK_SHARE } else { MAPPED_SHARE }
    };
    let indexes: u64 = entry.indexes.iter().map(bytes).sum();
    let persisted: u64 = entry.delete_files.iter().map(|deletes| deletes.rows).sum();
    OVERHEAD_BYTES + indexes + persisted.max(deletes as u64) * DELETE_BYTES
}
