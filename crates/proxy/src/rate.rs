//! How often one collection may do something: a token bucket for each collection.

use std::collections::HashMap;
use std::time::Duration;

use milvus_base::Clock;
use milvus_types::{CollectionId, ErrorCode, Failure, Result};
use parking_lot::Mutex;

/// Buckets that hold one token each and refill at a fixed rate.
pub(crate) struct RateLimiter {
    /// Tokens per second; `None` for no limit.
    rate: Option<f64>,
    clock: Clock,
    /// When each collection's bucket will be full again.
    full_at: Mutex<HashMap<CollectionId, Duration>>,
}

impl RateLimiter {
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self::with_clock(rate, Clock::system())
    }

    fn with_clock(rate: Option<f64>, clock: Clock) -> Self {
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        Self { rate, clock, full_at: Mutex::new(HashMap::new()) }
    }

    /// Takes a token of `collection`, or refuses with `rate limit exceeded[rate=..]` (8).
    pub(crate) fn take(&self, collection: CollectionId) -> Result<()> {
        let Some(rate) = self.rate else { return Ok(()) };
        let now = self.clock.monotonic();
        let mut full_at = self.full_at.lock();
        if full_at.get(&collection).is_some_and(|at| *at > now) {
            return Err(Failure::with_fields(ErrorCode::RateLimit, &[("rate", &rate)]).context(
                "request is rejected by grpc RateLimiter middleware, please retry later",
            ));
        }
        // Full buckets need no entry.
        full_at.retain(|_, at| *at > now);
        full_at.insert(collection, now.saturating_add(Duration::from_secs_f64(1.0 / rate)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_after_its_time() {
        let clock = Clock::manual();
        let limiter = RateLimiter::with_clock(Some(0.1), clock.clone());
        assert_eq!(limiter.take(CollectionId(1)), Ok(()));
        assert_eq!(limiter.take(CollectionId(2)), Ok(()));
        let refused = limiter.take(CollectionId(1)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimit);
        assert!(refused.reason.ends_with("rate limit exceeded[rate=0.1]"));
        clock.advance(Duration::from_secs(10));
        assert_eq!(limiter.take(CollectionId(1)), Ok(()));
        assert_eq!(RateLimiter::new(None).take(CollectionId(1)), Ok(()));
    }
}
