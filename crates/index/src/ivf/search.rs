//! One search of the lists: the nearest first, then exact scores for what their codes found.
//!
//! A filter leaves few rows of the nearest lists, and those that are best among what it leaves lie
//! farther away. So a filtered search goes on to further lists until it has seen as many live rows as
//! makes up for that ([`enough`]); where all live rows are hardly more than those, it compares them
//! exactly instead.

use milvus_kernel::{Bitset, Scored, TopK};

use super::Ivf;
use super::blocks::Lists;
use super::codes::floats_of;
use crate::brute::search_into;
use crate::compare::{Comparer, query_of};
use crate::params::SearchParams;
use crate::score::{Metric, stretch};
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Rows that are compared at a time.
const CHUNK: usize = 256;
/// Up to this many live rows are compared exactly at once.
const FEW: usize = 512;
/// Where fewer than one row in so many of a list is live, only those are compared.
const SPARSE: usize = 3;
/// See [`enough`].
const FEWER: f64 = 0.6;
/// See [`lonely`].
const LONELY: f64 = 10.0;
const DOUBT: f64 = 0.02;

/// See [`crate::VectorIndex::search`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
pub(super) fn search(
    index: &Ivf,
    query: VectorRef<'_>,
    k: usize,
    params: &SearchParams,
    live: Option<&Bitset>,
    out: &mut Vec<Hit>,
) {
    out.clear();
    let comparer = query_of(Comparer::new(index.metric, query, index.vectors.view(), &[]));
    let mut floats = floats_of(index.metric, query);
    if index.metric == Metric::Ip {
        stretch(&mut floats, index.codes.mean());
    }
    let rows = index.rows.as_slice();
    let k = k.min(live.map_or(rows.len(), |live| live.count().min(rows.len())));
    let live_count = live.map_or(rows.len(), Bitset::count);
    let ends = index.ends.as_slice();
    let usual = params.nprobe.min(ends.len()) * (rows.len() / ends.len().max(1));
    let few = if live.is_some() { FEW.max(usual / 2) } else { FEW };
    if live_count <= few || k == live_count {
        return search_into(&comparer, rows.len(), live, k, out);
    }
    let lists = Lists::new(rows, ends, index.codes.block());
    let is_live = |row: u32| live.is_none_or(|live| live.get(row as usize));
    let strays = &rows[ends.last().map_or(0, |&end| end as usize)..];
    let near = if live.is_some() { further(params.nprobe, live_count, rows.len()) } else { 0 };
    let near = near.max(params.nprobe);
    let ranked = index.centroids.ranked(index.metric, query, &floats, near);
    let nearest = ranked.iter().take(params.nprobe).map(|list| list.row() as usize);
    let lonely = live.map_or(1.0, |live| lonely(live, live_count, &lists, nearest));
    let times = |count: usize, by: f64| (count as f64 * by) as usize;
    let enough = times(enough(usual, live_count, rows.len()).max(k), lonely);
    let coded = index.codes.query(index.metric, &floats, params.query_bits);
    // Rows far from the query differ by less than their codes tell apart.
    let more = if coded.is_some() { lonely * lonely } else { 1.0 };
    let wide = times(index.codes.reranked(k, params.refine_k), more);
    let mut top = TopK::new(wide.clamp(k, rows.len()));
    let mut seen = 0;
    for (n, list) in ranked.into_iter().enumerate() {
        if n >= params.nprobe && seen >= enough {
            break;
        }
        let list = list.row() as usize;
        let of_list = &rows[lists.range(list)];
        // Only a filter can leave too little of the lists that were asked for.
        let alive =
            live.map_or(of_list.len(), |_| of_list.iter().filter(|&&row| is_live(row)).count());
        seen += alive;
        let few = alive * SPARSE < of_list.len();
        match &coded {
            Some(coded) => coded.scan((&lists, &index.centroids, list), (is_live, few), &mut top),
            None => scan_vectors(&comparer, of_list, is_live, &mut top),
        }
    }
    if coded.is_none() {
        scan_vectors(&comparer, strays, is_live, &mut top);
    }
    let mut found = top.into_sorted();
    if coded.is_some() {
        let strays = strays.iter().copied().filter(|&row| is_live(row));
        let rows: Vec<u32> = found.iter().map(|scored| scored.row()).chain(strays).collect();
        found = exact(&comparer, &rows, k);
    }
    out.extend(found.into_iter().map(|scored| index.metric.hit(scored)));
}

/// How many live rows a search must see that sees `usual` rows without a filter.
///
/// The best of a share of the rows lie among as many more as the share is smaller, of which the
/// nearest lists hold a part that falls slowly: this power of the share makes up for it (measured:
/// recall is a little higher than without a filter from a half down).
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn enough(usual: usize, live: usize, rows: usize) -> usize {
    let share = live as f64 / rows.max(1) as f64;
    (usual as f64 * share.powf(FEWER)) as usize
}

/// How many times fewer of the rows of the nearest lists are live than of all: the best live rows lie in
/// all directions then, and more of them must be seen.
fn lonely(
    live: &Bitset,
    live_count: usize,
    lists: &Lists<'_>,
    nearest: impl Iterator<Item = usize>,
) -> f64 {
    let (mut seen, mut passed) = (0, 0);
    for list in nearest {
        let of_list = &lists.rows[lists.range(list)];
        passed += of_list.len();
        seen += of_list.iter().filter(|&&row| live.get(row as usize)).count();
    }
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64 + DOUBT;
    (share(live_count, lists.rows.len()) / share(seen, passed)).clamp(1.0, LONELY)
}

/// About how many lists have that many live rows, of which `nprobe` would do without a filter.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn further(nprobe: usize, live: usize, rows: usize) -> usize {
    let share = live.max(1) as f64 / rows.max(1) as f64;
    (nprobe as f64 * share.powf(FEWER - 1.0) * 2.0 * LONELY).ceil() as usize
}

/// Offers the live ones of `rows` to `top` by exact distance.
fn scan_vectors(
    comparer: &Comparer<'_>,
    rows: &[u32],
    is_live: impl Fn(u32) -> bool,
    top: &mut TopK,
) {
    let mut taken = Vec::with_capacity(CHUNK);
    let mut distances = [0.0; CHUNK];
    let mut rows = rows.iter().copied().filter(|&row| is_live(row)).peekable();
    while rows.peek().is_some() {
        taken.clear();
        taken.extend(rows.by_ref().take(CHUNK));
        let distances = &mut distances[..taken.len()];
        comparer.gather(&taken, distances);
        for (&row, &distance) in taken.iter().zip(&*distances) {
            top.push(Scored::new(distance, row));
        }
    }
}

/// The best `k` of `rows` by exact distance.
fn exact(comparer: &Comparer<'_>, rows: &[u32], k: usize) -> Vec<Scored> {
    let mut distances = vec![0.0; rows.len()];
    comparer.gather(rows, &mut distances);
    let mut top = TopK::new(k);
    for (&row, &distance) in rows.iter().zip(&distances) {
        top.push(Scored::new(distance, row));
    }
    top.into_sorted()
}
