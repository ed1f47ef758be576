//! The timestamp oracle: 46 bits of milliseconds, 18 bits of counter, never going back.
//!
//! Timestamps are given from memory up to a high-water mark that is durable in the catalogue; after
//! a restart the oracle begins above that mark, whatever the clock says. The mark moves ahead in
//! steps, so an idle oracle writes nothing; the steps are short, for after a kill timestamps run
//! ahead of the clock by what was left of one, and time to live is counted from them. A busy oracle
//! moves the mark before it is reached, so nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milvus_base::{clock, task};
use milvus_meta::Catalogue;
use milvus_types::{Failure, Result, Timestamp};
use parking_lot::Mutex;

use crate::serial::Serial;

/// How far the durable mark is moved ahead of the clock.
const AHEAD_MS: u64 = 1_000;
/// How far it is moved ahead of timestamps that run ahead of the clock themselves: each millisecond
/// has room for a quarter of a million of them, so restarts in a row do not add up.
const STEP_MS: u64 = 20;

pub(crate) struct Tso {
    shared: Arc<Shared>,
    extending: Arc<Serial>,
}

struct Shared {
    catalogue: Catalogue,
    state: Mutex<State>,
    /// Whether the mark is being moved before it is reached.
    is_early: AtomicBool,
}

struct State {
    /// The last one given.
    last: Timestamp,
    /// What the catalogue holds: nothing above it may be given.
    durable: Timestamp,
}

impl State {
    /// Where the mark leaves `halves` of a step free.
    fn mark(&self, halves: u64) -> Timestamp {
        let of_clock = clock::now_ms() + AHEAD_MS / 2 * halves;
        let of_last = self.last.physical_ms() + STEP_MS / 2 * halves;
        Timestamp::new(of_clock.max(of_last), 0)
    }
}

impl Tso {
    /// An oracle that goes on above the catalogue's mark.
    pub(crate) async fn open(catalogue: Catalogue) -> Result<Self> {
        let mark = catalogue.tso().await.map_err(|error| Failure::from(&error))?;
        let state = Mutex::new(State { last: mark, durable: mark });
        let shared = Arc::new(Shared { catalogue, state, is_early: AtomicBool::new(false) });
        Ok(Self { shared, extending: Arc::new(Serial::new("tso-extend")) })
    }

    pub(crate) fn try_allocate(&self) -> Option<Timestamp> {
        let mut state = self.shared.state.lock();
        let next = Timestamp(state.last.0 + 1).max(Timestamp::new(clock::now_ms(), 0));
        if next > state.durable {
            return None;
        }
        state.last = next;
        let is_near = state.mark(1) > state.durable;
        drop(state);
        if is_near {
            self.extend_early();
        }
        Some(next)
    }

    /// Moves the mark while there is still room below it.
    fn extend_early(&self) {
        if self.shared.is_early.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shared, extending) = (self.shared.clone(), self.extending.clone());
        task::spawn("tso-extend-early", async move {
            let job = shared.clone();
            // Who finds no room left tries again and is told why.
            let _ = extending.run(async move { job.extend().await }).await;
            shared.is_early.store(false, Ordering::Relaxed);
        });
    }

    pub(crate) async fn extend(&self) -> Result<()> {
        let shared = self.shared.clone();
        self.extending.run(async move { shared.extend().await }).await
    }
}

impl Shared {
    async fn extend(&self) -> Result<()> {
        let (from, to) = {
            let state = self.state.lock();
            if state.mark(1) <= state.durable {
                return Ok(()); // somebody else did it meanwhile
            }
            (state.durable, state.mark(2))
        };
        self.catalogue.advance_tso(from, to).await.map_err(|error| Failure::from(&error))?;
        self.state.lock().durable = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use milvus_meta::MemoryKv;

    use super::*;

    #[tokio::test]
    async fn timestamps_never_go_back_over_a_restart() {
        let kv = Arc::new(MemoryKv::default());
        let mut last = Timestamp::ZERO;
        for _ in 0..3 {
            let tso = Tso::open(Catalogue::open(kv.clone()).await.unwrap()).await.unwrap();
            assert_eq!(tso.try_allocate(), None, "nothing may be given above the durable mark");
            tso.extend().await.unwrap();
            for _ in 0..1000 {
                let next = tso.try_allocate().unwrap();
                assert!(next > last);
                last = next;
            }
        }
    }

    #[tokio::test]
    async fn an_oracle_that_is_often_killed_stays_close_to_the_clock() {
        let kv = Arc::new(MemoryKv::default());
        for _ in 0..10 {
            let tso = Tso::open(Catalogue::open(kv.clone()).await.unwrap()).await.unwrap();
            tso.extend().await.unwrap();
            let ahead = tso.try_allocate().unwrap().physical_ms().saturating_sub(clock::now_ms());
            assert!(ahead <= 1_300, "time to live would be {ahead} ms longer");
        }
    }

    #[tokio::test]
    async fn the_mark_moves_before_it_is_reached() {
        let kv = Arc::new(MemoryKv::default());
        let tso = Tso::open(Catalogue::open(kv).await.unwrap()).await.unwrap();
        tso.extend().await.unwrap();
        let mark = tso.shared.state.lock().durable;
        // As if the clock had come close to the mark.
        tso.shared.state.lock().last = Timestamp::new(mark.physical_ms() - 1, 0);
        assert!(tso.try_allocate().unwrap() < mark);
        while tso.shared.state.lock().durable == mark {
            tokio::task::yield_now().await;
        }
        tso.shared.state.lock().last = mark;
        assert!(tso.try_allocate().unwrap() > mark);
    }
}
