//! Binary and galloping search over places, given how the key at a place compares.

use std::cmp::Ordering;
use std::ops::Range;

/// The places in `from..to` whose key compares equal.
pub(super) fn equal_range(
    from: usize,
    to: usize,
    compare: impl Fn(usize) -> Ordering,
) -> Range<usize> {
    let start = partition(from, to, |place| compare(place).is_lt());
    let mut end = start;
    // Keys are nearly always unique, so the run of equal ones is walked.
    while end < to && compare(end).is_eq() {
        end += 1;
    }
    start..end
}

/// The same, when the answer is expected soon after `from`: leaps of growing length.
pub(super) fn gallop_range(
    from: usize,
    to: usize,
    compare: impl Fn(usize) -> Ordering,
) -> Range<usize> {
    let mut low = from;
    let mut step = 1;
    while low + step < to && compare(low + step).is_lt() {
        low += step;
        step *= 2;
    }
    let high = (low + step).saturating_add(1).min(to);
    let start = partition(low, high, |place| compare(place).is_lt());
    let mut end = start;
    while end < to && compare(end).is_eq() {
        end += 1;
    }
    start..end
}

/// The first place in `low..high` for which `before` is false.
fn partition(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
