//! Index builds over a local object store.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, UInt64Array,
};
use arrow::datatypes::DataType as ArrowType;
use milvus_base::{Clock, Governor};
use milvus_data::{DataOptions, DataService};
use milvus_expr::{Condition, Leaf, Literal};
use milvus_format::{FileMeta, RowChunk, SegmentEntry, SegmentLevel, path, verify, write_segment};
use milvus_index::{SearchParams, Vectors};
use milvus_roles::{BuildIndex, DataNode};
use milvus_storage::{LocalStore, ObjectStore};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, ErrorCode,
    FieldId, FieldSchema, IndexId, IndexMeta, KeyValue, PartitionId, SegmentId, Timestamp,
    VChannel, Value,
};

const COLLECTION: CollectionId = CollectionId(1);
const PARTITION: PartitionId = PartitionId(2);
const SEGMENT: SegmentId = SegmentId(9);
const DIM: usize = 8;

struct Fixture {
    store: Arc<dyn ObjectStore>,
    collection: Arc<Collection>,
    segment: SegmentEntry,
    floats: Vec<f32>,
    _directory: tempfile::TempDir,
}

impl Fixture {
    async fn new(rows: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(directory.path()).unwrap());
        let schema = schema();
        let floats: Vec<f32> = (0..rows * DIM).map(|i| (i * 7919 % 1009) as f32 / 100.0).collect();
        let count = i64::try_from(rows).unwrap();
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let element = vector_element(ArrowType::Float32);
        let values = Arc::new(Float32Array::from(floats.clone()));
        let size = i32::try_from(DIM).unwrap();
        let vectors = Arc::new(FixedSizeListArray::new(element, size, values, None));
        let mut written = schema.clone();
        written.fields.retain(|field| field.name != "added");
        let batch =
            RecordBatch::try_new(arrow_schema(&written).unwrap(), vec![keys, vectors]).unwrap();
        let timestamps = UInt64Array::from(vec![5; rows]);
        let mut bytes = Vec::new();
        let arrow = batch.schema();
        let chunk = RowChunk { rows: batch, timestamps };
        let info = write_segment(&mut bytes, &arrow, &[chunk]).unwrap();
        let columns = info.at(path::columns(COLLECTION, PARTITION, SEGMENT));
        store.put(&columns.path, bytes.into()).await.unwrap();
        let segment = SegmentEntry {
            id: SEGMENT,
            partition_id: PARTITION,
            vchannel: VChannel::new("p", COLLECTION, 0),
            rows: info.rows,
            min_ts: info.min_ts,
            max_ts: info.max_ts,
            columns,
            key_index: FileMeta::default(),
            delete_files: Vec::new(),
            indexes: Vec::new(),
            deleted_rows: 0,
            schema_version: 0,
            level: SegmentLevel::L1,
            stats: Vec::new(),
        };
        Self {
            store,
            collection: Arc::new(collection(schema)),
            segment,
            floats,
            _directory: directory,
        }
    }

    fn service(&self, limit_bytes: u64, clock: Clock) -> (Arc<DataService>, Arc<Governor>) {
        let governor = Arc::new(Governor::new(limit_bytes));
        let options = DataOptions { build_threads: 2, ..DataOptions::default() };
        let store = Arc::clone(&self.store);
        (Arc::new(DataService::new(store, Arc::clone(&governor), clock, options)), governor)
    }

    fn task(&self, index_type: &str, build_id: i64) -> BuildIndex {
        let params =
            vec![KeyValue::new("index_type", index_type), KeyValue::new("metric_type", "COSINE")];
        let index = IndexMeta {
            id: IndexId(4),
            collection_id: COLLECTION,
            field_id: FieldId(101),
            field_name: "vector".to_owned(),
            name: "vector".to_owned(),
            user_params: Vec::new(),
            index_params: params,
            create_ts: Timestamp(1),
        };
        BuildIndex {
            collection: Arc::clone(&self.collection),
            segment: self.segment.clone(),
            index: Arc::new(index),
            build_id,
        }
    }

    async fn objects(&self) -> usize {
        self.store.list("").await.unwrap().len()
    }
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
                type_params: vec![KeyValue::new("dim", DIM.to_string())],
                ..field(101, "vector", DataType::FloatVector)
            },
            FieldSchema {
                default_value: Some(Value::VarChar("new".to_owned())),
                ..field(102, "added", DataType::VarChar)
            },
        ],
        ..CollectionSchema::default()
    }
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

#[tokio::test]
async fn a_build_writes_an_index_that_opens_and_is_what_its_entry_says() {
    let fixture = Fixture::new(500).await;
    let (service, governor) = fixture.service(1 << 30, Clock::system());
    for (build_id, index_type) in [(1, "HNSW"), (2, "FLAT"), (3, "AUTOINDEX")] {
        let entry = service.build_index(fixture.task(index_type, build_id)).await.unwrap();
        assert_eq!((entry.index_type.as_str(), entry.metric.as_str()), (index_type, "COSINE"));
        assert_eq!((entry.rows, entry.build_id), (500, build_id));
        let want = path::index(COLLECTION, PARTITION, SEGMENT, IndexId(4), build_id);
        assert_eq!(entry.file.path, want);
        let bytes = fixture.store.get(&want).await.unwrap().bytes;
        verify(&bytes, &entry.file).unwrap();
        let vectors = Vectors::from_vec(fixture.floats.clone(), DIM).unwrap();
        let index = milvus_index::open(Arc::new(bytes.to_vec()), vectors).unwrap();
        let mut hits = Vec::new();
        index.search((&fixture.floats[..DIM]).into(), 1, &SearchParams::for_k(1), None, &mut hits);
        assert!((hits[0].score - 1.0).abs() < 1e-5);
    }
    assert_eq!(governor.used(), 0);
    assert!(service.builds().is_empty());
}

#[tokio::test]
async fn a_scalar_index_answers_for_the_segment() {
    let fixture = Fixture::new(500).await;
    let (service, governor) = fixture.service(1 << 30, Clock::system());
    let keys = [Literal::Int64(7), Literal::Int64(499), Literal::Int64(500)];
    // The second field was added after the segment was written: it reads as its default.
    let added = [Literal::VarChar("new".into())];
    for (build_id, field, wanted, rows) in [(1, 100, &keys[..], 2), (2, 102, &added[..], 500)] {
        let mut task = fixture.task("INVERTED", build_id);
        let index = Arc::make_mut(&mut task.index);
        index.field_id = FieldId(field);
        index.index_params = vec![KeyValue::new("index_type", "INVERTED")];
        let entry = service.build_index(task).await.unwrap();
        assert_eq!((entry.index_type.as_str(), entry.metric.as_str()), ("INVERTED", ""));
        assert_eq!((entry.rows, entry.field_id), (500, FieldId(field)));
        let bytes = fixture.store.get(&entry.file.path).await.unwrap().bytes;
        verify(&bytes, &entry.file).unwrap();
        let index = milvus_scalar::open(Arc::new(bytes.to_vec())).unwrap();
        let leaf = Leaf {
            field: FieldId(field),
            data_type: DataType::Int64,
            element_type: None,
            path: &[],
            is_dynamic: false,
            condition: Condition::In(wanted),
        };
        let answer = index.answer(&leaf).unwrap();
        assert_eq!((answer.yes.count_set_bits(), answer.exact), (rows, true));
    }
    assert_eq!(governor.used(), 0);
}

#[tokio::test]
async fn a_build_waits_for_memory_and_gives_up_where_it_never_fits() {
    let fixture = Fixture::new(50).await;
    let clock = Clock::manual();
    let (service, governor) = fixture.service(1 << 30, clock.clone());
    let taken = governor.reserve(milvus_base::Purpose::Load, 1 << 30);
    let building = {
        let (service, task) = (Arc::clone(&service), fixture.task("HNSW", 1));
        milvus_base::task::spawn("build", async move { service.build_index(task).await })
    };
    for _ in 0..20 {
        clock.advance(Duration::from_millis(50));
        tokio::task::yield_now().await;
    }
    assert!(!building.is_finished());
    assert_eq!(service.builds().len(), 1);
    drop(taken);
    while !building.is_finished() {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    building.await.unwrap().unwrap();

    governor.set_limit(1);
    let failure = service.build_index(fixture.task("HNSW", 2)).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::MemoryLimitExceeded);
    assert!(failure.reason.starts_with("memory limit exceeded[predict(MB)="), "{failure}");
    assert!(service.builds().is_empty());
}

#[tokio::test]
async fn dropping_the_future_cancels_the_build_and_leaves_no_file() {
    let fixture = Fixture::new(20_000).await;
    let (service, governor) = fixture.service(1 << 30, Clock::system());
    let building = {
        let (service, task) = (Arc::clone(&service), fixture.task("HNSW", 1));
        milvus_base::task::spawn("build", async move { service.build_index(task).await })
    };
    while service.builds().first().is_none_or(|build| build.done == 0) {
        tokio::task::yield_now().await;
    }
    building.abort();
    // The memory is given back when the thread has stopped, and not before.
    while governor.used() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(building.await.unwrap_err().is_cancelled());
    assert!(service.builds().is_empty());
    assert_eq!(fixture.objects().await, 1);
}

#[tokio::test]
async fn what_cannot_be_built_says_why() {
    let fixture = Fixture::new(20).await;
    let (service, _) = fixture.service(1 << 30, Clock::system());
    let unknown = service.build_index(fixture.task("BIN_FLAT", 1)).await.unwrap_err();
    let want = "data type FloatVector can't build with this index BIN_FLAT: invalid parameter";
    assert_eq!(unknown.reason, want);
    let path = &fixture.segment.columns.path;
    let mut bytes = fixture.store.get(path).await.unwrap().bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fixture.store.put(path, bytes.into()).await.unwrap();
    let corrupt = service.build_index(fixture.task("HNSW", 2)).await.unwrap_err();
    assert_eq!(corrupt.code, ErrorCode::DataIntegrity);
    assert!(corrupt.reason.contains(path), "{corrupt}");
    fixture.store.delete(path).await.unwrap();
    let missing = service.build_index(fixture.task("HNSW", 3)).await.unwrap_err();
    assert_eq!(missing.code, ErrorCode::IoKeyNotFound);
}
