//! One plan, from the segments it names to those that take their place.

use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Shutdown, clock, failpoint};
use milvus_format::manifest::SegmentEntry;
use milvus_format::path;
use milvus_roles::expiry::expiry_at;
use milvus_roles::{
    BuildIndex, CompactSegments, Compacted, MovedRows, RowOrder, SegmentReplacement,
};
use milvus_types::{Collection, CollectionId, Failure, PartitionId, Result, SegmentId, Timestamp};

use super::policy::{Action, Plan, live_bytes};
use crate::data::DataCoordinator;

/// What came of a plan that did not fail.
#[derive(Debug)]
pub(super) enum Outcome {
    /// These segments are in the place of its inputs.
    Done(Vec<SegmentId>),
    /// Its inputs left before: dropped with their partition or collection, truncated, or compacted by
    /// another plan. Nothing was changed, and nothing stays of what was written.
    Overtaken,
}

impl Outcome {
    pub(super) fn into_segments(self) -> Vec<SegmentId> {
        match self {
            Self::Done(segments) => segments,
            Self::Overtaken => Vec::new(),
        }
    }
}

impl DataCoordinator {
    /// Does what `plan` says.
    pub(super) async fn run_plan(
        self: &Arc<Self>,
        id: CollectionId,
        plan: &Plan,
        cancel: &Shutdown,
    ) -> Result<Outcome> {
        let (Ok(collection), Ok(manifest)) = (self.parts.root.by_id(id), self.current(id)) else {
            return Ok(Outcome::Overtaken);
        };
        let found = plan.inputs.iter().filter_map(|input| manifest.segment(*input).cloned());
        let inputs: Vec<SegmentEntry> = found.collect();
        if inputs.len() != plan.inputs.len() {
            return Ok(Outcome::Overtaken);
        }
        match plan.action {
            Action::Fold => {
                for input in inputs {
                    let folded =
                        self.fold_deletes(id, input, Timestamp::new(plan.cutoff_ms, 0)).await;
                    if folded.is_err() && !self.are_there(id, plan) {
                        return Ok(Outcome::Overtaken);
                    }
                    folded?;
                }
                Ok(Outcome::Done(plan.inputs.clone()))
            }
            Action::Drop => {
                let moved = inputs.iter().map(all_gone).collect::<Result<_>>()?;
                let compacted = Compacted { outputs: Vec::new(), moved };
                let replaced = self.replace(&collection, inputs, compacted).await;
                if replaced.is_err() && !self.are_there(id, plan) {
                    return Ok(Outcome::Overtaken);
                }
                Ok(replaced?.map_or(Outcome::Overtaken, Outcome::Done))
            }
            Action::Rewrite { order, level, target_bytes } => {
                let count = output_count(&inputs, target_bytes);
                let first = self.parts.ids.allocate(count).await?;
                let output_ids: Vec<SegmentId> =
                    (first..).take(usize::try_from(count).unwrap_or(1)).map(SegmentId).collect();
                let task = CompactSegments {
                    collection: collection.clone(),
                    inputs: inputs.clone(),
                    order,
                    purge_until: Timestamp::new(plan.cutoff_ms, 0),
                    expiry: expiry_at(&collection, plan.cutoff_ms),
                    target_bytes,
                    output_ids,
                    level,
                };
                self.rewrite(task, plan, cancel).await
            }
        }
    }

    /// Whether all inputs of `plan` may still be compacted.
    fn are_there(&self, id: CollectionId, plan: &Plan) -> bool {
        let (Ok(collection), Ok(manifest)) = (self.parts.root.by_id(id), self.current(id)) else {
            return false;
        };
        collection.partition_by_id(plan.partition).is_some()
            && plan.inputs.iter().all(|input| manifest.segment(*input).is_some())
    }

    /// Writes, indexes and puts in place. What was written goes again where it is certain that no
    /// manifest names it: a commit that failed may have happened all the same.
    async fn rewrite(
        self: &Arc<Self>,
        task: CompactSegments,
        plan: &Plan,
        cancel: &Shutdown,
    ) -> Result<Outcome> {
        let began = clock::monotonic();
        let (collection, inputs, order) =
            (task.collection.clone(), task.inputs.clone(), task.order);
        let output_ids = task.output_ids.clone();
        // Not to be interrupted later: the shard's owner may be committing.
        let written = tokio::select! {
            written = self.write_and_index(task) => Some(written),
            () = cancel.wait() => None,
        };
        let replaced = match written {
            None => Ok(None),
            Some(Err(failure)) => Err(failure),
            Some(Ok(compacted)) => {
                let rows: u64 = compacted.outputs.iter().map(|output| output.rows).sum();
                let replaced = self.replace(&collection, inputs.clone(), compacted).await;
                if let Ok(Some(outputs)) = &replaced {
                    log_rewritten(&collection, &inputs, outputs, rows, order, began);
                }
                replaced
            }
        };
        let was_tried = self.compactions.forget_outputs(&output_ids);
        let failure = match replaced {
            Ok(Some(outputs)) => return Ok(Outcome::Done(outputs)),
            Ok(None) => None,
            Err(failure) => Some(failure).filter(|_| self.are_there(collection.id, plan)),
        };
        if failure.is_none() || !was_tried {
            self.discard(&collection, plan.partition, &output_ids).await;
        }
        match failure {
            Some(failure) => Err(failure),
            None => {
                tracing::info!(
                    collection = %collection.name, inputs = ?plan.inputs,
                    "compaction ends: what it was of is gone"
                );
                Ok(Outcome::Overtaken)
            }
        }
    }

    /// Dropping the future leaves files that nothing names.
    async fn write_and_index(&self, task: CompactSegments) -> Result<Compacted> {
        let (collection, inputs) = (task.collection.clone(), task.inputs.clone());
        let mut compacted = self.parts.builder.compact(task).await?;
        failpoint::hit("compact.outputs-written");
        self.compactions.note_outputs(&compacted.outputs);
        for output in &mut compacted.outputs {
            self.build_indexes(&collection, &inputs, output).await?;
        }
        self.compactions.note_outputs(&compacted.outputs);
        Ok(compacted)
    }

    /// Builds every index of the collection on `output`, so that it is searched no slower than what
    /// it takes the place of. One that the inputs lack too, because it cannot be built, does not
    /// hold it up.
    async fn build_indexes(
        &self,
        collection: &Arc<Collection>,
        inputs: &[SegmentEntry],
        output: &mut SegmentEntry,
    ) -> Result<()> {
        if self.is_small(output.rows) {
            return Ok(());
        }
        for index in self.indexes(collection.id) {
            let build_id = self.parts.ids.allocate(1).await?;
            let task = BuildIndex {
                collection: collection.clone(),
                segment: output.clone(),
                index: index.clone(),
                build_id,
            };
            match self.parts.builder.build_index(task).await {
                Ok(entry) => output.indexes.push(entry),
                Err(failure) if inputs.iter().all(|input| input.index(index.id).is_none()) => {
                    tracing::warn!(index = %index.name, %failure, "compacted without an index");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The segments that took the place of `inputs`; `None` where one of those is gone.
    async fn replace(
        self: &Arc<Self>,
        collection: &Arc<Collection>,
        inputs: Vec<SegmentEntry>,
        compacted: Compacted,
    ) -> Result<Option<Vec<SegmentId>>> {
        let Some(first) = inputs.first() else { return Ok(None) };
        let vchannel = first.vchannel.clone();
        let Compacted { outputs, moved } = compacted;
        let ids = outputs.iter().map(|output| output.id).collect();
        let (collection_id, streaming) = (collection.id, self.parts.streaming.get()?);
        let replacement = SegmentReplacement { collection_id, vchannel, inputs, outputs, moved };
        let replaced = streaming.replace_segments(replacement).await?;
        Ok(replaced.then_some(ids))
    }

    /// Files of segments that did not become part of the manifest go.
    async fn discard(
        self: &Arc<Self>,
        collection: &Collection,
        partition: PartitionId,
        outputs: &[SegmentId],
    ) {
        for output in outputs {
            self.remove_unnamed(collection.id, &path::segment(collection.id, partition, *output))
                .await;
        }
    }
}

fn log_rewritten(
    collection: &Collection,
    inputs: &[SegmentEntry],
    outputs: &[SegmentId],
    rows: u64,
    order: RowOrder,
    began: Duration,
) {
    let seconds = (clock::monotonic() - began).as_secs_f64();
    let bytes: u64 = inputs.iter().map(live_bytes).sum();
    let before: u64 = inputs.iter().map(|input| input.rows).sum();
    tracing::info!(
        collection = %collection.name, bytes, before, rows, ?outputs, seconds,
        by_key = order == RowOrder::Key, "compacted"
    );
}

/// Names for what comes of `inputs`: by their size, and one more, as rows do not split evenly.
fn output_count(inputs: &[SegmentEntry], target_bytes: u64) -> u64 {
    let bytes: u64 = inputs.iter().map(|input| input.columns.bytes).sum();
    bytes.div_ceil(target_bytes.max(1)) + 1
}

fn all_gone(input: &SegmentEntry) -> Result<MovedRows> {
    let rows = usize::try_from(input.rows).map_err(Failure::internal)?;
    Ok(MovedRows { from: input.id, to: vec![(u32::MAX, u32::MAX); rows] })
}
