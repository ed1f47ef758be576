//! Deletes: which rows of a segment are dead from which timestamp on.
//!
//! - A row keeps its earliest delete timestamp; deleting it again changes nothing, so replaying
//!   deletes that a file already holds is harmless.
//! - A row is dead at `mvcc` when its delete timestamp is at or below it.
//! - Cost of [`DeleteBitmap::alive`]: one pass over `rows / 64` words when `mvcc` is at or after the
//!   newest delete, plus one step for each delete that lies after (or before, whichever are fewer).
//!
//! Not here: delete files (`milvus_format::delete_file`), finding the row of a key (`streaming`).

use std::collections::HashMap;

use arrow::buffer::{BooleanBuffer, Buffer};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use milvus_types::Timestamp;

/// The deletes of a segment at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteSnapshot {
    /// (row, delete timestamp), each row once, in order of timestamps.
    pub rows: Vec<(u32, Timestamp)>,
}

impl DeleteSnapshot {
    /// How many rows are deleted.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The deletes themselves.
    pub fn entries(self) -> Vec<(u32, Timestamp)> {
        self.rows
    }

    /// The newest delete's timestamp.
    pub fn max_ts(&self) -> Option<Timestamp> {
        self.rows.last().map(|(_, ts)| *ts)
    }

    /// The deletes later than `ts`.
    pub fn after(&self, ts: Timestamp) -> &[(u32, Timestamp)] {
        let first = self.rows.partition_point(|(_, deleted)| *deleted <= ts);
        self.rows.get(first..).unwrap_or(&[])
    }
}

/// The deletes of a segment, readable at any timestamp while more arrive.
#[derive(Debug, Default)]
pub struct DeleteBitmap(RwLock<Deletes>);

#[derive(Debug, Default)]
struct Deletes {
    /// Each deleted row's earliest delete.
    by_row: FxHashMap<u32, Timestamp>,
    /// The same in order of (timestamp, row).
    log: Vec<(Timestamp, u32)>,
    /// The same as bits: 1 is dead at some timestamp.
    dead: Vec<u64>,
}

impl DeleteBitmap {
    /// The deletes in `rows`, in any order.
    pub fn new(rows: impl IntoIterator<Item = (u32, Timestamp)>) -> Self {
        let bitmap = Self::default();
        bitmap.0.write().add(rows);
        bitmap
    }

    /// Marks rows dead.
    pub fn delete(&self, rows: impl IntoIterator<Item = (u32, Timestamp)>) {
        self.0.write().add(rows);
    }

    /// How many rows are deleted.
    pub fn len(&self) -> usize {
        self.0.read().log.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `row` is dead at `mvcc`.
    pub fn is_dead(&self, row: u32, mvcc: Timestamp) -> bool {
        self.0.read().by_row.get(&row).is_some_and(|ts| *ts <= mvcc)
    }

    /// Which of the first `rows` rows are alive at `mvcc`; `None` when all are.
    pub fn alive(&self, rows: u32, mvcc: Timestamp) -> Option<BooleanBuffer> {
        let deletes = self.0.read();
        let dead = deletes.log.partition_point(|(ts, _)| *ts <= mvcc);
        if dead == 0 {
            return None;
        }
        let (before, after) = deletes.log.split_at(dead);
        let mut alive = vec![u64::MAX; (rows as usize).div_ceil(64)];
        if before.len() < after.len() {
            for (_, row) in before {
                clear(&mut alive, *row);
            }
        } else {
            for (alive, dead) in alive.iter_mut().zip(&deletes.dead) {
                *alive &= !dead;
            }
            for (_, row) in after {
                set(&mut alive, *row);
            }
        }
        Some(BooleanBuffer::new(Buffer::from_vec(alive), 0, rows as usize))
    }

    /// Everything deleted so far.
    pub fn snapshot(&self) -> DeleteSnapshot {
        DeleteSnapshot { rows: self.0.read().log.iter().map(|(ts, row)| (*row, *ts)).collect() }
    }

    /// Bytes of memory, approximately.
    pub fn memory_bytes(&self) -> u64 {
        let deletes = self.0.read();
        let entry = size_of::<(Timestamp, u32)>();
        (deletes.by_row.capacity() * (entry + 1)
            + deletes.log.capacity() * entry
            + deletes.dead.capacity() * size_of::<u64>()) as u64
    }
}

impl Deletes {
    fn add(&mut self, rows: impl IntoIterator<Item = (u32, Timestamp)>) {
        let sorted_until = self.log.len();
        let mut replaced = false;
        for (row, ts) in rows {
            match self.by_row.entry(row) {
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    if ts < *known.get() {
                        known.insert(ts);
                        replaced = true;
                    }
                }
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(ts);
                    self.log.push((ts, row));
                    let word = row as usize / 64;
                    if self.dead.len() <= word {
                        self.dead.resize(word + 1, 0);
                    }
                    set(&mut self.dead, row);
                }
            }
        }
        if replaced {
            self.log.clear();
            self.log.extend(self.by_row.iter().map(|(row, ts)| (*ts, *row)));
            self.log.sort_unstable();
        } else if !self.log[sorted_until.saturating_sub(1)..].is_sorted() {
            self.log.sort_unstable();
        }
    }
}

fn set(words: &mut [u64], row: u32) {
    if let Some(word) = words.get_mut(row as usize / 64) {
        *word |= 1 << (row % 64);
    }
}

fn clear(words: &mut [u64], row: u32) {
    if let Some(word) = words.get_mut(row as usize / 64) {
        *word &= !(1 << (row % 64));
    }
}

/// The union of several lists of deletes: each row once, at its earliest timestamp.
pub fn merge_deletes(lists: impl IntoIterator<Item = (u32, Timestamp)>) -> Vec<(u32, Timestamp)> {
    let mut by_row: HashMap<u32, Timestamp, rustc_hash::FxBuildHasher> = HashMap::default();
    for (row, ts) in lists {
        by_row.entry(row).and_modify(|known| *known = ts.min(*known)).or_insert(ts);
    }
    let mut merged: Vec<_> = by_row.into_iter().collect();
    merged.sort_unstable_by_key(|(row, ts)| (*ts, *row));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(bitmap: &DeleteBitmap, rows: u32, mvcc: u64) -> Vec<u32> {
        match bitmap.alive(rows, Timestamp(mvcc)) {
            None => (0..rows).collect(),
            Some(bits) => bits.set_indices_u32().collect(),
        }
    }

    #[test]
    fn a_row_is_dead_from_its_earliest_delete_on() {
        let bitmap = DeleteBitmap::new([(3, Timestamp(30)), (1, Timestamp(10))]);
        bitmap.delete([(3, Timestamp(40)), (70, Timestamp(20)), (1, Timestamp(5))]);
        assert_eq!(alive(&bitmap, 5, 4), [0, 1, 2, 3, 4]);
        assert_eq!(alive(&bitmap, 5, 5), [0, 2, 3, 4]);
        assert_eq!(alive(&bitmap, 5, 29), [0, 2, 3, 4]);
        assert_eq!(alive(&bitmap, 5, 30), [0, 2, 4]);
        assert_eq!(
            bitmap.snapshot().rows,
            [(1, Timestamp(5)), (70, Timestamp(20)), (3, Timestamp(30))]
        );
        assert_eq!(bitmap.snapshot().after(Timestamp(20)), [(3, Timestamp(30))]);
        assert!(bitmap.is_dead(70, Timestamp(20)) && !bitmap.is_dead(70, Timestamp(19)));
    }

    #[test]
    fn both_ways_to_build_a_snapshot_agree_with_row_by_row() {
        let bitmap = DeleteBitmap::new((0..200).map(|i| (i * 7 % 200, Timestamp(u64::from(i)))));
        for mvcc in [0, 3, 99, 100, 150, 198, 199, 1000] {
            let want: Vec<_> =
                (0..200).filter(|row| !bitmap.is_dead(*row, Timestamp(mvcc))).collect();
            assert_eq!(alive(&bitmap, 200, mvcc), want, "mvcc {mvcc}");
        }
    }

    #[test]
    fn merging_keeps_the_earliest() {
        let merged = merge_deletes([(1, Timestamp(9)), (2, Timestamp(3)), (1, Timestamp(4))]);
        assert_eq!(merged, [(2, Timestamp(3)), (1, Timestamp(4))]);
    }
}
