//! What the owner of a shard knows of its rows, and how a record of the log changes it.
//!
//! Only the apply loop and the maintenance of the shard lock this; readers never do.
//!
//! A row is found by its key in the key map of an unflushed segment or in the mapped key index of a
//! flushed one. At most one live row of a partition has a given key: an insert of a key that is
//! already there marks the older row dead at the new row's timestamp.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use milvus_base::{Governor, Purpose, Reservation};
use milvus_format::key_index::KeyIndex;
use milvus_format::log_record::Body;
use milvus_format::manifest::{IndexEntry, SegmentEntry};
use milvus_roles::SegmentDeletes;
use milvus_segment::{GrowingSegment, Segment, SegmentSchema};
use milvus_types::{
    ErrorCode, Failure, PartitionId, PkType, PrimaryKeys, Result, SegmentId, Timestamp,
};
use rustc_hash::FxHashMap;

use super::keys::KeyMap;

/// A segment whose rows are in memory and in the log only.
pub(super) struct Unflushed {
    pub(super) segment: Arc<GrowingSegment>,
    pub(super) keys: KeyMap,
    pub(super) min_ts: Timestamp,
    /// What the governor granted for its rows; given back when it is dropped.
    pub(super) memory: Reservation,
}

/// A segment of the manifest.
pub(super) struct Flushed {
    pub(super) entry: SegmentEntry,
    pub(super) keys: KeyIndex,
    /// Every dead row.
    pub(super) dead: FxHashMap<u32, Timestamp>,
    /// Dead rows that no committed delete file holds, in order of their deletes.
    pub(super) unpersisted: Vec<(u32, Timestamp)>,
    /// Whether deletes are forwarded to the query node.
    pub(super) served: bool,
    /// The index files it is served with.
    pub(super) served_indexes: Vec<IndexEntry>,
}

impl Flushed {
    /// Marks `rows` dead at `timestamp`; returns those that were alive.
    fn kill(&mut self, rows: impl IntoIterator<Item = u32>, timestamp: Timestamp) -> Vec<u32> {
        let mut killed = Vec::new();
        for row in rows {
            if let std::collections::hash_map::Entry::Vacant(entry) = self.dead.entry(row) {
                entry.insert(timestamp);
                self.unpersisted.push((row, timestamp));
                killed.push(row);
            }
        }
        killed
    }
}

/// Everything sealed by one flush. The deletes that go with it are those up to its timestamp that no
/// file holds by the time it is written ([`ShardState::deletes_up_to`]): sets are written in their
/// order, and what a delete hits may have been compacted into another segment since.
pub(super) struct SealedSet {
    pub(super) segments: Vec<SegmentId>,
    /// Log position after the last record that this set reflects.
    pub(super) position: u64,
    pub(super) timestamp: Timestamp,
}

/// A flushed segment's deletes that a set must persist.
pub(super) struct UnwrittenDeletes {
    pub(super) segment: SegmentId,
    pub(super) partition: PartitionId,
    pub(super) rows: Vec<(u32, Timestamp)>,
}

pub(super) struct ShardState {
    pub(super) schema: Arc<SegmentSchema>,
    pub(super) schema_version: i32,
    pub(super) pk_field: String,
    pub(super) pk_type: PkType,
    pub(super) partitions: HashSet<PartitionId>,
    /// Takes rows, at most one for each partition.
    pub(super) growing: Vec<Unflushed>,
    /// Takes no more rows; being written.
    pub(super) flushing: Vec<Unflushed>,
    /// Committed and among `flushed` too, but answering from memory until the query node serves them
    /// or nobody reads them.
    pub(super) committed: Vec<Unflushed>,
    pub(super) flushed: BTreeMap<SegmentId, Flushed>,
    /// Compacted away, but answering reads until what took their place does: deletes reach both.
    pub(super) retiring: BTreeMap<SegmentId, Flushed>,
    /// The newest manifest seen.
    pub(super) manifest_version: u64,
    /// Log position after the last applied record.
    pub(super) position: u64,
    pub(super) timestamp: Timestamp,
    /// Deletes up to here are in a set that was sealed.
    pub(super) sealed_ts: Timestamp,
    /// Where the first applied record lies that no flush reflects yet.
    pub(super) dirty_from: Option<u64>,
    /// Where the records begin that running flushes will reflect, oldest first.
    pub(super) flushing_from: VecDeque<u64>,
    /// Ids for segments to come.
    pub(super) spare_ids: Vec<SegmentId>,
    pub(super) governor: Governor,
}

/// One record on its way into the state.
pub(super) struct Change<'a> {
    pub(super) body: &'a Body,
    pub(super) timestamp: Timestamp,
    /// Its position in the log.
    pub(super) at: u64,
    /// The position after it.
    pub(super) next: u64,
    /// Whether no older row can have one of its keys.
    pub(super) fresh_keys: bool,
    /// What its writer reserved for its rows.
    pub(super) memory: Reservation,
}

/// What applying records asks others to do, before the writes are acknowledged.
#[derive(Default)]
pub(super) struct Effects {
    /// Deletes to forward to the query node.
    pub(super) forward: Vec<SegmentDeletes>,
    /// Growing segments that began.
    pub(super) opened: Vec<Arc<GrowingSegment>>,
}

impl ShardState {
    /// Applies one record.
    pub(super) fn apply(&mut self, change: Change<'_>, effects: &mut Effects) -> Result<()> {
        let Change { body, timestamp, at, next, fresh_keys, memory } = change;
        self.position = next;
        self.timestamp = self.timestamp.max(timestamp);
        self.dirty_from.get_or_insert(at);
        match body {
            Body::Insert { partition_id, rows, .. } => {
                let keys = self.keys_of(rows)?;
                let older = (!fresh_keys).then_some(&keys);
                self.add_rows(*partition_id, rows, &keys, older, timestamp, memory, effects)
            }
            Body::Upsert { partition_id, rows, replaced, everywhere, .. } => {
                let keys = self.keys_of(rows)?;
                let here = [*partition_id];
                let partitions = (!everywhere).then_some(&here[..]);
                self.delete(replaced, partitions, timestamp, effects);
                self.add_rows(*partition_id, rows, &keys, Some(&keys), timestamp, memory, effects)
            }
            Body::Delete { partition_ids, keys } => {
                self.delete(keys, partition_ids.as_deref(), timestamp, effects);
                Ok(())
            }
            // Which partitions there are is the catalogue's to say; a flush changes no row.
            Body::Flush | Body::CreatePartition { .. } | Body::DropPartition { .. } => Ok(()),
            Body::DropCollection | Body::Truncate | Body::AlterSchema { .. } => Err(Failure::new(
                ErrorCode::SerializationFailed,
                "the log has a record that this version does not write",
            )),
        }
    }

    fn keys_of(&self, rows: &RecordBatch) -> Result<PrimaryKeys> {
        rows.column_by_name(&self.pk_field)
            .and_then(|column| PrimaryKeys::from_array(column))
            .ok_or_else(|| {
                Failure::internal(format!("log record has no primary key column {}", self.pk_field))
            })
    }

    #[expect(clippy::too_many_arguments, reason = "one straight step of apply")]
    fn add_rows(
        &mut self,
        partition: PartitionId,
        rows: &RecordBatch,
        keys: &PrimaryKeys,
        older: Option<&PrimaryKeys>,
        timestamp: Timestamp,
        memory: Reservation,
        effects: &mut Effects,
    ) -> Result<()> {
        if !self.partitions.contains(&partition) {
            return Err(Failure::partition_not_found(partition));
        }
        if let Some(older) = older {
            self.delete(older, Some(&[partition]), timestamp, effects);
        }
        let unflushed = self.growing_of(partition, timestamp, effects)?;
        unflushed.memory.merge(memory);
        let range = unflushed
            .segment
            .insert(timestamp, rows.clone())
            .map_err(|error| Failure::from(&error))?;
        let replaced = unflushed.keys.insert(keys, range.start);
        if !replaced.is_empty() {
            let dead: Vec<_> = replaced.into_iter().map(|row| (row, timestamp)).collect();
            unflushed.segment.delete(&dead);
        }
        Ok(())
    }

    fn growing_of(
        &mut self,
        partition: PartitionId,
        timestamp: Timestamp,
        effects: &mut Effects,
    ) -> Result<&mut Unflushed> {
        let found =
            self.growing.iter().position(|unflushed| unflushed.segment.partition_id() == partition);
        let index = match found {
            Some(index) => index,
            None => {
                let id =
                    self.spare_ids.pop().ok_or_else(|| Failure::internal("no segment id left"))?;
                let segment = GrowingSegment::new(id, partition, self.schema.clone());
                let segment = Arc::new(segment);
                effects.opened.push(segment.clone());
                self.growing.push(Unflushed {
                    segment,
                    keys: KeyMap::new(self.pk_type),
                    min_ts: timestamp,
                    memory: self.governor.reserve(Purpose::Insert, 0),
                });
                self.growing.len() - 1
            }
        };
        Ok(&mut self.growing[index])
    }

    /// Marks the rows with `keys` dead at `timestamp`, in `partitions` only where given.
    fn delete(
        &mut self,
        keys: &PrimaryKeys,
        partitions: Option<&[PartitionId]>,
        timestamp: Timestamp,
        effects: &mut Effects,
    ) {
        let concerned =
            |partition| partitions.is_none_or(|partitions| partitions.contains(&partition));
        let Self { growing, flushing, committed, .. } = self;
        for unflushed in growing.iter_mut().chain(flushing).chain(committed) {
            if concerned(unflushed.segment.partition_id()) {
                let dead: Vec<_> =
                    unflushed.keys.remove(keys).into_iter().map(|row| (row, timestamp)).collect();
                if !dead.is_empty() {
                    unflushed.segment.delete(&dead);
                }
            }
        }
        for (id, flushed) in self.flushed.iter_mut().chain(&mut self.retiring) {
            if concerned(flushed.entry.partition_id) {
                let found = flushed.keys.lookup_many(keys).into_iter().map(|(_, row)| row);
                let rows: Vec<u32> = found.collect();
                let killed = flushed.kill(rows, timestamp);
                if flushed.served && !killed.is_empty() {
                    let rows = killed.into_iter().map(|row| (row, timestamp)).collect();
                    effects.forward.push(SegmentDeletes { segment_id: *id, rows });
                }
            }
        }
    }

    /// Bytes and rows of segments that take rows.
    pub(super) fn growing_size(&self) -> (u64, u64) {
        self.growing.iter().fold((0, 0), |(bytes, rows), unflushed| {
            (bytes + unflushed.segment.bytes(), rows + u64::from(unflushed.segment.rows()))
        })
    }

    /// Stops every growing segment; `None` when there is nothing to flush.
    ///
    /// An earlier set may still be on its way. Deletes that hit its segments since are this set's,
    /// whose checkpoint lies behind them.
    pub(super) fn seal(&mut self) -> Option<SealedSet> {
        let dirty_from = self.dirty_from.take();
        let since = std::mem::replace(&mut self.sealed_ts, self.timestamp);
        let is_newer = |rows: &[(u32, Timestamp)]| rows.iter().any(|(_, ts)| *ts > since);
        let has_deletes =
            self.flushing.iter().any(|unflushed| is_newer(&unflushed.segment.deletes().rows))
                || self.flushed.values().any(|flushed| is_newer(&flushed.unpersisted));
        let sealed = std::mem::take(&mut self.growing);
        let segments: Vec<_> = sealed.iter().map(|unflushed| unflushed.segment.id()).collect();
        self.flushing.extend(sealed);
        if segments.is_empty() && !has_deletes {
            return None;
        }
        self.flushing_from.push_back(dirty_from.unwrap_or(self.position));
        Some(SealedSet { segments, position: self.position, timestamp: self.timestamp })
    }

    /// Deletes of flushed segments, up to `timestamp`, that no committed file holds.
    pub(super) fn deletes_up_to(&self, timestamp: Timestamp) -> Vec<UnwrittenDeletes> {
        let unwritten = |(id, flushed): (&SegmentId, &Flushed)| {
            let due = flushed.unpersisted.iter().filter(|(_, ts)| *ts <= timestamp);
            let rows: Vec<_> = due.copied().collect();
            let partition = flushed.entry.partition_id;
            (!rows.is_empty()).then_some(UnwrittenDeletes { segment: *id, partition, rows })
        };
        self.flushed.iter().filter_map(unwritten).collect()
    }

    /// Deletes up to `timestamp` are in committed files.
    pub(super) fn deletes_written(&mut self, timestamp: Timestamp) {
        for flushed in self.flushed.values_mut() {
            flushed.unpersisted.retain(|(_, ts)| *ts > timestamp);
        }
    }

    /// The first position of the log that a restart would need, if any.
    pub(super) fn needs_log_from(&self) -> Option<u64> {
        self.flushing_from.front().copied().or(self.dirty_from)
    }

    /// Rows follow `schema` from now on, those in memory too.
    pub(super) fn set_schema(&mut self, schema: Arc<SegmentSchema>, version: i32) {
        for unflushed in self.growing.iter().chain(&self.flushing).chain(&self.committed) {
            unflushed.segment.set_schema(schema.clone());
        }
        self.schema = schema;
        self.schema_version = version;
    }

    /// The flush of `segments` is committed: they are among the flushed ones, and their memory goes
    /// as soon as reads do not need it.
    pub(super) fn commit(&mut self, segments: &[SegmentId]) {
        let (committed, flushing) = std::mem::take(&mut self.flushing)
            .into_iter()
            .partition(|unflushed| segments.contains(&unflushed.segment.id()));
        self.flushing = flushing;
        self.committed.extend::<Vec<_>>(committed);
    }

    /// Forgets everything in partitions that are no longer there; returns the segments forgotten.
    pub(super) fn keep_partitions(&mut self, partitions: HashSet<PartitionId>) -> Vec<SegmentId> {
        self.partitions = partitions;
        let known = &self.partitions;
        let mut gone = Vec::new();
        let mut forget = |list: &mut Vec<Unflushed>| {
            list.retain(|unflushed| {
                let keep = known.contains(&unflushed.segment.partition_id());
                if !keep {
                    gone.push(unflushed.segment.id());
                }
                keep
            });
        };
        forget(&mut self.growing);
        forget(&mut self.flushing);
        // These are among the flushed ones too, which name them.
        self.committed.retain(|unflushed| known.contains(&unflushed.segment.partition_id()));
        let mut forget = |id: &SegmentId, flushed: &mut Flushed| {
            let keep = known.contains(&flushed.entry.partition_id);
            if !keep {
                gone.push(*id);
            }
            keep
        };
        self.flushed.retain(&mut forget);
        self.retiring.retain(&mut forget);
        gone
    }
}

#[cfg(test)]
mod tests;
