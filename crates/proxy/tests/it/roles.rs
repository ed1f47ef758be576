//! Roles in memory: collections, indexes and load states in maps, rows in batches by shard, exact
//! search. Timestamps count up by one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use arrow::array::{Array as _, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Float32Type, Int64Type};
use async_trait::async_trait;
use milvus_base::{CpuPool, Governor};
use milvus_format::manifest::{ChannelCheckpoint, IndexEntry, Manifest};
use milvus_index::vectors::VectorRef;
use milvus_proxy::api::{
    Context, CreateCollectionRequest, CreateIndexRequest, InputColumn, InputValues, InsertRequest,
    LoadApiRequest, PackedVectors,
};
use milvus_proxy::{Proxy, ProxyOptions};
use milvus_roles::*;
use milvus_segment::GroupValue;
use milvus_types::collection::{DEFAULT_PARTITION, Partition};
use milvus_types::*;
use parking_lot::Mutex;

/// Rows of one write, and which of them are deleted.
type Batch = (PartitionId, RecordBatch, Vec<bool>);

/// All four roles at once.
#[derive(Default)]
pub(crate) struct Roles {
    clock: AtomicU64,
    ids: AtomicI64,
    collections: Mutex<Vec<Arc<Collection>>>,
    aliases: Mutex<Vec<Alias>>,
    /// Every change asked for; none is made.
    pub(crate) changes: Mutex<Vec<CollectionChange>>,
    indexes: Mutex<Vec<Arc<IndexMeta>>>,
    loads: Mutex<HashMap<CollectionId, LoadStatus>>,
    /// Rows by shard.
    rows: Mutex<HashMap<VChannel, Vec<Batch>>>,
    /// How many of the next fetches find that rows moved.
    pub(crate) moved: AtomicUsize,
    pub(crate) searches: AtomicUsize,
    pub(crate) last_search: Mutex<Option<SearchRequest>>,
}

impl TimestampOracle for Roles {
    fn try_allocate(&self) -> Option<Timestamp> {
        Some(Timestamp(self.clock.fetch_add(1, Ordering::Relaxed) + 1000))
    }

    fn extend<'a, 'b>(&'a self) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(()) })
    }
}

#[async_trait]
impl IdAllocator for Roles {
    async fn allocate_ids(&self, count: u64) -> Result<i64> {
        Ok(self.ids.fetch_add(i64::try_from(count).unwrap(), Ordering::Relaxed) + 1)
    }
}

#[async_trait]
impl RootCoord for Roles {
    async fn list_databases(&self) -> Result<Vec<Database>> {
        let id = DatabaseId::DEFAULT;
        let (name, create_ts) = ("default".to_owned(), Timestamp::ZERO);
        Ok(vec![Database { id, name, create_ts, properties: vec![] }])
    }

    async fn create_database(&self, _: &str, _: Vec<KeyValue>) -> Result<()> {
        Err(Failure::unimplemented("create database"))
    }

    async fn drop_database(&self, _: &str) -> Result<()> {
        Err(Failure::unimplemented("drop database"))
    }

    async fn alter_database(&self, _: &str, _: PropertyChange) -> Result<()> {
        Err(Failure::unimplemented("alter database"))
    }

    async fn create_alias(&self, db: &str, alias: &str, collection: &str) -> Result<()> {
        self.aliases.lock().push(Alias {
            db_name: db.to_owned(),
            name: alias.to_owned(),
            collection: collection.to_owned(),
        });
        Ok(())
    }

    async fn drop_alias(&self, _: &str, alias: &str) -> Result<()> {
        self.aliases.lock().retain(|known| known.name != alias);
        Ok(())
    }

    async fn alter_alias(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Err(Failure::unimplemented("alter alias"))
    }

    async fn list_aliases(&self, _: &str, collection: Option<&str>) -> Result<Vec<Alias>> {
        let aliases = self.aliases.lock();
        let wanted = |alias: &&Alias| collection.is_none_or(|name| alias.collection == name);
        Ok(aliases.iter().filter(wanted).cloned().collect())
    }

    async fn truncate_collection(&self, _: &str, _: &str) -> Result<()> {
        Err(Failure::unimplemented("truncate"))
    }

    async fn alter_collection(&self, _: &str, _: &str, change: CollectionChange) -> Result<()> {
        self.changes.lock().push(change);
        Ok(())
    }

    async fn create_collection(&self, request: CreateCollection) -> Result<Arc<Collection>> {
        let id = CollectionId(self.allocate_ids(1).await?);
        let mut schema = request.schema;
        for (field, id) in schema.fields.iter_mut().zip(100..) {
            field.id = FieldId(id);
        }
        let collection = Arc::new(Collection {
            id,
            db_id: DatabaseId::DEFAULT,
            db_name: request.db_name,
            name: schema.name.clone(),
            schema,
            partitions: partitions(id, request.num_partitions),
            vchannels: (0..request.shards_num).map(|i| VChannel::new("dml_0", id, i)).collect(),
            consistency_level: request.consistency_level,
            properties: request.properties,
            create_ts: Timestamp(1),
            update_ts: Timestamp(1),
        });
        self.collections.lock().push(Arc::clone(&collection));
        Ok(collection)
    }

    async fn drop_collection(&self, _: &str, name: &str) -> Result<()> {
        self.collections.lock().retain(|collection| collection.name != name);
        Ok(())
    }

    async fn rename_collection(&self, _: &str, _: &str, _: &str, _: &str) -> Result<()> {
        Err(Failure::unimplemented("rename"))
    }

    async fn describe_collection(&self, db: &str, name: &str) -> Result<Arc<Collection>> {
        let collections = self.collections.lock();
        let found = collections.iter().find(|collection| collection.name == name);
        found.cloned().ok_or_else(|| Failure::collection_not_found(db, name))
    }

    async fn describe_collection_by_id(&self, id: CollectionId) -> Result<Arc<Collection>> {
        let collections = self.collections.lock();
        let found = collections.iter().find(|collection| collection.id == id);
        found.cloned().ok_or_else(|| Failure::collection_not_found("default", id))
    }

    async fn list_collections(&self, _: &str) -> Result<Vec<Arc<Collection>>> {
        Ok(self.collections.lock().clone())
    }

    async fn create_partition(&self, _: &str, collection: &str, name: &str) -> Result<()> {
        let id = self.allocate_ids(1).await?;
        let mut collections = self.collections.lock();
        let found = collections.iter_mut().find(|known| known.name == collection);
        Arc::make_mut(found.unwrap()).partitions.push(partition(name, id));
        Ok(())
    }

    async fn drop_partition(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Err(Failure::unimplemented("drop partition"))
    }
}

fn partitions(id: CollectionId, of_key: Option<usize>) -> Vec<Partition> {
    let Some(count) = of_key else { return vec![partition(DEFAULT_PARTITION, id.0 * 1000)] };
    let ids = (id.0 * 1000..).take(count).enumerate();
    ids.map(|(at, id)| partition(&format!("{DEFAULT_PARTITION}_{at}"), id)).collect()
}

fn partition(name: &str, id: i64) -> Partition {
    Partition { id: PartitionId(id), name: name.to_owned(), create_ts: Timestamp(1) }
}

#[async_trait]
impl DataCoord for Roles {
    async fn manifest(&self, _: CollectionId) -> Result<Arc<Manifest>> {
        Err(Failure::unimplemented("manifest"))
    }

    async fn log_bounds(&self, _: &str) -> Result<LogBounds> {
        Ok(LogBounds::default())
    }

    async fn log_cut(&self, _: &str, _: u64) -> Result<()> {
        Ok(())
    }

    async fn log_renewed(&self, _: &str, _: u64) -> Result<()> {
        Ok(())
    }

    async fn commit_flush(&self, _: FlushCommit) -> Result<Arc<Manifest>> {
        Err(Failure::unimplemented("commit"))
    }

    async fn commit_compaction(&self, _: CompactionCommit) -> Result<Option<Arc<Manifest>>> {
        Err(Failure::unimplemented("commit"))
    }

    async fn compact(&self, _: CompactCollection) -> Result<CompactionJob> {
        Ok(CompactionJob { id: -1, ..CompactionJob::default() })
    }

    async fn compaction_job(&self, id: i64) -> Result<CompactionJob> {
        Ok(CompactionJob { id, ..CompactionJob::default() })
    }

    async fn commit_index(&self, _: CollectionId, _: SegmentId, _: IndexEntry) -> Result<()> {
        Err(Failure::unimplemented("commit"))
    }

    async fn create_index(&self, request: CreateIndex) -> Result<()> {
        let name = match request.index_name.as_str() {
            "" => request.field_name.clone(),
            name => name.to_owned(),
        };
        self.indexes.lock().push(Arc::new(IndexMeta {
            id: IndexId(1),
            collection_id: request.collection_id,
            field_id: request.field_id,
            field_name: request.field_name,
            name,
            user_params: request.user_params,
            index_params: request.index_params,
            create_ts: Timestamp(1),
        }));
        Ok(())
    }

    async fn drop_index(&self, id: CollectionId, _: &str, name: &str) -> Result<()> {
        self.indexes.lock().retain(|index| index.collection_id != id || index.name != name);
        Ok(())
    }

    async fn alter_index(&self, _: CollectionId, _: &str, _: PropertyChange) -> Result<()> {
        Ok(())
    }

    async fn list_indexes(&self, id: CollectionId) -> Result<Vec<Arc<IndexMeta>>> {
        let indexes = self.indexes.lock();
        Ok(indexes.iter().filter(|index| index.collection_id == id).cloned().collect())
    }

    async fn index_progress(&self, _: &IndexMeta, _: Option<Timestamp>) -> Result<IndexProgress> {
        Ok(IndexProgress {
            state: IndexState::Finished,
            total_rows: 0,
            indexed_rows: 0,
            pending_rows: 0,
            fail_reason: String::new(),
        })
    }

    async fn list_segments(&self, _: CollectionId) -> Result<Vec<SegmentStatus>> {
        Ok(vec![])
    }

    async fn sorted_segments(&self, _: CollectionId) -> Result<HashSet<SegmentId>> {
        Ok(HashSet::new())
    }

    async fn flush(&self, _: CollectionId) -> Result<FlushTicket> {
        Ok(FlushTicket { flush_ts: self.allocate().await?, ..FlushTicket::default() })
    }

    async fn is_flushed(&self, _: CollectionId, _: &[SegmentId], _: Timestamp) -> Result<bool> {
        Ok(true)
    }

    async fn checkpoint(&self, _: &VChannel) -> Result<Option<ChannelCheckpoint>> {
        Ok(None)
    }
}

#[async_trait]
impl QueryCoord for Roles {
    async fn load(&self, request: LoadRequest) -> Result<()> {
        let status = LoadStatus {
            state: LoadState::Loaded,
            progress: 100,
            partitions: request.partitions,
            load_fields: request.load_fields,
            replica_number: 1,
        };
        self.loads.lock().insert(request.collection_id, status);
        Ok(())
    }

    async fn release(&self, id: CollectionId, partitions: Option<Vec<PartitionId>>) -> Result<()> {
        let mut loads = self.loads.lock();
        match (partitions, loads.get_mut(&id)) {
            (Some(gone), Some(LoadStatus { partitions: Some(loaded), .. })) => {
                loaded.retain(|partition| !gone.contains(partition));
            }
            _ => drop(loads.remove(&id)),
        }
        Ok(())
    }

    async fn load_status(&self, id: CollectionId) -> Result<Option<LoadStatus>> {
        Ok(self.loads.lock().get(&id).cloned())
    }
}

/// Batch number in the shard as segment, row in the batch.
type Row = (PrimaryKey, RowLocation, Vec<f32>);

impl Roles {
    fn pk(collection: &Collection) -> &str {
        &collection.schema.primary_key().unwrap().name
    }

    fn collection_of(&self, vchannel: &VChannel) -> Arc<Collection> {
        let collections = self.collections.lock();
        collections.iter().find(|known| known.vchannels.contains(vchannel)).unwrap().clone()
    }

    /// Visible rows that pass.
    fn rows(
        &self,
        vchannel: &VChannel,
        partitions: Option<&[PartitionId]>,
        filter: &milvus_expr::Plan,
    ) -> Vec<Row> {
        let collection = self.collection_of(vchannel);
        let mut found = Vec::new();
        let rows = self.rows.lock();
        let batches = rows.get(vchannel).map_or(&[][..], Vec::as_slice);
        for (number, (partition, batch, deleted)) in batches.iter().enumerate() {
            if partitions.is_some_and(|wanted| !wanted.contains(partition)) {
                continue;
            }
            let passing = filter.evaluate(batch).unwrap();
            let keys =
                PrimaryKeys::from_array(batch.column_by_name(Self::pk(&collection)).unwrap());
            let keys = keys.unwrap();
            let vectors = batch.column_by_name("v").unwrap().as_fixed_size_list();
            for row in (0..batch.num_rows()).filter(|row| passing.value(*row) && !deleted[*row]) {
                let segment_id = SegmentId(i64::try_from(number).unwrap());
                let location = RowLocation { segment_id, row: u32::try_from(row).unwrap() };
                let vector = vectors.value(row);
                let vector = vector.as_primitive::<Float32Type>().values().to_vec();
                found.push((keys.get(row), location, vector));
            }
        }
        found
    }

    /// The value of `n` of each row, where the request groups by that.
    fn group_values(&self, request: &SearchRequest, rows: &[Row]) -> Vec<Option<i64>> {
        let grouped = request.group_by.as_ref().is_some_and(|by| by.fields[0].column == "n");
        let batches = self.rows.lock();
        let value = |(_, location, _): &Row| {
            let number = usize::try_from(location.segment_id.0).unwrap();
            let batch = &batches[&request.vchannel][number].1;
            let column = batch.column_by_name("n").unwrap().as_primitive::<Int64Type>();
            let row = location.row as usize;
            (grouped && column.is_valid(row)).then(|| column.value(row) % 4)
        };
        rows.iter().map(value).collect()
    }

    fn delete(&self, vchannel: &VChannel, partitions: Option<&[PartitionId]>, keys: &PrimaryKeys) {
        let collection = self.collection_of(vchannel);
        let gone: Vec<PrimaryKey> = keys.iter().collect();
        let mut rows = self.rows.lock();
        for (partition, batch, deleted) in rows.entry(vchannel.clone()).or_default() {
            if partitions.is_some_and(|wanted| !wanted.contains(partition)) {
                continue;
            }
            let keys =
                PrimaryKeys::from_array(batch.column_by_name(Self::pk(&collection)).unwrap());
            for (row, key) in keys.unwrap().iter().enumerate() {
                deleted[row] |= gone.contains(&key);
            }
        }
    }

    fn add(&self, vchannel: VChannel, partition: PartitionId, batch: RecordBatch) {
        let deleted = vec![false; batch.num_rows()];
        self.rows.lock().entry(vchannel).or_default().push((partition, batch, deleted));
    }
}

#[async_trait]
impl Streaming for Roles {
    async fn recovered(&self, _: &[VChannel]) -> Result<()> {
        Ok(())
    }

    async fn refuse_channel(&self, _: &VChannel, _: Failure) -> Result<()> {
        Ok(())
    }

    async fn open_channel(&self, _: OpenChannel) -> Result<()> {
        Ok(())
    }

    async fn drop_channel(&self, _: &VChannel) -> Result<()> {
        Ok(())
    }

    async fn collection_changed(&self, _: Arc<Collection>) -> Result<()> {
        Ok(())
    }

    async fn manifest_changed(&self, _: Arc<Manifest>) -> Result<()> {
        Ok(())
    }

    async fn set_load(&self, _: CollectionId, _: LoadScope) -> Result<()> {
        Ok(())
    }

    async fn load_progress(&self, _: CollectionId) -> Result<i64> {
        Ok(100)
    }

    async fn write(&self, write: Write) -> Result<WriteAck> {
        let vchannel = write.vchannel;
        match write.kind {
            WriteKind::Insert { partition_id, rows, .. } => self.add(vchannel, partition_id, rows),
            WriteKind::Upsert { partition_id, rows, replaced, everywhere } => {
                let here = [partition_id];
                self.delete(&vchannel, (!everywhere).then_some(&here[..]), &replaced);
                self.add(vchannel, partition_id, rows);
            }
            WriteKind::Delete { partitions, keys } => {
                self.delete(&vchannel, partitions.as_deref(), &keys);
            }
        }
        Ok(WriteAck { timestamp: self.allocate().await? })
    }

    async fn flush(&self, _: &VChannel, _: bool) -> Result<FlushTicket> {
        Ok(FlushTicket::default())
    }

    async fn replace_segments(&self, _: SegmentReplacement) -> Result<bool> {
        Err(Failure::unimplemented("replace"))
    }

    async fn written_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn growing_segments(&self, _: &VChannel) -> Result<Vec<GrowingStatus>> {
        Ok(vec![])
    }

    async fn search(&self, request: SearchRequest) -> Result<SearchReply> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        let rows = self.rows(&request.vchannel, request.partitions.as_deref(), &request.filter);
        let groups = self.group_values(&request, &rows);
        let query = |query: usize| {
            let VectorRef::Float(query) = request.queries.data.row(query) else {
                panic!("not a float vector");
            };
            let hit = |((key, location, vector), group): (&Row, &Option<i64>)| {
                let score = vector.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum();
                let group = request.group_by.is_some().then(|| {
                    let value = group.map_or(GroupValue::Null, GroupValue::Int);
                    Arc::from([value])
                });
                ShardHit { score, key: key.clone(), location: *location, element: None, group }
            };
            let order = |a: &ShardHit, b: &ShardHit| {
                a.score.total_cmp(&b.score).then_with(|| a.key.cmp(&b.key))
            };
            let mut hits: Vec<ShardHit> = rows.iter().zip(&groups).map(hit).collect();
            hits.sort_by(order);
            if let Some(after) = &request.after {
                hits.retain(|hit| (hit.score, &hit.key) > (after.score, &after.key));
            }
            // Groups are left to the proxy: it gets every hit.
            hits.truncate(if request.group_by.is_some() { usize::MAX } else { request.k });
            hits
        };
        let hits = (0..request.queries.nq()).map(query).collect();
        let mvcc = request.mvcc.unwrap_or(self.allocate().await?);
        *self.last_search.lock() = Some(request);
        Ok(SearchReply { mvcc, hits })
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryReply> {
        let rows = self.rows(&request.vchannel, request.partitions.as_deref(), &request.filter);
        let wanted: Option<Vec<PrimaryKey>> = request.keys.map(|keys| keys.iter().collect());
        let wanted = |key: &PrimaryKey| wanted.as_ref().is_none_or(|keys| keys.contains(key));
        let mut rows: Vec<_> = rows
            .into_iter()
            .filter(|(key, ..)| wanted(key))
            .map(|(key, location, _)| (key, location))
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let count = u64::try_from(rows.len()).unwrap();
        rows.truncate(if request.count { 0 } else { request.limit.unwrap_or(usize::MAX) });
        Ok(QueryReply { mvcc: request.mvcc.unwrap_or(request.guarantee), rows, count })
    }

    async fn fetch(&self, request: FetchRequest) -> Result<RecordBatch> {
        let moved = |left: usize| left.checked_sub(1);
        if self.moved.try_update(Ordering::Relaxed, Ordering::Relaxed, moved).is_ok() {
            return Err(Failure::wrap(ErrorCode::InconsistentRequery, "rows moved"));
        }
        let rows = self.rows.lock();
        let batches = &rows[&request.vchannel];
        let parts: Vec<RecordBatch> = request
            .rows
            .iter()
            .map(|location| {
                let batch = &batches[usize::try_from(location.segment_id.0).unwrap()].1;
                take_record_batch(batch, &UInt32Array::from(vec![location.row])).unwrap()
            })
            .collect();
        let all = concat_batches(&parts[0].schema(), &parts).unwrap();
        let at = |name: &String| all.schema().index_of(name).unwrap();
        Ok(all.project(&request.columns.iter().map(at).collect::<Vec<_>>()).unwrap())
    }
}

/// A front door and the roles behind it.
pub(crate) struct House {
    pub(crate) proxy: Proxy,
    pub(crate) roles: Arc<Roles>,
    pub(crate) cx: Context,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_memory(1 << 30)
    }

    pub(crate) fn with_memory(bytes: u64) -> Self {
        let roles = Arc::new(Roles::default());
        let proxy = Proxy::new(
            ProxyOptions::default(),
            Arc::<Roles>::clone(&roles),
            Arc::<Roles>::clone(&roles),
            Arc::<Roles>::clone(&roles),
            Arc::<Roles>::clone(&roles),
            Arc::new(Governor::new(bytes)),
            Arc::new(CpuPool::new("proxy", 1, 16)),
        );
        Self { proxy, roles, cx: Context { db_name: "default".to_owned() } }
    }

    /// A loaded collection `c`: Int64 key `id`, vectors `v` of two dimensions compared by L2,
    /// nullable Int64 `n`, dynamic keys.
    pub(crate) async fn collection(shards: i32) -> Self {
        let house = Self::new();
        house.create(shards).await.unwrap();
        house.index("v").await.unwrap();
        house.load(None).await.unwrap();
        house
    }

    pub(crate) async fn create(&self, shards: i32) -> Result<()> {
        self.proxy.create_collection(&self.cx, Self::collection_request(shards)).await
    }

    pub(crate) fn collection_request(shards: i32) -> CreateCollectionRequest {
        let field = |name: &str, data_type| FieldSchema {
            name: name.to_owned(),
            data_type,
            ..FieldSchema::default()
        };
        let fields = vec![
            FieldSchema { is_primary_key: true, ..field("id", DataType::Int64) },
            FieldSchema {
                type_params: vec![KeyValue::new("dim", "2")],
                ..field("v", DataType::FloatVector)
            },
            FieldSchema { nullable: true, ..field("n", DataType::Int64) },
        ];
        let schema = CollectionSchema {
            name: "c".to_owned(),
            fields,
            enable_dynamic_field: true,
            ..CollectionSchema::default()
        };
        CreateCollectionRequest {
            collection_name: "c".to_owned(),
            schema,
            shards_num: shards,
            ..CreateCollectionRequest::default()
        }
    }

    pub(crate) async fn index(&self, field: &str) -> Result<()> {
        let request = CreateIndexRequest {
            collection_name: "c".to_owned(),
            field_name: field.to_owned(),
            params: vec![KeyValue::new("index_type", "HNSW"), KeyValue::new("metric_type", "L2")],
            ..CreateIndexRequest::default()
        };
        self.proxy.create_index(&self.cx, request).await
    }

    pub(crate) async fn load(&self, partitions: Option<&[&str]>) -> Result<()> {
        let names = partitions.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let request = LoadApiRequest {
            collection_name: "c".to_owned(),
            partition_names: names,
            ..LoadApiRequest::default()
        };
        self.proxy.load(&self.cx, request).await
    }

    /// Rows `key -> (key, 0)` with dynamic keys `color` and `size`; even keys have `n` = key.
    pub(crate) fn rows(keys: &[i64]) -> InsertRequest {
        let column = |name: &str, values: InputValues, valid: Vec<bool>| InputColumn {
            name: name.to_owned(),
            is_dynamic: name.is_empty(),
            data_type: None,
            values,
            valid,
        };
        let scalars = |array: arrow::array::ArrayRef| InputValues::Scalars(array);
        let even = |key: &&i64| **key % 2 == 0;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let vectors: Vec<f32> = keys.iter().flat_map(|key| [*key as f32, 0.0]).collect();
        let dynamic = keys.iter().map(|key| format!(r#"{{"color":"c{key}","size":{key}}}"#));
        let dynamic = arrow::array::StringArray::from_iter_values(dynamic);
        let numbers: Vec<i64> = keys.iter().filter(even).copied().collect();
        InsertRequest {
            collection_name: "c".to_owned(),
            num_rows: u32::try_from(keys.len()).unwrap(),
            columns: vec![
                column(
                    "id",
                    scalars(Arc::new(arrow::array::Int64Array::from(keys.to_vec()))),
                    vec![],
                ),
                column(
                    "v",
                    InputValues::Vectors(PackedVectors {
                        kind: DataType::FloatVector,
                        dim: 2,
                        bytes: arrow::buffer::Buffer::from_vec(vectors),
                    }),
                    vec![],
                ),
                column(
                    "n",
                    scalars(Arc::new(arrow::array::Int64Array::from(numbers))),
                    keys.iter().map(|key| even(&key)).collect(),
                ),
                column("", scalars(Arc::new(dynamic)), vec![]),
            ],
            ..InsertRequest::default()
        }
    }

    pub(crate) async fn insert(&self, keys: &[i64]) {
        self.proxy.insert(&self.cx, Self::rows(keys)).await.unwrap();
    }
}

pub(crate) fn int64s(keys: &PrimaryKeys) -> Vec<i64> {
    keys.to_array().as_primitive::<Int64Type>().values().to_vec()
}

pub(crate) fn strings(array: &arrow::array::ArrayRef) -> Vec<String> {
    array.as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect()
}

pub(crate) fn optional_int64s(array: &arrow::array::ArrayRef) -> Vec<Option<i64>> {
    array.as_primitive::<Int64Type>().iter().collect()
}
