//! One collection `c` with a key `id`, a vector `v` and a number `n`, and everything that serves it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use milvus_base::{Clock, CpuPool, Governor, clock};
use milvus_coord::{CompactionOptions, CoordOptions, CoordParts, MixCoord};
use milvus_data::{DataOptions, DataService};
use milvus_expr::{Plan, Templates, plan};
use milvus_format::manifest::{Manifest, SegmentEntry, SegmentLevel};
use milvus_meta::{Catalogue, MemoryKv};
use milvus_query::QueryService;
use milvus_roles::{
    CompactCollection, CompactSegments, Compacted, CompactionJob, CompactionKind, CreateCollection,
    CreateIndex, DataCoord, DataNode, FetchRequest, IdAllocator, LoadRequest, QueryCoord,
    QueryRequest, RootCoord, RowOrder, SearchRequest, SegmentReplacement, Streaming,
    TimestampOracle, Write, WriteKind,
};
use milvus_segment::{Expiry, Queries};
use milvus_storage::{MemoryStore, ObjectStore};
use milvus_streaming::{StreamingOptions, StreamingParts, StreamingService};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{
    Collection, CollectionSchema, ConsistencyLevel, DataType, FieldSchema, KeyValue, MetricType,
    PartitionId, PrimaryKey, PrimaryKeys, Result, SegmentId, Timestamp, VChannel,
};
use milvus_wal::{LocalWal, LocalWalOptions};
use tokio::sync::OnceCell;

use crate::fuse::{Fuse, FusedKv, FusedStore};
use crate::gate::Gate;
use crate::node::Node;
use crate::stalling::StallingWal;

/// What a crash leaves: catalogue, objects and log.
pub(crate) struct Home {
    /// Smaller segments get no index.
    pub(crate) min_rows_to_index: u64,
    pub(crate) kv: Arc<MemoryKv>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) directory: tempfile::TempDir,
    /// One for all lives: each opens its channels anew, and so fences the one before.
    pub(crate) log: OnceCell<Arc<StallingWal>>,
}

/// Everything that runs on a [`Home`].
pub(crate) struct World {
    pub(crate) coord: Arc<MixCoord>,
    pub(crate) streaming: Arc<StreamingService>,
    pub(crate) query: Arc<QueryService>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) node: Arc<Node>,
    pub(crate) fuse: Fuse,
    pub(crate) wal: Arc<StallingWal>,
    pub(crate) id: milvus_types::CollectionId,
}

/// Compaction only where a test asks for it; dead rows may go at once.
pub(crate) fn by_hand() -> CompactionOptions {
    CompactionOptions {
        is_automatic: false,
        retention: Duration::ZERO,
        manual_retention: Duration::ZERO,
        ..CompactionOptions::default()
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let (kv, log) = (Arc::default(), OnceCell::new());
        Self { min_rows_to_index: 1024, kv, store, directory, log }
    }

    pub(crate) async fn start(&self, compaction: CompactionOptions) -> World {
        self.start_with(compaction, StreamingOptions::default()).await
    }

    pub(crate) async fn start_with(
        &self,
        compaction: CompactionOptions,
        options: StreamingOptions,
    ) -> World {
        let fuse = Fuse::new();
        let kv = FusedKv { inner: self.kv.clone(), fuse: fuse.clone() };
        let store = FusedStore { inner: self.store.clone(), fuse: fuse.clone() };
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        let governor = Governor::new(1 << 30);
        let shared = Arc::new(governor.clone());
        let service =
            DataService::new(store.clone(), shared, Clock::system(), DataOptions::default());
        let node = Arc::new(Node::new(service));
        let coord = MixCoord::open(CoordParts {
            options: CoordOptions {
                compaction,
                min_rows_to_index: self.min_rows_to_index,
                ..CoordOptions::default()
            },
            catalogue: Catalogue::open(Arc::new(kv)).await.unwrap(),
            store: store.clone(),
            builder: node.clone(),
        })
        .await
        .unwrap();
        let pool = || CpuPool::new("test", 2, 1 << 20);
        let query = Arc::new(QueryService::new(
            store.clone(),
            Arc::new(pool()),
            Arc::new(pool()),
            Arc::new(governor.clone()),
        ));
        // Small files, so that a log that is cut loses some.
        let options_of_log = LocalWalOptions { segment_bytes: 2048, ..LocalWalOptions::default() };
        let open = || LocalWal::open(self.directory.path(), options_of_log);
        let gate = Arc::new(Gate::new(query.clone()));
        let wal = self
            .log
            .get_or_init(|| async { Arc::new(StallingWal::new(open().await.unwrap())) })
            .await;
        let streaming = Arc::new(StreamingService::new(StreamingParts {
            options,
            oracle: coord.clone(),
            ids: coord.clone(),
            data: coord.clone(),
            query: gate.clone(),
            store,
            wal: wal.clone(),
            cpu: pool(),
            apply: pool(),
            governor,
        }));
        coord.recover(streaming.clone()).await.unwrap();
        let collection = match coord.describe_collection("default", "c").await {
            Ok(collection) => collection,
            Err(_) => create(&coord).await,
        };
        let (wal, id) = (wal.clone(), collection.id);
        World { coord, streaming, query, gate, node, fuse, wal, id }
    }

    pub(crate) async fn bytes(&self, path: &str) -> bytes::Bytes {
        self.store.get(path).await.unwrap().bytes
    }

    /// The sizes of all files of segments, in bytes.
    pub(crate) async fn sizes(&self) -> Vec<u64> {
        let listed = self.store.list("segments/").await.unwrap();
        listed.into_iter().map(|object| object.size).collect()
    }

    /// The paths of all files of segments.
    pub(crate) async fn files(&self) -> Vec<String> {
        let listed = self.store.list("segments/").await.unwrap();
        listed.into_iter().map(|object| object.path).collect()
    }
}

/// What a collection called `name` is asked for by.
pub(crate) fn request(name: &str) -> CreateCollection {
    let field = |name: &str, data_type| FieldSchema {
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    let key = FieldSchema { is_primary_key: true, ..field("id", DataType::Int64) };
    let dim = vec![KeyValue::new("dim", "2")];
    let vector = FieldSchema { type_params: dim, ..field("v", DataType::FloatVector) };
    let number = FieldSchema { is_clustering_key: true, ..field("n", DataType::Int64) };
    CreateCollection {
        db_name: "default".to_owned(),
        schema: CollectionSchema {
            name: name.to_owned(),
            fields: vec![key, vector, number],
            ..CollectionSchema::default()
        },
        shards_num: 1,
        consistency_level: ConsistencyLevel::Strong,
        properties: Vec::new(),
        num_partitions: None,
    }
}

async fn create(coord: &Arc<MixCoord>) -> Arc<Collection> {
    let collection = coord.create_collection(request("c")).await.unwrap();
    let index = CreateIndex {
        collection_id: collection.id,
        field_id: collection.schema.field("v").unwrap().id,
        field_name: "v".to_owned(),
        index_name: String::new(),
        user_params: Vec::new(),
        index_params: vec![KeyValue::new("index_type", "FLAT"), KeyValue::new("metric_type", "L2")],
    };
    coord.create_index(index).await.unwrap();
    load(coord, collection.id).await;
    collection
}

pub(crate) async fn load(coord: &MixCoord, collection_id: milvus_types::CollectionId) {
    let request = LoadRequest {
        collection_id,
        partitions: None,
        replica_number: 1,
        load_fields: Vec::new(),
        refresh: false,
    };
    coord.load(request).await.unwrap();
}

impl World {
    /// Indexes `field`; returns the index's id.
    pub(crate) async fn create_index(&self, field: &str, index_type: &str) -> Result<i64> {
        let create = CreateIndex {
            collection_id: self.id,
            field_id: self.collection().await.schema.field(field).unwrap().id,
            field_name: field.to_owned(),
            index_name: String::new(),
            user_params: Vec::new(),
            index_params: vec![KeyValue::new("index_type", index_type)],
        };
        self.coord.create_index(create).await?;
        let indexes = self.coord.list_indexes(self.id).await?;
        Ok(indexes.iter().find(|index| index.field_name == field).unwrap().id.0)
    }

    pub(crate) async fn has_partition(&self, partition: PartitionId) -> bool {
        let collection = self.coord.describe_collection_by_id(self.id).await;
        collection.is_ok_and(|collection| collection.partition_by_id(partition).is_some())
    }

    /// Returns once every segment has `count` indexes, or the fuse has burnt.
    pub(crate) async fn indexed(&self, count: usize) {
        let built = |manifest: &Manifest| {
            manifest.segments.iter().all(|entry| entry.indexes.len() == count)
        };
        while !self.fuse.is_burnt() && !built(&*self.manifest().await) {
            clock::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends everything without finishing anything, as a crash would but for what is acknowledged.
    pub(crate) async fn crash(self) {
        self.fuse.burn();
        self.streaming.close().await;
    }

    pub(crate) async fn collection(&self) -> Arc<Collection> {
        self.coord.describe_collection_by_id(self.id).await.unwrap()
    }

    pub(crate) async fn manifest(&self) -> Arc<Manifest> {
        self.coord.manifest(self.id).await.unwrap()
    }

    pub(crate) async fn vchannel(&self) -> VChannel {
        self.collection().await.vchannels[0].clone()
    }

    async fn partition(&self) -> PartitionId {
        self.collection().await.partitions[0].id
    }

    async fn write(&self, kind: WriteKind) -> Result<Timestamp> {
        let vchannel = self.vchannel().await;
        Ok(self.streaming.write(Write { vchannel, kind }).await?.timestamp)
    }

    /// Gives each key the number beside it.
    pub(crate) async fn upsert(&self, rows: &[(i64, i64)]) -> Timestamp {
        self.try_upsert(rows).await.unwrap()
    }

    pub(crate) async fn try_upsert(&self, rows: &[(i64, i64)]) -> Result<Timestamp> {
        let collection = self.collection().await;
        let keys = Int64Array::from_iter_values(rows.iter().map(|(key, _)| *key));
        let replaced = PrimaryKeys::from_array(&keys).unwrap();
        let numbers: ArrayRef =
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let floats =
            Float32Array::from_iter_values(rows.iter().flat_map(|row| [row.0 as f32, 0.0]));
        let element = vector_element(ArrowType::Float32);
        let vectors: ArrayRef =
            Arc::new(FixedSizeListArray::new(element, 2, Arc::new(floats), None));
        let schema = arrow_schema(&collection.schema).unwrap();
        let rows = RecordBatch::try_new(schema, vec![Arc::new(keys), vectors, numbers]).unwrap();
        let partition_id = self.partition().await;
        self.write(WriteKind::Upsert { partition_id, rows, replaced, everywhere: false }).await
    }

    pub(crate) async fn delete(&self, keys: &[i64]) -> Timestamp {
        self.try_delete(keys).await.unwrap()
    }

    pub(crate) async fn try_delete(&self, keys: &[i64]) -> Result<Timestamp> {
        let keys = PrimaryKeys::Int64(keys.to_vec().into());
        self.write(WriteKind::Delete { partitions: None, keys }).await
    }

    pub(crate) async fn flush(&self) {
        self.try_flush().await.unwrap();
    }

    pub(crate) async fn try_flush(&self) -> Result<()> {
        self.streaming.flush(&self.vchannel().await, true).await.map(drop)
    }

    pub(crate) async fn now(&self) -> Timestamp {
        self.coord.allocate().await.unwrap()
    }

    async fn filter(&self, text: &str) -> Plan {
        plan(text, &self.collection().await.schema, &Templates::default()).unwrap()
    }

    async fn request(&self, keys: Option<&[i64]>, mvcc: Option<Timestamp>) -> QueryRequest {
        QueryRequest {
            collection_id: self.id,
            vchannel: self.vchannel().await,
            partitions: None,
            filter: self.filter("").await,
            keys: keys.map(|keys| PrimaryKeys::Int64(keys.to_vec().into())),
            limit: None,
            count: false,
            ignore_growing: false,
            guarantee: self.now().await,
            mvcc,
        }
    }

    /// Keys and numbers of the rows with `keys` (all, where not given) at `mvcc` (now). A key that is
    /// there twice fails the test.
    pub(crate) async fn read(
        &self,
        keys: Option<&[i64]>,
        mvcc: Option<Timestamp>,
    ) -> Result<BTreeMap<i64, i64>> {
        let found = self.streaming.query(self.request(keys, mvcc).await).await?;
        let count = found.rows.len();
        let (keys, rows): (Vec<PrimaryKey>, Vec<_>) = found.rows.into_iter().unzip();
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let vchannel = self.vchannel().await;
        let columns = vec!["id".to_owned(), "n".to_owned()];
        let fetched = self.streaming.fetch(FetchRequest { vchannel, rows, columns }).await?;
        let ids = fetched.column(0).as_primitive::<Int64Type>().values().to_vec();
        let numbers = fetched.column(1).as_primitive::<Int64Type>().values().to_vec();
        assert!(keys.iter().zip(&ids).all(|(key, id)| *key == PrimaryKey::Int64(*id)));
        let read: BTreeMap<i64, i64> = ids.into_iter().zip(numbers).collect();
        assert_eq!(read.len(), count, "a key was found twice");
        Ok(read)
    }

    pub(crate) async fn all(&self) -> BTreeMap<i64, i64> {
        self.read(None, None).await.unwrap()
    }

    pub(crate) async fn count(&self) -> u64 {
        let request = QueryRequest { count: true, ..self.request(None, None).await };
        self.streaming.query(request).await.unwrap().count
    }

    /// The keys nearest to `key`, at most `k`.
    pub(crate) async fn nearest(&self, key: i64, k: usize) -> Result<Vec<i64>> {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let queries = Queries::floats(vec![key as f32, 0.0], 2).unwrap();
        let request = SearchRequest {
            collection_id: self.id,
            vchannel: self.vchannel().await,
            partitions: None,
            field: "v".to_owned(),
            metric: MetricType::L2,
            queries: Arc::new(queries),
            k,
            params: Vec::new(),
            filter: self.filter("").await,
            range: None,
            group_by: None,
            iterator: false,
            after: None,
            boosts: None,
            ignore_growing: false,
            guarantee: self.now().await,
            mvcc: None,
        };
        let found = self.streaming.search(request).await?;
        let keys = found.hits[0].iter().map(|hit| match hit.key {
            PrimaryKey::Int64(key) => key,
            PrimaryKey::VarChar(_) => unreachable!("keys are numbers"),
        });
        Ok(keys.collect())
    }

    /// Has the data node write all flushed segments anew; nothing refers to the result yet.
    pub(crate) async fn rewrite(&self) -> (Vec<SegmentEntry>, Compacted) {
        self.try_rewrite().await.unwrap()
    }

    pub(crate) async fn try_rewrite(&self) -> Result<(Vec<SegmentEntry>, Compacted)> {
        let inputs = self.manifest().await.segments.clone();
        let purge_until = self.coord.allocate().await?.saturating_sub_ms(1000);
        let first = self.coord.allocate_ids(4).await?;
        let task = CompactSegments {
            collection: self.collection().await,
            inputs: inputs.clone(),
            order: RowOrder::Key,
            purge_until,
            expiry: Expiry::default(),
            target_bytes: 1 << 30,
            output_ids: (first..first + 4).map(SegmentId).collect(),
            level: SegmentLevel::L1,
        };
        let compacted = self.node.compact(task).await?;
        Ok((inputs, compacted))
    }

    pub(crate) async fn replace(&self, inputs: Vec<SegmentEntry>, compacted: Compacted) -> bool {
        self.try_replace(inputs, compacted).await.unwrap()
    }

    pub(crate) async fn try_replace(
        &self,
        inputs: Vec<SegmentEntry>,
        compacted: Compacted,
    ) -> Result<bool> {
        let Compacted { outputs, moved } = compacted;
        let (collection_id, vchannel) = (self.id, self.vchannel().await);
        let replacement = SegmentReplacement { collection_id, vchannel, inputs, outputs, moved };
        self.streaming.replace_segments(replacement).await
    }

    /// Compacts by hand and waits; returns how it went.
    pub(crate) async fn compact_by_hand(&self, kind: CompactionKind) -> CompactionJob {
        let job = self.coord.compact(self.asked(kind)).await.unwrap();
        loop {
            let state = self.coord.compaction_job(job.id).await.unwrap();
            if state.is_done() {
                return state;
            }
            clock::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn asked(&self, kind: CompactionKind) -> CompactCollection {
        CompactCollection {
            collection_id: self.id,
            kind,
            partition_id: None,
            vchannel: None,
            segments: Vec::new(),
        }
    }

    pub(crate) async fn compact(&self) -> bool {
        let (inputs, compacted) = self.rewrite().await;
        self.replace(inputs, compacted).await
    }
}
