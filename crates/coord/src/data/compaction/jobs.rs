//! Compactions asked for by hand: who waits, what is worked on, how it went.
//!
//! ```text
//! waiting  ->  working, pass by pass  ->  ended, kept for a day
//! ```
//!
//! A job waits until the deletes it is to take out are old enough and nothing else of its collection
//! is compacted. It then does what there is to do at that time, and goes on while it makes fewer
//! segments of what it made ([`policy::Pass`]).
//!
//! Jobs are in the catalogue ([`record`]) before their identity is told: one that a restart finds
//! unfinished begins anew, so that a client that waits for it sees it end.

mod record;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::future::try_join_all;
use milvus_base::failpoint;
use milvus_roles::{
    CompactCollection, CompactionJob, CompactionKind, CompactionPlan, CompactionPlanState,
};
use milvus_types::{CollectionId, Failure, Result, SegmentId};

use super::policy::{self, Pass, Plan};
use crate::data::DataCoordinator;

/// Jobs that are remembered.
const KEPT: usize = 1000;
/// For how long after they have ended, as in Milvus (`dataCoord.compaction.dropTolerance`).
const KEPT_MS: u64 = 24 * 3600 * 1000;
/// Passes of one job: enough for more segments than a collection can have.
const MAX_PASSES: usize = 8;
/// What a job without anything to do is called.
const NOTHING: i64 = -1;

#[derive(Debug, Default)]
pub(super) struct Jobs(BTreeMap<i64, Job>);

#[derive(Debug)]
struct Job {
    request: CompactCollection,
    /// When deletes that it is to take out are old enough; milliseconds since the epoch.
    ready_ms: u64,
    stage: Stage,
    /// Those of all passes. While it waits, those under way are what was found when it was asked for.
    plans: Vec<CompactionPlan>,
    passes: usize,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Working {
        /// Plans and their places, not yet begun.
        pending: VecDeque<(usize, Plan)>,
        running: usize,
        goes_on: bool,
    },
    /// Since when, milliseconds since the epoch.
    Ended(u64),
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Turn {
    Of(i64, CompactCollection),
    /// Nobody's before this time, milliseconds since the epoch.
    At(u64),
    Nobody,
}

/// One plan of a job.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) job: i64,
    pub(super) place: usize,
    pub(super) collection: CollectionId,
    pub(super) plan: Plan,
}

impl Jobs {
    fn add(&mut self, id: i64, request: CompactCollection, ready_ms: u64, plans: &[Plan]) {
        let plans = plans.iter().map(executing).collect();
        let job = Job { request, ready_ms, stage: Stage::Waiting, plans, passes: 0 };
        self.0.insert(id, job);
    }

    /// The first job whose time has come and whose collection nothing else works on.
    pub(super) fn turn(&self, now_ms: u64, is_busy: impl Fn(CollectionId) -> bool) -> Turn {
        let is_free = |job: &Job| {
            let collection = job.request.collection_id;
            !is_busy(collection) && !self.0.values().any(|other| other.works_on(collection))
        };
        let waiting = self.0.iter().filter(|(_, job)| matches!(job.stage, Stage::Waiting));
        let mut waiting: Vec<_> = waiting.map(|(id, job)| (job.ready_ms, *id, job)).collect();
        waiting.sort_by_key(|(ready_ms, id, _)| (*ready_ms, *id));
        let mut ready = waiting.iter().take_while(|(ready_ms, ..)| *ready_ms <= now_ms);
        if let Some((_, id, job)) = ready.find(|(.., job)| is_free(job)) {
            return Turn::Of(*id, job.request.clone());
        }
        let later = waiting.iter().map(|(ready_ms, ..)| *ready_ms).find(|ready| *ready > now_ms);
        later.map_or(Turn::Nobody, Turn::At)
    }

    /// What the job's turn found to be done.
    pub(super) fn begin(&mut self, id: i64, pass: Pass, now_ms: u64) {
        let Some(job) = self.0.get_mut(&id) else { return };
        job.plans.retain(|plan| plan.state != CompactionPlanState::Executing);
        let first = job.plans.len();
        job.plans.extend(pass.plans.iter().map(executing));
        job.passes += 1;
        job.stage = if pass.plans.is_empty() {
            Stage::Ended(now_ms)
        } else {
            let pending = (first..).zip(pass.plans).collect();
            Stage::Working { pending, running: 0, goes_on: pass.goes_on }
        };
    }

    /// The next plan of the oldest job that has one.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        self.0.iter_mut().find_map(|(id, job)| {
            let Stage::Working { pending, running, .. } = &mut job.stage else { return None };
            let (place, plan) = pending.pop_front()?;
            *running += 1;
            Some(Step { job: *id, place, collection: job.request.collection_id, plan })
        })
    }

    /// A plan of the job has ended; with targets if it came to something.
    pub(super) fn done(
        &mut self,
        id: i64,
        place: usize,
        targets: Result<Vec<SegmentId>, ()>,
        now_ms: u64,
    ) {
        let Some(job) = self.0.get_mut(&id) else { return };
        if let Some(plan) = job.plans.get_mut(place) {
            match targets {
                Ok(targets) => {
                    plan.state = CompactionPlanState::Completed;
                    plan.targets = targets;
                }
                Err(()) => plan.state = CompactionPlanState::Failed,
            }
        }
        let Stage::Working { pending, running, goes_on } = &mut job.stage else { return };
        *running = running.saturating_sub(1);
        if *running > 0 || !pending.is_empty() {
            return;
        }
        if !*goes_on || job.passes >= MAX_PASSES {
            job.stage = Stage::Ended(now_ms);
            return;
        }
        job.stage = Stage::Waiting;
        if !job.request.segments.is_empty() {
            job.request.segments.extend(job.plans.iter().flat_map(|plan| plan.targets.clone()));
        }
    }

    /// Whether a collection's job has not ended.
    pub(super) fn has_of(&self, id: CollectionId) -> bool {
        let mut of_it = self.0.values().filter(|job| job.request.collection_id == id);
        of_it.any(|job| !matches!(job.stage, Stage::Ended(_)))
    }

    /// Whether a collection is compacted by hand, or would be were nothing else under way.
    pub(super) fn claims(&self, id: CollectionId, now_ms: u64) -> bool {
        let is_next = |job: &Job| matches!(job.stage, Stage::Waiting) && job.ready_ms <= now_ms;
        let mut of_it = self.0.values().filter(|job| job.request.collection_id == id);
        of_it.any(|job| job.works_on(id) || is_next(job))
    }

    fn view(&self, id: i64) -> Option<CompactionJob> {
        let job = self.0.get(&id)?;
        let is_waiting = matches!(job.stage, Stage::Waiting);
        Some(CompactionJob { id, plans: job.plans.clone(), is_waiting })
    }

    /// Forgets jobs that have ended long ago, and the oldest of too many; which they are.
    fn forget_old(&mut self, now_ms: u64) -> Vec<i64> {
        let ended = |job: &Job| match job.stage {
            Stage::Ended(at_ms) => Some(at_ms),
            Stage::Waiting | Stage::Working { .. } => None,
        };
        let too_many = self.0.len().saturating_sub(KEPT);
        let all = self.0.iter().filter_map(|(id, job)| Some((*id, ended(job)?)));
        let old: Vec<i64> = (0..)
            .zip(all)
            .filter(|(place, (_, at))| *place < too_many || at.saturating_add(KEPT_MS) < now_ms)
            .map(|(_, (id, _))| id)
            .collect();
        for id in &old {
            self.0.remove(id);
        }
        old
    }
}

impl Job {
    fn works_on(&self, collection: CollectionId) -> bool {
        matches!(self.stage, Stage::Working { .. }) && self.request.collection_id == collection
    }
}

fn executing(plan: &Plan) -> CompactionPlan {
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
        let plans = self.manual_pass(&request)?.plans;
        let is_busy = self.compactions.is_running_on(id);
        if plans.is_empty() && !is_busy {
            return Ok(CompactionJob { id: NOTHING, ..CompactionJob::default() });
        }
        let job_id = self.parts.ids.allocate(1).await?;
        let ready_ms = policy::manual_ready_ms(&manifest, &self.parts.options.compaction);
        self.compactions.state.lock().jobs.add(job_id, request, ready_ms, &plans);
        let job = self.compaction_job(job_id);
        if let Err(failure) = self.record_job(job_id).await {
            self.compactions.state.lock().jobs.0.remove(&job_id);
            return Err(failure);
        }
        failpoint::hit("compact.job-recorded");
        tracing::info!(collection = %id, job = job_id, plans = plans.len(), "compaction asked for");
        self.compactions.wake();
        self.forget_old_jobs().await;
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
        let unknown = || CompactionJob { id, ..CompactionJob::default() };
        self.compactions.state.lock().jobs.view(id).unwrap_or_else(unknown)
    }

    async fn forget_old_jobs(self: &Arc<Self>) {
        let now_ms = self.parts.options.compaction.clock.now_ms();
        let old = self.compactions.state.lock().jobs.forget_old(now_ms);
        for id in old {
            if let Err(failure) = self.record_job(id).await {
                tracing::warn!(job = id, %failure, "the record of an old compaction stays");
            }
        }
    }
}

#[cfg(test)]
mod tests;
