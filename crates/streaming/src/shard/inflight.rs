//! Which writes of a shard are under way, so that a reader knows what to wait for.
//!
//! A write takes its timestamp, enters here and enters the log under one lock. A reader who holds a
//! later timestamp therefore finds it here, and waits only for writes at or below that timestamp:
//! no time tick is needed.

use std::collections::BTreeSet;

use milvus_roles::TimestampOracle;
use milvus_types::{Result, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) struct Inflight {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    pending: BTreeSet<Timestamp>,
    applied: Timestamp,
}

impl State {
    /// Everything at or below this is applied.
    fn watermark(&self) -> Timestamp {
        match self.pending.first() {
            Some(first) => Timestamp(first.0.saturating_sub(1)),
            None => self.applied,
        }
    }
}

impl Inflight {
    pub(super) fn new(applied: Timestamp) -> Self {
        Self {
            state: Mutex::new(State { pending: BTreeSet::new(), applied }),
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
            state.pending.insert(timestamp);
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

    /// Waits until every write at or below `guarantee` is applied; returns the freshest snapshot
    /// that can be read now, not below `guarantee`.
    pub(super) async fn wait(&self, guarantee: Timestamp) -> Timestamp {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let state = self.state.lock();
                if state.pending.first().is_none_or(|first| *first > guarantee) {
                    return state.watermark().max(guarantee);
                }
            }
            if changed.changed().await.is_err() {
                return guarantee;
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

    #[test]
    fn a_reader_waits_for_earlier_writes_only() {
        let oracle = Counter(AtomicU64::new(0));
        let inflight = Inflight::new(Timestamp(0));
        let first = inflight.begin(&oracle, Ok).unwrap().unwrap();
        let read_at = oracle.try_allocate().unwrap();
        let second = inflight.begin(&oracle, Ok).unwrap().unwrap();
        assert!(inflight.wait(read_at).now_or_never().is_none(), "the first write is under way");
        assert_eq!(inflight.wait(Timestamp(0)).now_or_never(), Some(Timestamp(0)));
        inflight.finish(first);
        assert_eq!(inflight.wait(read_at).now_or_never(), Some(read_at), "the second is later");
        inflight.finish(second);
        assert_eq!(inflight.wait(read_at).now_or_never(), Some(second));
    }
}
