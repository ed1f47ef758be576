//! One search of a graph: how to go about it, and from candidates to exact hits.
//!
//! The number of live rows decides. Few: compare with each of them. Many: walk as if all were live
//! with `ef` grown by their share, and drop the others at the end. Between: walk among live rows only.
//! A walk that found too few gives way to the next, dearer way; the last, comparison with all live
//! rows, always finds `min(k, live rows)`.

use milvus_kernel::{Bitset, Scored, TopK, sq8};

use crate::brute::{row_number, scan};
use crate::compare::{Comparer, query_of};
use crate::graph::codes::{self, Coder};
use crate::graph::lean::Buffers;
use crate::graph::links::Adjacency;
use crate::graph::space::Target;
use crate::graph::walk::Walk;
use crate::graph::{Codes, Graph};
use crate::ivf::kmeans::widen;
use crate::params::SearchParams;
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Distances that a walk computes for each of its `ef` candidates, roughly, each worth so many
/// distances of a scan in order (measured; see `benches/hnsw.rs`).
const WALK_COST: usize = 40;
/// Up to this many live rows are compared exactly at once, without codes.
const FEW: usize = 512;
/// From this share of live rows on, walks ignore which rows are live until the end.
const MANY: f64 = 0.7;
/// Candidates of a scan of codes that get exact scores: so many times `k`, and some more.
const SCAN_SHARE: usize = 8;
const SCAN_MORE: usize = 64;
/// What a detour costs in candidates, at a share of live rows of 1.
const DETOUR: f64 = 0.09;
/// With so many times fewer live rows next to the query than elsewhere, so many times the candidates,
/// or comparing with all live rows if they are no more than so many.
const LONELY: f64 = 4.0;
const FAR: f64 = 14.0;
const SCANNED: usize = 1 << 15;
/// Live rows from everywhere that a walk among live rows starts from, and how far each is looked for.
const STARTS: usize = 48;
const WORDS: usize = 8;
/// Larger `ef` than this are walked with heaps rather than a sorted list.
const LARGE_EF: usize = 1024;

/// The memory of one search at a time.
#[derive(Default)]
pub(crate) struct Scratch {
    walk: Walk,
    centred: Vec<f32>,
    widened: Vec<f32>,
    coded: Vec<u8>,
    lean: Buffers,
    found: Vec<Scored>,
    rows: Vec<u32>,
    distances: Vec<f32>,
    wide: Option<TopK>,
    best: Option<TopK>,
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
    let search = Search {
        graph,
        query: query_of(Comparer::new(graph.metric, query, graph.vectors.view(), norms)),
        k,
        ef: ef.max(k).min(rows),
        reranked: if rough { ef } else { reranked(k, ef) },
        live,
        live_count,
    };
    let mut best = reuse(&mut scratch.best, k);
    if let (Some(Codes::Scalar { mean, rows }), VectorRef::Float(query)) = (&graph.codes, query) {
        let coder = Coder { metric: graph.metric, mean: mean.as_slice() };
        let mut coded = std::mem::take(&mut scratch.coded);
        coded.resize(sq8::stride(query.len()), 0);
        coder.encode(query, &mut scratch.centred, &mut coded);
        let space = codes::space(rows.as_slice(), graph.metric, query.len());
        search.run(&space.query(&coded), true, entry, scratch, &mut best);
        scratch.coded = coded;
    } else if let Some(Codes::Lean(lean)) = &graph.codes {
        widen(graph.metric, query, &mut scratch.centred);
        let mut buffers = std::mem::take(&mut scratch.lean);
        let target = lean.query(graph.metric, &scratch.centred, &mut buffers);
        search.run(&target, true, entry, scratch, &mut best);
        scratch.lean = buffers;
    } else if let Some(Codes::Short(short)) = &graph.codes {
        let mut floats = std::mem::take(&mut scratch.widened);
        widen(graph.metric, query, &mut floats);
        let target = short.query(graph.metric, &floats, &mut scratch.centred);
        search.run(&target, true, entry, scratch, &mut best);
        scratch.widened = floats;
    } else if let Some(Codes::Product(product)) = &graph.codes {
        widen(graph.metric, query, &mut scratch.centred);
        let target = product.query(graph.metric, &scratch.centred);
        search.run(&target, true, entry, scratch, &mut best);
    } else {
        search.run(&search.query, false, entry, scratch, &mut best);
    }
    best.drain_sorted(&mut scratch.found);
    scratch.best = Some(best);
    out.extend(scratch.found.iter().map(|&scored| graph.metric.hit(scored)));
}

/// The request.
#[derive(Clone, Copy)]
struct Search<'a> {
    graph: &'a Graph,
    query: Comparer<'a>,
    k: usize,
    ef: usize,
    reranked: usize,
    live: Option<&'a Bitset>,
    live_count: usize,
}

impl Search<'_> {
    /// Tries the ways to search, the cheapest first, until one has found enough.
    fn run(
        &self,
        target: &impl Target,
        coded: bool,
        entry: u32,
        scratch: &mut Scratch,
        best: &mut TopK,
    ) {
        let share = self.share();
        #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
        let wide_ef = (self.ef as f64 / share).ceil() as usize;
        let scan_is_cheaper = self.live_count <= wide_ef.saturating_mul(WALK_COST);
        if self.live_count <= FEW || scan_is_cheaper {
            return self.scan(target, coded, scratch, best);
        }
        let start = self.descend(target, entry, &mut scratch.walk);
        if share >= MANY && wide_ef <= LARGE_EF {
            let links = self.graph.links();
            let found = &mut scratch.found;
            scratch.walk.nearest(target, &links, 0, start, wide_ef, found);
            self.rerank(true, scratch, best);
        }
        if !best.is_full() && self.walk_wanted(target, start, scratch) {
            best.reset(self.k);
            // Rows far from the query differ by less than their codes tell apart.
            let far = scratch.found.len() > 4 * self.ef;
            let more = if far { SCAN_SHARE * self.k + SCAN_MORE } else { 0 };
            Search { reranked: self.reranked.max(more), ..*self }.rerank(true, scratch, best);
        }
        if !best.is_full() {
            self.scan(target, coded, scratch, best);
        }
    }

    /// Compares with every live row, by code first where there are codes and many rows.
    fn scan(&self, target: &impl Target, coded: bool, scratch: &mut Scratch, best: &mut TopK) {
        best.reset(self.k);
        if coded && self.live_count > FEW {
            // Rows far from the query differ by less than their codes tell apart.
            let wider =
                Search { reranked: self.reranked.max(SCAN_SHARE * self.k + SCAN_MORE), ..*self };
            wider.scan_codes(target, scratch);
            wider.rerank(false, scratch, best);
        } else {
            scan(&[self.query], self.graph.vectors.rows(), self.live, &mut |_, scored| {
                best.push(scored);
            });
        }
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

    /// Walks among live rows, into `scratch.found`; false where comparing with all of them is better.
    fn walk_wanted(&self, target: &impl Target, start: Scored, scratch: &mut Scratch) -> bool {
        let links = self.graph.links();
        let groups = self.graph.duplicates.view();
        let rows_at = self.graph.rows_at.as_slice();
        let wanted =
            |place| self.live.is_none_or(|live| groups.any_live(row_at(rows_at, place), live));
        let Scratch { walk, found, rows, .. } = scratch;
        let near = self.starts(start.row(), rows);
        let lonely = near < self.share() / LONELY;
        if lonely && self.live_count <= SCANNED {
            return false;
        }
        let far = if lonely { FAR } else { 1.0 };
        let ef = self.wanted_ef(far);
        walk.nearest_wanted(target, &links, rows, ef, wanted, found);
        true
    }

    /// The share of live rows.
    fn share(&self) -> f64 {
        self.live_count as f64 / self.graph.vectors.rows().max(1) as f64
    }

    /// How many candidates a walk among live rows keeps. Fewer of a row's neighbours are walked on, and
    /// those that are may be a detour away. Where the rows next to the query are not live, the best
    /// live ones lie in all directions from it, and a walk comes by them that looks `far` around.
    #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
    #[expect(clippy::cast_sign_loss, reason = "shares are positive")]
    fn wanted_ef(&self, far: f64) -> usize {
        (self.ef as f64 * (1.5 + DETOUR / self.share()) * far) as usize
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
    /// of the graph, of those that they stand for.
    fn rerank(&self, linked: bool, scratch: &mut Scratch, best: &mut TopK) {
        let groups = self.graph.duplicates.view();
        let Scratch { found, rows, distances, .. } = scratch;
        let rows_at = self.graph.rows_at.as_slice();
        rows.clear();
        for row in found.iter().map(|scored| row_at(rows_at, scored.row())) {
            if rows.len() >= self.reranked {
                break;
            }
            if self.is_live(row) {
                rows.push(row);
            }
            if linked && !groups.is_empty() {
                rows.extend(groups.others(row).iter().filter(|&&other| self.is_live(other)));
            }
        }
        distances.resize(rows.len(), 0.0);
        self.query.gather(rows, distances);
        for (&row, &distance) in rows.iter().zip(&*distances) {
            best.push(Scored::new(distance, row));
        }
    }

    /// Puts the places of the live rows with the best codes into `scratch.found`, best first.
    fn scan_codes(&self, target: &impl Target, scratch: &mut Scratch) {
        const CHUNK: usize = 256;
        let mut wide = reuse(&mut scratch.wide, self.reranked);
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
