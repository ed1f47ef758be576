//! Compactions asked for by hand: kept for a while after they are done, so that clients can ask how
//! they went. A restart forgets them, as it forgets what was under way; what they were to do is found
//! again by the next one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::future::try_join_all;
use milvus_roles::{
    CompactCollection, CompactionJob, CompactionKind, CompactionPlan, CompactionPlanState,
};
use milvus_types::{CollectionId, Failure, Result, SegmentId};

use super::policy::{self, Plan};
use crate::data::DataCoordinator;

/// Jobs that are remembered.
const KEPT: usize = 1000;
/// What a job without anything to do is called.
const NOTHING: i64 = -1;

#[derive(Default)]
pub(super) struct Jobs {
    queue: VecDeque<QueuedJob>,
    known: BTreeMap<i64, CompactionJob>,
}

/// A job that waits for its turn.
#[derive(Clone)]
pub(super) struct QueuedJob {
    pub(super) id: i64,
    pub(super) request: CompactCollection,
    /// When deletes that it is to take out are old enough; milliseconds since the epoch.
    pub(super) ready_ms: u64,
}

impl Jobs {
    fn add(&mut self, job: QueuedJob, plans: Vec<CompactionPlan>) -> CompactionJob {
        let known = CompactionJob { id: job.id, plans, is_waiting: true };
        self.known.insert(job.id, known.clone());
        self.queue.push_back(job);
        while self.known.len() > KEPT {
            self.known.pop_first();
        }
        known
    }

    /// The first job whose time has come, or when that will be.
    pub(super) fn take_ready(&mut self, now_ms: u64) -> Result<Option<QueuedJob>, u64> {
        let Some(first) = self.queue.iter().min_by_key(|job| (job.ready_ms, job.id)) else {
            return Ok(None);
        };
        let (id, ready_ms) = (first.id, first.ready_ms);
        if ready_ms > now_ms {
            return Err(ready_ms);
        }
        let place = self.queue.iter().position(|job| job.id == id);
        Ok(place.and_then(|place| self.queue.remove(place)))
    }

    /// What the job's turn found to be done.
    pub(super) fn begin(&mut self, id: i64, plans: &[Plan]) {
        if let Some(job) = self.known.get_mut(&id) {
            job.plans = plans.iter().map(waiting).collect();
            job.is_waiting = false;
        }
    }

    pub(super) fn done(&mut self, id: i64, place: usize, result: &Result<Vec<SegmentId>>) {
        let plan = self.known.get_mut(&id).and_then(|job| job.plans.get_mut(place));
        let Some(plan) = plan else { return };
        match result {
            Ok(targets) => {
                plan.state = CompactionPlanState::Completed;
                plan.targets.clone_from(targets);
            }
            Err(_) => plan.state = CompactionPlanState::Failed,
        }
    }

    /// Whether a collection's job waits.
    pub(super) fn has_of(&self, id: CollectionId) -> bool {
        self.queue.iter().any(|job| job.request.collection_id == id)
    }
}

fn waiting(plan: &Plan) -> CompactionPlan {
    CompactionPlan {
        sources: plan.inputs.clone(),
        targets: Vec::new(),
        state: CompactionPlanState::Executing,
    }
}

impl DataCoordinator {
    /// Begins to compact a collection.
    ///
    /// Flushes it first: rows and deletes that are in the log alone cannot be compacted. What is
    /// found then is what the reply counts; the job looks again when its turn comes, as a compaction
    /// that is under way may change it.
    pub(crate) async fn compact(
        self: &Arc<Self>,
        request: CompactCollection,
    ) -> Result<CompactionJob> {
        let id = request.collection_id;
        self.check_target(request.kind)?;
        let collection = self.parts.root.by_id(id)?;
        let streaming = self.parts.streaming.get()?;
        let shards = collection.vchannels.iter();
        let shards = shards.filter(|v| request.vchannel.as_ref().is_none_or(|asked| asked == *v));
        try_join_all(shards.map(|vchannel| streaming.flush(vchannel, true))).await?;
        let manifest = self.current(id)?;
        let plans = self.manual_plans(&request)?;
        let is_busy = self.compactions.is_running_on(id);
        if plans.is_empty() && !is_busy {
            return Ok(CompactionJob { id: NOTHING, ..CompactionJob::default() });
        }
        let job_id = self.parts.ids.allocate(1).await?;
        let ready_ms = policy::manual_ready_ms(&manifest, &self.parts.options.compaction);
        let job = QueuedJob { id: job_id, request, ready_ms };
        let job = {
            let mut state = self.compactions.state.lock();
            state.jobs.add(job, plans.iter().map(waiting).collect())
        };
        tracing::info!(collection = %id, job = job.id, plans = job.plans.len(), "compaction asked for");
        self.compactions.wake();
        Ok(job)
    }

    fn check_target(&self, kind: CompactionKind) -> Result<()> {
        let CompactionKind::Force { target_mib } = kind else { return Ok(()) };
        let max_mib = self.parts.options.compaction.max_segment_bytes >> 20;
        if target_mib < max_mib {
            return Err(Failure::parameter_invalid(format!(
                "targetSize {target_mib} MB should be greater than or equal to configMaxSize \
                 {max_mib} MB"
            )));
        }
        Ok(())
    }

    /// How far a job is. One that is not known is done: nobody works on it.
    pub(crate) fn compaction_job(&self, id: i64) -> CompactionJob {
        let state = self.compactions.state.lock();
        let unknown = || CompactionJob { id, ..CompactionJob::default() };
        state.jobs.known.get(&id).cloned().unwrap_or_else(unknown)
    }
}
