//! Time: the wall clock that timestamps are made of, and the steady clock that waits are measured in.
//!
//! A [`Clock`] is a cheap handle to one of two sources: the machine's clocks, or a manual clock that
//! stands still until a test moves it. The steady clock never goes back; the wall clock may, and who
//! needs an order of events (the timestamp oracle) must not rely on it alone.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// A source of time; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    /// Wall time at the start, milliseconds since the epoch.
    start_ms: u64,
    elapsed: Mutex<Duration>,
    #[cfg(feature = "tokio")]
    moved: tokio::sync::Notify,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at 2020-01-01 00:00:00 UTC until [`Clock::advance`] moves it. For tests.
    pub fn manual() -> Self {
        Self::manual_at(1_577_836_800_000)
    }

    /// A manual clock that starts at `start_ms` milliseconds since the epoch. For tests.
    pub fn manual_at(start_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            start_ms,
            elapsed: Mutex::new(Duration::ZERO),
            #[cfg(feature = "tokio")]
            moved: tokio::sync::Notify::new(),
        })))
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => now_ms(),
            Source::Manual(manual) => {
                let elapsed_ms = u64::try_from(manual.elapsed.lock().as_millis());
                manual.start_ms.saturating_add(elapsed_ms.unwrap_or(u64::MAX))
            }
        }
    }

    /// Time since the process first asked, or since the manual clock was made. Never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => monotonic(),
            Source::Manual(manual) => *manual.elapsed.lock(),
        }
    }

    /// Moves a manual clock forward and wakes who slept until then; the system clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let mut elapsed = manual.elapsed.lock();
            *elapsed = elapsed.saturating_add(by);
            drop(elapsed);
            #[cfg(feature = "tokio")]
            manual.moved.notify_waiters();
        }
    }

    /// Returns once `duration` has passed on this clock.
    #[cfg(feature = "tokio")]
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => sleep(duration).await,
            Source::Manual(manual) => manual.sleep(duration).await,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(feature = "tokio")]
impl Manual {
    async fn sleep(&self, duration: Duration) {
        let deadline = self.elapsed.lock().saturating_add(duration);
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if *self.elapsed.lock() >= deadline {
                return;
            }
            moved.await;
        }
    }
}

/// Milliseconds since the Unix epoch by the machine's clock; 0 if that is set before the epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Time since this process first asked for it. Never goes back.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the steady clock")]
pub fn monotonic() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = *START;
    Instant::now().saturating_duration_since(start)
}

/// Returns once `duration` has passed on the machine's clock.
#[cfg(feature = "tokio")]
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual_at(1_000);
        let same = clock.clone();
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_000, Duration::ZERO));
        clock.advance(Duration::from_millis(25));
        assert_eq!((same.now_ms(), same.monotonic()), (1_025, Duration::from_millis(25)));
    }

    #[test]
    fn the_steady_clock_never_goes_back() {
        let first = monotonic();
        assert!(monotonic() >= first);
        assert!(now_ms() > 1_600_000_000_000);
    }

    #[cfg(feature = "tokio")]
    #[tokio::test]
    async fn sleepers_wake_at_their_time() {
        let clock = Clock::manual();
        let sleeper = clock.sleep(Duration::from_secs(10));
        tokio::pin!(sleeper);
        assert!(futures_poll_once(sleeper.as_mut()).await.is_none());
        clock.advance(Duration::from_secs(9));
        assert!(futures_poll_once(sleeper.as_mut()).await.is_none());
        clock.advance(Duration::from_secs(1));
        sleeper.await;
    }

    #[cfg(feature = "tokio")]
    async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
