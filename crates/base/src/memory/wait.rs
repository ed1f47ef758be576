//! Waiting for memory: what does not fit now may fit in a moment, when something was written out.
//!
//! Who waits says so ([`Governor::wanted`]), and whoever holds memory that can be written out hears of
//! it ([`Governor::shortage`]). Not here: what is written out then (the streaming role seals what
//! grows), and who may wait (what waits is not charged, so its owners keep the number of waiters
//! bounded).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Governor, MemoryLimitExceeded, Purpose, Reservation};
use crate::clock;

/// How often a waiter looks.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes that are waited for; told to the governor until dropped.
struct Wanted<'a> {
    governor: &'a Governor,
    bytes: u64,
}

impl<'a> Wanted<'a> {
    fn new(governor: &'a Governor, bytes: u64) -> Self {
        governor.0.wanted.fetch_add(bytes, Ordering::Relaxed);
        Self { governor, bytes }
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.governor.0.wanted.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Governor {
    /// Takes `bytes`; where they do not fit, waits up to `patience` for others to give theirs back.
    /// More than the whole limit is refused at once.
    pub async fn reserve_within(
        &self,
        purpose: Purpose,
        bytes: u64,
        patience: Duration,
    ) -> Result<Reservation, MemoryLimitExceeded> {
        match self.try_reserve(purpose, bytes) {
            Err(error) if bytes <= error.limit_bytes => {}
            taken => return taken,
        }
        let _wanted = Wanted::new(self, bytes);
        let began = clock::monotonic();
        loop {
            self.0.short.notify_one();
            clock::sleep(LOOK).await;
            match self.try_reserve(purpose, bytes) {
                Err(_) if clock::monotonic().saturating_sub(began) < patience => {}
                taken => return taken,
            }
        }
    }

    /// Bytes that are waited for.
    pub fn wanted(&self) -> u64 {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// Returns when somebody waits for memory. For one listener.
    pub async fn shortage(&self) {
        self.0.short.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_waits_until_memory_is_given_back() {
        let governor = Governor::new(100);
        let held = governor.try_reserve(Purpose::Insert, 80).unwrap();
        let other = governor.clone();
        let waiting = crate::task::spawn("waits", async move {
            other.reserve_within(Purpose::Insert, 50, Duration::from_secs(60)).await
        });
        governor.shortage().await;
        assert_eq!(governor.wanted(), 50);
        drop(held);
        assert_eq!(waiting.await.unwrap().unwrap().bytes(), 50);
        assert_eq!(governor.wanted(), 0);
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_at_once_and_patience_ends() {
        let governor = Governor::new(100);
        let forever = Duration::from_secs(3600);
        let error = governor.reserve_within(Purpose::Query, 101, forever).await.unwrap_err();
        assert_eq!((error.predicted_bytes, error.limit_bytes), (101, 100));
        let _held = governor.reserve(Purpose::Load, 60);
        let soon = Duration::from_millis(30);
        let error = governor.reserve_within(Purpose::Query, 50, soon).await.unwrap_err();
        assert_eq!(error.predicted_bytes, 110);
        assert_eq!(governor.wanted(), 0);
    }
}
