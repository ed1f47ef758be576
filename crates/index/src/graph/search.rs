//! One search of a graph: how to go about it, and from candidates to exact hits.
//!
//! Which way is taken is up to `plan`. One that found too few rows gives way to comparison with all
//! live rows, which always finds `min(k, live rows)`.

use milvus_kernel::{Bitset, Scored, TopK, sq8};

use crate::brute::{row_number, scan};
use crate::compare::{Comparer, query_of};
use crate::graph::codes::{self, Coder};
use crate::graph::collect::Collector;
use crate::graph::lean::Buffers;
use crate::graph::links::Adjacency;
use crate::graph::plan::{FEW, Plan, Way};
use crate::graph::space::Target;
use crate::graph::walk::Walk;
use crate::graph::{Codes, Graph};
use crate::ivf::kmeans::widen;
use crate::params::SearchParams;
use crate::score::{Metric, stretch};
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Candidates of a scan of codes that get exact scores: so many times `k`, and some more.
const SCAN_SHARE: usize = 8;
const SCAN_MORE: usize = 64;
/// One in so many live rows may be a candidate of a scan.
const SCAN_PART: usize = 32;
/// Live rows from everywhere that a walk among live rows starts from, and how far each is looked for.
const STARTS: usize = 48;
const WORDS: usize = 8;
/// The memory of one search at a time.
#[derive(Default)]
pub(crate) struct Scratch {
    walk: Walk,
    centred: Vec<f32>,
    widened: Vec<f32>,
    coded: Vec<u8>,
    lean: Buffers,
    sketch_buffers: Buffers,
    found: Vec<Scored>,
    rows: Vec<u32>,
    distances: Vec<f32>,
    wide: Option<TopK>,
    near: Option<TopK>,
    best: Option<TopK>,
    collector: Collector,
}

impl Scratch {
    pub(crate) fn new(rows: usize) -> Self {
        Self { walk: Walk::new(rows), ..Self::default() }
    }
}

/// A top-k kept from an earlier search, emptied.
fn reuse(kept: &mut Option<TopK>, k: usize) -> TopK {
    let mut top = kept.take().unwrap_or_else(|| TopK::new(0));
    top.reset(k);
    top
}

/// How many times `k` candidates walks on product codes keep, all of which get exact scores.
const ROUGH: usize = 8;

/// How many candidates get exact scores to find the best `k`.
fn reranked(k: usize, ef: usize) -> usize {
    k + k / 2 + 8 + ef / 16
}

/// The row at `place`; see [`crate::graph::order`].
#[inline]
fn row_at(rows_at: &[u32], place: u32) -> u32 {
    rows_at.get(place as usize).copied().unwrap_or(place)
}

/// See [`crate::VectorIndex::search`].
pub(crate) fn search(
    graph: &Graph,
    query: VectorRef<'_>,
    k: usize,
    params: &SearchParams,
    live: Option<&Bitset>,
    scratch: &mut Scratch,
    out: &mut Vec<Hit>,
) {
    out.clear();
    let rows = graph.vectors.rows();
    let live_count = live.map_or(rows, |live| live.count().min(rows));
    let k = k.min(live_count);
    let (Some(entry), true) = (graph.entry, k > 0) else {
        return;
    };
    let norms = graph.inverse_norms.as_slice();
    // Product codes order rows roughly, so more of them are looked at.
    let rough = matches!(graph.codes, Some(Codes::Product(_)));
    let ef = if rough { params.ef.max(ROUGH * k) } else { params.ef };
    let mut floats = std::mem::take(&mut scratch.widened);
    widen(graph.metric, query, &mut floats);
    if graph.metric == Metric::Ip {
        stretch(&mut floats, graph.mean());
    }
    let search = Search {
        graph,
        floats: &floats,
        query: query_of(Comparer::new(graph.metric, query, graph.vectors.view(), norms)),
        k,
        ef: ef.max(k).min(rows),
        reranked: if rough { ef } else { reranked(k, ef) },
        live,
        live_count,
    };
    let mut best = reuse(&mut scratch.best, k);
    if let Some(Codes::Scalar { mean, rows }) = &graph.codes {
        let coder = Coder { metric: graph.metric, mean: mean.as_slice() };
        let mut coded = std::mem::take(&mut scratch.coded);
        coded.resize(sq8::stride(floats.len()), 0);
        coder.encode(&floats, &mut scratch.centred, &mut coded);
        let space = codes::space(rows.as_slice(), graph.metric, floats.len());
        search.run(&space.query(&coded), true, entry, scratch, &mut best);
        scratch.coded = coded;
    } else if let Some(Codes::Lean(lean)) = &graph.codes {
        let mut buffers = std::mem::take(&mut scratch.lean);
        let target = lean.query(graph.metric, &floats, &mut buffers);
        search.run(&target, true, entry, scratch, &mut best);
        scratch.lean = buffers;
    } else if let Some(Codes::Short(short)) = &graph.codes {
        let target = short.query(graph.metric, &floats, &mut scratch.centred);
        search.run(&target, true, entry, scratch, &mut best);
    } else if let Some(Codes::Product(product)) = &graph.codes {
        let target = product.query(graph.metric, &floats);
        search.run(&target, true, entry, scratch, &mut best);
    } else {
        search.run(&search.query, false, entry, scratch, &mut best);
    }
    scratch.widened = floats;
    best.drain_sorted(&mut scratch.found);
    scratch.best = Some(best);
    out.extend(scratch.found.iter().map(|&scored| graph.metric.hit(scored)));
}

/// The request.
#[derive(Clone, Copy)]
struct Search<'a> {
    graph: &'a Graph,
    /// The query as its codes are made of it.
    floats: &'a [f32],
    query: Comparer<'a>,
    k: usize,
    ef: usize,
    reranked: usize,
    live: Option<&'a Bitset>,
    live_count: usize,
}

impl Search<'_> {
    /// Takes the way that is planned, and the last if that finds too little.
    fn run(
        &self,
        target: &impl Target,
        coded: bool,
        entry: u32,
        scratch: &mut Scratch,
        best: &mut TopK,
    ) {
        let plan = Plan {
            rows: self.graph.vectors.rows(),
            live: self.live_count,
            ef: self.ef,
            dim: self.graph.vectors.dim(),
            coded,
            sketched: coded && self.live.is_some() && self.graph.sketches.is_some(),
        };
        let mut way = plan.way(1.0);
        if !matches!(way, Way::Scan | Way::Exact) {
            let start = self.descend(target, entry, &mut scratch.walk);
            if plan.needs_near() {
                way = plan.way(self.starts(start.row(), &mut scratch.rows));
            }
            match way {
                Way::WalkAll(ef) => {
                    let links = self.graph.links();
                    let found = &mut scratch.found;
                    scratch.walk.nearest(target, &links, 0, start, ef, found);
                    self.rerank(true, self.reranked, scratch, best);
                }
                Way::WalkLive(ef) => self.walk_live(target, ef, scratch, best),
                Way::Sketches(wanted) => self.scan_sketches(target, wanted, scratch, best),
                Way::Scan | Way::Exact => {}
            }
        }
        if !best.is_full() {
            // What is left of a walk is that nothing next to the query is live.
            let walked = matches!(way, Way::WalkAll(_) | Way::WalkLive(_));
            let exact = way == Way::Exact || walked && plan.exact_is_worth();
            self.scan(target, coded && !exact, scratch, best);
        }
    }

    /// Compares with every live row, by code first where there are codes and many rows.
    fn scan(&self, target: &impl Target, coded: bool, scratch: &mut Scratch, best: &mut TopK) {
        best.reset(self.k);
        if coded && self.live_count > FEW {
            self.scan_codes(target, scratch);
            self.rerank(false, self.scanned(), scratch, best);
        } else {
            scan(&[self.query], self.graph.vectors.rows(), self.live, &mut |_, scored| {
                best.push(scored);
            });
        }
    }

    /// The most candidates of a scan that get exact scores: rows far from the query differ by less than
    /// their codes tell apart.
    fn scanned(&self) -> usize {
        self.reranked.max(SCAN_SHARE * self.k + SCAN_MORE).max(self.live_count / SCAN_PART)
    }

    fn descend(&self, target: &impl Target, entry: u32, walk: &mut Walk) -> Scored {
        let links = self.graph.links();
        let top = links.layout.levels.get(entry as usize).copied().unwrap_or(0);
        let mut nearest = walk.start(target, entry);
        for level in (1..=usize::from(top)).rev() {
            nearest = walk.descend(target, &links, level, nearest);
        }
        nearest
    }

    /// Walks among live rows, from those that [`Self::starts`] has found.
    fn walk_live(&self, target: &impl Target, ef: usize, scratch: &mut Scratch, best: &mut TopK) {
        let links = self.graph.links();
        let groups = self.graph.duplicates.view();
        let rows_at = self.graph.rows_at.as_slice();
        let wanted =
            |place| self.live.is_none_or(|live| groups.any_live(row_at(rows_at, place), live));
        let Scratch { walk, found, rows, .. } = scratch;
        walk.nearest_wanted(target, &links, rows, ef, wanted, found);
        // Rows far from the query differ by less than their codes tell apart.
        let far = scratch.found.len() > 4 * self.ef;
        let most = if far { self.scanned() } else { self.reranked };
        self.rerank(true, most, scratch, best);
    }

    /// Compares with the live rows of the best sketches, by code: with twice as many as long as those
    /// bring better rows.
    fn scan_sketches(
        &self,
        target: &impl Target,
        (least, most): (usize, usize),
        scratch: &mut Scratch,
        best: &mut TopK,
    ) {
        let (Some(sketches), Some(live)) = (&self.graph.sketches, self.live) else {
            return;
        };
        let metric = self.graph.metric;
        let most = most.max(32 * self.k);
        let lives = (live, self.graph.vectors.rows());
        let Scratch { collector, sketch_buffers, .. } = scratch;
        sketches.scan(metric, self.floats, lives, most, collector, sketch_buffers);
        let places = self.graph.places.as_slice();
        let reranked = self.scanned().max(most / 2);
        let mut wide = reuse(&mut scratch.wide, reranked);
        let mut near = reuse(&mut scratch.near, self.k);
        let Scratch { collector, rows, distances, .. } = scratch;
        let (mut done, mut next) = (0, least.max(8 * self.k));
        while done < collector.rows().len() {
            let batch = &collector.rows()[done..next.min(collector.rows().len())];
            rows.clear();
            rows.extend(batch.iter().map(|&row| {
                let place = places.get(row as usize).copied().unwrap_or(row);
                target.prefetch(place);
                place
            }));
            distances.resize(rows.len(), 0.0);
            target.distances(rows, distances);
            let mut better = 0;
            for (&place, &distance) in rows.iter().zip(&*distances) {
                let scored = Scored::new(distance, place);
                wide.push(scored);
                better += usize::from(near.push(scored));
            }
            done += batch.len();
            if better <= self.k / 32 {
                break;
            }
            next = 2 * done;
        }
        wide.drain_sorted(&mut scratch.found);
        (scratch.wide, scratch.near) = (Some(wide), Some(near));
        self.rerank(false, reranked, scratch, best);
    }

    /// Where a walk among live rows starts: where the levels lead, what is next to that, and some live
    /// rows from everywhere, for the live rows may all be far from there. The share of live rows next
    /// to where the levels lead.
    fn starts(&self, nearest: u32, starts: &mut Vec<u32>) -> f64 {
        starts.clear();
        starts.push(nearest);
        self.graph.links().each(0, nearest, |neighbour| starts.push(neighbour));
        let (Some(live), places) = (self.live, self.graph.places.as_slice()) else {
            return 1.0;
        };
        let rows_at = self.graph.rows_at.as_slice();
        let near = starts.iter().filter(|&&place| self.is_live(row_at(rows_at, place))).count();
        let near = near as f64 / starts.len() as f64;
        let words = live.words();
        for n in 0..STARTS {
            let from = n * words.len() / STARTS;
            let first =
                words.iter().enumerate().skip(from).take(WORDS).find(|(_, word)| **word != 0);
            if let Some((at, word)) = first {
                let row = at * 64 + word.trailing_zeros() as usize;
                if row < self.graph.vectors.rows() {
                    starts.push(places.get(row).copied().unwrap_or_else(|| row_number(row)));
                }
            }
        }
        near
    }

    fn is_live(&self, row: u32) -> bool {
        self.live.is_none_or(|live| live.get(row as usize))
    }

    /// Computes the exact scores of the best live rows of `scratch.found`, and, where they are rows
    /// of the graph, of those that they stand for: of `reranked`, and of twice as many as long as
    /// that brings better rows, up to `most`.
    fn rerank(&self, linked: bool, most: usize, scratch: &mut Scratch, best: &mut TopK) {
        let groups = self.graph.duplicates.view();
        let Scratch { found, rows, distances, .. } = scratch;
        let rows_at = self.graph.rows_at.as_slice();
        let mut found = found.iter().map(|scored| row_at(rows_at, scored.row()));
        let (mut done, mut batch) = (0, self.reranked);
        while done < most {
            rows.clear();
            for row in found.by_ref() {
                if self.is_live(row) {
                    rows.push(row);
                }
                if linked && !groups.is_empty() {
                    rows.extend(groups.others(row).iter().filter(|&&other| self.is_live(other)));
                }
                if rows.len() >= batch {
                    break;
                }
            }
            distances.resize(rows.len(), 0.0);
            self.query.gather(rows, distances);
            let better = rows.iter().zip(&*distances);
            let better = better.filter(|&(&row, &distance)| best.push(Scored::new(distance, row)));
            if better.count() == 0 || rows.len() < batch {
                break;
            }
            done += rows.len();
            batch = done.min(most.saturating_sub(done));
        }
    }

    /// Puts the places of the live rows with the best codes into `scratch.found`, best first.
    fn scan_codes(&self, target: &impl Target, scratch: &mut Scratch) {
        const CHUNK: usize = 256;
        let mut wide = reuse(&mut scratch.wide, self.scanned());
        let rows = &mut scratch.rows;
        scratch.distances.resize(CHUNK, 0.0);
        let mut flush = |rows: &mut Vec<u32>| {
            let distances = &mut scratch.distances[..rows.len()];
            target.distances(rows, distances);
            for (&row, &distance) in rows.iter().zip(&*distances) {
                wide.push(Scored::new(distance, row));
            }
            rows.clear();
        };
        rows.clear();
        let count = self.graph.vectors.rows();
        let places = self.graph.places.as_slice();
        let words = count.div_ceil(64);
        for word in 0..words {
            let mut bits =
                self.live.map_or(u64::MAX, |live| live.words().get(word).copied().unwrap_or(0));
            while bits != 0 {
                let row = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if row < count {
                    let place = places.get(row).copied().unwrap_or_else(|| row_number(row));
                    target.prefetch(place);
                    rows.push(place);
                    if rows.len() == CHUNK {
                        flush(rows);
                    }
                }
            }
        }
        flush(rows);
        wide.drain_sorted(&mut scratch.found);
        scratch.wide = Some(wide);
    }
}
