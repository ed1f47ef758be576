//! Building the graph: each row is linked to near rows in different directions, some farther off, so
//! that few steps lead from anywhere to anywhere.
//!
//! Rows are inserted one after another, by several threads. The candidates for a row's links are what
//! a walk to it passes; one is left out where another, already chosen, is nearer to it by a factor of
//! `ALPHA` than the row is. At the end every row can be reached from the entry.
//!
//! Source: Subramanya et al., DiskANN: Fast Accurate Billion-point Nearest Neighbor Search on a
//! Single Node (2019).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::thread;

use milvus_kernel::{Scored, sq8};
use parking_lot::Mutex;

use crate::brute::row_number;
use crate::disk::pool::{Pool, Visited};
use crate::error::BuildError;
use crate::points::Points;

/// Ends a list.
pub(super) const NONE: u32 = u32::MAX;
/// The square of how much nearer than a row another must be to a candidate to stand for it.
const ALPHA: f32 = 1.2 * 1.2;
/// Rows share this many locks.
const LOCKS: usize = 4096;
/// Rows a thread takes at a time.
const BATCH: usize = 16;
/// Rows that one thread inserts before others join, so that they do not miss each other.
const ALONE: usize = 512;
/// Rows between two reports of progress.
const REPORT: usize = 1024;

/// 8-bit codes of points, which links are chosen by.
pub(super) struct Space {
    codes: Vec<u8>,
    stride: usize,
}

/// Bytes of a row in [`Space`] of points of `width` dimensions.
pub(super) fn space_bytes(width: usize) -> usize {
    sq8::stride(width)
}

impl Space {
    pub(super) fn new(
        points: Points<'_>,
        (rows, width): (usize, usize),
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        let stride = sq8::stride(width);
        let mut codes = vec![0; rows * stride];
        let share = rows.div_ceil(threads.max(1)).max(1);
        // Centred by one of them: what all have in common costs no precision.
        let mut centre = Vec::new();
        if rows > 0 {
            points.read(0, &mut centre);
            centre.iter_mut().for_each(|x| *x = if x.is_finite() { *x } else { 0.0 });
        }
        thread::scope(|scope| {
            for (part, codes) in codes.chunks_mut(share * stride).enumerate() {
                let centre = &centre;
                scope.spawn(move || {
                    let mut point = Vec::new();
                    for (n, code) in codes.chunks_exact_mut(stride).enumerate() {
                        if n % REPORT == 0 && cancel.load(Relaxed) {
                            return;
                        }
                        points.read(row_number(part * share + n), &mut point);
                        point.iter_mut().zip(centre).for_each(|(x, centre)| *x -= centre);
                        let norm = sq8::encode(&point, code);
                        sq8::set_bias(code, norm);
                    }
                });
            }
        });
        Self { codes, stride }
    }

    #[inline]
    fn distances(&self, from: u32, rows: &[u32], out: &mut [f32]) {
        let from = &self.codes[from as usize * self.stride..][..self.stride];
        sq8::gather(from, &self.codes, rows, -2.0, out);
    }
}

/// Links of a row while the graph is built: some more than it keeps, so that choosing among them is
/// not due with each new one.
pub(super) fn width(degree: usize) -> usize {
    degree + degree / 3 + 1
}

/// A finished graph.
pub(super) struct Links {
    /// `[rows, degree]`; a short list ends in [`NONE`].
    pub(super) lists: Vec<u32>,
    pub(super) degree: usize,
    /// Where every walk starts; `None` where there are no rows.
    pub(super) entry: Option<u32>,
}

/// What the threads of a build share.
pub(super) struct Builder<'a> {
    pub(super) space: &'a Space,
    pub(super) rows: usize,
    pub(super) degree: usize,
    /// Candidates that a walk keeps.
    pub(super) list: usize,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
    pub(super) cancel: &'a AtomicBool,
}

/// Links that are being made. Every value ever stored is a row or [`NONE`]; a reader may see a list
/// half changed, which costs it a neighbour at worst.
struct Growing {
    lists: Vec<AtomicU32>,
    locks: Vec<Mutex<()>>,
    /// The most links of a row.
    width: usize,
}

impl Growing {
    fn read(&self, row: u32, out: &mut Vec<u32>) {
        let list = &self.lists[row as usize * self.width..][..self.width];
        let all = list.iter().map(|row| row.load(Relaxed));
        out.extend(all.take_while(|&row| row != NONE));
    }

    /// Replaces the links of `row`, whose lock is held.
    fn set(&self, row: u32, links: &[u32]) {
        let list = &self.lists[row as usize * self.width..][..self.width];
        for (n, slot) in list.iter().enumerate() {
            slot.store(links.get(n).copied().unwrap_or(NONE), Relaxed);
        }
    }
}

/// What a thread of a build has for itself.
struct Worker {
    visited: Visited,
    pool: Pool,
    passed: Vec<Scored>,
    near: Vec<u32>,
    distances: Vec<f32>,
    chosen: Vec<u32>,
    ranked: Vec<Scored>,
}

impl Builder<'_> {
    /// Links every row.
    pub(super) fn run(&self, threads: usize) -> Result<Links, BuildError> {
        let width = width(self.degree);
        let none = (0..self.rows * width).map(|_| AtomicU32::new(NONE)).collect();
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        let links = Growing { lists: none, locks, width };
        let order = shuffled(self.rows);
        let entry = self.middle(&order);
        let mut worker = self.worker();
        let alone = order.len().min(ALONE);
        if let Some(entry) = entry {
            order[..alone].iter().for_each(|&row| self.insert(row, entry, &links, &mut worker));
            let next = AtomicUsize::new(alone);
            thread::scope(|scope| {
                for _ in 1..threads.max(1) {
                    scope.spawn(|| self.work(&order, entry, &next, &links, &mut self.worker()));
                }
                self.work(&order, entry, &next, &links, &mut worker);
            });
        }
        self.trim(&links, threads);
        if self.cancel.load(Relaxed) {
            return Err(BuildError::Cancelled);
        }
        if let Some(entry) = entry {
            self.reach_all(entry, &links, &mut worker);
        }
        let mut lists: Vec<u32> = links.lists.into_iter().map(AtomicU32::into_inner).collect();
        for row in 0..self.rows {
            lists.copy_within(row * width..row * width + self.degree, row * self.degree);
        }
        lists.truncate(self.rows * self.degree);
        lists.shrink_to_fit();
        Ok(Links { lists, degree: self.degree, entry })
    }

    /// Leaves out links of rows that have more than they may keep.
    fn trim(&self, links: &Growing, threads: usize) {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut worker = self.worker();
            loop {
                let start = next.fetch_add(REPORT, Relaxed);
                if start >= self.rows || self.cancel.load(Relaxed) {
                    return;
                }
                for row in (start..self.rows.min(start + REPORT)).map(row_number) {
                    let mut list = std::mem::take(&mut worker.near);
                    list.clear();
                    links.read(row, &mut list);
                    if list.len() > self.degree {
                        self.shorten(row, &mut list, &mut worker);
                        links.set(row, &list);
                    }
                    worker.near = list;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.max(1) {
                scope.spawn(work);
            }
            work();
        });
    }

    fn worker(&self) -> Worker {
        Worker {
            visited: Visited::new(self.rows),
            pool: Pool::default(),
            passed: Vec::new(),
            near: Vec::new(),
            distances: Vec::new(),
            chosen: Vec::new(),
            ranked: Vec::new(),
        }
    }

    /// Of the first rows of `order` the one that is nearest to the others: a middle of all.
    fn middle(&self, order: &[u32]) -> Option<u32> {
        let some = &order[..order.len().min(256)];
        let mut distances = vec![0.0; some.len()];
        let far = |&row: &u32| {
            self.space.distances(row, some, &mut distances);
            Scored::new(distances.iter().sum(), row)
        };
        some.iter().map(far).min().map(Scored::row)
    }

    fn work(
        &self,
        order: &[u32],
        entry: u32,
        next: &AtomicUsize,
        links: &Growing,
        worker: &mut Worker,
    ) {
        loop {
            let start = next.fetch_add(BATCH, Relaxed);
            let rows = order.get(start..).unwrap_or_default();
            if rows.is_empty() {
                return;
            }
            for &row in rows.iter().take(BATCH) {
                if self.cancel.load(Relaxed) {
                    return;
                }
                self.insert(row, entry, links, worker);
            }
            if start / REPORT != (start + BATCH) / REPORT {
                (self.progress)(start, order.len());
            }
        }
    }

    fn insert(&self, row: u32, entry: u32, links: &Growing, worker: &mut Worker) {
        if row == entry {
            return;
        }
        self.walk(row, entry, links, worker);
        let mut candidates = std::mem::take(&mut worker.passed);
        candidates.retain(|candidate| candidate.row() != row);
        self.choose(&mut candidates, worker);
        worker.passed = candidates;
        let chosen = std::mem::take(&mut worker.chosen);
        {
            let _held = links.locks[row as usize % LOCKS].lock();
            // What others have linked meanwhile is not lost.
            let mut all = chosen.clone();
            let mut now = std::mem::take(&mut worker.near);
            now.clear();
            links.read(row, &mut now);
            all.extend(now.iter().filter(|other| !chosen.contains(other)));
            all.truncate(links.width);
            links.set(row, &all);
            worker.near = now;
        }
        for &to in &chosen {
            self.link(to, row, links, worker);
        }
        worker.chosen = chosen;
    }

    /// Walks towards `row`; what it passes comes into `worker.passed`.
    fn walk(&self, row: u32, entry: u32, links: &Growing, worker: &mut Worker) {
        let Worker { visited, pool, passed, near, distances, .. } = worker;
        visited.begin();
        pool.reset(self.list);
        passed.clear();
        near.clear();
        near.push(entry);
        visited.insert(entry);
        loop {
            distances.resize(near.len(), 0.0);
            self.space.distances(row, near, distances);
            for (&near, &distance) in near.iter().zip(&*distances) {
                pool.insert(Scored::new(distance, near));
            }
            let Some(next) = pool.take() else { break };
            near.clear();
            links.read(next, near);
            near.retain(|&near| visited.insert(near));
        }
        passed.extend(pool.iter());
    }

    /// Chooses links among `candidates`, whose distances are to one row, into `worker.chosen`.
    fn choose(&self, candidates: &mut Vec<Scored>, worker: &mut Worker) {
        let Worker { chosen, distances, .. } = worker;
        candidates.sort_unstable();
        candidates.dedup_by_key(|candidate| candidate.row());
        chosen.clear();
        for candidate in &*candidates {
            if chosen.len() >= self.degree {
                break;
            }
            let reach = candidate.distance().max(0.0);
            let stands_for = chosen.chunks(8).any(|some| {
                distances.resize(some.len(), 0.0);
                self.space.distances(candidate.row(), some, distances);
                distances.iter().any(|&distance| distance.max(0.0) * ALPHA <= reach)
            });
            if !stands_for {
                chosen.push(candidate.row());
            }
        }
    }

    /// Links `from` to `to` too; of too many links some are left out.
    fn link(&self, from: u32, to: u32, links: &Growing, worker: &mut Worker) {
        let _held = links.locks[from as usize % LOCKS].lock();
        let mut list = std::mem::take(&mut worker.near);
        list.clear();
        links.read(from, &mut list);
        if !list.contains(&to) {
            list.push(to);
            if list.len() > links.width {
                self.shorten(from, &mut list, worker);
            }
            links.set(from, &list);
        }
        worker.near = list;
    }

    /// Leaves out links of `row` in `list`, down to what it may keep.
    fn shorten(&self, row: u32, list: &mut Vec<u32>, worker: &mut Worker) {
        worker.distances.resize(list.len(), 0.0);
        self.space.distances(row, list, &mut worker.distances);
        let mut ranked = std::mem::take(&mut worker.ranked);
        ranked.clear();
        ranked.extend(list.iter().zip(&worker.distances).map(|(&row, &d)| Scored::new(d, row)));
        self.choose(&mut ranked, worker);
        list.clone_from(&worker.chosen);
        worker.ranked = ranked;
    }

    /// Links in what cannot be reached from `entry`.
    fn reach_all(&self, entry: u32, links: &Growing, worker: &mut Worker) {
        let mut reached = vec![false; self.rows];
        mark(entry, links, &mut reached);
        for row in (0..self.rows).map(row_number) {
            if !reached[row as usize] {
                self.reach(row, entry, links, worker);
                mark(row, links, &mut reached);
            }
        }
    }

    /// Links a reached row near `row` to it. Where all near ones have as many links as they can, `row`
    /// takes the place of the last, which it links to in turn.
    fn reach(&self, row: u32, entry: u32, links: &Growing, worker: &mut Worker) {
        self.walk(row, entry, links, worker);
        let list = |row: u32| {
            let mut list = Vec::with_capacity(self.degree);
            links.read(row, &mut list);
            list
        };
        let roomy = worker.passed.iter().find(|near| list(near.row()).len() < self.degree);
        let from = roomy.or(worker.passed.first()).map_or(entry, |near| near.row());
        let mut near = list(from);
        if near.len() < self.degree {
            near.push(row);
        } else if let Some(last) = near.last_mut() {
            let replaced = std::mem::replace(last, row);
            let mut own = list(row);
            if !own.contains(&replaced) {
                own.truncate(self.degree - 1);
                own.push(replaced);
                links.set(row, &own);
            }
        }
        links.set(from, &near);
    }
}

/// Marks what can be reached from `row`.
fn mark(row: u32, links: &Growing, reached: &mut [bool]) {
    reached[row as usize] = true;
    let (mut open, mut near) = (vec![row], Vec::new());
    while let Some(row) = open.pop() {
        near.clear();
        links.read(row, &mut near);
        for &near in &near {
            if !std::mem::replace(&mut reached[near as usize], true) {
                open.push(near);
            }
        }
    }
}

/// All rows in an order that has nothing to do with how they lie, the same each time.
fn shuffled(rows: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).map(row_number).collect();
    order.sort_by_cached_key(|&row| {
        let x = u64::from(row).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    });
    order
}
