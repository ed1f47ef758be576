//! Segments of random rows in an object store, and the task of compacting them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::buffer::Buffer;
use milvus_base::{Clock, Governor};
use milvus_data::{DataOptions, DataService};
use milvus_format::delete_file::{read_deletes, write_deletes};
use milvus_format::key_index::write_key_index;
use milvus_format::{
    DeleteEntry, DeleteFile, KeyIndex, RowChunk, SegmentEntry, SegmentFile, SegmentLevel,
    WrittenFile, open_segment, path, verify, write_segment,
};
use milvus_roles::{CompactSegments, RowOrder};
use milvus_segment::Expiry;
use milvus_storage::{MemoryStore, ObjectStore};
use milvus_types::columns::arrow_schema;
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, PartitionId, PkType,
    PrimaryKey, PrimaryKeys, SegmentId, Timestamp, VChannel,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::columns;

pub(crate) const COLLECTION: CollectionId = CollectionId(1);
pub(crate) const PARTITION: PartitionId = PartitionId(2);
/// Timestamps of rows are below this, those of deletes may go beyond.
pub(crate) const NEWEST: u64 = 50;

/// What is in the store.
pub(crate) struct World {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) collection: Arc<Collection>,
    pub(crate) inputs: Vec<SegmentEntry>,
    pub(crate) rng: StdRng,
}

/// A segment read back.
pub(crate) struct Opened {
    pub(crate) file: SegmentFile,
    pub(crate) keys: KeyIndex,
    /// The earliest delete of each row.
    pub(crate) deletes: Vec<Option<u64>>,
    pub(crate) entries: Vec<(u32, Timestamp)>,
}

impl World {
    /// Up to four segments of up to `rows` rows each, keys of them from a small range.
    pub(crate) async fn random(seed: u64, pk_type: PkType, rows: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let schema = columns::schema(pk_type);
        let mut world = Self {
            store: Arc::new(MemoryStore::new()),
            collection: Arc::new(collection(schema.clone())),
            inputs: Vec::new(),
            rng: StdRng::seed_from_u64(seed + 1),
        };
        for id in 0..rng.random_range(1..=4) {
            let written = columns::older(&schema, &mut rng);
            let rows = rng.random_range(0..=rows);
            let entry = world.write(SegmentId(10 + id), &written, rows, &mut rng).await;
            world.inputs.push(entry);
        }
        world
    }

    async fn write(
        &self,
        id: SegmentId,
        schema: &CollectionSchema,
        rows: usize,
        rng: &mut StdRng,
    ) -> SegmentEntry {
        let keys: Vec<i64> = (0..rows).map(|_| rng.random_range(-20..20)).collect();
        let column = |field: &milvus_types::FieldSchema, rng: &mut StdRng| match field {
            field if !field.is_primary_key => columns::column(field, rows, rng),
            _ => self.keys(&keys),
        };
        let arrays: Vec<ArrayRef> = schema.fields.iter().map(|field| column(field, rng)).collect();
        let batch = RecordBatch::try_new(arrow_schema(schema).unwrap(), arrays).unwrap();
        let mut timestamps: Vec<u64> = (0..rows).map(|_| rng.random_range(1..NEWEST)).collect();
        timestamps.sort_unstable();
        let arrow = batch.schema();
        let chunk = RowChunk { rows: batch, timestamps: UInt64Array::from(timestamps.clone()) };
        let mut bytes = Vec::new();
        let info = write_segment(&mut bytes, &arrow, &[chunk]).unwrap();
        let columns = info.at(path::columns(COLLECTION, PARTITION, id));
        self.store.put(&columns.path, bytes.into()).await.unwrap();
        let mut bytes = Vec::new();
        let keys = PrimaryKeys::from_array(&self.keys(&keys)).unwrap();
        let key_index = write_key_index(&keys, &mut bytes).unwrap();
        let key_index = key_index.at(path::keys(COLLECTION, PARTITION, id));
        self.store.put(&key_index.path, bytes.into()).await.unwrap();
        let mut delete_files = Vec::new();
        for n in 0..rng.random_range(0..3) {
            delete_files.extend(self.delete(id, n, &timestamps, rng).await);
        }
        SegmentEntry {
            id,
            partition_id: PARTITION,
            vchannel: VChannel::new("p", COLLECTION, 0),
            rows: info.rows,
            min_ts: info.min_ts,
            max_ts: info.max_ts,
            columns,
            key_index,
            delete_files,
            indexes: Vec::new(),
            deleted_rows: 0,
            schema_version: schema.version,
            level: SegmentLevel::L1,
            stats: info.stats,
        }
    }

    fn keys(&self, keys: &[i64]) -> ArrayRef {
        match self.collection.schema.pk_type() {
            PkType::Int64 => Arc::new(Int64Array::from(keys.to_vec())),
            PkType::VarChar => {
                Arc::new(StringArray::from_iter_values(keys.iter().map(|key| format!("k{key}"))))
            }
        }
    }

    /// Deletes some rows, some of them twice.
    async fn delete(
        &self,
        id: SegmentId,
        n: u64,
        timestamps: &[u64],
        rng: &mut StdRng,
    ) -> Option<DeleteFile> {
        let mut entries = Vec::new();
        for (row, inserted) in (0..).zip(timestamps) {
            for _ in 0..rng.random_range(0..3) {
                if rng.random_bool(0.3) {
                    let timestamp = Timestamp(rng.random_range(inserted + 1..NEWEST + 20));
                    entries.push(DeleteEntry { row, timestamp });
                }
            }
        }
        let max_ts = entries.iter().map(|entry| entry.timestamp).max()?;
        let mut bytes = Vec::new();
        let written: WrittenFile = write_deletes(&mut bytes, &entries).unwrap();
        let path = path::deletes(COLLECTION, PARTITION, id, n);
        self.store.put(&path, bytes.into()).await.unwrap();
        Some(DeleteFile { file: written.at(path), rows: entries.len() as u64, max_ts })
    }

    /// A service with `limit_bytes` of memory.
    pub(crate) fn service(&self, limit_bytes: u64) -> (Arc<DataService>, Arc<Governor>) {
        self.service_over(Arc::clone(&self.store), limit_bytes)
    }

    /// The same over another store.
    pub(crate) fn service_over(
        &self,
        store: Arc<dyn ObjectStore>,
        limit_bytes: u64,
    ) -> (Arc<DataService>, Arc<Governor>) {
        let governor = Arc::new(Governor::new(limit_bytes));
        let service = DataService::new(
            store,
            Arc::clone(&governor),
            Clock::system(),
            DataOptions { build_threads: 1, ..DataOptions::default() },
        );
        (Arc::new(service), governor)
    }

    /// The task of making one segment of all, nothing purged, nothing expired.
    pub(crate) fn task(&self) -> CompactSegments {
        CompactSegments {
            collection: Arc::clone(&self.collection),
            inputs: self.inputs.clone(),
            order: RowOrder::Key,
            purge_until: Timestamp::ZERO,
            expiry: Expiry::default(),
            target_bytes: u64::MAX,
            output_ids: vec![SegmentId(100)],
            level: SegmentLevel::L1,
        }
    }

    /// Reads the files of `entry`, each of them verified.
    pub(crate) async fn open(&self, entry: &SegmentEntry) -> Opened {
        let mut bytes = Vec::new();
        for meta in entry.files() {
            let read = self.store.get(&meta.path).await.unwrap().bytes;
            verify(&read, meta).unwrap();
            bytes.push(read);
        }
        let rows = usize::try_from(entry.rows).unwrap();
        let entries: Vec<DeleteEntry> =
            bytes[2..].iter().flat_map(|bytes| read_deletes(bytes).unwrap()).collect();
        let mut deletes: Vec<Option<u64>> = vec![None; rows];
        for entry in &entries {
            let known = &mut deletes[entry.row as usize];
            *known = Some(known.unwrap_or(u64::MAX).min(entry.timestamp.0));
        }
        Opened {
            file: open_segment(&Buffer::from(bytes[0].clone()), &entry.columns).unwrap(),
            keys: KeyIndex::open(&bytes[1]).unwrap(),
            deletes,
            entries: entries.iter().map(|entry| (entry.row, entry.timestamp)).collect(),
        }
    }
}

impl Opened {
    pub(crate) fn key(&self, row: usize, schema: &CollectionSchema) -> PrimaryKey {
        let name = &schema.primary_key().unwrap().name;
        let column = self.file.rows.column_by_name(name).unwrap();
        PrimaryKeys::from_array(column).unwrap().get(row)
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
