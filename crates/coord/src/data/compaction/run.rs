//! One plan, from the segments it names to those that take their place.

use std::sync::Arc;

use milvus_base::{Shutdown, clock, failpoint};
use milvus_format::manifest::SegmentEntry;
use milvus_format::path;
use milvus_roles::expiry::expiry_at;
use milvus_roles::{
    BuildIndex, CompactSegments, Compacted, MovedRows, RowOrder, SegmentReplacement,
};
use milvus_types::{Collection, CollectionId, ErrorCode, Failure, Result, SegmentId, Timestamp};

use super::policy::{Action, Plan, live_bytes};
use crate::data::DataCoordinator;

impl DataCoordinator {
    /// Does what `plan` says; returns the segments that came of it. Where an input is gone by now
    /// there is nothing to do.
    pub(super) async fn run_plan(
        self: &Arc<Self>,
        id: CollectionId,
        plan: &Plan,
        cancel: &Shutdown,
    ) -> Result<Vec<SegmentId>> {
        let (Ok(collection), Ok(manifest)) = (self.parts.root.by_id(id), self.current(id)) else {
            return Ok(Vec::new());
        };
        let found = plan.inputs.iter().filter_map(|input| manifest.segment(*input).cloned());
        let inputs: Vec<SegmentEntry> = found.collect();
        if inputs.len() != plan.inputs.len() {
            return Ok(Vec::new());
        }
        match plan.action {
            Action::Fold => {
                for input in inputs {
                    self.fold_deletes(id, input, Timestamp::new(plan.cutoff_ms, 0)).await?;
                }
                Ok(plan.inputs.clone())
            }
            Action::Drop => {
                let moved = inputs.iter().map(all_gone).collect::<Result<_>>()?;
                let compacted = Compacted { outputs: Vec::new(), moved };
                self.replace(&collection, inputs, compacted).await
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
                self.rewrite(task, plan.partition, cancel).await
            }
        }
    }

    /// Writes, indexes and puts in place. What was written goes again where it is certain that no
    /// manifest names it: a commit that failed may have happened all the same.
    async fn rewrite(
        self: &Arc<Self>,
        task: CompactSegments,
        partition: milvus_types::PartitionId,
        cancel: &Shutdown,
    ) -> Result<Vec<SegmentId>> {
        let began = clock::monotonic();
        let (collection, inputs, order) =
            (task.collection.clone(), task.inputs.clone(), task.order);
        let output_ids = task.output_ids.clone();
        // Not to be interrupted later: the shard's owner may be committing.
        let compacted = tokio::select! {
            compacted = self.write_and_index(task) => compacted,
            () = cancel.wait() => {
                let why = "its collection or partition was dropped";
                Err(Failure::new(ErrorCode::Canceled, why))
            }
        };
        let compacted = match compacted {
            Ok(compacted) => compacted,
            Err(failure) => {
                self.discard(&collection, partition, &output_ids).await;
                return Err(failure);
            }
        };
        let seconds = (clock::monotonic() - began).as_secs_f64();
        let bytes: u64 = inputs.iter().map(live_bytes).sum();
        let rows: u64 = compacted.outputs.iter().map(|output| output.rows).sum();
        let before: u64 = inputs.iter().map(|input| input.rows).sum();
        let outputs = self.replace(&collection, inputs, compacted).await?;
        if outputs.is_empty() {
            self.discard(&collection, partition, &output_ids).await;
        }
        tracing::info!(
            collection = %collection.name, bytes, before, rows, outputs = ?outputs, seconds,
            by_key = order == RowOrder::Key, "compacted"
        );
        Ok(outputs)
    }

    /// Dropping the future leaves files that nothing names.
    async fn write_and_index(&self, task: CompactSegments) -> Result<Compacted> {
        let (collection, inputs) = (task.collection.clone(), task.inputs.clone());
        let mut compacted = self.parts.builder.compact(task).await?;
        failpoint::hit("compact.outputs-written");
        for output in &mut compacted.outputs {
            self.build_indexes(&collection, &inputs, output).await?;
        }
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

    async fn replace(
        self: &Arc<Self>,
        collection: &Arc<Collection>,
        inputs: Vec<SegmentEntry>,
        compacted: Compacted,
    ) -> Result<Vec<SegmentId>> {
        let Some(first) = inputs.first() else { return Ok(Vec::new()) };
        let vchannel = first.vchannel.clone();
        let Compacted { outputs, moved } = compacted;
        let ids = outputs.iter().map(|output| output.id).collect();
        let (collection_id, streaming) = (collection.id, self.parts.streaming.get()?);
        let replacement = SegmentReplacement { collection_id, vchannel, inputs, outputs, moved };
        let replaced = streaming.replace_segments(replacement).await?;
        Ok(if replaced { ids } else { Vec::new() })
    }

    /// Files of segments that did not become part of the manifest go.
    async fn discard(
        self: &Arc<Self>,
        collection: &Collection,
        partition: milvus_types::PartitionId,
        outputs: &[SegmentId],
    ) {
        for output in outputs {
            self.remove_unnamed(collection.id, &path::segment(collection.id, partition, *output))
                .await;
        }
    }
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
