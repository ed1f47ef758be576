//! Retries with exponential backoff and jitter.

use std::future::Future;
use std::time::Duration;

use crate::clock::Clock;
use crate::random;

/// How often, and after which pauses, something is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// How much longer each pause is than the one before.
    pub factor: f64,
    /// The share of a pause that is random, 0.0 to 1.0.
    pub jitter: f64,
    /// The most attempts, the first included; 0 counts as 1.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: 0.2,
            attempts: 8,
        }
    }
}

impl Backoff {
    /// The pause after failure number `failure` (0-based), before jitter.
    pub fn pause(&self, failure: u32) -> Duration {
        let seconds = self.first.as_secs_f64() * self.factor.powf(f64::from(failure));
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }

    /// Calls `attempt` until it succeeds, `retriable` says no, or the attempts are used up; gives
    /// the last result.
    pub async fn retry<T, E, F>(
        &self,
        clock: &Clock,
        retriable: impl Fn(&E) -> bool,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut failures = 0;
        loop {
            match attempt().await {
                Err(error) if failures + 1 < self.attempts && retriable(&error) => {
                    clock.sleep(random::jitter(self.pause(failures), self.jitter)).await;
                    failures += 1;
                }
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn quick(attempts: u32) -> Backoff {
        Backoff { first: Duration::ZERO, max: Duration::ZERO, attempts, ..Backoff::default() }
    }

    #[tokio::test]
    async fn tries_until_success_or_a_final_error_or_the_last_attempt() {
        let clock = Clock::system();
        let calls = Cell::new(0);
        let attempt = |good: u32| {
            calls.set(calls.get() + 1);
            let call = calls.get();
            async move { if call >= good { Ok(call) } else { Err(call) } }
        };
        assert_eq!(quick(5).retry(&clock, |_| true, || attempt(3)).await, Ok(3));
        calls.set(0);
        assert_eq!(quick(5).retry(&clock, |_| true, || attempt(9)).await, Err(5));
        calls.set(0);
        assert_eq!(quick(5).retry(&clock, |call| *call < 2, || attempt(9)).await, Err(2));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(0), Duration::from_millis(50));
        assert_eq!(backoff.pause(2), Duration::from_millis(200));
        assert_eq!(backoff.pause(50), Duration::from_secs(5));
        assert_eq!(backoff.pause(u32::MAX), Duration::from_secs(5));
    }
}
