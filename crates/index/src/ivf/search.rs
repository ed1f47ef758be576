//! One search of the lists: the nearest first, then exact scores for what their codes found.

use milvus_kernel::{Bitset, Scored, TopK};

use super::Ivf;
use super::blocks::Lists;
use super::codes::floats_of;
use crate::brute::search_into;
use crate::compare::{Comparer, query_of};
use crate::params::SearchParams;
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Rows that are compared at a time.
const CHUNK: usize = 256;
/// Up to this many live rows are compared exactly at once.
const FEW: usize = 512;

/// See [`crate::VectorIndex::search`].
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
    let floats = floats_of(index.metric, query);
    let rows = index.rows.as_slice();
    let k = k.min(live.map_or(rows.len(), |live| live.count().min(rows.len())));
    let live_count = live.map_or(rows.len(), Bitset::count);
    if live_count <= FEW || k == live_count {
        return search_into(&comparer, rows.len(), live, k, out);
    }
    let coded = index.codes.query(index.metric, &floats);
    let wide = index.codes.reranked(k, params.refine_k).clamp(k, rows.len());
    let mut top = TopK::new(wide);
    let mut seen = 0;
    let lists = Lists::new(rows, index.ends.as_slice(), index.codes.block());
    let is_live = |row: u32| live.is_none_or(|live| live.get(row as usize));
    let ranked = index.centroids.ranked(index.metric, query, &floats, params.nprobe);
    for (n, list) in ranked.into_iter().enumerate() {
        if n >= params.nprobe && seen >= k {
            break;
        }
        let list = list.row() as usize;
        let of_list = &rows[lists.range(list)];
        // Only a filter can leave too little of the lists that were asked for.
        seen += live.map_or(of_list.len(), |_| of_list.iter().filter(|&&row| is_live(row)).count());
        match &coded {
            Some(coded) => coded.scan((&lists, &index.centroids, list), is_live, &mut top),
            None => scan_vectors(&comparer, of_list, is_live, &mut top),
        }
    }
    let mut found = top.into_sorted();
    if coded.is_some() {
        found = exact(&comparer, &found, k);
    }
    out.extend(found.into_iter().map(|scored| index.metric.hit(scored)));
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

/// The best `k` of `found` by exact distance.
fn exact(comparer: &Comparer<'_>, found: &[Scored], k: usize) -> Vec<Scored> {
    let rows: Vec<u32> = found.iter().map(|scored| scored.row()).collect();
    let mut distances = vec![0.0; rows.len()];
    comparer.gather(&rows, &mut distances);
    let mut top = TopK::new(k);
    for (&row, &distance) in rows.iter().zip(&distances) {
        top.push(Scored::new(distance, row));
    }
    top.into_sorted()
}
