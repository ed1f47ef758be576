//! The worker: one plan after another, by hand first, held back while others need the machine more.
//!
//! Held back means: while index builds wait or rows are written fast, a plan waits, for `max_hold` at
//! most; and after a plan that ran beside writers the worker rests for as long as the plan took, so
//! that no more than half of the time goes to compaction. A backlog is therefore worked off under any
//! load, only slower.

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

use super::jobs::QueuedJob;
use super::policy::{self, Next, Plan, Scene};
use super::{Compactions, Failing, Running};
use crate::data::DataCoordinator;

/// The pause after the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(3600);
/// How often a plan asked for by hand is tried.
const MANUAL_TRIES: u32 = 3;
/// How often a plan that is held back is looked at.
const HOLD: Duration = Duration::from_secs(1);

impl Compactions {
    /// Whether something of a collection is being compacted, or about to be.
    pub(super) fn is_running_on(&self, id: CollectionId) -> bool {
        let state = self.state.lock();
        let running = state.running.as_ref().is_some_and(|running| running.collection == id);
        running || state.jobs.has_of(id)
    }
}

impl DataCoordinator {
    /// Begins to compact what there is.
    pub(in crate::data) fn begin_compactions(self: &Arc<Self>) {
        let collections: Vec<_> = self.manifests.read().keys().copied().collect();
        self.compactions.state.lock().dirty.extend(collections);
        let (data, compactions) = (Arc::downgrade(self), Arc::clone(&self.compactions));
        task::spawn("compaction", work(data, compactions));
    }

    /// Does one thing; returns how long there is nothing to do, if nothing happens.
    async fn compact_next(self: &Arc<Self>) -> Option<Duration> {
        let now_ms = self.parts.options.compaction.clock.now_ms();
        let ready = self.compactions.state.lock().jobs.take_ready(now_ms);
        let job_in = match ready {
            Ok(Some(job)) => {
                self.run_job(job).await;
                return Some(Duration::ZERO);
            }
            Ok(None) => None,
            Err(ready_ms) => Some(Duration::from_millis(ready_ms.saturating_sub(now_ms))),
        };
        let plan_in = self.plan_next(now_ms).await;
        match (job_in, plan_in) {
            (Some(job), Some(plan)) => Some(job.min(plan)),
            (job, plan) => job.or(plan),
        }
    }

    async fn plan_next(self: &Arc<Self>, now_ms: u64) -> Option<Duration> {
        if !self.parts.options.compaction.is_automatic {
            return None;
        }
        let found = self.find(now_ms);
        let Some((id, plan)) = found else {
            self.compactions.state.lock().load.held_since = None;
            return self.compactions.next_timer(now_ms);
        };
        let is_busy = self.is_busy().await;
        if let Some(hold) = self.compactions.hold(&self.parts.options.compaction, is_busy) {
            return Some(hold);
        }
        let clock = &self.parts.options.compaction.clock;
        let began = clock.monotonic();
        let result = self.run_alone(id, &plan).await;
        let now = clock.monotonic();
        let mut state = self.compactions.state.lock();
        state.dirty.insert(id);
        state.last = Some(id);
        if is_busy {
            state.load.rest_until = now + now.saturating_sub(began);
        }
        match result {
            Ok(_) => state.failing.retain(|segment, _| !plan.inputs.contains(segment)),
            Err(_) => state.fail(&plan.inputs, now),
        }
        Some(Duration::ZERO)
    }

    /// The next plan, taking turns among collections. Those with nothing to do are looked at again
    /// when they change or their time comes.
    fn find(&self, now_ms: u64) -> Option<(CollectionId, Plan)> {
        for id in self.compactions.candidates(now_ms) {
            match self.next_of(id, now_ms) {
                Some(Next::Do(plan)) => return Some((id, plan)),
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
        let (excluded, retry) = self.compactions.failing(options.clock.monotonic());
        let (collection, manifest) = (&*collection, &*manifest);
        let scene = Scene { collection, manifest, options, now_ms, excluded: &excluded };
        let concerned = manifest.segments.iter().any(|entry| excluded.contains(&entry.id));
        let retry_ms = retry.filter(|_| concerned).map(|retry| now_ms + policy::millis(retry) + 1);
        Some(match (policy::next(scene), retry_ms) {
            (Next::At(at), Some(retry)) => Next::At(at.min(retry)),
            (Next::Nothing, Some(retry)) => Next::At(retry),
            (next, _) => next,
        })
    }

    /// What a compaction asked for by hand will do once the rows that are dead now may go.
    pub(super) fn manual_plans(&self, request: &CompactCollection) -> Result<Vec<Plan>> {
        let manifest = self.current(request.collection_id)?;
        let ready_ms = policy::manual_ready_ms(&manifest, &self.parts.options.compaction);
        self.manual_plans_at(request, ready_ms + 1)
    }

    /// The same as of now, or of `least_ms` where that is later. Rows that died since stay for the
    /// retention: somebody reads them.
    fn manual_plans_at(&self, request: &CompactCollection, least_ms: u64) -> Result<Vec<Plan>> {
        let collection = self.parts.root.by_id(request.collection_id)?;
        let manifest = self.current(request.collection_id)?;
        let options = &self.parts.options.compaction;
        let now_ms = options.clock.now_ms().max(least_ms);
        let (collection, manifest) = (&*collection, &*manifest);
        let excluded = &HashSet::new();
        let scene = Scene { collection, manifest, options, now_ms, excluded };
        Ok(policy::manual(scene, request))
    }

    async fn run_job(self: &Arc<Self>, job: QueuedJob) {
        let (id, collection) = (job.id, job.request.collection_id);
        // Its collection may be gone: then there is nothing left to do.
        let plans = self.manual_plans_at(&job.request, 0).unwrap_or_default();
        self.compactions.state.lock().jobs.begin(id, &plans);
        for (place, plan) in plans.iter().enumerate() {
            let mut result = self.run_alone(collection, plan).await;
            for _ in 1..MANUAL_TRIES {
                if result.is_ok() {
                    break;
                }
                self.parts.options.compaction.clock.sleep(HOLD).await;
                result = self.run_alone(collection, plan).await;
            }
            self.compactions.state.lock().jobs.done(id, place, &result);
        }
        tracing::info!(%collection, job = id, plans = plans.len(), "compaction done");
        self.compactions.look_at(collection);
    }

    /// Works on `plan`; `forget` and `forget_partition` end it.
    async fn run_alone(self: &Arc<Self>, id: CollectionId, plan: &Plan) -> Result<Vec<SegmentId>> {
        let cancel = Shutdown::new();
        let (_ends, ended) = watch::channel(());
        let (collection, partition) = (id, plan.partition);
        let running = Running { collection, partition, cancel: cancel.clone(), ended };
        self.compactions.state.lock().running = Some(running);
        // A plan that panics is one failed plan, not the end of all later ones.
        let work = AssertUnwindSafe(Box::pin(self.run_plan(id, plan, &cancel))).catch_unwind();
        let panicked = |_| Err(Failure::internal("compaction panicked"));
        let result = work.await.unwrap_or_else(panicked);
        let mut state = self.compactions.state.lock();
        state.running = None;
        match &result {
            Ok(_) => state.completed += 1,
            Err(failure) => {
                state.failed += 1;
                tracing::warn!(collection = %id, inputs = ?plan.inputs, %failure, "compaction failed");
            }
        }
        result
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
        let before = self.compactions.state.lock().load.counted.replace((now, written));
        before.is_some_and(|(then, bytes)| {
            let millis = now.saturating_sub(then).as_millis().max(1);
            let rate = u128::from(written.saturating_sub(bytes)) * 1000 / millis;
            rate > u128::from(options.busy_bytes_per_second)
        })
    }
}

impl Compactions {
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
        later.chain(state.dirty.range((Bound::Unbounded, until))).copied().collect()
    }

    /// A collection has nothing to do, until `at` where given.
    fn settle(&self, id: CollectionId, at: Option<u64>) {
        let mut state = self.state.lock();
        state.dirty.remove(&id);
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
    fn hold(&self, options: &super::CompactionOptions, is_busy: bool) -> Option<Duration> {
        let now = options.clock.monotonic();
        let load = &mut self.state.lock().load;
        let since = *load.held_since.get_or_insert(now);
        let held = now.saturating_sub(since);
        let rests = load.rest_until > now;
        if (is_busy || rests) && held < options.max_hold {
            return Some(HOLD.min(options.max_hold.saturating_sub(held)));
        }
        load.held_since = None;
        None
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
            Some(data) => (data.compact_next().await, data.parts.options.compaction.clock.clone()),
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
mod tests {
    use milvus_base::Clock;

    use super::super::{CompactionOptions, State};
    use super::*;

    #[test]
    fn a_plan_is_held_back_while_others_are_busy_but_not_for_ever() {
        let clock = Clock::manual();
        let options = CompactionOptions { clock: clock.clone(), ..CompactionOptions::default() };
        let compactions = Compactions::default();
        assert_eq!(compactions.hold(&options, false), None);
        for _ in 0..30 {
            assert_eq!(compactions.hold(&options, true), Some(HOLD));
            clock.advance(HOLD);
        }
        assert_eq!(compactions.hold(&options, true), None, "half a minute is enough");
        assert_eq!(compactions.hold(&options, true), Some(HOLD), "the next plan waits anew");
        compactions.state.lock().load.rest_until = clock.monotonic() + HOLD;
        assert_eq!(compactions.hold(&options, false), Some(HOLD), "and rests");
        clock.advance(HOLD);
        assert_eq!(compactions.hold(&options, false), None);
    }

    #[test]
    fn collections_take_turns() {
        let compactions = Compactions::default();
        let ids = |list: &[i64]| list.iter().map(|id| CollectionId(*id)).collect::<Vec<_>>();
        compactions.state.lock().dirty.extend(ids(&[1, 2, 4]));
        compactions.state.lock().timers.extend([(CollectionId(3), 50), (CollectionId(5), 51)]);
        assert_eq!(compactions.candidates(50), ids(&[1, 2, 3, 4]));
        compactions.state.lock().last = Some(CollectionId(2));
        assert_eq!(compactions.candidates(50), ids(&[3, 4, 1, 2]));
        compactions.settle(CollectionId(4), Some(40));
        assert_eq!(compactions.next_timer(30), Some(Duration::from_millis(10)));
    }

    #[test]
    fn inputs_of_a_failed_plan_wait_twice_as_long_each_time() {
        let mut state = State::default();
        let (a, b) = (SegmentId(1), SegmentId(2));
        state.fail(&[a], Duration::ZERO);
        state.fail(&[a, b], FIRST_RETRY);
        let compactions = Compactions::default();
        *compactions.state.lock() = state;
        let excluded = |at: Duration| {
            let mut excluded: Vec<_> = compactions.failing(at).0.into_iter().collect();
            excluded.sort();
            excluded
        };
        assert_eq!(excluded(FIRST_RETRY), [a, b]);
        assert_eq!(excluded(FIRST_RETRY * 2), [a]);
        assert_eq!(compactions.failing(FIRST_RETRY * 2).1, Some(FIRST_RETRY));
        assert!(excluded(FIRST_RETRY * 3).is_empty());
        for _ in 0..40 {
            compactions.state.lock().fail(&[a], Duration::ZERO);
        }
        assert_eq!(compactions.failing(MAX_RETRY - HOLD).1, Some(HOLD), "an hour at most");
    }
}
