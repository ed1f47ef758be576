//! The worker: hands out plans, by hand first, as many at a time as the options say.
//!
//! One task decides, and each plan has a task of its own; when one ends the next begins. Plans under
//! way have no segment in common. A collection that somebody compacts by hand is left to that. What is
//! not asked for waits while others need the machine more ([`super::throttle`]).

use std::collections::HashSet;
use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use milvus_base::{Shutdown, task};
use milvus_roles::CompactCollection;
use milvus_types::{CollectionId, Failure, Result, SegmentId};
use tokio::sync::watch;

use super::jobs::{Step, Turn};
use super::policy::{self, Next, Pass, Plan, Scene};
use super::run::Outcome;
use super::{Compactions, Failing, Running};
use crate::data::DataCoordinator;

/// The pause after the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(3600);
/// How often a plan asked for by hand is tried, and the pause between.
const MANUAL_TRIES: u32 = 3;
const MANUAL_RETRY: Duration = Duration::from_secs(1);

/// Why a plan is worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    /// The policy found it; `is_beside` while others were busy.
    Policy { is_beside: bool },
    /// A job, and the plan's place in it.
    Job(i64, usize),
}

impl DataCoordinator {
    /// Begins to compact what there is.
    pub(in crate::data) fn begin_compactions(self: &Arc<Self>) {
        let collections: Vec<_> = self.manifests.read().keys().copied().collect();
        self.compactions.state.lock().dirty.extend(collections);
        let (data, compactions) = (Arc::downgrade(self), Arc::clone(&self.compactions));
        task::spawn("compaction", work(data, compactions));
    }

    /// Begins one thing; returns how long there is nothing to begin, if nothing happens.
    async fn begin_next(self: &Arc<Self>) -> Option<Duration> {
        let options = &self.parts.options.compaction;
        if self.compactions.running() >= options.max_running.max(1) {
            return None;
        }
        let step = self.compactions.state.lock().jobs.next_step();
        if let Some(Step { job, place, collection, plan }) = step {
            self.begin_plan(collection, plan, Reason::Job(job, place));
            return Some(Duration::ZERO);
        }
        let now_ms = options.clock.now_ms();
        let job_in = match self.compactions.turn(now_ms) {
            Turn::Of(id, request) => {
                self.begin_job(id, &request).await;
                return Some(Duration::ZERO);
            }
            Turn::At(at_ms) => Some(Duration::from_millis(at_ms.saturating_sub(now_ms))),
            Turn::Nobody => None,
        };
        let plan_in = self.plan_next(now_ms).await;
        match (job_in, plan_in) {
            (Some(job), Some(plan)) => Some(job.min(plan)),
            (job, plan) => job.or(plan),
        }
    }

    async fn plan_next(self: &Arc<Self>, now_ms: u64) -> Option<Duration> {
        let options = &self.parts.options.compaction;
        if !options.is_automatic {
            return None;
        }
        let Some((id, plan)) = self.find(now_ms) else {
            self.compactions.state.lock().load.idle();
            return self.compactions.next_timer(now_ms);
        };
        let is_beside = self.is_busy().await;
        if let Some(hold) = self.compactions.hold(options, is_beside, plan.is_pressing) {
            return Some(hold);
        }
        self.compactions.state.lock().last = Some(id);
        self.begin_plan(id, plan, Reason::Policy { is_beside });
        Some(Duration::ZERO)
    }

    /// The next plan, taking turns among collections. Those with nothing to do are looked at again
    /// when they change or their time comes.
    fn find(&self, now_ms: u64) -> Option<(CollectionId, Plan)> {
        for id in self.compactions.candidates(now_ms) {
            // First, so that what changes from here on has it looked at again.
            self.compactions.state.lock().dirty.remove(&id);
            match self.next_of(id, now_ms) {
                Some(Next::Do(plan)) => {
                    self.compactions.state.lock().dirty.insert(id);
                    return Some((id, plan));
                }
                Some(Next::At(at)) => self.compactions.settle(id, Some(at)),
                Some(Next::Nothing) | None => self.compactions.settle(id, None),
            }
        }
        None
    }

    fn next_of(&self, id: CollectionId, now_ms: u64) -> Option<Next> {
        let (Ok(collection), Ok(manifest)) = (self.parts.root.by_id(id), self.current(id)) else {
            return None;
        };
        let options = &self.parts.options.compaction;
        let (mut excluded, retry) = self.compactions.failing(options.clock.monotonic());
        let concerned = manifest.segments.iter().any(|entry| excluded.contains(&entry.id));
        excluded.extend(self.compactions.taken());
        let (collection, manifest) = (&*collection, &*manifest);
        let waiting_bytes = self.retired.bytes_of(id);
        let excluded = &excluded;
        let scene = Scene { collection, manifest, options, now_ms, excluded, waiting_bytes };
        let retry_ms = retry.filter(|_| concerned).map(|retry| now_ms + policy::millis(retry) + 1);
        Some(match (policy::next(scene), retry_ms) {
            (Next::At(at), Some(retry)) => Next::At(at.min(retry)),
            (Next::Nothing, Some(retry)) => Next::At(retry),
            (next, _) => next,
        })
    }

    /// What a compaction asked for by hand will do once the rows that are dead now may go.
    pub(super) fn manual_pass(&self, request: &CompactCollection) -> Result<Pass> {
        let manifest = self.current(request.collection_id)?;
        let ready_ms = policy::manual_ready_ms(&manifest, &self.parts.options.compaction);
        self.manual_pass_at(request, ready_ms + 1)
    }

    /// The same as of now, or of `least_ms` where that is later. Rows that died since stay for the
    /// retention: somebody reads them.
    fn manual_pass_at(&self, request: &CompactCollection, least_ms: u64) -> Result<Pass> {
        let collection = self.parts.root.by_id(request.collection_id)?;
        let manifest = self.current(request.collection_id)?;
        let options = &self.parts.options.compaction;
        let now_ms = options.clock.now_ms().max(least_ms);
        let (collection, manifest) = (&*collection, &*manifest);
        let excluded = &HashSet::new();
        let scene = Scene { collection, manifest, options, now_ms, excluded, waiting_bytes: 0 };
        Ok(policy::manual(scene, request))
    }

    /// A job's turn, or its next pass.
    async fn begin_job(self: &Arc<Self>, id: i64, request: &CompactCollection) {
        // Its collection may be gone: then there is nothing left to do.
        let pass = self.manual_pass_at(request, 0).unwrap_or_default();
        tracing::info!(
            collection = %request.collection_id, job = id, plans = pass.plans.len(),
            "compaction by hand begins"
        );
        let now_ms = self.parts.options.compaction.clock.now_ms();
        self.compactions.state.lock().jobs.begin(id, pass, now_ms);
        self.note_job(id).await;
    }

    /// What is not written down is done again after a restart.
    async fn note_job(self: &Arc<Self>, id: i64) {
        if let Err(failure) = self.record_job(id).await {
            tracing::warn!(job = id, %failure, "how far a compaction is was not written down");
        }
    }

    /// Has a task work on `plan`; `forget` and `forget_partition` end it.
    fn begin_plan(self: &Arc<Self>, id: CollectionId, plan: Plan, reason: Reason) {
        let (number, cancel, ends) = self.compactions.enter(id, &plan, reason);
        let data = self.clone();
        task::spawn("compaction-plan", async move {
            let clock = &data.parts.options.compaction.clock;
            let began = clock.monotonic();
            let tries = if let Reason::Job(..) = reason { MANUAL_TRIES } else { 1 };
            let mut result = data.run_caught(id, &plan, &cancel).await;
            for _ in 1..tries {
                if result.is_ok() {
                    break;
                }
                clock.sleep(MANUAL_RETRY).await;
                result = data.run_caught(id, &plan, &cancel).await;
            }
            data.leave(number, reason, &plan, began, result);
            drop(ends);
            if let Reason::Job(job, _) = reason {
                data.note_job(job).await;
            }
        });
    }

    async fn run_caught(
        self: &Arc<Self>,
        id: CollectionId,
        plan: &Plan,
        cancel: &Shutdown,
    ) -> Result<Outcome> {
        // A plan that panics is one failed plan, not the end of all later ones.
        let work = AssertUnwindSafe(Box::pin(self.run_plan(id, plan, cancel))).catch_unwind();
        let panicked = |_| Err(Failure::internal("compaction panicked"));
        let result = work.await.unwrap_or_else(panicked);
        let mut state = self.compactions.state.lock();
        match &result {
            Ok(Outcome::Done(_)) => state.completed += 1,
            Ok(Outcome::Overtaken) => {}
            Err(failure) => {
                state.failed += 1;
                tracing::warn!(collection = %id, inputs = ?plan.inputs, %failure, "compaction failed");
            }
        }
        result
    }

    fn leave(
        &self,
        number: u64,
        reason: Reason,
        plan: &Plan,
        began: Duration,
        result: Result<Outcome>,
    ) {
        let options = &self.parts.options.compaction;
        let now = options.clock.monotonic();
        let state = &mut *self.compactions.state.lock();
        let Some(running) = state.running.remove(&number) else { return };
        state.dirty.insert(running.collection);
        match &result {
            Ok(_) => state.failing.retain(|segment, _| !plan.inputs.contains(segment)),
            Err(_) => state.fail(&plan.inputs, now),
        }
        match reason {
            Reason::Policy { is_beside: true } => {
                state.load.rest(options, now, now.saturating_sub(began));
            }
            Reason::Policy { is_beside: false } => {}
            Reason::Job(job, place) => {
                let targets = result.map(Outcome::into_segments).map_err(|_| ());
                state.jobs.done(job, place, targets, options.clock.now_ms());
            }
        }
        self.compactions.wake();
    }

    /// Whether others need the machine more.
    async fn is_busy(&self) -> bool {
        if self.builds.pending() > 0 {
            return true;
        }
        let written = match self.parts.streaming.get() {
            Ok(streaming) => streaming.written_bytes().await.unwrap_or(0),
            Err(_) => 0,
        };
        let options = &self.parts.options.compaction;
        let now = options.clock.monotonic();
        self.compactions.state.lock().load.is_fast(options, now, written)
    }
}

impl Compactions {
    /// Whether something of a collection is being compacted, or is to be by hand.
    pub(super) fn is_running_on(&self, id: CollectionId) -> bool {
        let state = self.state.lock();
        state.runs_on(id) || state.jobs.has_of(id)
    }

    fn running(&self) -> usize {
        self.state.lock().running.len()
    }

    /// Inputs of plans under way.
    fn taken(&self) -> Vec<SegmentId> {
        let state = self.state.lock();
        state.running.values().flat_map(|running| running.inputs.clone()).collect()
    }

    fn turn(&self, now_ms: u64) -> Turn {
        let state = self.state.lock();
        state.jobs.turn(now_ms, |id| state.runs_on(id))
    }

    /// Notes a plan as under way, until [`DataCoordinator::leave`]; it has ended once what comes last is
    /// dropped.
    fn enter(
        &self,
        id: CollectionId,
        plan: &Plan,
        reason: Reason,
    ) -> (u64, Shutdown, watch::Sender<()>) {
        let mut state = self.state.lock();
        let cancel = Shutdown::new();
        let (ends, ended) = watch::channel(());
        let running = Running {
            collection: id,
            partition: plan.partition,
            inputs: plan.inputs.clone(),
            is_asked: matches!(reason, Reason::Job(..)),
            cancel: cancel.clone(),
            ended,
        };
        state.last_number += 1;
        let number = state.last_number;
        state.running.insert(number, running);
        (number, cancel, ends)
    }

    /// Collections to look at, those after the last plan's first.
    fn candidates(&self, now_ms: u64) -> Vec<CollectionId> {
        let mut state = self.state.lock();
        let due: Vec<_> =
            state.timers.iter().filter(|(_, at)| **at <= now_ms).map(|(id, _)| *id).collect();
        for id in due {
            state.timers.remove(&id);
            state.dirty.insert(id);
        }
        let after = state.last.map_or(Bound::Unbounded, Bound::Excluded);
        let until = state.last.map_or(Bound::Excluded(CollectionId(i64::MIN)), Bound::Included);
        let later = state.dirty.range((after, Bound::Unbounded));
        let all = later.chain(state.dirty.range((Bound::Unbounded, until))).copied();
        all.filter(|id| !state.jobs.claims(*id, now_ms)).collect()
    }

    /// A collection has nothing to do, until `at` where given.
    fn settle(&self, id: CollectionId, at: Option<u64>) {
        let mut state = self.state.lock();
        match at {
            Some(at) => state.timers.insert(id, at),
            None => state.timers.remove(&id),
        };
    }

    fn next_timer(&self, now_ms: u64) -> Option<Duration> {
        let first = self.state.lock().timers.values().min().copied()?;
        Some(Duration::from_millis(first.saturating_sub(now_ms).max(1)))
    }

    /// How much longer a plan waits; `None` if it may begin.
    fn hold(
        &self,
        options: &super::CompactionOptions,
        is_busy: bool,
        is_pressing: bool,
    ) -> Option<Duration> {
        let state = &mut *self.state.lock();
        if !is_busy {
            state.load.idle();
        }
        if !is_busy || is_pressing {
            return None;
        }
        let runs_another = state.running.values().any(|running| !running.is_asked);
        state.load.hold(options, options.clock.monotonic(), runs_another)
    }

    /// Inputs of failed plans that must not be tried yet, and how long until one may.
    fn failing(&self, now: Duration) -> (HashSet<SegmentId>, Option<Duration>) {
        let state = self.state.lock();
        let waiting = state.failing.iter().filter(|(_, failing)| failing.until > now);
        let first = waiting.clone().map(|(_, failing)| failing.until - now).min();
        (waiting.map(|(id, _)| *id).collect(), first)
    }
}

impl super::State {
    fn runs_on(&self, id: CollectionId) -> bool {
        self.running.values().any(|running| running.collection == id)
    }

    fn fail(&mut self, inputs: &[SegmentId], now: Duration) {
        for input in inputs {
            let failing =
                self.failing.entry(*input).or_insert(Failing { tries: 0, until: Duration::ZERO });
            let pause = FIRST_RETRY.saturating_mul(1 << failing.tries.min(16)).min(MAX_RETRY);
            failing.tries += 1;
            failing.until = now + pause;
        }
    }
}

async fn work(data: Weak<DataCoordinator>, compactions: Arc<Compactions>) {
    loop {
        let (wait, clock) = match data.upgrade() {
            Some(data) => (data.begin_next().await, data.parts.options.compaction.clock.clone()),
            None => return,
        };
        match wait {
            Some(wait) if wait.is_zero() => tokio::task::yield_now().await,
            Some(wait) => tokio::select! {
                () = compactions.wake.notified() => {}
                () = clock.sleep(wait) => {}
            },
            None => compactions.wake.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
