//! The links of a graph: for each row and level, up to a fixed number of neighbours.
//!
//! Level 0 holds every row at a fixed stride of `2 M`; levels above hold few rows at a stride of
//! `M`, found through a running sum of levels. A list shorter than its stride ends in [`NONE`].
//! While a graph is built its lists are atomics: a reader may see a list half changed, which costs
//! it a neighbour at worst, since every value ever stored is a row or `NONE`.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use milvus_kernel::prefetch;
use parking_lot::Mutex;

/// Ends a list.
pub(crate) const NONE: u32 = u32::MAX;
/// Rows share this many locks.
const LOCKS: usize = 4096;

/// Links as a walk sees them.
pub(crate) trait Adjacency {
    /// Calls `visit` with each neighbour of `row` at `level`.
    fn each(&self, level: usize, row: u32, visit: impl FnMut(u32));

    /// Asks for the links of `row` at level 0 to be brought near.
    fn prefetch(&self, row: u32);
}

/// Where lists lie: common to graphs being built and finished ones.
#[derive(Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// Links of a row above level 0.
    pub(crate) m: usize,
    /// The highest level of each row.
    pub(crate) levels: &'a [u8],
    /// The number of lists above level 0 before those of each row.
    pub(crate) upper_at: &'a [u32],
}

impl Layout<'_> {
    /// Links of a row at level 0.
    pub(crate) fn m0(&self) -> usize {
        self.m * 2
    }

    #[inline]
    fn list<'l, T>(&self, level0: &'l [T], upper: &'l [T], level: usize, row: u32) -> &'l [T] {
        let row = row as usize;
        if level == 0 {
            &level0[row * self.m0()..][..self.m0()]
        } else if level <= usize::from(self.levels[row]) {
            &upper[(self.upper_at[row] as usize + level - 1) * self.m..][..self.m]
        } else {
            &[]
        }
    }
}

/// The running sum that [`Layout::upper_at`] is, and the number of lists in all.
pub(crate) fn upper_at(levels: &[u8]) -> (Vec<u32>, usize) {
    let mut sum = 0u32;
    let at = levels
        .iter()
        .map(|&level| {
            let at = sum;
            sum = sum.saturating_add(u32::from(level));
            at
        })
        .collect();
    (at, sum as usize)
}

/// The links of a finished graph.
#[derive(Clone, Copy)]
pub(crate) struct Links<'a> {
    pub(crate) layout: Layout<'a>,
    pub(crate) level0: &'a [u32],
    pub(crate) upper: &'a [u32],
}

impl Adjacency for Links<'_> {
    #[inline]
    fn each(&self, level: usize, row: u32, mut visit: impl FnMut(u32)) {
        for &neighbour in self.layout.list(self.level0, self.upper, level, row) {
            if neighbour == NONE {
                break;
            }
            visit(neighbour);
        }
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        prefetch(self.layout.list(self.level0, &[], 0, row));
    }
}

/// The links of a graph while it is built, by several threads at once.
pub(crate) struct GrowingLinks<'a> {
    pub(crate) layout: Layout<'a>,
    level0: Vec<AtomicU32>,
    upper: Vec<AtomicU32>,
    locks: Vec<Mutex<()>>,
}

impl<'a> GrowingLinks<'a> {
    pub(crate) fn new(layout: Layout<'a>, upper_lists: usize) -> Self {
        let none = |count: usize| (0..count).map(|_| AtomicU32::new(NONE)).collect();
        Self {
            layout,
            level0: none(layout.levels.len() * layout.m0()),
            upper: none(upper_lists * layout.m),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
        }
    }

    /// How many neighbours a list at `level` holds.
    pub(crate) fn capacity(&self, level: usize) -> usize {
        if level == 0 { self.layout.m0() } else { self.layout.m }
    }

    /// What a change of the lists of `row` must hold.
    pub(crate) fn lock(&self, row: u32) -> &Mutex<()> {
        &self.locks[row as usize % LOCKS]
    }

    /// Replaces the neighbours of `row`; those beyond its capacity are left out.
    pub(crate) fn set(&self, level: usize, row: u32, neighbours: &[u32]) {
        let list = self.layout.list(&self.level0, &self.upper, level, row);
        for (slot, &neighbour) in list.iter().zip(neighbours) {
            slot.store(neighbour, Relaxed);
        }
        if let Some(end) = list.get(neighbours.len()) {
            end.store(NONE, Relaxed);
        }
    }

    /// The lists of level 0 and of the levels above.
    pub(crate) fn finish(self) -> (Vec<u32>, Vec<u32>) {
        let plain = |atomics: Vec<AtomicU32>| {
            atomics.into_iter().map(AtomicU32::into_inner).collect::<Vec<u32>>()
        };
        let (mut level0, mut upper) = (plain(self.level0), plain(self.upper));
        // What lies behind the end of a list is a remnant of a longer one.
        let clean = |lists: &mut [u32], stride: usize| {
            for list in lists.chunks_exact_mut(stride) {
                let len = list.iter().position(|&id| id == NONE).unwrap_or(stride);
                list[len..].fill(NONE);
            }
        };
        clean(&mut level0, self.layout.m0());
        clean(&mut upper, self.layout.m);
        (level0, upper)
    }
}

impl Adjacency for GrowingLinks<'_> {
    #[inline]
    fn each(&self, level: usize, row: u32, mut visit: impl FnMut(u32)) {
        for neighbour in self.layout.list(&self.level0, &self.upper, level, row) {
            let neighbour = neighbour.load(Relaxed);
            if neighbour == NONE {
                break;
            }
            visit(neighbour);
        }
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        prefetch(self.layout.list(&self.level0, &[], 0, row));
    }
}
