//! Which writes of a shard are under way, so that a reader knows what to wait for.
//!
//! A write takes its timestamp, enters here and enters the log under one lock. A reader who holds a
//! later timestamp therefore finds it here, and waits only for writes at or below that timestamp:
//! no time tick is needed.
//!
//! A write is under way for milliseconds, unless its log cannot be written. Then it is undecided, for
//! as long as the log keeps trying: a reader does not wait for that. Writes become durable, are applied
//! and acknowledged in the order of their timestamps, so whoever reads just before the oldest that is
//! undecided sees every write that anybody was told of. That is all a strong read promises; what is
//! undecided may count as happening after it. A reader that must have one exact snapshot, as each page
//! of an iterator has, cannot do so: rows of the write might appear between two pages.

use std::collections::BTreeMap;
use std::time::Duration;

use milvus_base::Clock;
use milvus_roles::TimestampOracle;
use milvus_types::{Result, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) struct Inflight {
    clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// When each began, on the steady clock.
    pending: BTreeMap<Timestamp, Duration>,
    applied: Timestamp,
}

/// How long a reader waits for a write that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Until the write has been under way for so long.
    OfWrite(Duration),
    /// So long.
    OfReader(Duration),
}

/// What a reader can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Every write up to the guarantee is applied. The freshest snapshot, not below the guarantee.
    Guarantee(Timestamp),
    /// A write at or below the guarantee is undecided. The freshest snapshot without it.
    Undecided(Timestamp),
}

impl State {
    /// Everything at or below this is applied.
    fn watermark(&self) -> Timestamp {
        match self.pending.keys().next() {
            Some(first) => Timestamp(first.0.saturating_sub(1)),
            None => self.applied,
        }
    }
}

impl Inflight {
    pub(super) fn new(applied: Timestamp, clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::new(State { pending: BTreeMap::new(), applied }),
            changed: watch::channel(()).0,
        }
    }

    /// Takes a timestamp and runs `enter` with it before any other write gets one; `None` when the
    /// oracle must be extended first. Where `enter` fails there is no write to wait for.
    pub(super) fn begin<T>(
        &self,
        oracle: &dyn TimestampOracle,
        enter: impl FnOnce(Timestamp) -> Result<T>,
    ) -> Option<Result<T>> {
        let mut state = self.state.lock();
        let timestamp = oracle.try_allocate()?;
        let entered = enter(timestamp);
        if entered.is_ok() {
            state.pending.insert(timestamp, self.clock.monotonic());
        }
        Some(entered)
    }

    /// Runs `enter` while no write can begin.
    pub(super) fn exclusive<T>(&self, enter: impl FnOnce() -> T) -> T {
        let _state = self.state.lock();
        enter()
    }

    /// Whether any write is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// The write at `timestamp` is applied, or will never be.
    pub(super) fn finish(&self, timestamp: Timestamp) {
        let mut state = self.state.lock();
        state.pending.remove(&timestamp);
        state.applied = state.applied.max(timestamp);
        drop(state);
        self.changed.send_replace(());
    }

    /// Nobody will finish what is under way: wakes whoever waits for it.
    pub(super) fn close(&self) {
        self.state.lock().pending.clear();
        self.changed.send_replace(());
    }

    /// Waits until every write at or below `guarantee` is applied, for as long as `patience` says.
    pub(super) async fn wait(&self, guarantee: Timestamp, patience: Patience) -> Reached {
        let mut changed = self.changed.subscribe();
        let began = self.clock.monotonic();
        loop {
            let now = self.clock.monotonic();
            let left = {
                let state = self.state.lock();
                let first = state.pending.first_key_value();
                let Some((_, write_began)) = first.filter(|(first, _)| **first <= guarantee) else {
                    return Reached::Guarantee(state.watermark().max(guarantee));
                };
                let until = match patience {
                    Patience::OfWrite(patience) => write_began.saturating_add(patience),
                    Patience::OfReader(patience) => began.saturating_add(patience),
                };
                if until <= now {
                    return Reached::Undecided(state.watermark());
                }
                until - now
            };
            tokio::select! {
                // The sender lives as long as this does.
                _ = changed.changed() => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use futures::FutureExt;

    use super::*;

    struct Counter(AtomicU64);

    #[async_trait]
    impl TimestampOracle for Counter {
        fn try_allocate(&self) -> Option<Timestamp> {
            Some(Timestamp(self.0.fetch_add(1, Ordering::SeqCst) + 1))
        }

        async fn extend(&self) -> milvus_types::Result<()> {
            Ok(())
        }
    }

    const PATIENCE: Patience = Patience::OfWrite(Duration::from_secs(2));

    #[test]
    fn a_reader_waits_for_earlier_writes_only() {
        let oracle = Counter(AtomicU64::new(0));
        let inflight = Inflight::new(Timestamp(0), Clock::manual());
        let wait = |guarantee| inflight.wait(guarantee, PATIENCE).now_or_never();
        let first = inflight.begin(&oracle, Ok).unwrap().unwrap();
        let read_at = oracle.try_allocate().unwrap();
        let second = inflight.begin(&oracle, Ok).unwrap().unwrap();
        assert!(wait(read_at).is_none(), "the first write is under way");
        assert_eq!(wait(Timestamp(0)), Some(Reached::Guarantee(Timestamp(0))));
        inflight.finish(first);
        let want = Some(Reached::Guarantee(read_at));
        assert_eq!(wait(read_at), want, "the second is later");
        inflight.finish(second);
        assert_eq!(wait(read_at), Some(Reached::Guarantee(second)));
    }

    #[tokio::test]
    async fn a_reader_goes_on_without_a_write_that_stays_undecided() {
        let (oracle, clock) = (Counter(AtomicU64::new(6)), Clock::manual());
        let inflight = Inflight::new(Timestamp(5), clock.clone());
        let undecided = inflight.begin(&oracle, Ok).unwrap().unwrap();
        clock.advance(Duration::from_secs(1));
        let later = inflight.begin(&oracle, Ok).unwrap().unwrap();
        let (read_at, second) = (oracle.try_allocate().unwrap(), Duration::from_secs(1));
        let exact = inflight.wait(read_at, Patience::OfReader(second * 10));
        let waits = inflight.wait(read_at, PATIENCE);
        tokio::pin!(waits, exact);
        assert!((&mut waits).now_or_never().is_none());
        assert!((&mut exact).now_or_never().is_none());
        clock.advance(second);
        let before = Reached::Undecided(Timestamp(undecided.0 - 1));
        assert_eq!(waits.await, before);
        let next = inflight.wait(read_at, PATIENCE).now_or_never();
        assert_eq!(next, Some(before), "the next reader does not wait again");
        clock.advance(second * 8);
        assert!((&mut exact).now_or_never().is_none());
        clock.advance(second);
        assert_eq!(exact.await, before);
        inflight.finish(undecided);
        inflight.finish(later);
        let healed = inflight.wait(read_at, PATIENCE).now_or_never();
        assert_eq!(healed, Some(Reached::Guarantee(read_at)));
    }
}
