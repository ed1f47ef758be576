//! Building a graph: rows are inserted one after another, by several threads at once.
//!
//! Rows of higher levels come first, so the entry point is known from the start and upper levels
//! are complete before most rows are placed. Links are chosen so that none can be replaced by a
//! detour through a nearer neighbour (the pruning rule of the HNSW paper). At the end rows that
//! cannot be reached from the entry point are linked in: a walk with enough patience finds all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use milvus_kernel::Scored;

use crate::brute::row_number;
use crate::error::BuildError;
use crate::graph::links::{Adjacency, GrowingLinks};
use crate::graph::space::{Space, Target};
use crate::graph::walk::Walk;
use crate::params::GraphParams;

/// Rows that one thread inserts before others join, so that they do not miss each other.
const ALONE: usize = 512;
/// Rows a thread takes at a time.
const BATCH: usize = 16;
/// Rows between two reports of progress.
const REPORT: usize = 1024;
/// No row is above this level.
const MAX_LEVEL: u8 = 15;

/// The level of `row`: geometric with ratio 1 / `m`, the same in every build.
pub(crate) fn level_of(row: u32, m: usize) -> u8 {
    let mut x = u64::from(row).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    let uniform = ((x >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let level = -uniform.ln() / (m.max(2) as f64).ln();
    #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
    let level = level as u8;
    level.min(MAX_LEVEL)
}

/// What the threads of a build share.
pub(crate) struct Builder<'a, S> {
    pub(crate) space: &'a S,
    pub(crate) links: &'a GrowingLinks<'a>,
    pub(crate) params: &'a GraphParams,
    /// Rows to insert, higher levels first.
    pub(crate) order: &'a [u32],
    pub(crate) progress: &'a (dyn Fn(usize, usize) + Sync),
    pub(crate) cancel: &'a AtomicBool,
}

/// What a thread of a build has for itself.
struct Worker {
    walk: Walk,
    found: Vec<Scored>,
    chosen: Vec<u32>,
    distances: Vec<f32>,
    list: Vec<u32>,
    ranked: Vec<Scored>,
}

impl Worker {
    fn new(rows: usize) -> Self {
        Self {
            walk: Walk::new(rows),
            found: Vec::new(),
            chosen: Vec::new(),
            distances: Vec::new(),
            list: Vec::new(),
            ranked: Vec::new(),
        }
    }
}

impl<S: Space> Builder<'_, S> {
    /// Inserts every row.
    pub(crate) fn run(&self, threads: usize) -> Result<(), BuildError> {
        let rows = self.links.layout.levels.len();
        let mut worker = Worker::new(rows);
        let alone = self.order.len().min(ALONE);
        for &row in &self.order[..alone] {
            self.insert(row, &mut worker);
        }
        let next = AtomicUsize::new(alone);
        thread::scope(|scope| {
            for _ in 1..threads.max(1) {
                scope.spawn(|| self.work(&next, &mut Worker::new(rows)));
            }
            self.work(&next, &mut worker);
        });
        if self.cancel.load(Relaxed) {
            return Err(BuildError::Cancelled);
        }
        self.reach_all(&mut worker);
        Ok(())
    }

    fn work(&self, next: &AtomicUsize, worker: &mut Worker) {
        loop {
            let start = next.fetch_add(BATCH, Relaxed);
            let Some(rows) = self.order.get(start..) else {
                return;
            };
            for &row in rows.iter().take(BATCH) {
                if self.cancel.load(Relaxed) {
                    return;
                }
                self.insert(row, worker);
            }
            if rows.is_empty() {
                return;
            }
            if start / REPORT != (start + BATCH) / REPORT {
                (self.progress)(start, self.order.len());
            }
        }
    }

    fn level(&self, row: u32) -> usize {
        usize::from(self.links.layout.levels[row as usize])
    }

    fn insert(&self, row: u32, worker: &mut Worker) {
        let Some(&entry) = self.order.first().filter(|&&entry| entry != row) else {
            return;
        };
        let target = self.space.target(row);
        let mut nearest = worker.walk.start(&target, entry);
        for level in (self.level(row) + 1..=self.level(entry)).rev() {
            nearest = worker.walk.descend(&target, self.links, level, nearest);
        }
        for level in (0..=self.level(row)).rev() {
            let ef = self.params.ef_construction.max(1);
            let mut found = std::mem::take(&mut worker.found);
            worker.walk.nearest(&target, self.links, level, nearest, ef, &mut found);
            found.retain(|scored| scored.row() != row);
            nearest = found.first().copied().unwrap_or(nearest);
            self.choose(&found, self.params.m, worker);
            {
                let _held = self.links.lock(row).lock();
                self.links.set(level, row, &worker.chosen);
            }
            let chosen = std::mem::take(&mut worker.chosen);
            for scored in found.iter().filter(|scored| chosen.contains(&scored.row())) {
                self.link_back(level, Scored::new(scored.distance(), row), scored.row(), worker);
            }
            worker.chosen = chosen;
            worker.found = found;
        }
    }

    /// Chooses up to `most` of `candidates`, which are sorted by their distance to a row, into
    /// `worker.chosen`: a candidate nearer to one already chosen than to the row is passed over.
    fn choose(&self, candidates: &[Scored], most: usize, worker: &mut Worker) {
        let Worker { chosen, distances, .. } = worker;
        chosen.clear();
        for candidate in candidates {
            if chosen.len() >= most {
                break;
            }
            let target = self.space.target(candidate.row());
            let detour = chosen.chunks(4).any(|some| {
                distances.resize(some.len(), 0.0);
                target.distances(some, distances);
                distances.iter().any(|&distance| distance < candidate.distance())
            });
            if !detour {
                chosen.push(candidate.row());
            }
        }
    }

    /// Links `from` to the row of `to`, at `to`'s distance; a full list is chosen anew.
    fn link_back(&self, level: usize, to: Scored, from: u32, worker: &mut Worker) {
        let _held = self.links.lock(from).lock();
        let mut list = std::mem::take(&mut worker.list);
        list.clear();
        self.links.each(level, from, |neighbour| list.push(neighbour));
        if !list.contains(&to.row()) {
            let capacity = self.links.capacity(level);
            if list.len() < capacity {
                list.push(to.row());
            } else {
                self.prune(&mut list, to, from, capacity, worker);
            }
            self.links.set(level, from, &list);
        }
        worker.list = list;
    }

    fn prune(&self, list: &mut Vec<u32>, to: Scored, from: u32, most: usize, worker: &mut Worker) {
        worker.distances.resize(list.len(), 0.0);
        self.space.target(from).distances(list, &mut worker.distances);
        let mut ranked = std::mem::take(&mut worker.ranked);
        ranked.clear();
        ranked.push(to);
        ranked.extend(list.iter().zip(&worker.distances).map(|(&id, &d)| Scored::new(d, id)));
        ranked.sort_unstable();
        self.choose(&ranked, most, worker);
        list.clone_from(&worker.chosen);
        worker.ranked = ranked;
    }

    /// Links rows in that cannot be reached from the entry point at level 0.
    fn reach_all(&self, worker: &mut Worker) {
        let Some(&entry) = self.order.first() else {
            return;
        };
        let mut reached = vec![false; self.links.layout.levels.len()];
        self.mark(entry, &mut reached);
        for &row in self.order {
            if !reached[row as usize] {
                self.reach(row, entry, worker);
                self.mark(row, &mut reached);
            }
        }
    }

    /// Links a reached row near `row` to it. Where the lists of all near ones are full, `row` takes
    /// the place of a neighbour, which it links to in turn.
    fn reach(&self, row: u32, entry: u32, worker: &mut Worker) {
        let target = self.space.target(row);
        let start = worker.walk.start(&target, entry);
        let ef = self.params.ef_construction.max(64);
        let mut found = std::mem::take(&mut worker.found);
        worker.walk.nearest(&target, self.links, 0, start, ef, &mut found);
        let capacity = self.links.capacity(0);
        let with_room = found.iter().find(|near| self.neighbours(near.row()).len() < capacity);
        let from = with_room.or(found.first()).map_or(entry, |near| near.row());
        let mut list = self.neighbours(from);
        if list.len() < capacity {
            list.push(row);
        } else if let Some(last) = list.last_mut() {
            let replaced = std::mem::replace(last, row);
            let mut own = self.neighbours(row);
            if !own.contains(&replaced) {
                own.truncate(capacity - 1);
                own.push(replaced);
                self.links.set(0, row, &own);
            }
        }
        self.links.set(0, from, &list);
        worker.found = found;
    }

    fn neighbours(&self, row: u32) -> Vec<u32> {
        let mut list = Vec::new();
        self.links.each(0, row, |neighbour| list.push(neighbour));
        list
    }

    /// Marks what can be reached from `row`.
    fn mark(&self, row: u32, reached: &mut [bool]) {
        reached[row as usize] = true;
        let mut open = vec![row];
        while let Some(row) = open.pop() {
            self.links.each(0, row, |neighbour| {
                if !std::mem::replace(&mut reached[neighbour as usize], true) {
                    open.push(neighbour);
                }
            });
        }
    }
}

/// The rows to insert, those of higher levels first. `skipped` rows stay out of the graph.
pub(crate) fn order(levels: &[u8], skipped: &[bool]) -> Vec<u32> {
    let mut order: Vec<u32> =
        (0..levels.len()).filter(|&row| !skipped[row]).map(row_number).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(levels[row as usize]));
    order
}
