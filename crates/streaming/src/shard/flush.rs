//! Writing a sealed set: columns, key index and delete files, then one commit.
//!
//! Until the commit nothing refers to the files; a crash leaves orphans, which start-up removes.

use std::sync::Arc;

use bytes::Bytes;
use milvus_base::{Priority, failpoint};
use milvus_format::delete_file::{self, DeleteEntry};
use milvus_format::key_index::{self, KeyIndex};
use milvus_format::manifest::{ChannelCheckpoint, DeleteFile, SegmentEntry, SegmentLevel};
use milvus_format::{path, segment_file};
use milvus_roles::FlushCommit;
use milvus_segment::{GrowingSegment, Segment};
use milvus_types::{Failure, PartitionId, Result, SegmentId, Timestamp};

use super::Shard;
use super::state::{SealedSet, UnwrittenDeletes};
use super::write::cpu_failure;
use crate::options::PlantedBug;

pub(super) struct WrittenSet {
    pub(super) segments: Vec<(SegmentEntry, KeyIndex)>,
    deletes: Vec<(SegmentId, DeleteFile)>,
}

impl Shard {
    pub(super) async fn write_set(self: &Arc<Self>, set: &SealedSet) -> Result<WrittenSet> {
        let mut segments = Vec::with_capacity(set.segments.len());
        let mut deletes = Vec::new();
        for id in &set.segments {
            let segment = {
                let state = self.state.lock();
                state
                    .flushing
                    .iter()
                    .find(|unflushed| unflushed.segment.id() == *id)
                    .map(|unflushed| unflushed.segment.clone())
            };
            let Some(segment) = segment else { continue }; // its partition was dropped
            let (entry, keys) = self.write_segment(&segment).await?;
            let mut dead = segment.deletes().rows;
            dead.retain(|(_, timestamp)| *timestamp <= set.timestamp);
            let (partition, number) = (entry.partition_id, set.timestamp.0);
            segments.push((entry, keys));
            deletes.extend(self.write_deletes(partition, *id, &dead, number).await?);
        }
        let of_flushed = self.state.lock().deletes_up_to(set.timestamp);
        for UnwrittenDeletes { segment, partition, rows } in of_flushed {
            let number = set.timestamp.0;
            deletes.extend(self.write_deletes(partition, segment, &rows, number).await?);
        }
        failpoint::hit("flush.files-written");
        if self.parts.options.planted_bug == Some(PlantedBug::LoseDeletes) {
            deletes.clear();
        }
        Ok(WrittenSet { segments, deletes })
    }

    async fn write_segment(
        self: &Arc<Self>,
        segment: &Arc<GrowingSegment>,
    ) -> Result<(SegmentEntry, KeyIndex)> {
        let collection = self.collection();
        let (partition, id) = (segment.partition_id(), segment.id());
        let columns_path = path::columns(collection.id, partition, id);
        let keys_path = path::keys(collection.id, partition, id);
        let shard = self.clone();
        let rows = segment.clone();
        let to = columns_path.clone();
        let info = milvus_base::io::run(move || {
            let mut writer =
                shard.parts.store.writer(&to).map_err(|error| Failure::from(&error))?;
            let (schema, chunks) = rows.chunks().map_err(Failure::internal)?;
            let info = segment_file::write_segment(&mut writer, &schema, &chunks)
                .map_err(|error| Failure::from(&error))?;
            writer.finish().map_err(|error| Failure::from(&error))?;
            Ok::<_, Failure>(info)
        })
        .await
        .map_err(Failure::internal)??;
        let rows = segment.clone();
        let (keys, key_bytes) = self
            .parts
            .apply
            .run(Priority::Build, move || {
                let keys = rows.keys();
                let mut bytes = Vec::new();
                key_index::write_key_index(&keys, &mut bytes)
                    .map(|written| (written, Bytes::from(bytes)))
            })
            .await
            .map_err(cpu_failure)?
            .map_err(|error| Failure::from(&error))?;
        let stored = self.parts.store.put(&keys_path, key_bytes.into()).await;
        stored.map_err(|error| Failure::from(&error))?;
        let key_file = keys.at(keys_path);
        let index = self.open_keys(&key_file).await?;
        let entry = SegmentEntry {
            id,
            partition_id: partition,
            vchannel: self.vchannel.clone(),
            rows: info.rows,
            min_ts: info.min_ts,
            max_ts: info.max_ts,
            columns: info.at(columns_path),
            key_index: key_file,
            delete_files: Vec::new(),
            indexes: Vec::new(),
            deleted_rows: 0,
            schema_version: collection.schema.version,
            level: SegmentLevel::L1,
            stats: info.stats,
        };
        Ok((entry, index))
    }

    /// Writes `dead` as the segment's delete file `number`, which no other file of it may have;
    /// nothing where there is none.
    pub(super) async fn write_deletes(
        &self,
        partition: PartitionId,
        segment: SegmentId,
        dead: &[(u32, Timestamp)],
        number: u64,
    ) -> Result<Option<(SegmentId, DeleteFile)>> {
        let Some(max_ts) = dead.iter().map(|(_, ts)| *ts).max() else {
            return Ok(None);
        };
        let entries: Vec<_> = dead
            .iter()
            .map(|(row, timestamp)| DeleteEntry { row: *row, timestamp: *timestamp })
            .collect();
        let mut bytes = Vec::new();
        let written = delete_file::write_deletes(&mut bytes, &entries)
            .map_err(|error| Failure::from(&error))?;
        let to = path::deletes(self.collection_id, partition, segment, number);
        let stored = self.parts.store.put(&to, bytes.into()).await;
        stored.map_err(|error| Failure::from(&error))?;
        let file = DeleteFile { file: written.at(to), rows: dead.len() as u64, max_ts };
        Ok(Some((segment, file)))
    }

    pub(super) async fn commit_set(&self, set: &SealedSet, written: &WrittenSet) -> Result<()> {
        // A partition may have been dropped since: its segments must not come back. One that is
        // dropped while the commit waits is left out when the shard is opened next.
        let collection = self.collection();
        let alive = |partition| collection.partition_by_id(partition).is_some();
        let known: Vec<SegmentId> = {
            let state = self.state.lock();
            state.flushed.keys().chain(&set.segments).copied().collect()
        };
        let commit = FlushCommit {
            collection_id: self.collection_id,
            segments: written
                .segments
                .iter()
                .map(|(entry, _)| entry.clone())
                .filter(|entry| alive(entry.partition_id))
                .collect(),
            deletes: written
                .deletes
                .iter()
                .filter(|(segment, _)| known.contains(segment))
                .cloned()
                .collect(),
            checkpoint: ChannelCheckpoint {
                vchannel: self.vchannel.clone(),
                position: set.position,
                timestamp: set.timestamp,
            },
        };
        failpoint::hit("flush.before-commit");
        let manifest = self.parts.data.commit_flush(commit).await?;
        failpoint::hit("flush.after-commit");
        self.adopt(&manifest);
        Ok(())
    }
}
