//! Compactions asked for by hand: what they are to do, and whether they go on after that.
//!
//! No plan has more inputs than one may have. Where more belong together, the first pass makes fewer
//! and larger segments of them, and the next goes on with those.

use milvus_format::manifest::{Manifest, SegmentEntry, SegmentLevel};
use milvus_roles::{CompactCollection, CompactionKind};

use super::{Cut, Group, MAX_INPUTS, Plan, Scene, millis};
use crate::data::compaction::CompactionOptions;

/// One pass of a compaction by hand.
#[derive(Debug, Default)]
pub(in crate::data::compaction) struct Pass {
    pub(in crate::data::compaction) plans: Vec<Plan>,
    /// Whether more is to be done with what comes of it.
    pub(in crate::data::compaction) goes_on: bool,
}

/// The next pass of a compaction asked for by hand.
pub(in crate::data::compaction) fn manual(scene: Scene<'_>, request: &CompactCollection) -> Pass {
    let retention = scene.options.manual_retention;
    let scene = Cut::new(scene, retention);
    let is_meant = |entry: &SegmentEntry| {
        request.partition_id.is_none_or(|partition| partition == entry.partition_id)
            && request.vchannel.as_ref().is_none_or(|vchannel| *vchannel == entry.vchannel)
            && (request.segments.is_empty() || request.segments.contains(&entry.id))
    };
    let mut all = Pass::default();
    for group in scene.groups(is_meant).into_values() {
        let Pass { plans, goes_on } = scene.asked(group, request.kind);
        all.plans.extend(plans);
        all.goes_on |= goes_on;
    }
    all
}

/// When every row that is dead now may be taken out by a compaction by hand; milliseconds since the
/// epoch.
pub(in crate::data::compaction) fn manual_ready_ms(
    manifest: &Manifest,
    options: &CompactionOptions,
) -> u64 {
    let deletes = manifest.segments.iter().flat_map(|entry| &entry.delete_files);
    let newest = deletes.map(|file| file.max_ts.physical_ms()).max().unwrap_or(0);
    newest.saturating_add(millis(options.manual_retention))
}

impl<'a> Cut<'a> {
    fn asked(&self, group: Group<'a>, kind: CompactionKind) -> Pass {
        let max = self.scene.options.max_segment_bytes;
        match kind {
            CompactionKind::Merge => {
                let (l2, l1): (Group<'a>, Group<'a>) =
                    group.into_iter().partition(|entry| entry.level == SegmentLevel::L2);
                let mut pass = self.packed(l1, max);
                let worn = l2.into_iter().filter(|entry| self.dead_share(entry) > 0.0);
                let rewrite = self.rewrite(SegmentLevel::L2, max);
                pass.plans.extend(worn.filter_map(|entry| self.plan(rewrite.clone(), &[entry])));
                pass
            }
            CompactionKind::Force { target_mib } => {
                self.packed(group, target_mib.saturating_mul(1 << 20))
            }
            CompactionKind::Deletes => {
                let many = group.iter().filter(|entry| entry.delete_files.len() > 1);
                let plans = many.filter_map(|entry| self.plan(super::Action::Fold, &[*entry]));
                Pass { plans: plans.collect(), goes_on: false }
            }
            CompactionKind::Clustering => self.clustered(group),
        }
    }

    /// All rows of a shard's partition in order of the clustering key. More segments than one plan
    /// may have are merged first; if they are full already, each plan's rows are ordered.
    fn clustered(&self, group: Group<'a>) -> Pass {
        let is_done = |entry: &&SegmentEntry| {
            entry.level == SegmentLevel::L2 && self.dead_share(entry) == 0.0
        };
        if self.clustering_key.is_none() || group.iter().all(is_done) {
            return Pass::default();
        }
        let max = self.scene.options.max_segment_bytes;
        if group.len() > MAX_INPUTS {
            let Pass { mut plans, .. } = self.packed(group.clone(), max);
            plans.retain(|plan| plan.inputs.len() > 1);
            if !plans.is_empty() {
                return Pass { plans, goes_on: true };
            }
        }
        let rewrite = self.rewrite(SegmentLevel::L2, max);
        let chunks = group.chunks(MAX_INPUTS);
        Pass {
            plans: chunks.filter_map(|chunk| self.plan(rewrite.clone(), chunk)).collect(),
            goes_on: false,
        }
    }

    /// Segments put together so that each plan makes about one of `target` bytes; one alone only
    /// where something of it goes.
    fn packed(&self, mut group: Group<'a>, target: u64) -> Pass {
        let gone: Group<'a> = group.iter().filter(|entry| self.is_gone(entry)).copied().collect();
        let chunks = gone.chunks(MAX_INPUTS);
        let mut plans: Vec<Plan> =
            chunks.filter_map(|chunk| self.plan(super::Action::Drop, chunk)).collect();
        group.retain(|entry| gone.iter().all(|gone| gone.id != entry.id));
        let mut bins = self.bins(group, target);
        bins.retain(|bin| bin.len() > 1 || bin.iter().any(|entry| self.dead_share(entry) > 0.0));
        let goes_on = bins.len() > 1 && bins.iter().any(|bin| bin.len() == MAX_INPUTS);
        let rewrite = self.rewrite(SegmentLevel::L1, target);
        plans.extend(bins.iter().filter_map(|bin| self.plan(rewrite.clone(), bin)));
        Pass { plans, goes_on }
    }

    /// `group` in bins of about `target` bytes, the largest first into the first that has room.
    fn bins(&self, mut group: Group<'a>, target: u64) -> Vec<Group<'a>> {
        group.sort_by_key(|entry| (std::cmp::Reverse(self.kept_bytes(entry)), entry.id));
        let mut bins: Vec<(u64, Group<'a>)> = Vec::new();
        for entry in group {
            let bytes = self.kept_bytes(entry);
            let fits = |(sum, bin): &&mut (u64, Group<'a>)| {
                bin.len() < MAX_INPUTS && sum.saturating_add(bytes) <= target
            };
            match bins.iter_mut().find(fits) {
                Some((sum, bin)) => {
                    *sum = sum.saturating_add(bytes);
                    bin.push(entry);
                }
                None => bins.push((bytes, vec![entry])),
            }
        }
        bins.into_iter().map(|(_, bin)| bin).collect()
    }
}
