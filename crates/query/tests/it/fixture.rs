//! A flushed segment in a temporary directory.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, UInt64Array,
};
use arrow::datatypes::DataType as ArrowType;
use milvus_base::{CpuPool, Governor};
use milvus_expr::{Plan, Templates, plan};
use milvus_format::delete_file::write_deletes;
use milvus_format::key_index::write_key_index;
use milvus_format::{
    DeleteEntry, DeleteFile, FileMeta, IndexEntry, RowChunk, SegmentEntry, SegmentLevel,
    WrittenFile, path, write_segment,
};
use milvus_index::{IndexType, Vectors, build, check_build_params};
use milvus_query::QueryService;
use milvus_roles::{LoadSegment, QueryNode};
use milvus_segment::{Queries, SearchSpec};
use milvus_storage::{LocalStore, ObjectStore};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, IndexId, KeyValue, MetricType, PartitionId, PrimaryKeys, SegmentId, Timestamp,
    VChannel,
};

pub(crate) const ROWS: i64 = 300;
pub(crate) const SEGMENT: SegmentId = SegmentId(9);
const COLLECTION: CollectionId = CollectionId(1);
const PARTITION: PartitionId = PartitionId(2);

/// A store with one segment: row `i` has key `1000 + i`, vector `[i, 0]`, timestamp `10 + i`;
/// rows 0 and 1 are deleted at 500 by a delete file.
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) collection: Arc<Collection>,
    pub(crate) entry: SegmentEntry,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(directory.path()).unwrap());
        let schema = schema();
        let rows = rows(&schema);
        let mut bytes = Vec::new();
        let timestamps = UInt64Array::from_iter_values((0..ROWS).map(|i| 10 + i.unsigned_abs()));
        let chunk = RowChunk { rows: rows.clone(), timestamps };
        let info = write_segment(&mut bytes, rows.schema_ref(), &[chunk]).unwrap();
        let columns = info.at(path::columns(COLLECTION, PARTITION, SEGMENT));
        store.put(&columns.path, bytes.into()).await.unwrap();

        let mut bytes = Vec::new();
        let keys = PrimaryKeys::from_array(rows.column(0)).unwrap();
        let written = write_key_index(&keys, &mut bytes).unwrap();
        let key_index = written.at(path::keys(COLLECTION, PARTITION, SEGMENT));
        store.put(&key_index.path, bytes.into()).await.unwrap();

        let mut bytes = Vec::new();
        let dead = |row| DeleteEntry { row, timestamp: Timestamp(500) };
        let written = write_deletes(&mut bytes, &[dead(0), dead(1)]).unwrap();
        let deletes = written.at(path::deletes(COLLECTION, PARTITION, SEGMENT, 1));
        store.put(&deletes.path, bytes.into()).await.unwrap();

        let entry = SegmentEntry {
            id: SEGMENT,
            partition_id: PARTITION,
            vchannel: VChannel::new("p", COLLECTION, 0),
            rows: ROWS.unsigned_abs(),
            min_ts: info.min_ts,
            max_ts: info.max_ts,
            columns,
            key_index,
            delete_files: vec![DeleteFile { file: deletes, rows: 2, max_ts: Timestamp(500) }],
            indexes: Vec::new(),
            deleted_rows: 2,
            schema_version: 0,
            level: SegmentLevel::L1,
            stats: Vec::new(),
        };
        let collection = Arc::new(collection(schema));
        Self { store, collection, entry, _directory: directory }
    }

    /// Builds an HNSW index, writes it, and names it in the entry.
    pub(crate) async fn add_index(&mut self) {
        let floats = (0..ROWS).flat_map(|i| [i as f32, 0.0]).collect();
        let vectors = Vectors::from_vec(floats, 2).unwrap();
        let plan = check_build_params(IndexType::Hnsw, MetricType::L2, 2, &[]).unwrap();
        let built = build(&plan, vectors, 1, &|_, _| {}, &AtomicBool::new(false)).unwrap();
        let mut bytes = Vec::new();
        built.write(&mut bytes).unwrap();
        let file =
            WrittenFile::of(&bytes).at(path::index(COLLECTION, PARTITION, SEGMENT, IndexId(4), 5));
        self.store.put(&file.path, bytes.into()).await.unwrap();
        self.entry.indexes.push(IndexEntry {
            index_id: IndexId(4),
            field_id: FieldId(101),
            index_type: "HNSW".to_owned(),
            metric: "L2".to_owned(),
            params: Vec::new(),
            file,
            rows: ROWS.unsigned_abs(),
            build_id: 5,
        });
    }

    pub(crate) fn service(&self, limit_bytes: u64) -> (QueryService, Arc<Governor>) {
        let governor = Arc::new(Governor::new(limit_bytes));
        let cpu = Arc::new(CpuPool::new("test", 2, 64));
        let store = Arc::clone(&self.store);
        (QueryService::new(store, Arc::clone(&cpu), cpu, Arc::clone(&governor)), governor)
    }

    pub(crate) fn request(&self, deletes: &[(u32, u64)]) -> LoadSegment {
        LoadSegment {
            collection: Arc::clone(&self.collection),
            indexes: Vec::new(),
            segment: self.entry.clone(),
            deletes: deletes.iter().map(|(row, ts)| (*row, Timestamp(*ts))).collect(),
        }
    }

    pub(crate) async fn serve(&self) -> (QueryService, Arc<Governor>) {
        let (service, governor) = self.service(1 << 30);
        service.load_segment(self.request(&[])).await.unwrap();
        (service, governor)
    }

    /// Flips one bit in the middle of `file`.
    pub(crate) async fn corrupt(&self, file: &FileMeta) {
        let mut bytes = self.store.get(&file.path).await.unwrap().bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        self.store.put(&file.path, bytes.into()).await.unwrap();
    }

    pub(crate) fn filter(&self, text: &str) -> Plan {
        plan(text, &self.collection.schema, &Templates::default()).unwrap()
    }

    /// A search for the 3 rows nearest to row 1.
    pub(crate) fn spec(&self, params: Vec<KeyValue>, mvcc: u64) -> Arc<SearchSpec> {
        let queries = Arc::new(Queries::floats(vec![1.0, 0.0], 2).unwrap());
        let filter = self.filter("");
        let spec = SearchSpec::new("vector", MetricType::L2, queries, 3, filter, Timestamp(mvcc));
        Arc::new(SearchSpec { params, ..spec })
    }
}

/// The rows that a search for row 1's neighbours finds.
pub(crate) async fn found(service: &QueryService, fixture: &Fixture, mvcc: u64) -> Vec<u32> {
    let hits = service.search(&[SEGMENT], fixture.spec(Vec::new(), mvcc)).await.unwrap();
    hits[0].hits[0].iter().map(|hit| hit.row).collect()
}

fn schema() -> CollectionSchema {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    CollectionSchema {
        name: "c".to_owned(),
        fields: vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
            FieldSchema {
                type_params: vec![KeyValue::new("dim", "2")],
                ..field(101, "vector", DataType::FloatVector)
            },
        ],
        ..CollectionSchema::default()
    }
}

fn rows(schema: &CollectionSchema) -> RecordBatch {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS).map(|i| 1000 + i)));
    let floats = Float32Array::from_iter_values((0..ROWS).flat_map(|i| [i as f32, 0.0]));
    let element = vector_element(ArrowType::Float32);
    let vectors = Arc::new(FixedSizeListArray::new(element, 2, Arc::new(floats), None));
    RecordBatch::try_new(arrow_schema(schema).unwrap(), vec![keys, vectors]).unwrap()
}

fn collection(schema: CollectionSchema) -> Collection {
    Collection {
        id: COLLECTION,
        db_id: DatabaseId::DEFAULT,
        db_name: "default".to_owned(),
        name: schema.name.clone(),
        schema,
        partitions: Vec::new(),
        vchannels: vec![VChannel::new("p", COLLECTION, 0)],
        consistency_level: ConsistencyLevel::Strong,
        properties: Vec::new(),
        create_ts: Timestamp(1),
        update_ts: Timestamp(1),
    }
}
