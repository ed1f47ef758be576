//! Walks over a graph: greedy descent through the levels, and best-first search within one.
//!
//! Scratch memory is kept between searches, so a walk allocates nothing once its buffers have
//! grown. What was visited is marked with the number of the walk, so nothing is cleared either.

use milvus_kernel::Scored;

use crate::graph::links::Adjacency;
use crate::graph::space::Target;

/// Neighbours whose data is asked for while the list is still being read, at the most.
const PREFETCHED: usize = 64;
/// Wanted neighbours that a row is walked on with.
const ENOUGH: usize = 32;

/// The memory of one walk at a time.
#[derive(Default)]
pub(crate) struct Walk {
    visited: Visited,
    pool: Pool,
    ids: Vec<u32>,
    distances: Vec<f32>,
    /// Neighbours that are not wanted.
    passed: Vec<u32>,
}

impl Walk {
    pub(crate) fn new(rows: usize) -> Self {
        Self { visited: Visited { marks: vec![0; rows], mark: 0 }, ..Self::default() }
    }

    /// The distance of `row` alone.
    pub(crate) fn start(&mut self, target: &impl Target, row: u32) -> Scored {
        let mut distance = [0.0];
        target.distances(&[row], &mut distance);
        Scored::new(distance[0], row)
    }

    /// Goes from `start` to ever nearer neighbours at `level` until there is none.
    pub(crate) fn descend(
        &mut self,
        target: &impl Target,
        links: &impl Adjacency,
        level: usize,
        start: Scored,
    ) -> Scored {
        let mut nearest = start;
        loop {
            let before = nearest;
            self.ids.clear();
            links.each(level, before.row(), |neighbour| self.ids.push(neighbour));
            self.distances.resize(self.ids.len(), 0.0);
            target.distances(&self.ids, &mut self.distances);
            for (&id, &distance) in self.ids.iter().zip(&self.distances) {
                nearest = nearest.min(Scored::new(distance, id));
            }
            if nearest == before {
                return nearest;
            }
        }
    }

    /// Takes the unvisited neighbours of `row`.
    #[inline]
    fn expand(&mut self, target: &impl Target, links: &impl Adjacency, level: usize, row: u32) {
        let Self { visited, ids, .. } = self;
        ids.clear();
        links.each(level, row, |neighbour| {
            if visited.insert(neighbour) {
                if ids.len() < PREFETCHED {
                    target.prefetch(neighbour);
                }
                ids.push(neighbour);
            }
        });
    }

    /// Computes the distances of the rows taken.
    #[inline]
    fn measure(&mut self, target: &impl Target) {
        self.distances.resize(self.ids.len(), 0.0);
        target.distances(&self.ids, &mut self.distances);
    }

    /// The nearest `ef` rows that a walk from `start` finds at `level`, best first, into `out`.
    pub(crate) fn nearest(
        &mut self,
        target: &impl Target,
        links: &impl Adjacency,
        level: usize,
        start: Scored,
        ef: usize,
        out: &mut Vec<Scored>,
    ) {
        self.visited.begin();
        self.visited.insert(start.row());
        self.pool.reset(ef);
        self.pool.insert(start);
        let mut next = 0;
        while let Some(row) = self.pool.take(&mut next) {
            self.expand(target, links, level, row);
            self.measure(target);
            for (&id, &distance) in self.ids.iter().zip(&self.distances) {
                if let Some(at) = self.pool.insert(Scored::new(distance, id)) {
                    if at <= next {
                        links.prefetch(id);
                    }
                    next = next.min(at);
                }
            }
            if let Some(row) = self.pool.row_at(next) {
                links.prefetch(row);
            }
        }
        out.clear();
        out.extend(self.pool.iter());
    }

    /// The nearest `ef` rows for which `wanted` holds that a walk from `starts` finds at level 0, best
    /// first, into `out`. Only such rows are walked on, so that a walk is as short where the rows next
    /// to the query are not wanted; from one to the next it goes by way of one that is not, where it
    /// has few wanted neighbours (ACORN, arXiv 2403.04871).
    pub(crate) fn nearest_wanted(
        &mut self,
        target: &impl Target,
        links: &impl Adjacency,
        starts: &[u32],
        ef: usize,
        wanted: impl Fn(u32) -> bool,
        out: &mut Vec<Scored>,
    ) {
        self.visited.begin();
        self.pool.reset(ef);
        self.ids.clear();
        for &start in starts {
            if self.visited.insert(start) && wanted(start) {
                self.ids.push(start);
            }
        }
        let mut next = 0;
        loop {
            self.measure(target);
            for (&id, &distance) in self.ids.iter().zip(&self.distances) {
                if let Some(at) = self.pool.insert(Scored::new(distance, id)) {
                    if at <= next {
                        links.prefetch(id);
                    }
                    next = next.min(at);
                }
            }
            let Some(row) = self.pool.take(&mut next) else {
                break;
            };
            self.expand_wanted(target, links, row, &wanted);
        }
        out.clear();
        out.extend(self.pool.iter());
    }

    /// Takes the unvisited wanted neighbours of `row`, and where they are few, those of its other
    /// neighbours.
    #[inline]
    fn expand_wanted(
        &mut self,
        target: &impl Target,
        links: &impl Adjacency,
        row: u32,
        wanted: &impl Fn(u32) -> bool,
    ) {
        let Self { visited, ids, passed, .. } = self;
        ids.clear();
        passed.clear();
        let mut near = 0;
        links.each(0, row, |neighbour| {
            if wanted(neighbour) {
                near += 1;
                if visited.insert(neighbour) {
                    target.prefetch(neighbour);
                    ids.push(neighbour);
                }
            } else {
                links.prefetch(neighbour);
                passed.push(neighbour);
            }
        });
        for &row in passed.iter() {
            if near >= ENOUGH {
                break;
            }
            links.each(0, row, |neighbour| {
                if near < ENOUGH && wanted(neighbour) {
                    near += 1;
                    if visited.insert(neighbour) {
                        target.prefetch(neighbour);
                        ids.push(neighbour);
                    }
                }
            });
        }
    }
}

/// Which rows a walk has seen.
#[derive(Default)]
struct Visited {
    marks: Vec<u8>,
    mark: u8,
}

impl Visited {
    fn begin(&mut self) {
        if self.mark == u8::MAX {
            self.marks.fill(0);
            self.mark = 0;
        }
        self.mark += 1;
    }

    /// Marks `row`; whether it was not marked before.
    #[inline]
    fn insert(&mut self, row: u32) -> bool {
        let mark = &mut self.marks[row as usize];
        let new = *mark != self.mark;
        *mark = self.mark;
        new
    }
}

/// The best rows so far in order, each with a bit that says whether it has been expanded.
#[derive(Default)]
struct Pool {
    items: Vec<Scored>,
    ef: usize,
}

impl Pool {
    fn reset(&mut self, ef: usize) {
        self.items.clear();
        self.ef = ef.max(1);
    }

    /// Row numbers stay below 2^31, which leaves the lowest bit for the mark.
    #[inline]
    fn pack(scored: Scored) -> Scored {
        Scored::new(scored.distance(), scored.row() << 1)
    }

    /// Puts `scored` where it belongs; where that was, unless it is beyond the end.
    #[inline]
    fn insert(&mut self, scored: Scored) -> Option<usize> {
        let item = Self::pack(scored);
        if self.items.len() >= self.ef {
            if self.items.last().is_some_and(|last| item >= *last) {
                return None;
            }
            self.items.pop();
        }
        let at = self.items.partition_point(|other| *other < item);
        self.items.insert(at, item);
        Some(at)
    }

    /// The row of the first item from `next` on that has not been expanded, marking it; `next`
    /// moves behind it.
    #[inline]
    fn take(&mut self, next: &mut usize) -> Option<u32> {
        while let Some(item) = self.items.get_mut(*next) {
            *next += 1;
            if item.row() & 1 == 0 {
                let row = item.row() >> 1;
                *item = Scored::new(item.distance(), item.row() | 1);
                return Some(row);
            }
        }
        None
    }

    #[inline]
    fn row_at(&self, at: usize) -> Option<u32> {
        self.items.get(at).map(|item| item.row() >> 1)
    }

    fn iter(&self) -> impl Iterator<Item = Scored> + '_ {
        self.items.iter().map(|item| Scored::new(item.distance(), item.row() >> 1))
    }
}
