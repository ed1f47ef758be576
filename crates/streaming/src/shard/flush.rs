//! Writing a sealed set: columns, key index and delete files, then one commit.
//!
//! Until the commit nothing refers to the files; a crash leaves orphans, which start-up removes. A
//! commit that failed may have happened all the same, and a restart would find its manifest: what it
//! names is never written again. A flush that is tried again commits the files that it has, and where
//! there are other deletes to persist by then, they get a file of another name.

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

/// A set on its way into the manifest, and what was written of it so far.
pub(super) struct Flushing {
    pub(super) set: SealedSet,
    pub(super) segments: Vec<(SegmentEntry, KeyIndex)>,
    deletes: Vec<WrittenDeletes>,
    /// Every file that any try has begun to write.
    pub(super) files: Vec<String>,
}

/// Deletes of a segment, and the file that holds them.
struct WrittenDeletes {
    segment: SegmentId,
    rows: Vec<(u32, Timestamp)>,
    file: DeleteFile,
}

impl Flushing {
    pub(super) fn new(set: SealedSet) -> Self {
        Self { set, segments: Vec::new(), deletes: Vec::new(), files: Vec::new() }
    }
}

impl Shard {
    /// Writes what is not written yet; returns the delete files to be committed.
    pub(super) async fn write_set(
        self: &Arc<Self>,
        flushing: &mut Flushing,
    ) -> Result<Vec<(SegmentId, DeleteFile)>> {
        let mut due = Vec::new();
        let timestamp = flushing.set.timestamp;
        for id in flushing.set.segments.clone() {
            let segment = {
                let state = self.state.lock();
                state
                    .flushing
                    .iter()
                    .find(|unflushed| unflushed.segment.id() == id)
                    .map(|unflushed| unflushed.segment.clone())
            };
            let Some(segment) = segment else { continue }; // its partition was dropped
            if !flushing.segments.iter().any(|(entry, _)| entry.id == id) {
                let written = self.write_segment(&segment, &mut flushing.files).await?;
                flushing.segments.push(written);
            }
            let mut rows = segment.deletes().rows;
            rows.retain(|(_, at)| *at <= timestamp);
            due.push(UnwrittenDeletes { segment: id, partition: segment.partition_id(), rows });
        }
        due.extend(self.state.lock().deletes_up_to(timestamp));
        let mut deletes = Vec::new();
        for due in due {
            deletes.extend(self.write_due(due, flushing).await?);
        }
        failpoint::hit("flush.files-written");
        if self.parts.options.planted_bug == Some(PlantedBug::LoseDeletes) {
            deletes.clear();
        }
        Ok(deletes)
    }

    /// The file that holds `due`: that of an earlier try, if it holds the same, or a new one.
    async fn write_due(
        &self,
        due: UnwrittenDeletes,
        flushing: &mut Flushing,
    ) -> Result<Option<(SegmentId, DeleteFile)>> {
        let UnwrittenDeletes { segment, partition, rows } = due;
        let known = flushing.deletes.iter().find(|old| old.segment == segment && old.rows == rows);
        if let Some(known) = known {
            return Ok(Some((segment, known.file.clone())));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let number = self.parts.ids.allocate_ids(1).await?.unsigned_abs();
        flushing.files.push(path::deletes(self.collection_id, partition, segment, number));
        let written = self.write_deletes(partition, segment, &rows, number).await?;
        if let Some((_, file)) = &written {
            flushing.deletes.push(WrittenDeletes { segment, rows, file: file.clone() });
        }
        Ok(written)
    }

    async fn write_segment(
        self: &Arc<Self>,
        segment: &Arc<GrowingSegment>,
        files: &mut Vec<String>,
    ) -> Result<(SegmentEntry, KeyIndex)> {
        let collection = self.collection();
        let (partition, id) = (segment.partition_id(), segment.id());
        let columns_path = path::columns(collection.id, partition, id);
        let keys_path = path::keys(collection.id, partition, id);
        files.extend([columns_path.clone(), keys_path.clone()]);
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

    pub(super) async fn commit_set(
        &self,
        flushing: &Flushing,
        deletes: Vec<(SegmentId, DeleteFile)>,
    ) -> Result<()> {
        let Flushing { set, segments, files, .. } = flushing;
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
            segments: segments
                .iter()
                .map(|(entry, _)| entry.clone())
                .filter(|entry| alive(entry.partition_id))
                .collect(),
            deletes: deletes.into_iter().filter(|(segment, _)| known.contains(segment)).collect(),
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
        // Of partitions dropped meanwhile, and deletes of earlier tries: this version is the current
        // one, so none that names them will ever be.
        let unnamed = |file: &&String| manifest.files().all(|named| named.path != **file);
        self.remove_files(files.iter().filter(unnamed)).await;
        Ok(())
    }

    /// Removes files that no manifest names. One that stays is removed by the next start.
    pub(super) async fn remove_files(&self, files: impl Iterator<Item = &String> + Send) {
        for path in files {
            if let Err(error) = self.parts.store.delete(path).await {
                tracing::warn!(%error, path, "garbage stays");
            }
        }
    }
}
