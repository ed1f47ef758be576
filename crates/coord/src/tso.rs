//! The timestamp oracle: 46 bits of milliseconds, 18 bits of counter, never going back.
//!
//! Timestamps are given from memory up to a high-water mark that is durable in the catalogue; after
//! a restart the oracle begins above that mark, whatever the clock says. The mark moves ahead in
//! steps, so an idle oracle writes nothing.

use std::sync::Arc;

use milvus_base::clock;
use milvus_meta::Catalogue;
use milvus_types::{Failure, Result, Timestamp};
use parking_lot::Mutex;

use crate::serial::Serial;

/// How far the durable mark is moved ahead of the clock.
const AHEAD_MS: u64 = 10_000;

pub(crate) struct Tso {
    shared: Arc<Shared>,
    extending: Serial,
}

struct Shared {
    catalogue: Catalogue,
    state: Mutex<State>,
}

struct State {
    /// The last one given.
    last: Timestamp,
    /// What the catalogue holds: nothing above it may be given.
    durable: Timestamp,
}

impl Tso {
    /// An oracle that goes on above the catalogue's mark.
    pub(crate) async fn open(catalogue: Catalogue) -> Result<Self> {
        let mark = catalogue.tso().await.map_err(|error| Failure::from(&error))?;
        let state = Mutex::new(State { last: mark, durable: mark });
        let shared = Arc::new(Shared { catalogue, state });
        Ok(Self { shared, extending: Serial::new("tso-extend") })
    }

    pub(crate) fn try_allocate(&self) -> Option<Timestamp> {
        let mut state = self.shared.state.lock();
        let next = Timestamp(state.last.0 + 1).max(Timestamp::new(clock::now_ms(), 0));
        if next > state.durable {
            return None;
        }
        state.last = next;
        Some(next)
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
            let now = Timestamp::new(clock::now_ms(), 0).max(state.last);
            if state.durable.physical_ms() > now.physical_ms() + AHEAD_MS / 2 {
                return Ok(()); // somebody else did it meanwhile
            }
            (state.durable, Timestamp::new(now.physical_ms() + AHEAD_MS, 0))
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
}
