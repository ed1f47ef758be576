//! A data node that compacts by the book and slowly: reads all rows into memory, leaves out what may
//! go, sorts, writes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::{concat_batches, take, take_record_batch};
use async_trait::async_trait;
use milvus_format::delete_file::{read_deletes, write_deletes};
use milvus_format::key_index::write_key_index;
use milvus_format::manifest::{DeleteFile, IndexEntry, SegmentEntry};
use milvus_format::{DeleteEntry, RowChunk, open_segment, path, write_segment};
use milvus_roles::{BuildIndex, CompactSegments, Compacted, DataNode, MovedRows};
use milvus_storage::ObjectStore;
use milvus_types::{Failure, PrimaryKeys, Result, SegmentId, Timestamp};
use parking_lot::Mutex;

pub(crate) struct Rewriter {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Rows of a segment at most.
    pub(crate) rows: usize,
    /// What it was asked for.
    pub(crate) tasks: Mutex<Vec<CompactSegments>>,
}

/// A row on its way: where it comes from, and its delete.
struct Row {
    input: usize,
    row: u32,
    deleted: Option<Timestamp>,
}

#[async_trait]
impl DataNode for Rewriter {
    async fn compact(&self, task: CompactSegments) -> Result<Compacted> {
        self.tasks.lock().push(task.clone());
        let mut batches = Vec::new();
        let mut stamps = Vec::new();
        let mut rows = Vec::new();
        let mut moved: Vec<MovedRows> = Vec::new();
        for (input, entry) in task.inputs.iter().enumerate() {
            let bytes = self.get(&entry.columns.path).await?;
            let file = open_segment(&Buffer::from(bytes), &entry.columns)
                .map_err(|error| Failure::from(&error))?;
            let deletes = self.deletes(entry).await?;
            let stays = |row: &u32| {
                let inserted = Timestamp(file.timestamps.value(*row as usize));
                deletes.get(row).is_none_or(|at| *at > task.purge_until)
                    && task.expiry.rows_before.is_none_or(|before| inserted >= before)
            };
            let count = u32::try_from(entry.rows).unwrap();
            rows.extend((0..count).filter(stays).map(|row| Row {
                input,
                row,
                deleted: deletes.get(&row).copied(),
            }));
            let to = vec![(u32::MAX, u32::MAX); count as usize];
            moved.push(MovedRows { from: entry.id, to });
            batches.push(file.rows);
            stamps.push(file.timestamps);
        }
        let starts: Vec<u32> = batches
            .iter()
            .scan(0, |start, batch| {
                let at = *start;
                *start += u32::try_from(batch.num_rows()).unwrap();
                Some(at)
            })
            .collect();
        let all = concat_batches(&batches[0].schema(), &batches).map_err(Failure::internal)?;
        let stamps: Vec<u64> = stamps.iter().flat_map(|s| s.values().to_vec()).collect();
        let stamps = UInt64Array::from(stamps);
        let place = |row: &Row| starts[row.input] + row.row;
        let keys: Vec<_> =
            PrimaryKeys::from_array(all.column_by_name("id").unwrap()).unwrap().iter().collect();
        rows.sort_by_key(|row| {
            let place = place(row) as usize;
            (keys[place].clone(), stamps.value(place))
        });
        let mut outputs = Vec::new();
        for (output, (chunk, id)) in rows.chunks(self.rows).zip(&task.output_ids).enumerate() {
            for (to, row) in (0..).zip(chunk) {
                let output = u32::try_from(output).unwrap();
                moved[row.input].to[row.row as usize] = (output, to);
            }
            let places = UInt32Array::from_iter_values(chunk.iter().map(place));
            let rows = take_record_batch(&all, &places).map_err(Failure::internal)?;
            let stamps = take(&stamps, &places, None).map_err(Failure::internal)?;
            let stamps = stamps.as_any().downcast_ref::<UInt64Array>().unwrap().clone();
            let deletes: Vec<DeleteEntry> = (0..)
                .zip(chunk)
                .filter_map(|(row, from)| Some(DeleteEntry { row, timestamp: from.deleted? }))
                .collect();
            outputs.push(self.write(&task, *id, rows, stamps, deletes).await?);
        }
        assert!(rows.len() <= self.rows * task.output_ids.len(), "more rows than names for them");
        Ok(Compacted { outputs, moved })
    }

    async fn build_index(&self, _: BuildIndex) -> Result<IndexEntry> {
        Err(Failure::internal("segments here are too small to be indexed"))
    }
}

impl Rewriter {
    async fn get(&self, path: &str) -> Result<bytes::Bytes> {
        let object = self.store.get(path).await.map_err(|error| Failure::from(&error))?;
        Ok(object.bytes)
    }

    async fn deletes(&self, entry: &SegmentEntry) -> Result<HashMap<u32, Timestamp>> {
        let mut deletes: HashMap<u32, Timestamp> = HashMap::new();
        for file in &entry.delete_files {
            for delete in read_deletes(&self.get(&file.file.path).await?).unwrap() {
                let at = deletes.entry(delete.row).or_insert(delete.timestamp);
                *at = delete.timestamp.min(*at);
            }
        }
        Ok(deletes)
    }

    async fn write(
        &self,
        task: &CompactSegments,
        id: SegmentId,
        rows: RecordBatch,
        timestamps: UInt64Array,
        deletes: Vec<DeleteEntry>,
    ) -> Result<SegmentEntry> {
        let (c, p) = (task.collection.id, task.inputs[0].partition_id);
        let keys = PrimaryKeys::from_array(rows.column_by_name("id").unwrap()).unwrap();
        let mut key_bytes = Vec::new();
        let written = write_key_index(&keys, &mut key_bytes).unwrap();
        let key_index = written.at(path::keys(c, p, id));
        let mut bytes = Vec::new();
        let schema = rows.schema();
        let info = write_segment(&mut bytes, &schema, &[RowChunk { rows, timestamps }])
            .map_err(|error| Failure::from(&error))?;
        let columns = info.at(path::columns(c, p, id));
        self.put(&columns.path, bytes).await?;
        self.put(&key_index.path, key_bytes).await?;
        let mut delete_files = Vec::new();
        if let Some(max_ts) = deletes.iter().map(|delete| delete.timestamp).max() {
            let mut bytes = Vec::new();
            let written = write_deletes(&mut bytes, &deletes).unwrap();
            let file = written.at(path::deletes(c, p, id, 0));
            self.put(&file.path, bytes).await?;
            delete_files.push(DeleteFile { file, rows: deletes.len() as u64, max_ts });
        }
        Ok(SegmentEntry {
            id,
            partition_id: p,
            vchannel: task.inputs[0].vchannel.clone(),
            rows: info.rows,
            min_ts: info.min_ts,
            max_ts: info.max_ts,
            columns,
            key_index,
            delete_files,
            indexes: Vec::new(),
            deleted_rows: deletes.len() as u64,
            schema_version: task.collection.schema.version,
            level: task.level,
        })
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let stored = self.store.put(path, bytes.into()).await;
        stored.map(|_| ()).map_err(|error| Failure::from(&error))
    }
}
