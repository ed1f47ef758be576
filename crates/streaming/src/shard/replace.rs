//! Compacted segments take the place of those they were made of.
//!
//! Runs in maintenance, so never beside a flush or a load: which deletes are in files does not change
//! meanwhile, and only writes go on. In order:
//!
//! 1. deletes that were persisted since compaction read its inputs are written for the outputs;
//! 2. the query node opens the outputs, where the inputs are served: from here on nothing can fail
//!    but the commit;
//! 3. one manifest version takes the inputs out and the outputs in;
//! 4. one section under the state's lock does the same to the shard. From here on a delete finds its
//!    row in an output; it is forwarded to the inputs too, which still answer;
//! 5. the outputs are told what was deleted between 1 and 4, then one change of the distribution has
//!    them answer instead of the inputs.
//!
//! Deletes that no file holds stay so, in their new places: they are in the log, behind the
//! checkpoint. After a crash the manifest decides. Reads that began before go on with the inputs,
//! which are served for a grace ([`super::retired`]).

use std::collections::hash_map::Entry;
use std::sync::Arc;

use milvus_base::{Priority, failpoint};
use milvus_format::key_index::KeyIndex;
use milvus_format::manifest::{DeleteFile, Manifest, SegmentEntry};
use milvus_roles::{CompactionCommit, LoadSegment, MovedRows, SegmentDeletes, SegmentReplacement};
use milvus_segment::Segment;
use milvus_types::{ErrorCode, Failure, PartitionId, Result, SegmentId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Shard;
use super::state::{Flushed, ShardState};
use super::write::cpu_failure;

/// Segments whose place others took in the shard, but do not answer in their place yet.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    partition: PartitionId,
    inputs: Vec<SegmentId>,
    outputs: Vec<SegmentId>,
}

/// Dead rows of the inputs as the shard knows them.
struct InputDeletes {
    dead: FxHashMap<u32, Timestamp>,
    unpersisted: Vec<(u32, Timestamp)>,
    /// The newest delete that compaction saw in a file.
    seen: Timestamp,
}

/// The same, where the rows are now; one for each output.
#[derive(Default)]
struct OutputDeletes {
    dead: FxHashMap<u32, Timestamp>,
    /// In files of the inputs, but not in those of the output.
    to_write: Vec<(u32, Timestamp)>,
}

impl Shard {
    pub(super) async fn replace_now(
        self: &Arc<Self>,
        replacement: SegmentReplacement,
    ) -> Result<bool> {
        check(&replacement)?;
        let Some(inputs) = self.input_deletes(&replacement.inputs) else {
            return Ok(false);
        };
        let known: Vec<usize> = inputs.iter().map(|input| input.unpersisted.len()).collect();
        let replacement = Arc::new(replacement);
        let of_outputs = {
            let replacement = Arc::clone(&replacement);
            let work = move || output_deletes(&replacement, inputs);
            self.parts.apply.run(Priority::Build, work).await.map_err(cpu_failure)?
        };
        let written = self.write_moved(&replacement, &of_outputs).await?;
        let mut keys = Vec::with_capacity(replacement.outputs.len());
        for output in &replacement.outputs {
            keys.push(self.open_keys(&output.key_index).await?);
        }
        let served = self.serves_any(&replacement);
        if served {
            self.load_outputs(&replacement, &of_outputs).await?;
        }
        let committed = self.commit_replacement(&replacement, written).await;
        let manifest = match committed {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                self.release_all(&ids_of(&replacement.outputs)).await;
                return Ok(false);
            }
            Err(failure) => {
                self.release_all(&ids_of(&replacement.outputs)).await;
                return Err(failure);
            }
        };
        let outputs = replacement.outputs.iter().zip(of_outputs).zip(keys);
        let outputs: Vec<_> =
            outputs.map(|((entry, deletes), keys)| (entry, deletes.dead, keys)).collect();
        let missed = self.state.lock().replace(&replacement, &manifest, outputs, &known, served);
        let Some(missed) = missed else {
            // Dropped while it was committed; so are the outputs.
            self.release_all(&ids_of(&replacement.outputs)).await;
            return Ok(false);
        };
        self.adopt(&manifest);
        self.put_in_place(&replacement, missed).await;
        Ok(true)
    }

    /// What is dead of the inputs; `None` if one of them is not this shard's (any more).
    fn input_deletes(&self, inputs: &[SegmentEntry]) -> Option<Vec<InputDeletes>> {
        let state = self.state.lock();
        let of_input = |entry: &SegmentEntry| {
            let flushed = state.flushed.get(&entry.id)?;
            let seen = entry.delete_files.iter().map(|file| file.max_ts).max();
            Some(InputDeletes {
                dead: flushed.dead.clone(),
                unpersisted: flushed.unpersisted.clone(),
                seen: seen.unwrap_or(Timestamp::ZERO),
            })
        };
        inputs.iter().map(of_input).collect()
    }

    async fn write_moved(
        &self,
        replacement: &SegmentReplacement,
        of_outputs: &[OutputDeletes],
    ) -> Result<Vec<(SegmentId, DeleteFile)>> {
        let mut written = Vec::new();
        for (output, deletes) in replacement.outputs.iter().zip(of_outputs) {
            if deletes.to_write.is_empty() {
                continue;
            }
            let number = self.parts.ids.allocate_ids(1).await?.unsigned_abs();
            let (partition, dead) = (output.partition_id, &deletes.to_write);
            written.extend(self.write_deletes(partition, output.id, dead, number).await?);
        }
        Ok(written)
    }

    /// Whether reads may use one of the inputs.
    fn serves_any(&self, replacement: &SegmentReplacement) -> bool {
        let load = &self.current.get().load;
        replacement.inputs.iter().any(|input| load.covers(input.partition_id))
    }

    /// Has the query node open the outputs; no read uses them yet.
    async fn load_outputs(
        &self,
        replacement: &SegmentReplacement,
        of_outputs: &[OutputDeletes],
    ) -> Result<()> {
        let indexes = self.parts.data.list_indexes(self.collection_id).await?;
        for (output, deletes) in replacement.outputs.iter().zip(of_outputs) {
            let request = LoadSegment {
                collection: self.collection(),
                indexes: indexes.clone(),
                segment: output.clone(),
                deletes: deletes.dead.iter().map(|(row, at)| (*row, *at)).collect(),
            };
            let mut loaded = self.parts.query.load_segment(request.clone()).await;
            if loaded.as_ref().is_err_and(|f| f.code == ErrorCode::MemoryLimitExceeded) {
                // What is kept for late readers only makes room first.
                self.release_retired_of(|_| true).await;
                loaded = self.parts.query.load_segment(request).await;
            }
            if let Err(failure) = loaded {
                self.release_all(&ids_of(&replacement.outputs)).await;
                return Err(failure);
            }
        }
        Ok(())
    }

    async fn commit_replacement(
        &self,
        replacement: &SegmentReplacement,
        deletes: Vec<(SegmentId, DeleteFile)>,
    ) -> Result<Option<Arc<Manifest>>> {
        let commit = CompactionCommit {
            collection_id: self.collection_id,
            removed: ids_of(&replacement.inputs),
            added: replacement.outputs.clone(),
            deletes,
        };
        failpoint::hit("compact.before-commit");
        let manifest = self.parts.data.commit_compaction(commit).await?;
        failpoint::hit("compact.after-commit");
        Ok(manifest)
    }

    /// Tells the outputs what they missed, and has them answer.
    async fn put_in_place(&self, replacement: &SegmentReplacement, missed: Vec<SegmentDeletes>) {
        let Some(first) = replacement.inputs.first() else { return };
        let swap = Swap {
            partition: first.partition_id,
            inputs: ids_of(&replacement.inputs),
            outputs: ids_of(&replacement.outputs),
        };
        let told = match missed.is_empty() {
            true => Ok(()),
            false => self.parts.query.apply_deletes(missed).await,
        };
        match told {
            Ok(()) => self.answer_from(&swap),
            Err(failure) => {
                tracing::warn!(
                    vchannel = %self.vchannel, %failure, "compacted segments do not answer yet"
                );
                self.swaps.lock().push(swap);
            }
        }
    }

    /// One change of the distribution: reads that begin from here on use the outputs.
    fn answer_from(&self, swap: &Swap) {
        let mut state = self.state.lock();
        let there: Vec<SegmentId> =
            swap.outputs.iter().filter(|id| state.flushed.contains_key(id)).copied().collect();
        // Under the lock, so that a partition dropped at this moment is not brought back.
        self.current.change(|distribution| {
            distribution.sealed.retain(|(id, _)| !swap.inputs.contains(id));
            // One that the query node could not serve answered from memory.
            distribution.growing.retain(|segment| !swap.inputs.contains(&segment.id()));
            if distribution.load.covers(swap.partition) {
                for id in there {
                    if !distribution.is_served(id) {
                        distribution.sealed.push((id, swap.partition));
                    }
                }
            }
        });
        state.retiring.retain(|id, _| !swap.inputs.contains(id));
        let (copies, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.committed)
            .into_iter()
            .partition(|unflushed| swap.inputs.contains(&unflushed.segment.id()));
        state.committed = kept;
        drop(state);
        if !copies.is_empty() {
            drop(self.parts.apply.run(Priority::Write, move || drop(copies)));
        }
        self.retire(swap.partition, swap.inputs.clone());
    }

    pub(super) fn has_swaps(&self) -> bool {
        !self.swaps.lock().is_empty()
    }

    /// Outputs whose inputs still answer.
    pub(super) fn waiting_outputs(&self) -> Vec<SegmentId> {
        self.swaps.lock().iter().flat_map(|swap| swap.outputs.clone()).collect()
    }

    /// Has outputs answer that could not when they were committed.
    pub(super) async fn retry_swaps(&self) {
        let waiting = std::mem::take(&mut *self.swaps.lock());
        for swap in waiting {
            let mut loaded = Ok(());
            if self.current.get().load.covers(swap.partition) {
                for id in &swap.outputs {
                    loaded = loaded.and(self.load_one(*id).await.map(|_| ()));
                }
            }
            match loaded {
                Ok(()) => self.answer_from(&swap),
                Err(failure) => {
                    tracing::warn!(
                        vchannel = %self.vchannel, %failure, "compacted segments still do not answer"
                    );
                    self.swaps.lock().push(swap);
                }
            }
        }
    }

    pub(super) async fn release_all(&self, segments: &[SegmentId]) {
        for &segment in segments {
            if let Err(failure) = self.parts.query.release_segment(segment).await {
                tracing::warn!(%segment, %failure, "a segment stays loaded");
            }
        }
    }
}

impl ShardState {
    /// The outputs are flushed segments in the place of the inputs. Returns what was deleted of their
    /// rows since `known` many deletes of each input were known; `None`, and nothing is changed, if
    /// an input is gone.
    pub(super) fn replace(
        &mut self,
        replacement: &SegmentReplacement,
        manifest: &Manifest,
        outputs: Vec<(&SegmentEntry, FxHashMap<u32, Timestamp>, KeyIndex)>,
        known: &[usize],
        served: bool,
    ) -> Option<Vec<SegmentDeletes>> {
        if !replacement.inputs.iter().all(|input| self.flushed.contains_key(&input.id)) {
            return None;
        }
        let mut unpersisted: Vec<Vec<(u32, Timestamp)>> = vec![Vec::new(); outputs.len()];
        let mut missed = unpersisted.clone();
        for (moved, known) in replacement.moved.iter().zip(known) {
            let Some(input) = self.flushed.remove(&moved.from) else { continue };
            for (place, (row, timestamp)) in input.unpersisted.iter().enumerate() {
                let Some((output, row)) = moved.target(*row) else { continue };
                unpersisted[output].push((row, *timestamp));
                if place >= *known {
                    missed[output].push((row, *timestamp));
                }
            }
            self.retiring.insert(moved.from, input);
        }
        for (list, missed) in unpersisted.iter_mut().zip(&mut missed) {
            list.sort_by_key(|(_, timestamp)| *timestamp);
            missed.sort_by_key(|(_, timestamp)| *timestamp);
        }
        let ids = replacement.outputs.iter().map(|output| output.id);
        let told = ids.zip(&missed).filter(|(_, rows)| served && !rows.is_empty());
        let told = told.map(|(segment_id, rows)| SegmentDeletes { segment_id, rows: rows.clone() });
        let told = told.collect();
        let lists = unpersisted.into_iter().zip(missed);
        for ((entry, mut dead, keys), (unpersisted, missed)) in outputs.into_iter().zip(lists) {
            dead.extend(missed);
            let served_indexes = entry.indexes.clone();
            let entry = manifest.segment(entry.id).unwrap_or(entry).clone();
            let id = entry.id;
            let flushed = Flushed { entry, keys, dead, unpersisted, served, served_indexes };
            self.flushed.insert(id, flushed);
        }
        Some(told)
    }
}

fn ids_of(entries: &[SegmentEntry]) -> Vec<SegmentId> {
    entries.iter().map(|entry| entry.id).collect()
}

/// A replacement that does not hold together must not touch anything.
fn check(replacement: &SegmentReplacement) -> Result<()> {
    let SegmentReplacement { inputs, outputs, moved, .. } = replacement;
    let wrong = |what: String| Err(Failure::internal(format!("compaction of {inputs:?}: {what}")));
    if moved.len() != inputs.len() {
        return wrong(format!("{} lists of moved rows, want {}", moved.len(), inputs.len()));
    }
    for (input, moved) in inputs.iter().zip(moved) {
        if moved.from != input.id || moved.to.len() as u64 != input.rows {
            let (got, from) = (moved.to.len(), moved.from);
            return wrong(format!(
                "{got} moved rows of {from}, want {} of {}",
                input.rows, input.id
            ));
        }
        let is_wild = |row: &(u32, u32)| {
            row.0 != u32::MAX
                && outputs.get(row.0 as usize).is_none_or(|o| u64::from(row.1) >= o.rows)
        };
        if let Some(wild) = moved.to.iter().find(|row| is_wild(row)) {
            return wrong(format!("a row of {} moved to {wild:?}, which is not there", input.id));
        }
    }
    Ok(())
}

fn output_deletes(
    replacement: &SegmentReplacement,
    inputs: Vec<InputDeletes>,
) -> Vec<OutputDeletes> {
    let mut outputs: Vec<OutputDeletes> =
        replacement.outputs.iter().map(|_| OutputDeletes::default()).collect();
    for (moved, input) in replacement.moved.iter().zip(inputs) {
        add_moved(&mut outputs, moved, input);
    }
    outputs
}

fn add_moved(outputs: &mut [OutputDeletes], moved: &MovedRows, input: InputDeletes) {
    let in_no_file: FxHashSet<u32> = input.unpersisted.iter().map(|(row, _)| *row).collect();
    for (row, timestamp) in input.dead {
        let Some((output, target)) = moved.target(row) else { continue };
        let Some(output) = outputs.get_mut(output) else { continue };
        if let Entry::Vacant(entry) = output.dead.entry(target) {
            entry.insert(timestamp);
        }
        if timestamp > input.seen && !in_no_file.contains(&row) {
            output.to_write.push((target, timestamp));
        }
    }
}
