//! What is worth compacting: a pure function of a manifest and the time.
//!
//! Per partition and shard, most useful first:
//!
//! 1. segments of which no row can be read any more leave; nothing is read or written for that;
//! 2. segments of which a fifth or more is dead or expired are written anew, several as one where
//!    they fit: space amplification stays bounded;
//! 3. many delete files of a segment become one or two, without touching its columns;
//! 4. eight or more small segments of about one size become one ([`sizes`]).
//!
//! Rows dead for less than the retention count as alive here: to write them anew would free nothing.
//! When that or an expiry is all that is waited for, [`next`] says until when. What it costs and what
//! it leaves is simulated in `policy/tests/simulation.rs`.
//!
//! Elsewhere: what is asked for by hand ([`by_hand`]), when rows expire ([`life`]).

mod by_hand;
mod life;
mod sizes;

use std::collections::{BTreeMap, HashSet};

use milvus_format::manifest::{Manifest, SegmentEntry, SegmentLevel};
use milvus_roles::RowOrder;
use milvus_roles::expiry::{ttl_field, ttl_ms};
use milvus_types::{Collection, FieldId, PartitionId, SegmentId, VChannel};

pub(super) use self::by_hand::{Pass, manual, manual_ready_ms};
use self::life::{LifeSpan, by_field};
pub(super) use self::sizes::live_bytes;
use self::sizes::{bytes, part, share};
use super::CompactionOptions;

/// Segments of one plan: each is an open file, and a run to merge.
const MAX_INPUTS: usize = 64;
/// So many times as many small segments as are merged at once are a backlog.
const BACKLOG_MERGES: usize = 4;
/// A partition's share of a shard of which so much is dead is a backlog.
const BACKLOG_DEAD_SHARE: f64 = 0.25;
/// Worn segments are left as they are while so large a share of their collection waits for removal:
/// segments of one age wear out together, and would all lie on disk twice.
const WAITING_SHARE: f64 = 0.1;

/// One compaction to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) partition: PartitionId,
    pub(super) vchannel: VChannel,
    pub(super) inputs: Vec<SegmentId>,
    pub(super) action: Action,
    /// Rows that were dead or had expired by this time may go; milliseconds since the epoch.
    pub(super) cutoff_ms: u64,
    /// Whether it is done however busy others are: it costs little, or a backlog has formed.
    pub(super) is_pressing: bool,
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
    /// Bytes of segments that were compacted away and still lie on disk, of all collections.
    pub(super) waiting_bytes: u64,
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
    let groups: Vec<Group<'_>> = scene.groups(|_| true).into_values().collect();
    for step in [Cut::gone, Cut::worn, Cut::many_files, Cut::many_small] {
        for group in &groups {
            if let Some(plan) = step(&scene, group) {
                let is_pressing = plan.is_pressing || scene.is_backlog(group);
                return Next::Do(Plan { is_pressing, ..plan });
            }
        }
    }
    let held = groups.iter().any(|group| scene.is_held(group) && scene.worn_out(group).is_some());
    let held = held.then(|| scene.scene.now_ms + millis(scene.scene.options.file_grace) / 4 + 1);
    let wakes = groups.iter().flatten().filter_map(|entry| scene.wakes_at(entry));
    let wake_ms = wakes.chain(held).min().unwrap_or(u64::MAX);
    if wake_ms == u64::MAX { Next::Nothing } else { Next::At(wake_ms) }
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
            is_pressing: matches!(action, Action::Drop | Action::Fold),
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
        let gone = group.iter().filter(|entry| self.is_gone(entry)).take(MAX_INPUTS);
        self.plan(Action::Drop, &gone.copied().collect::<Vec<_>>())
    }

    /// Whether so much waits that to wait longer would let it grow without bounds.
    fn is_backlog(&self, group: &Group<'a>) -> bool {
        let waiting = self.small(group).count();
        let bytes_of = |entry: &&SegmentEntry| bytes(entry);
        let all: u64 = group.iter().map(bytes_of).fold(0, u64::saturating_add);
        let purgeable =
            |entry: &&SegmentEntry| part(bytes(entry), self.purgeable(entry), entry.rows);
        let dead: u64 = group.iter().map(purgeable).fold(0, u64::saturating_add);
        waiting > BACKLOG_MERGES * self.scene.options.min_merge.max(2)
            || share(dead, all) >= BACKLOG_DEAD_SHARE
    }

    /// Whether worn segments must wait until what was compacted before is removed.
    fn is_held(&self, group: &Group<'a>) -> bool {
        let all: u64 = self.scene.manifest.segments.iter().map(bytes).fold(0, u64::saturating_add);
        share(self.scene.waiting_bytes, all) >= WAITING_SHARE && !self.is_backlog(group)
    }

    fn worn(&self, group: &Group<'a>) -> Option<Plan> {
        if self.is_held(group) { None } else { self.worn_out(group) }
    }

    /// The segments with the largest dead share, as many as make one full segment.
    fn worn_out(&self, group: &Group<'a>) -> Option<Plan> {
        let mut worn: Vec<(f64, &SegmentEntry)> =
            group.iter().map(|entry| (self.dead_share(entry), *entry)).collect();
        worn.retain(|(dead, _)| *dead >= self.scene.options.min_dead_ratio);
        worn.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let (_, first) = worn.first()?;
        let max = self.scene.options.max_segment_bytes;
        let of_level = worn.iter().filter(|(_, entry)| entry.level == first.level);
        let inputs = self.take_up_to(of_level.map(|(_, entry)| *entry), max);
        self.plan(self.rewrite(first.level, max.max(self.kept_bytes(first))), &inputs)
    }

    /// All segments that have too many delete files, those with most first: under deletes spread
    /// thinly every flush adds one to each.
    fn many_files(&self, group: &Group<'a>) -> Option<Plan> {
        let max = self.scene.options.max_delete_files;
        let mut many: Group<'a> =
            group.iter().filter(|entry| entry.delete_files.len() > max).copied().collect();
        many.sort_by_key(|entry| (std::cmp::Reverse(entry.delete_files.len()), entry.id));
        many.truncate(MAX_INPUTS);
        self.plan(Action::Fold, &many)
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
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
