//! The best candidates of a walk in order, and which of them have been expanded.

use milvus_kernel::{Bitset, Scored};

/// Up to `size` candidates, best first.
#[derive(Default)]
pub(super) struct Pool {
    /// Rows are shifted by one; the lowest bit says that a candidate has been expanded. Row numbers
    /// stay below 2^31.
    items: Vec<Scored>,
    size: usize,
    /// No item before this one is left to expand.
    next: usize,
}

impl Pool {
    pub(super) fn reset(&mut self, size: usize) {
        self.items.clear();
        self.size = size.max(1);
        self.next = 0;
    }

    /// Takes `scored` in if it is good enough; every row at most once.
    #[inline]
    pub(super) fn insert(&mut self, scored: Scored) {
        let item = Scored::new(scored.distance(), scored.row() << 1);
        if self.items.len() >= self.size {
            if self.items.last().is_some_and(|last| item >= *last) {
                return;
            }
            self.items.pop();
        }
        let at = self.items.partition_point(|other| *other < item);
        self.items.insert(at, item);
        self.next = self.next.min(at);
    }

    /// The best row that has not been expanded, now marked as expanded.
    #[inline]
    pub(super) fn take(&mut self) -> Option<u32> {
        while let Some(item) = self.items.get_mut(self.next) {
            self.next += 1;
            if item.row() & 1 == 0 {
                let row = item.row() >> 1;
                *item = Scored::new(item.distance(), item.row() | 1);
                return Some(row);
            }
        }
        None
    }

    /// Whether every candidate has been expanded.
    pub(super) fn is_done(&self) -> bool {
        self.items[self.next.min(self.items.len())..].iter().all(|item| item.row() & 1 == 1)
    }

    /// Every candidate, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Scored> + '_ {
        self.items.iter().map(|item| Scored::new(item.distance(), item.row() >> 1))
    }
}

/// The rows that a walk has seen.
pub(super) struct Visited {
    rows: Bitset,
    touched: Vec<u32>,
}

impl Visited {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows: Bitset::zeros(rows), touched: Vec::new() }
    }

    /// Forgets all.
    pub(super) fn begin(&mut self) {
        self.touched.drain(..).for_each(|row| self.rows.clear(row as usize));
    }

    /// Notes `row`; whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, row: u32) -> bool {
        let new = !self.rows.get(row as usize);
        if new {
            self.rows.set(row as usize);
            self.touched.push(row);
        }
        new
    }
}
