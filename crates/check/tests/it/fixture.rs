//! A data directory as servers write it: two collections, three segments with every kind of file, a
//! log of several files; kept in memory, damaged there, and laid out for each test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::array::{StringArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use milvus_check::{CheckOptions, DataDir, Report, check};
use milvus_format::delete_file::write_deletes;
use milvus_format::key_index::write_key_index;
use milvus_format::manifest::{ChannelCheckpoint, SegmentEntry};
use milvus_format::{
    Body, DeleteEntry, DeleteFile, FileMeta, IndexEntry, LogRecord, Manifest, RowChunk,
    WrittenFile, path, write_segment,
};
use milvus_index::{VectorField, check_index};
use milvus_meta::{
    AliasEntry, Catalogue, CollectionEntry, CollectionState, EmbeddedKv, LoadEntry, LoadType,
};
use milvus_scalar::{ScalarIndexType, check_params};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, IndexId, IndexMeta, KeyValue, Partition, PartitionId, PrimaryKeys, SegmentId,
    Timestamp, VChannel,
};
use milvus_wal::{LocalWal, LocalWalOptions, Wal};
use tokio::sync::OnceCell;

pub(crate) const BOOKS: CollectionId = CollectionId(1_000);
pub(crate) const FILMS: CollectionId = CollectionId(1_100);
pub(crate) const CHANNEL: &str = "by-dev-rootcoord-dml_0";
const ROWS: i64 = 40;
const DIM: usize = 4;
const VECTORS: IndexId = IndexId(1_010);
const NAMES: IndexId = IndexId(1_011);

/// All files of a data directory by path.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) BTreeMap<String, Vec<u8>>);

impl Image {
    /// What lies in `dir`. Leaves out locks, which say who holds them.
    pub(crate) fn of(dir: &Path) -> Self {
        let mut image = Self::default();
        image.add(dir, "");
        image
    }

    fn add(&mut self, dir: &Path, prefix: &str) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.add(&entry.path(), &format!("{name}/"));
            } else if !name.ends_with("LOCK") && !name.ends_with(".commit.lock") {
                self.0.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }

    pub(crate) fn lay(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in &self.0 {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        dir
    }

    /// The bytes of object `path`.
    pub(crate) fn object(&mut self, path: &str) -> &mut Vec<u8> {
        self.0.get_mut(&format!("objects/{path}")).unwrap()
    }

    /// The files of segments by path in the store.
    pub(crate) fn segment_files(&self) -> Vec<String> {
        let objects = self.0.keys().filter_map(|path| path.strip_prefix("objects/"));
        objects.filter(|path| path.starts_with(path::SEGMENTS)).map(str::to_owned).collect()
    }

    /// Changes the current manifest of `BOOKS` in place, under its version.
    pub(crate) fn edit_manifest(&mut self, edit: impl FnOnce(&mut Manifest)) {
        self.edit_manifest_of(BOOKS, edit);
    }

    /// The same of `collection`.
    pub(crate) fn edit_manifest_of(
        &mut self,
        collection: CollectionId,
        edit: impl FnOnce(&mut Manifest),
    ) {
        let bytes = self.object(&path::manifest(collection, 2));
        let mut manifest = Manifest::decode(bytes).unwrap();
        edit(&mut manifest);
        *bytes = manifest.encode().to_vec();
    }

    /// Puts `bytes` in the place of object `path`, and their checksum into the manifest.
    pub(crate) fn rewrite(&mut self, path: &str, bytes: Vec<u8>) {
        let written = WrittenFile::of(&bytes);
        *self.object(path) = bytes;
        let fix = |file: &mut FileMeta| {
            if file.path == path {
                *file = written.at(path);
            }
        };
        self.edit_manifest(|manifest| {
            for segment in &mut manifest.segments {
                fix(&mut segment.columns);
                fix(&mut segment.key_index);
                segment.delete_files.iter_mut().for_each(|deletes| fix(&mut deletes.file));
                segment.indexes.iter_mut().for_each(|index| fix(&mut index.file));
            }
        });
    }

    /// What a check of it finds.
    pub(crate) async fn check(&self) -> Report {
        self.check_with(&CheckOptions::default()).await
    }

    pub(crate) async fn check_with(&self, options: &CheckOptions) -> Report {
        check_dir(self.lay().path(), options).await
    }
}

pub(crate) async fn check_dir(dir: &Path, options: &CheckOptions) -> Report {
    let dir = DataDir::open(dir).await.unwrap();
    check(dir.target(), options).await.unwrap()
}

/// A sound data directory, made once.
pub(crate) async fn image() -> Image {
    static IMAGE: OnceCell<Image> = OnceCell::const_new();
    let made = IMAGE.get_or_init(|| async {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path()).await;
        Image::of(dir.path())
    });
    made.await.clone()
}

async fn build(dir: &Path) {
    let ends = write_log(&dir.join("log")).await;
    let mut image = Image::default();
    let books = collection(BOOKS, "books");
    let first = segment(&mut image, &books, books.partitions[0].id, SegmentId(1_020), 0);
    let second = segment(&mut image, &books, books.partitions[1].id, SegmentId(1_021), 1_000);
    let films = collection(FILMS, "films");
    let third = segment(&mut image, &films, films.partitions[0].id, SegmentId(1_120), 0);
    let checkpoint = |collection: &Collection| ChannelCheckpoint {
        vchannel: collection.vchannels[0].clone(),
        position: ends,
        timestamp: Timestamp(500),
    };
    manifests(&mut image, BOOKS, &[first, second], checkpoint(&books));
    manifests(&mut image, FILMS, &[third], checkpoint(&films));
    for (path, bytes) in &image.0 {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    write_catalogue(&dir.join("meta.redb"), books, films).await;
}

fn manifests(
    image: &mut Image,
    id: CollectionId,
    segments: &[SegmentEntry],
    checkpoint: ChannelCheckpoint,
) {
    let first = Manifest::empty(id).with_segment_added(segments[0].clone()).unwrap();
    let mut second = first.clone();
    second.version = 2;
    second.segments = segments.to_vec();
    second.checkpoints = vec![checkpoint];
    for manifest in [first, second] {
        let at = format!("objects/{}", path::manifest(id, manifest.version));
        image.0.insert(at, manifest.encode().to_vec());
    }
}

fn collection(id: CollectionId, name: &str) -> Collection {
    let field = |id: i64, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.into(),
        data_type,
        ..FieldSchema::default()
    };
    let key = FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) };
    let vector = FieldSchema {
        type_params: vec![KeyValue::new("dim", DIM.to_string())],
        ..field(101, "vector", DataType::FloatVector)
    };
    let title = FieldSchema {
        type_params: vec![KeyValue::new("max_length", "100")],
        ..field(102, "title", DataType::VarChar)
    };
    let partition = |id, name: &str| Partition {
        id: PartitionId(id),
        name: name.into(),
        create_ts: Timestamp(5),
    };
    Collection {
        id,
        db_id: DatabaseId::DEFAULT,
        db_name: "default".into(),
        name: name.into(),
        schema: CollectionSchema {
            name: name.into(),
            fields: vec![key, vector, title],
            version: 1,
            ..CollectionSchema::default()
        },
        partitions: vec![partition(id.0 + 1, "_default"), partition(id.0 + 2, "old")],
        vchannels: vec![VChannel::new(CHANNEL, id, 0)],
        consistency_level: ConsistencyLevel::Bounded,
        properties: Vec::new(),
        create_ts: Timestamp(5),
        update_ts: Timestamp(5),
    }
}

fn index(id: IndexId, field_id: i64, name: &str, index_type: &str) -> IndexMeta {
    IndexMeta {
        id,
        collection_id: BOOKS,
        field_id: FieldId(field_id),
        field_name: name.into(),
        name: format!("{name}_index"),
        user_params: Vec::new(),
        index_params: vec![KeyValue::new("index_type", index_type)],
        create_ts: Timestamp(6),
    }
}

async fn write_catalogue(file: &Path, books: Collection, films: Collection) {
    let kv = EmbeddedKv::open(file).await.unwrap();
    let catalogue = Catalogue::open(Arc::new(kv)).await.unwrap();
    catalogue.reserve_ids(1_000).await.unwrap();
    catalogue.advance_tso(Timestamp::ZERO, Timestamp(10_000)).await.unwrap();
    let load = LoadEntry {
        collection_id: BOOKS,
        load_type: LoadType::Collection,
        partition_ids: vec![books.partitions[0].id],
        replica_number: 1,
        load_fields: vec![],
    };
    let alias =
        AliasEntry { db_id: DatabaseId::DEFAULT, name: "novels".into(), collection_id: BOOKS };
    let state = CollectionState::Created;
    let transaction = catalogue.transaction().create(&load).create(&alias);
    let transaction = transaction
        .create(&index(VECTORS, 101, "vector", "HNSW"))
        .create(&index(NAMES, 102, "title", "INVERTED"))
        .create(&CollectionEntry { collection: books, state })
        .create(&CollectionEntry { collection: films, state });
    transaction.commit().await.unwrap();
    for id in [BOOKS, FILMS] {
        catalogue.advance_manifest(id, None, 1).await.unwrap();
        catalogue.advance_manifest(id, Some(1), 2).await.unwrap();
    }
}

fn columns(collection: &Collection, first_key: i64) -> (SchemaRef, RecordBatch) {
    let schema = arrow_schema(&collection.schema).unwrap();
    // Not in order, so that the key index is not the column.
    let keys = Int64Array::from_iter_values((0..ROWS).map(|i| first_key + (i * 7) % ROWS));
    let size = i32::try_from(DIM).unwrap();
    let floats = Float32Array::from_iter_values((0_i16..(40 * 4)).map(|i| f32::from(i).sin()));
    let item = vector_element(ArrowType::Float32);
    let vectors = FixedSizeListArray::new(item, size, Arc::new(floats), None);
    let titles = StringArray::from_iter_values((0..ROWS).map(|i| format!("title {}", i % 9)));
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(vectors), Arc::new(titles)];
    (schema.clone(), RecordBatch::try_new(schema, columns).unwrap())
}

fn segment(
    image: &mut Image,
    collection: &Collection,
    partition: PartitionId,
    id: SegmentId,
    first_key: i64,
) -> SegmentEntry {
    let (schema, rows) = columns(collection, first_key);
    let timestamps = UInt64Array::from_iter_values((0..40).map(|i| 100 + i));
    let chunks = [RowChunk { rows: rows.clone(), timestamps }];
    let mut put = |path: String, bytes: Vec<u8>| {
        let file = WrittenFile::of(&bytes).at(&path);
        image.0.insert(format!("objects/{path}"), bytes);
        file
    };
    let mut bytes = Vec::new();
    let info = write_segment(&mut bytes, &schema, &chunks).unwrap();
    let columns = put(path::columns(collection.id, partition, id), bytes);
    let mut bytes = Vec::new();
    write_key_index(&PrimaryKeys::from_array(rows.column(0)).unwrap(), &mut bytes).unwrap();
    let key_index = put(path::keys(collection.id, partition, id), bytes);
    let delete_files = vec![DeleteFile {
        file: put(path::deletes(collection.id, partition, id, 0), deletes(&[3, 9, 11])),
        rows: 3,
        max_ts: Timestamp(300),
    }];
    let mut built = |index_id: IndexId, field: usize, metric: &str, bytes: Vec<u8>| IndexEntry {
        index_id,
        field_id: collection.schema.fields[field].id,
        index_type: if field == 1 { "HNSW" } else { "INVERTED" }.into(),
        metric: metric.into(),
        params: Vec::new(),
        file: put(path::index(collection.id, partition, id, index_id, 7), bytes),
        rows: info.rows,
        build_id: 7,
    };
    let indexes = if collection.id == BOOKS {
        let vector = vector_index(&collection.schema.fields[1], rows.column(1));
        let scalar = scalar_index(&collection.schema.fields[2], rows.column(2));
        vec![built(VECTORS, 1, "L2", vector), built(NAMES, 2, "", scalar)]
    } else {
        Vec::new()
    };
    SegmentEntry {
        id,
        partition_id: partition,
        vchannel: collection.vchannels[0].clone(),
        rows: info.rows,
        min_ts: info.min_ts,
        max_ts: info.max_ts,
        columns,
        key_index,
        delete_files,
        indexes,
        deleted_rows: 3,
        schema_version: 1,
        stats: info.stats,
        ..first_version()
    }
}

/// A segment of a manifest of the first version, for what later versions have added.
fn first_version() -> SegmentEntry {
    let manifest = include_bytes!("../../../format/tests/golden/v1/manifest.bin");
    Manifest::decode(manifest).unwrap().segments[0].clone()
}

pub(crate) fn deletes(rows: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let entry = |row: &u32| DeleteEntry { row: *row, timestamp: Timestamp(300) };
    write_deletes(&mut bytes, &rows.iter().map(entry).collect::<Vec<_>>()).unwrap();
    bytes
}

/// The vector index of `BOOKS` over the first `rows` rows of a segment.
pub(crate) fn vector_index_over(rows: usize) -> Vec<u8> {
    let books = collection(BOOKS, "books");
    let (_, all) = columns(&books, 0);
    vector_index(&books.schema.fields[1], all.slice(0, rows).column(1))
}

fn vector_index(field: &FieldSchema, column: &ArrayRef) -> Vec<u8> {
    let params = [KeyValue::new("index_type", "HNSW"), KeyValue::new("metric_type", "L2")];
    let kind =
        VectorField { data_type: field.data_type, element_type: field.element_type, dim: DIM };
    let build = check_index(&kind, &params).unwrap();
    let vectors = milvus_segment::vector_data(SegmentId(1), field, column).unwrap();
    let cancel = AtomicBool::new(false);
    let built = milvus_index::build(&build, vectors, 1, &|_, _| {}, &cancel).unwrap();
    let mut bytes = Vec::new();
    built.write(&mut bytes).unwrap();
    bytes
}

pub(crate) fn scalar_index(field: &FieldSchema, column: &ArrayRef) -> Vec<u8> {
    let spec = check_params(ScalarIndexType::Inverted, field, &[]).unwrap();
    let built = milvus_scalar::build(&spec, std::slice::from_ref(column)).unwrap();
    let mut bytes = Vec::new();
    built.write(&mut bytes).unwrap();
    bytes
}

/// The title field of `BOOKS`.
pub(crate) fn title_field() -> FieldSchema {
    collection(BOOKS, "books").schema.fields[2].clone()
}

/// A log of several files with records of both collections; gives where it ends.
async fn write_log(dir: &Path) -> u64 {
    let options = LocalWalOptions { segment_bytes: 4_000, ..LocalWalOptions::default() };
    append_records(&LocalWal::open(dir, options).await.unwrap()).await
}

/// Appends records of both collections to `wal`; gives where it ends.
pub(crate) async fn append_records(wal: &dyn Wal) -> u64 {
    let channel = wal.open(CHANNEL, 1_005).await.unwrap();
    for i in 0..12 {
        let of = collection(if i % 3 == 0 { FILMS } else { BOOKS }, "any");
        let (_, rows) = columns(&of, 5_000 + i * 100);
        let record = LogRecord {
            vchannel: of.vchannels[0].clone(),
            timestamp: Timestamp(600 + i.unsigned_abs()),
            body: Body::Insert { partition_id: of.partitions[0].id, schema_version: 1, rows },
        };
        channel.append(record.encode().unwrap()).await.unwrap();
    }
    channel.close().await;
    channel.end().0
}
