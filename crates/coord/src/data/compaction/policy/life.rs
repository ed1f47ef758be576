//! When rows of a segment expire: by their age or by a field, as far as the segment's bounds tell.

use milvus_format::manifest::SegmentEntry;
use milvus_types::{FieldId, ValueRange};

use super::sizes::share;

/// Between what times rows of a segment expire, milliseconds since the epoch, evenly as far as anybody
/// knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct LifeSpan {
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    /// The share of rows that expire at all.
    pub(super) share: f64,
}

impl LifeSpan {
    /// The share of rows that have expired by `at_ms`.
    pub(super) fn expired(&self, at_ms: u64) -> f64 {
        if at_ms >= self.last_ms {
            return self.share;
        }
        self.share * share(at_ms.saturating_sub(self.first_ms), self.last_ms - self.first_ms)
    }

    /// When `ratio` of the rows have expired.
    pub(super) fn reaches(&self, ratio: f64) -> Option<u64> {
        if self.share < ratio || self.share <= 0.0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a time span in milliseconds"
        )]
        let part =
            ((self.last_ms - self.first_ms) as f64 * ratio.max(0.0) / self.share).ceil() as u64;
        Some(self.first_ms.saturating_add(part))
    }
}

/// Rows whose value in `field`, microseconds, is over; rows without one do not expire.
pub(super) fn by_field(entry: &SegmentEntry, field: FieldId) -> Option<LifeSpan> {
    let stats = entry.stats.iter().find(|stats| stats.field_id == field)?;
    let Some(ValueRange::Int { min, max }) = &stats.range else { return None };
    let millis = |micros: i64| u64::try_from(micros).unwrap_or(0).div_ceil(1000);
    let (first_ms, last_ms) = (millis(*min), millis(*max));
    let share = share(stats.rows.saturating_sub(stats.nulls), stats.rows);
    Some(LifeSpan { first_ms, last_ms: last_ms.max(first_ms), share })
}
