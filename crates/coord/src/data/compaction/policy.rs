//! What is worth compacting: a pure function of a manifest and the time.
//!
//! Per partition and shard, most useful first:
//!
//! 1. segments of which no row can be read any more leave; nothing is read or written for that;
//! 2. segments of which a fifth or more is dead or expired are written anew, several as one where
//!    they fit: space amplification stays bounded;
//! 3. many delete files of a segment become one or two, without touching its columns;
//! 4. four or more small segments of about one size become one, with all smaller ones. Sizes are
//!    apart by a factor of four, so a row is merged about `log4(full / flushed)` times.
//!
//! Rows dead for less than the retention count as alive here: to write them anew would free nothing.
//! When that or an expiry is all that is waited for, [`next`] says until when.

use std::collections::{BTreeMap, HashSet};

use milvus_format::manifest::{Manifest, SegmentEntry, SegmentLevel};
use milvus_roles::expiry::{ttl_field, ttl_ms};
use milvus_roles::{CompactCollection, CompactionKind, RowOrder};
use milvus_types::{Collection, FieldId, PartitionId, SegmentId, VChannel, ValueRange};

use super::CompactionOptions;

/// The smallest size that is told from smaller ones.
const SMALLEST_TIER_BYTES: u64 = 64 << 10;
/// Segments of one plan: each is an open file, and a run to merge.
const MAX_INPUTS: usize = 64;

/// One compaction to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) partition: PartitionId,
    pub(super) vchannel: VChannel,
    pub(super) inputs: Vec<SegmentId>,
    pub(super) action: Action,
    /// Rows that were dead or had expired by this time may go; milliseconds since the epoch.
    pub(super) cutoff_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// No row of the inputs can be read: they leave.
    Drop,
    /// The inputs' live rows are written anew.
    Rewrite { order: RowOrder, level: SegmentLevel, target_bytes: u64 },
    /// The inputs' delete files are merged.
    Fold,
}

/// What a decision is made of.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) collection: &'a Collection,
    pub(super) manifest: &'a Manifest,
    pub(super) options: &'a CompactionOptions,
    /// Milliseconds since the epoch.
    pub(super) now_ms: u64,
    /// Not to be touched now.
    pub(super) excluded: &'a HashSet<SegmentId>,
}

/// What [`next`] decided.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Do this.
    Do(Plan),
    /// Nothing before this time, milliseconds since the epoch.
    At(u64),
    /// Nothing before the manifest changes.
    Nothing,
}

type Group<'a> = Vec<&'a SegmentEntry>;

/// The most useful compaction of a collection.
pub(super) fn next(scene: Scene<'_>) -> Next {
    let retention = scene.options.retention;
    let scene = Cut::new(scene, retention);
    let mut wake_ms = u64::MAX;
    for group in scene.groups(|_| true).into_values() {
        for step in [Cut::gone, Cut::worn, Cut::many_files, Cut::many_small] {
            if let Some(plan) = step(&scene, &group) {
                return Next::Do(plan);
            }
        }
        let wakes = group.iter().filter_map(|entry| scene.wakes_at(entry));
        wake_ms = wakes.fold(wake_ms, u64::min);
    }
    if wake_ms == u64::MAX { Next::Nothing } else { Next::At(wake_ms) }
}

/// Everything that a compaction asked for by hand is to do.
pub(super) fn manual(scene: Scene<'_>, request: &CompactCollection) -> Vec<Plan> {
    let retention = scene.options.manual_retention;
    let scene = Cut::new(scene, retention);
    let is_meant = |entry: &SegmentEntry| {
        request.partition_id.is_none_or(|partition| partition == entry.partition_id)
            && request.vchannel.as_ref().is_none_or(|vchannel| *vchannel == entry.vchannel)
            && (request.segments.is_empty() || request.segments.contains(&entry.id))
    };
    let groups = scene.groups(is_meant).into_values();
    groups.flat_map(|group| scene.asked(group, request.kind)).collect()
}

/// When every row that is dead now may be taken out by a compaction by hand; milliseconds since the
/// epoch.
pub(super) fn manual_ready_ms(manifest: &Manifest, options: &CompactionOptions) -> u64 {
    let deletes = manifest.segments.iter().flat_map(|entry| &entry.delete_files);
    let newest = deletes.map(|file| file.max_ts.physical_ms()).max().unwrap_or(0);
    newest.saturating_add(millis(options.manual_retention))
}

/// A scene with what follows from a retention.
struct Cut<'a> {
    scene: Scene<'a>,
    /// Rows that were dead by this time may go.
    cutoff_ms: u64,
    retention_ms: u64,
    ttl_ms: Option<u64>,
    ttl_field: Option<FieldId>,
    clustering_key: Option<FieldId>,
}

impl<'a> Cut<'a> {
    fn new(scene: Scene<'a>, retention: std::time::Duration) -> Self {
        let retention_ms = millis(retention);
        let fields = &scene.collection.schema.fields;
        Self {
            cutoff_ms: scene.now_ms.saturating_sub(retention_ms),
            retention_ms,
            ttl_ms: ttl_ms(scene.collection),
            ttl_field: ttl_field(scene.collection)
                .and_then(|name| fields.iter().find(|field| field.name == name))
                .map(|field| field.id),
            clustering_key: fields.iter().find(|f| f.is_clustering_key).map(|field| field.id),
            scene,
        }
    }

    /// What may be compacted together, by partition and shard.
    fn groups(
        &self,
        is_meant: impl Fn(&SegmentEntry) -> bool,
    ) -> BTreeMap<(PartitionId, &'a VChannel), Group<'a>> {
        let mut groups: BTreeMap<_, Group<'a>> = BTreeMap::new();
        let Scene { manifest, collection, excluded, .. } = self.scene;
        for entry in &manifest.segments {
            let alive = collection.partition_by_id(entry.partition_id).is_some();
            if alive && !excluded.contains(&entry.id) && is_meant(entry) {
                groups.entry((entry.partition_id, &entry.vchannel)).or_default().push(entry);
            }
        }
        groups
    }

    fn plan(&self, action: Action, inputs: &[&SegmentEntry]) -> Option<Plan> {
        let first = inputs.first()?;
        Some(Plan {
            partition: first.partition_id,
            vchannel: first.vchannel.clone(),
            inputs: inputs.iter().map(|entry| entry.id).collect(),
            action,
            cutoff_ms: self.cutoff_ms,
        })
    }

    fn rewrite(&self, level: SegmentLevel, target_bytes: u64) -> Action {
        let order = match (level, self.clustering_key) {
            (SegmentLevel::L2, Some(field)) => RowOrder::Field(field),
            (SegmentLevel::L0 | SegmentLevel::L1 | SegmentLevel::L2, _) => RowOrder::Key,
        };
        Action::Rewrite { order, level, target_bytes }
    }

    /// Rows whose delete is old enough, as far as delete files tell.
    fn purgeable(&self, entry: &SegmentEntry) -> u64 {
        let old = |file: &&milvus_format::manifest::DeleteFile| {
            file.max_ts.physical_ms() < self.cutoff_ms
        };
        let rows: u64 = entry.delete_files.iter().filter(old).map(|file| file.rows).sum();
        rows.min(entry.deleted_rows).min(entry.rows)
    }

    /// The share of rows that have expired by the cutoff, as far as bounds tell.
    fn expired_share(&self, entry: &SegmentEntry) -> f64 {
        let spans = self.life_spans(entry);
        spans.map(|span| span.expired(self.cutoff_ms)).fold(0.0, f64::max)
    }

    /// When rows of the segment expire: by their age, and by their field.
    fn life_spans(&self, entry: &SegmentEntry) -> impl Iterator<Item = LifeSpan> {
        let by_age = self.ttl_ms.map(|ttl_ms| LifeSpan {
            // Milliseconds are whole: a row of this one has expired in the next.
            first_ms: entry.min_ts.physical_ms().saturating_add(ttl_ms + 1),
            last_ms: entry.max_ts.physical_ms().saturating_add(ttl_ms + 1),
            share: 1.0,
        });
        by_age.into_iter().chain(self.ttl_field.and_then(|field| by_field(entry, field)))
    }

    /// The share of rows that writing the segment anew would take out.
    fn dead_share(&self, entry: &SegmentEntry) -> f64 {
        let deleted = share(self.purgeable(entry), entry.rows);
        deleted + (1.0 - deleted) * self.expired_share(entry)
    }

    fn is_gone(&self, entry: &SegmentEntry) -> bool {
        self.purgeable(entry) == entry.rows || self.expired_share(entry) >= 1.0
    }

    fn gone(&self, group: &Group<'a>) -> Option<Plan> {
        let gone: Group<'a> = group.iter().filter(|entry| self.is_gone(entry)).copied().collect();
        self.plan(Action::Drop, &gone)
    }

    /// The segments with the largest dead share, as many as make one full segment.
    fn worn(&self, group: &Group<'a>) -> Option<Plan> {
        let mut worn: Vec<(f64, &SegmentEntry)> =
            group.iter().map(|entry| (self.dead_share(entry), *entry)).collect();
        worn.retain(|(dead, _)| *dead >= self.scene.options.min_dead_ratio);
        worn.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let (_, first) = worn.first()?;
        let max = self.scene.options.max_segment_bytes;
        let of_level = worn.iter().filter(|(_, entry)| entry.level == first.level);
        let inputs = take_up_to(of_level.map(|(_, entry)| *entry), max);
        self.plan(self.rewrite(first.level, max.max(live_bytes(first))), &inputs)
    }

    fn many_files(&self, group: &Group<'a>) -> Option<Plan> {
        let most = group.iter().max_by_key(|entry| entry.delete_files.len())?;
        if most.delete_files.len() <= self.scene.options.max_delete_files {
            return None;
        }
        self.plan(Action::Fold, &[most])
    }

    /// The smallest segments, once there are enough of about one size.
    fn many_small(&self, group: &Group<'a>) -> Option<Plan> {
        let CompactionOptions { max_segment_bytes: max, min_merge, .. } = *self.scene.options;
        let mut tiers: BTreeMap<u32, Group<'a>> = BTreeMap::new();
        let is_small =
            |entry: &&&SegmentEntry| entry.level != SegmentLevel::L2 && live_bytes(entry) < max / 2;
        for entry in group.iter().filter(is_small) {
            tiers.entry(tier(live_bytes(entry))).or_default().push(entry);
        }
        let mut smaller: Group<'a> = Vec::new();
        for (_, mut tier) in tiers {
            let is_full = tier.len() >= min_merge.max(2);
            smaller.append(&mut tier);
            if is_full {
                let inputs = take_up_to(smaller.iter().copied(), max);
                let bytes: u64 = inputs.iter().map(|entry| live_bytes(entry)).sum();
                if inputs.len() >= min_merge || bytes >= max / 2 {
                    return self.plan(self.rewrite(SegmentLevel::L1, max), &inputs);
                }
            }
        }
        None
    }

    /// When the segment will be worth compacting, if nothing but time passes.
    fn wakes_at(&self, entry: &SegmentEntry) -> Option<u64> {
        let (mut dead, mut at) = (0_u64, None);
        let mut files: Vec<_> = entry.delete_files.iter().collect();
        files.sort_by_key(|file| file.max_ts);
        for file in files {
            dead += file.rows;
            if share(dead, entry.rows) >= self.scene.options.min_dead_ratio {
                at = Some(file.max_ts.physical_ms() + self.retention_ms + 1);
                break;
            }
        }
        let ratio = self.scene.options.min_dead_ratio;
        let expires = self.life_spans(entry).filter_map(|span| span.reaches(ratio));
        let expires = expires.map(|at| at.saturating_add(self.retention_ms));
        expires.chain(at).filter(|at| *at > self.scene.now_ms).min()
    }

    fn asked(&self, group: Group<'a>, kind: CompactionKind) -> Vec<Plan> {
        let max = self.scene.options.max_segment_bytes;
        match kind {
            CompactionKind::Merge => {
                let (l2, l1): (Group<'a>, Group<'a>) =
                    group.into_iter().partition(|entry| entry.level == SegmentLevel::L2);
                let l2: Group<'a> =
                    l2.into_iter().filter(|entry| self.dead_share(entry) > 0.0).collect();
                let mut plans = self.packed(l1, max, SegmentLevel::L1);
                plans.extend(l2.iter().filter_map(|entry| {
                    self.plan(self.rewrite(SegmentLevel::L2, max), std::slice::from_ref(entry))
                }));
                plans
            }
            CompactionKind::Force { target_mib } => {
                let target = target_mib.saturating_mul(1 << 20);
                self.packed(group, target, SegmentLevel::L1)
            }
            CompactionKind::Deletes => {
                let many = group.iter().filter(|entry| entry.delete_files.len() > 1);
                many.filter_map(|entry| self.plan(Action::Fold, std::slice::from_ref(entry)))
                    .collect()
            }
            CompactionKind::Clustering => {
                let is_done = group
                    .iter()
                    .all(|entry| entry.level == SegmentLevel::L2 && self.dead_share(entry) == 0.0);
                if is_done || self.clustering_key.is_none() {
                    return Vec::new();
                }
                self.plan(self.rewrite(SegmentLevel::L2, max), &group).into_iter().collect()
            }
        }
    }

    /// Segments put together so that each plan makes about one of `target` bytes; one alone only
    /// where something of it goes.
    fn packed(&self, mut group: Group<'a>, target: u64, level: SegmentLevel) -> Vec<Plan> {
        let (gone, mut plans) = match self.gone(&group) {
            Some(plan) => (plan.inputs.clone(), vec![plan]),
            None => (Vec::new(), Vec::new()),
        };
        group.retain(|entry| !gone.contains(&entry.id));
        group.sort_by_key(|entry| (std::cmp::Reverse(live_bytes(entry)), entry.id));
        let mut bins: Vec<(u64, Group<'a>)> = Vec::new();
        for entry in group {
            let bytes = live_bytes(entry);
            let fits = |(sum, _): &&mut (u64, Group<'a>)| *sum + bytes <= target;
            match bins.iter_mut().find(fits) {
                Some((sum, bin)) => {
                    *sum += bytes;
                    bin.push(entry);
                }
                None => bins.push((bytes, vec![entry])),
            }
        }
        let is_worth =
            |bin: &Group<'a>| bin.len() > 1 || bin.iter().any(|e| self.dead_share(e) > 0.0);
        let bins = bins.into_iter().map(|(_, bin)| bin).filter(is_worth);
        plans.extend(bins.filter_map(|bin| self.plan(self.rewrite(level, target), &bin)));
        plans
    }
}

/// Between what times rows of a segment expire, milliseconds since the epoch, evenly as far as anybody
/// knows.
#[derive(Clone, Copy, Debug)]
struct LifeSpan {
    first_ms: u64,
    last_ms: u64,
    /// The share of rows that expire at all.
    share: f64,
}

impl LifeSpan {
    /// The share of rows that have expired by `at_ms`.
    fn expired(&self, at_ms: u64) -> f64 {
        if at_ms >= self.last_ms {
            return self.share;
        }
        self.share * share(at_ms.saturating_sub(self.first_ms), self.last_ms - self.first_ms)
    }

    /// When `ratio` of the rows have expired.
    fn reaches(&self, ratio: f64) -> Option<u64> {
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
fn by_field(entry: &SegmentEntry, field: FieldId) -> Option<LifeSpan> {
    let stats = entry.stats.iter().find(|stats| stats.field_id == field)?;
    let Some(ValueRange::Int { min, max }) = &stats.range else { return None };
    let millis = |micros: i64| u64::try_from(micros).unwrap_or(0).div_ceil(1000);
    let (first_ms, last_ms) = (millis(*min), millis(*max));
    let share = share(stats.rows.saturating_sub(stats.nulls), stats.rows);
    Some(LifeSpan { first_ms, last_ms: last_ms.max(first_ms), share })
}

/// Bytes of a segment that its live rows take, without indexes.
pub(super) fn live_bytes(entry: &SegmentEntry) -> u64 {
    let bytes = u128::from(entry.columns.bytes + entry.key_index.bytes);
    let live = bytes * u128::from(entry.live_rows()) / u128::from(entry.rows.max(1));
    u64::try_from(live).unwrap_or(u64::MAX)
}

/// Segments of one tier differ by less than a factor of four.
fn tier(bytes: u64) -> u32 {
    (bytes / SMALLEST_TIER_BYTES).max(1).ilog(4)
}

/// The first of `entries` that together have about `max` bytes; one at least.
fn take_up_to<'a>(
    entries: impl Iterator<Item = &'a SegmentEntry>,
    max: u64,
) -> Vec<&'a SegmentEntry> {
    let (mut taken, mut sum) = (Vec::new(), 0_u64);
    for entry in entries {
        let bytes = live_bytes(entry);
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

#[expect(clippy::cast_precision_loss, reason = "a share; the last digits do not matter")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
