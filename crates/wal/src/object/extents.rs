//! Which objects hold which positions of a log, in memory; and what of them to merge or to delete.
//!
//! ```text
//!     trim            next                      tail
//!      v               v                         v
//!  [ merged  ][ merged ][b][b][c][b][b][b][b][b]
//!  \---- settled -----/ \------- recent -------/
//! ```
//!
//! Settled extents are those that the manifest lists. Recent ones are found by getting one after the
//! other from `next` on, and only the writer adds to them. Nothing here does I/O.

use std::collections::VecDeque;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A batch as it was put.
    Batch,
    /// A claim. Its object stays for ever: it is what an older owner's next put runs into.
    Claim,
    /// Several blocks, merged. The number, never 0, is drawn for the object and is part of its name, so
    /// that two attempts to merge the same never meet.
    Merged(u64),
}

/// An object of the log and the positions that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) bytes: u64,
    pub(super) kind: Kind,
}

/// The objects of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents {
    /// Records before this are given up.
    pub(super) trim: u64,
    pub(super) settled: VecDeque<Extent>,
    /// Where the settled extents end.
    pub(super) next: u64,
    pub(super) recent: VecDeque<Extent>,
    /// Where the next object goes.
    pub(super) tail: u64,
    /// The position after the last record.
    pub(super) end: u64,
}

/// What to do with the first of the recent objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MergePlan {
    /// These stay as they are, and are listed.
    Settle(Vec<Extent>),
    /// These become one object.
    Merge(Vec<Extent>),
}

impl Extents {
    /// Adds what was put at the tail.
    pub(super) fn push(&mut self, extent: Extent, data_end: u64) {
        self.tail = extent.end;
        self.end = data_end;
        self.recent.push_back(extent);
    }

    /// The object that holds `position`.
    pub(super) fn find(&self, position: u64) -> Option<Extent> {
        let list = if position < self.next { &self.settled } else { &self.recent };
        let after = list.partition_point(|extent| extent.first <= position);
        let found = after.checked_sub(1).and_then(|i| list.get(i).copied());
        found.filter(|extent| position < extent.end)
    }

    /// The objects that begin at `position` and after it, in order; claims, which hold nothing, left out.
    pub(super) fn from(&self, position: u64) -> impl Iterator<Item = Extent> {
        let from = |list: &VecDeque<Extent>| list.partition_point(|e| e.first < position);
        let settled = self.settled.range(from(&self.settled)..);
        let all = settled.chain(self.recent.range(from(&self.recent)..));
        all.filter(|extent| extent.kind != Kind::Claim).copied()
    }

    /// Gives up what lies before `before`, and gives the objects that hold nothing else.
    pub(super) fn truncate(&mut self, before: u64) -> Vec<Extent> {
        self.trim = self.trim.max(before);
        let trim = self.trim;
        let mut given_up = Vec::new();
        while let Some(extent) = self.settled.pop_front_if(|extent| extent.end <= trim) {
            given_up.push(extent);
        }
        while self.settled.is_empty()
            && let Some(extent) = self.recent.pop_front_if(|extent| extent.end <= trim)
        {
            self.next = extent.end;
            given_up.push(extent);
        }
        given_up
    }

    /// What to merge into one object of about `target` bytes at most, or to settle because it is large.
    /// Recent objects come with those before them that are not much larger, so that a log of small
    /// batches does not become a long list of small extents: each byte is merged a logarithmic number of
    /// times.
    pub(super) fn plan_merge(&self, target: u64) -> Option<MergePlan> {
        let is_large = |extent: &&Extent| extent.bytes >= target / 2;
        let large: Vec<Extent> = self.recent.iter().take_while(is_large).copied().collect();
        if !large.is_empty() {
            return Some(MergePlan::Settle(large));
        }
        let (mut inputs, mut bytes) = (VecDeque::new(), 0);
        for extent in self.recent.iter().take_while(|extent| !is_large(extent)) {
            if bytes + extent.bytes > target {
                break;
            }
            bytes += extent.bytes;
            inputs.push_back(*extent);
        }
        for extent in self.settled.iter().rev() {
            if extent.bytes > bytes * 2 || bytes + extent.bytes > target {
                break;
            }
            bytes += extent.bytes;
            inputs.push_front(*extent);
        }
        match inputs.len() {
            0 => None,
            1 => Some(MergePlan::Settle(inputs.into())),
            _ => Some(MergePlan::Merge(inputs.into())),
        }
    }

    /// The log once `merged` has taken the place of all that it covers; `None` if some of that was given
    /// up meanwhile.
    pub(super) fn merged(&self, merged: Extent) -> Option<Self> {
        let begins = |extent: &Extent| extent.first == merged.first;
        if !self.settled.iter().chain(&self.recent).any(begins) || self.next > merged.end {
            return None;
        }
        let mut after = self.clone();
        after.settled.retain(|extent| extent.end <= merged.first);
        after.recent.retain(|extent| extent.first >= merged.end);
        after.settled.push_back(merged);
        after.next = merged.end;
        Some(after)
    }

    /// The log once the first `objects` of the recent ones are settled as they are; `None` if some of
    /// them were given up meanwhile.
    pub(super) fn settled(&self, objects: &[Extent]) -> Option<Self> {
        let mut after = self.clone();
        for object in objects {
            let first = after.recent.pop_front_if(|first| first == object)?;
            after.next = first.end;
            after.settled.push_back(first);
        }
        Some(after)
    }

    /// Takes over the settled part of `other`, which was made from this with nothing but records added
    /// since.
    pub(super) fn adopt_settled(&mut self, other: Self) {
        self.trim = other.trim;
        self.settled = other.settled;
        self.next = other.next;
        let next = self.next;
        self.recent.retain(|extent| extent.first >= next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u64, end: u64, bytes: u64, kind: Kind) -> Extent {
        Extent { first, end, bytes, kind }
    }

    /// Two records in each of `count` batches of 100 bytes, behind a claim.
    fn log(count: u64) -> Extents {
        let mut log = Extents::default();
        log.push(extent(0, 1, 88, Kind::Claim), 0);
        for i in 0..count {
            log.push(extent(1 + 2 * i, 3 + 2 * i, 100, Kind::Batch), 3 + 2 * i);
        }
        log
    }

    #[test]
    fn positions_are_found_before_and_after_a_merge() {
        let log = log(4);
        assert_eq!(log.find(4), Some(extent(3, 5, 100, Kind::Batch)));
        assert_eq!(log.find(9), None);
        let Some(MergePlan::Merge(inputs)) = log.plan_merge(320) else { panic!("nothing planned") };
        assert_eq!(inputs.len(), 3);
        let merged = extent(0, 5, 288, Kind::Merged(1));
        let after = log.merged(merged).unwrap();
        assert_eq!((after.find(0), after.find(4)), (Some(merged), Some(merged)));
        assert_eq!(after.find(5), log.find(5));
        assert_eq!((after.next, after.tail, after.end), (5, 9, 9));
    }

    #[test]
    fn truncation_gives_up_whole_objects_only() {
        let mut log = log(4);
        assert_eq!(log.truncate(4).len(), 2);
        assert_eq!((log.trim, log.next), (4, 3));
        assert_eq!(log.truncate(2), []);
        assert_eq!(log.truncate(9).len(), 3);
        assert_eq!((log.trim, log.next, log.tail), (9, 9, 9));
        assert!(log.recent.is_empty());
    }

    #[test]
    fn what_was_given_up_meanwhile_is_not_merged() {
        let merged = extent(0, 5, 288, Kind::Merged(1));
        let mut since = log(4);
        since.truncate(3);
        assert_eq!(since.merged(merged), None);
    }

    #[test]
    fn small_batches_do_not_become_a_long_list() {
        let mut log = Extents::default();
        let mut written = 0;
        for i in 0..10_000 {
            log.push(extent(i, i + 1, 100, Kind::Batch), i + 1);
            if log.recent.len() < 16 {
                continue;
            }
            match log.plan_merge(1 << 20).unwrap() {
                MergePlan::Settle(_) => panic!("batches are small"),
                MergePlan::Merge(inputs) => {
                    let (first, last) = (inputs.first().unwrap().first, inputs.last().unwrap().end);
                    let bytes = inputs.iter().map(|extent| extent.bytes).sum();
                    written += bytes;
                    log = log.merged(extent(first, last, bytes, Kind::Merged(1))).unwrap();
                }
            }
        }
        assert!(log.settled.len() < 20, "{} extents", log.settled.len());
        assert!(written < 10_000 * 100 * 8, "{written} bytes");
    }

    #[test]
    fn large_batches_are_settled_as_they_are() {
        let mut log = log(1);
        let large = |first: u64| extent(first, first + 9, 600, Kind::Batch);
        for first in [3, 12, 21] {
            log.push(large(first), first + 9);
        }
        let Some(MergePlan::Merge(small)) = log.plan_merge(1000) else { panic!("nothing planned") };
        assert_eq!(small.len(), 2);
        let log = log.merged(extent(0, 3, 188, Kind::Merged(1))).unwrap();
        let all = [3, 12, 21].map(large);
        assert_eq!(log.plan_merge(1000), Some(MergePlan::Settle(all.to_vec())));
        let after = log.settled(&all).unwrap();
        assert_eq!((after.find(13), after.next, after.settled.len()), (Some(all[1]), 30, 4));
        assert_eq!(after.plan_merge(1000), None);
        assert_eq!(after.settled(&all), None);
    }
}
