//! Rows that a graph cannot tell apart: one stands in the graph for all of them.
//!
//! Thousands of identical vectors would fill each other's links and cut their neighbourhood off
//! from the rest. So rows with identical codes (or identical vectors, where a graph walks on
//! vectors) form a group; its first row is linked, the others follow it into every result.

use milvus_kernel::Bitset;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;

use crate::brute::row_number;

/// Groups of identical rows, without those of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duplicates {
    /// The first row of each group, ascending.
    pub(crate) first: Vec<u32>,
    /// Where each group's other rows end in `others`.
    pub(crate) ends: Vec<u32>,
    /// The other rows of each group, group after group, ascending within one.
    pub(crate) others: Vec<u32>,
}

impl Duplicates {
    /// Finds the groups of rows whose `bytes` of `stride` are identical.
    pub(crate) fn find(bytes: &[u8], stride: usize) -> Self {
        let row = |id: u32| &bytes[id as usize * stride..][..stride];
        let mut hashes: Vec<(u64, u32)> = bytes
            .chunks_exact(stride)
            .enumerate()
            .map(|(id, row)| {
                let mut hasher = FxHasher::default();
                hasher.write(row);
                (hasher.finish(), row_number(id))
            })
            .collect();
        hashes.sort_unstable();
        let mut groups: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for run in hashes.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1) {
            // Rows of equal hash that are not equal are rare; each starts a group of its own.
            let mut firsts: Vec<u32> = Vec::new();
            for &(_, id) in run {
                match firsts.iter().find(|&&first| row(first) == row(id)) {
                    Some(first) => groups.entry(*first).or_default().push(id),
                    None => firsts.push(id),
                }
            }
        }
        let mut groups: Vec<(u32, Vec<u32>)> = groups.into_iter().collect();
        groups.sort_unstable();
        let mut found = Self::default();
        for (first, others) in groups {
            found.first.push(first);
            found.others.extend(others);
            found.ends.push(row_number(found.others.len()));
        }
        found
    }

    /// For each of `rows` rows the one that stands for it, most often itself.
    pub(crate) fn followed(&self, rows: usize) -> Vec<u32> {
        let mut followed: Vec<u32> = (0..rows).map(row_number).collect();
        let mut start = 0;
        for (&first, &end) in self.first.iter().zip(&self.ends) {
            for &other in &self.others[start..end as usize] {
                followed[other as usize] = first;
            }
            start = end as usize;
        }
        followed
    }

    #[cfg(test)]
    fn view(&self) -> Groups<'_> {
        Groups { first: &self.first, ends: &self.ends, others: &self.others }
    }
}

/// The same groups, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) struct Groups<'a> {
    pub(crate) first: &'a [u32],
    pub(crate) ends: &'a [u32],
    pub(crate) others: &'a [u32],
}

impl<'a> Groups<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The rows that follow `row`, if it is the first of a group.
    pub(crate) fn others(&self, row: u32) -> &'a [u32] {
        let Ok(group) = self.first.binary_search(&row) else {
            return &[];
        };
        let start = group.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.others[start..self.ends[group] as usize]
    }

    /// Whether `row` or one that follows it is live.
    #[inline]
    pub(crate) fn any_live(&self, row: u32, live: &Bitset) -> bool {
        live.get(row as usize)
            || (!self.is_empty() && self.others(row).iter().any(|&other| live.get(other as usize)))
    }

    /// Whether the parts make sense together, for `rows` rows.
    pub(crate) fn are_sound(&self, rows: usize) -> bool {
        self.first.len() == self.ends.len()
            && self.first.is_sorted_by(|a, b| a < b)
            && self.ends.is_sorted()
            && self.ends.last().map_or(0, |&end| end as usize) == self.others.len()
            && self.first.iter().chain(self.others).all(|&row| (row as usize) < rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_rows_follow_the_first_of_them() {
        let found = Duplicates::find(b"aabbaaccbbaa", 2);
        let groups = found.view();
        assert_eq!((groups.others(0), groups.others(1)), (&[2, 5][..], &[4][..]));
        assert!(groups.others(3).is_empty() && groups.others(2).is_empty());
        assert!(groups.are_sound(6) && !groups.are_sound(5));
        let live = Bitset::from_rows([5], 6);
        assert!(groups.any_live(0, &live) && !groups.any_live(1, &live));
        assert!(Duplicates::find(b"abcd", 1).view().is_empty());
    }
}
