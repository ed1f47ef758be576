//! Jobs in the catalogue: written with every change, read at the start.

use std::sync::Arc;

use milvus_meta::{AskedCompaction, CompactionEntry, CompactionPart, CompactionPartState};
use milvus_roles::{CompactCollection, CompactionKind, CompactionPlan, CompactionPlanState};
use milvus_types::{Failure, Result, SegmentId};

use super::{Job, Jobs, Stage};
use crate::data::DataCoordinator;

impl DataCoordinator {
    /// Writes down how far a job is; removes what there is of one that is not known. What is written
    /// last is the newest.
    pub(in crate::data::compaction) async fn record_job(self: &Arc<Self>, id: i64) -> Result<()> {
        let data = self.clone();
        let write = async move {
            let entry = data.compactions.state.lock().jobs.entry(id);
            let catalogue = &data.parts.catalogue;
            let written = match &entry {
                Some(entry) => catalogue.put(entry).await,
                None => catalogue.remove::<CompactionEntry>(&id).await,
            };
            written.map_err(|error| Failure::from(&error))
        };
        self.job_records.run(write).await
    }

    /// Takes up the jobs that an earlier life left. Without them a start goes on: they are work that
    /// can be asked for again.
    pub(in crate::data) async fn restore_jobs(self: &Arc<Self>) {
        let entries = match self.parts.catalogue.list::<CompactionEntry>().await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "compactions asked for before the start are not known");
                return;
            }
        };
        for entry in entries {
            let entry = entry.entry;
            let manifest = self.current(entry.collection_id).ok();
            let is_there = |id: SegmentId| {
                manifest.as_ref().is_some_and(|manifest| manifest.segment(id).is_some())
            };
            self.compactions.state.lock().jobs.restore(entry, is_there);
        }
        self.forget_old_jobs().await;
    }
}

impl Jobs {
    /// Takes up a job that an earlier life left; one that had not ended waits for its turn.
    pub(super) fn restore(&mut self, entry: CompactionEntry, is_there: impl Fn(SegmentId) -> bool) {
        let request = CompactCollection {
            collection_id: entry.collection_id,
            kind: kind(entry.asked),
            partition_id: entry.partition_id,
            vchannel: entry.vchannel,
            segments: entry.segments,
        };
        let mut plans: Vec<CompactionPlan> = entry.parts.into_iter().map(plan).collect();
        for plan in &mut plans {
            // Its sources leave in the commit that brings its targets: it had come so far.
            let is_over = plan.sources.iter().any(|source| !is_there(*source));
            if plan.state == CompactionPlanState::Executing && is_over {
                plan.state = CompactionPlanState::Completed;
            }
        }
        let stage = entry.ended_ms.map_or(Stage::Waiting, Stage::Ended);
        let ready_ms = entry.ready_ms;
        self.0.insert(entry.id, Job { request, ready_ms, stage, plans, passes: 0 });
    }

    pub(super) fn entry(&self, id: i64) -> Option<CompactionEntry> {
        let job = self.0.get(&id)?;
        let CompactCollection { collection_id, kind, partition_id, vchannel, segments } =
            job.request.clone();
        let ended_ms = match job.stage {
            Stage::Ended(at_ms) => Some(at_ms),
            Stage::Waiting | Stage::Working { .. } => None,
        };
        Some(CompactionEntry {
            id,
            collection_id,
            asked: asked(kind),
            partition_id,
            vchannel,
            segments,
            ready_ms: job.ready_ms,
            ended_ms,
            parts: job.plans.iter().map(part).collect(),
        })
    }
}

fn asked(kind: CompactionKind) -> AskedCompaction {
    match kind {
        CompactionKind::Merge => AskedCompaction::Merge,
        CompactionKind::Force { target_mib } => AskedCompaction::Force { target_mib },
        CompactionKind::Deletes => AskedCompaction::Deletes,
        CompactionKind::Clustering => AskedCompaction::Clustering,
    }
}

fn kind(asked: AskedCompaction) -> CompactionKind {
    match asked {
        AskedCompaction::Merge => CompactionKind::Merge,
        AskedCompaction::Force { target_mib } => CompactionKind::Force { target_mib },
        AskedCompaction::Deletes => CompactionKind::Deletes,
        AskedCompaction::Clustering => CompactionKind::Clustering,
    }
}

fn part(plan: &CompactionPlan) -> CompactionPart {
    let state = match plan.state {
        CompactionPlanState::Executing => CompactionPartState::Executing,
        CompactionPlanState::Completed => CompactionPartState::Completed,
        CompactionPlanState::Failed => CompactionPartState::Failed,
    };
    CompactionPart { sources: plan.sources.clone(), targets: plan.targets.clone(), state }
}

fn plan(part: CompactionPart) -> CompactionPlan {
    let state = match part.state {
        CompactionPartState::Executing => CompactionPlanState::Executing,
        CompactionPartState::Completed => CompactionPlanState::Completed,
        CompactionPartState::Failed => CompactionPlanState::Failed,
    };
    CompactionPlan { sources: part.sources, targets: part.targets, state }
}
