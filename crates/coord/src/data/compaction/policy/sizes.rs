//! Sizes: what merging small segments costs, and which are merged.
//!
//! ```text
//! kept bytes   .. 512 KiB   .. 4 MiB   .. 32 MiB   .. 256 MiB   .. half of a full segment
//! tier              0          1           2           3            4
//! ```
//!
//! Eight segments of one tier make one of the next, at least. So a row is written anew
//! `log8(full / flushed)` times by merging, a large segment never for the sake of a small one, and at
//! most seven segments of a tier stay. Where more wait than eight, they are merged at once.

use std::collections::BTreeMap;

use milvus_format::manifest::{SegmentEntry, SegmentLevel};

use super::{Cut, Group, MAX_INPUTS, Plan};

/// The smallest size that is told from smaller ones.
const SMALLEST_TIER_BYTES: u64 = 64 << 10;
/// How far sizes of one tier are apart. With fewer inputs than this a merge may stay in its tier.
const TIER_FACTOR: u64 = 8;

impl<'a> Cut<'a> {
    /// The smallest segments of one tier, once there are enough, with what fits of smaller ones:
    /// those rise by several tiers for the price of one.
    pub(super) fn many_small(&self, group: &Group<'a>) -> Option<Plan> {
        let options = self.scene.options;
        let mut tiers: BTreeMap<u32, Group<'a>> = BTreeMap::new();
        for entry in self.small(group) {
            tiers.entry(tier(self.kept_bytes(entry))).or_default().push(entry);
        }
        let mut smaller: Group<'a> = Vec::new();
        for (_, mut tier) in tiers {
            tier.sort_by_key(|entry| (self.kept_bytes(entry), entry.id));
            if tier.len() >= options.min_merge.max(2) {
                let largest_first = smaller.iter().rev();
                let candidates = tier.iter().chain(largest_first).copied();
                let inputs = self.take_up_to(candidates, options.max_segment_bytes);
                return self
                    .plan(self.rewrite(SegmentLevel::L1, options.max_segment_bytes), &inputs);
            }
            smaller.append(&mut tier);
        }
        None
    }

    /// Segments that are to be merged some day.
    pub(super) fn small(&self, group: &Group<'a>) -> impl Iterator<Item = &'a SegmentEntry> {
        let max = self.scene.options.max_segment_bytes;
        let is_small = move |entry: &&SegmentEntry| {
            entry.level != SegmentLevel::L2 && self.kept_bytes(entry) < max / 2
        };
        group.iter().copied().filter(is_small)
    }

    /// Bytes that writing a segment anew would write: of its live rows, and of those dead for too short
    /// a time. Were these left out, a full segment whose rows just died would be merged as a small one,
    /// come out as large as before, and be merged again.
    pub(super) fn kept_bytes(&self, entry: &SegmentEntry) -> u64 {
        part(bytes(entry), entry.rows.saturating_sub(self.purgeable(entry)), entry.rows)
    }

    /// The first of `entries` of which together about `max` bytes are kept, and not too many; one at
    /// least.
    pub(super) fn take_up_to(
        &self,
        entries: impl Iterator<Item = &'a SegmentEntry>,
        max: u64,
    ) -> Vec<&'a SegmentEntry> {
        let (mut taken, mut sum) = (Vec::new(), 0_u64);
        for entry in entries {
            let bytes = self.kept_bytes(entry);
            if !taken.is_empty() && sum.saturating_add(bytes) > max {
                continue;
            }
            sum = sum.saturating_add(bytes);
            taken.push(entry);
            if taken.len() == MAX_INPUTS {
                break;
            }
        }
        taken
    }
}

/// Bytes of a segment that its live rows take, without indexes.
pub(in crate::data::compaction) fn live_bytes(entry: &SegmentEntry) -> u64 {
    part(bytes(entry), entry.live_rows(), entry.rows)
}

/// The part of `bytes` that `rows` of `all` rows take.
pub(super) fn part(bytes: u64, rows: u64, all: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(rows) / u128::from(all.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// Bytes of a segment, without indexes and deletes.
pub(super) fn bytes(entry: &SegmentEntry) -> u64 {
    entry.columns.bytes.saturating_add(entry.key_index.bytes)
}

/// Segments of one tier differ by less than [`TIER_FACTOR`].
fn tier(bytes: u64) -> u32 {
    (bytes / SMALLEST_TIER_BYTES).max(1).ilog(TIER_FACTOR)
}

#[expect(clippy::cast_precision_loss, reason = "a share; the last digits do not matter")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}
