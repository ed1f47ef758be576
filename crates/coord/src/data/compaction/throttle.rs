//! When a plan may begin while others need the machine: later, but never not at all.
//!
//! Beside index builds that wait and rows that are written fast, one plan runs at a time. The first is
//! held back, for half a minute at most; after each, compaction rests for as long as the plan took. So
//! under full load for ever it still has half of the time, and where that is too little a backlog forms
//! and is worked off without rest ([`super::policy::Plan::is_pressing`]).

use std::time::Duration;

use super::CompactionOptions;

/// How often a plan that is held back is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes written are counted no more often: a rate of a moment says little.
const COUNT: Duration = Duration::from_millis(500);

/// How busy writers are, and what follows for compaction. Times are of the steady clock.
#[derive(Debug, Default)]
pub(super) struct Load {
    counted: Option<Count>,
    /// Since when plans are held back; not set anew before others are idle.
    held_since: Option<Duration>,
    /// No plan begins before this while others are busy.
    rest_until: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    at: Duration,
    bytes: u64,
    is_fast: bool,
}

impl Load {
    /// Whether rows are written fast, given how many bytes were written ever.
    pub(super) fn is_fast(
        &mut self,
        options: &CompactionOptions,
        now: Duration,
        bytes: u64,
    ) -> bool {
        let Some(before) = self.counted else {
            self.counted = Some(Count { at: now, bytes, is_fast: false });
            return false;
        };
        let past = now.saturating_sub(before.at);
        if past < COUNT {
            return before.is_fast;
        }
        let written = u128::from(bytes.saturating_sub(before.bytes)) * 1000;
        let rate = written / past.as_millis().max(1);
        let is_fast = rate > u128::from(options.busy_bytes_per_second);
        self.counted = Some(Count { at: now, bytes, is_fast });
        is_fast
    }

    /// How much longer the next plan waits while others are busy; `None` if it may begin.
    pub(super) fn hold(
        &mut self,
        options: &CompactionOptions,
        now: Duration,
        runs_another: bool,
    ) -> Option<Duration> {
        if runs_another {
            return Some(LOOK);
        }
        let since = *self.held_since.get_or_insert(now);
        let until = since.saturating_add(options.max_hold).max(self.rest_until);
        (until > now).then(|| LOOK.min(until - now))
    }

    /// Others are idle, or there is nothing to hold back.
    pub(super) fn idle(&mut self) {
        self.held_since = None;
    }

    /// A plan that ran beside others has taken so long.
    pub(super) fn rest(&mut self, options: &CompactionOptions, now: Duration, took: Duration) {
        self.rest_until = now.saturating_add(took.min(options.max_hold));
    }
}

#[cfg(test)]
mod tests {
    use milvus_base::Clock;

    use super::*;

    #[test]
    fn under_full_load_for_ever_compaction_has_half_of_the_time() {
        for plan in [1, 7, 20, 300].map(Duration::from_secs) {
            let clock = Clock::manual();
            let options = CompactionOptions { clock: clock.clone(), ..Default::default() };
            let (mut load, mut worked) = (Load::default(), Duration::ZERO);
            let end = clock.monotonic() + Duration::from_secs(3600);
            while clock.monotonic() < end {
                match load.hold(&options, clock.monotonic(), false) {
                    Some(wait) => clock.advance(wait),
                    None => {
                        clock.advance(plan);
                        worked += plan;
                        load.rest(&options, clock.monotonic(), plan);
                    }
                }
            }
            assert!(worked >= Duration::from_secs(3600 * 48 / 100), "{plan:?}: {worked:?}");
        }
    }

    #[test]
    fn the_first_plan_waits_half_a_minute_and_one_runs_at_a_time() {
        let clock = Clock::manual();
        let options = CompactionOptions { clock: clock.clone(), ..Default::default() };
        let mut load = Load::default();
        let hold = |load: &mut Load, other| load.hold(&options, clock.monotonic(), other);
        for _ in 0..30 {
            assert_eq!(hold(&mut load, false), Some(LOOK));
            clock.advance(LOOK);
        }
        assert_eq!(hold(&mut load, true), Some(LOOK), "another runs");
        assert_eq!(hold(&mut load, false), None, "half a minute is enough");
        load.rest(&options, clock.monotonic(), LOOK * 2);
        assert_eq!(hold(&mut load, false), Some(LOOK));
        clock.advance(LOOK * 2);
        assert_eq!(hold(&mut load, false), None, "the next only rests");
        load.idle();
        assert_eq!(hold(&mut load, false), Some(LOOK), "after a pause the first waits anew");
    }

    #[test]
    fn a_rate_is_taken_over_half_a_second_at_least() {
        let options = CompactionOptions { busy_bytes_per_second: 1000, ..Default::default() };
        let mut load = Load::default();
        let mut at = |ms, bytes| load.is_fast(&options, Duration::from_millis(ms), bytes);
        assert!(!at(0, 1_000_000), "what was written before says nothing");
        assert!(!at(10, 1_000_400), "a burst of a moment");
        assert!(!at(500, 1_000_500));
        assert!(at(1000, 1_001_001));
        assert!(at(1100, 1_001_001), "until it is counted again");
        assert!(!at(1500, 1_001_001));
    }
}
