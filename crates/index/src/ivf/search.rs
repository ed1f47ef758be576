//! One search of the lists: the nearest first, then exact scores for what their codes found.

use milvus_kernel::{Bitset, Scored, TopK};

use super::Ivf;
use super::codes::floats_of;
use crate::brute::{row_number, search_into};
use crate::compare::{Comparer, query_of};
use crate::params::SearchParams;
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Codes that are compared at a time.
const CHUNK: usize = 256;
/// Up to this many live rows are compared exactly at once.
const FEW: usize = 512;

/// How many candidates get exact scores to find the best `k`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and what is refined is at least 1"
)]
fn reranked(k: usize, refine_k: f32) -> usize {
    ((k as f32 * refine_k) as usize).saturating_add(64)
}

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
    let mut coded = index.codes.query(index.metric, &floats);
    let refine_k = params.refine_k.max(index.codes.breadth());
    let wide = if coded.is_some() { reranked(k, refine_k).min(rows.len()) } else { k };
    let mut top = TopK::new(wide);
    let mut seen = 0;
    let mut places = Vec::with_capacity(CHUNK);
    let mut distances = [0.0; CHUNK];
    let ends = index.ends.as_slice();
    for (n, list) in index.centroids.ranked(index.metric, query, &floats).into_iter().enumerate() {
        if n >= params.nprobe && seen >= k {
            break;
        }
        let list = list.row() as usize;
        let start = list.checked_sub(1).map_or(0, |before| ends[before] as usize);
        let mut at = start..ends[list] as usize;
        if let Some(coded) = &mut coded {
            coded.enter(&index.centroids, list);
        }
        while !at.is_empty() {
            places.clear();
            let is_live = |place: &usize| live.is_none_or(|live| live.get(rows[*place] as usize));
            places.extend(at.by_ref().filter(is_live).take(CHUNK).map(row_number));
            seen += places.len();
            let distances = &mut distances[..places.len()];
            if let Some(coded) = &coded {
                coded.distances(&places, distances);
                places.iter_mut().for_each(|place| *place = rows[*place as usize]);
            } else {
                places.iter_mut().for_each(|place| *place = rows[*place as usize]);
                comparer.gather(&places, distances);
            }
            for (&row, &distance) in places.iter().zip(&*distances) {
                top.push(Scored::new(distance, row));
            }
        }
    }
    let mut found = top.into_sorted();
    if coded.is_some() {
        found = exact(&comparer, &found, k);
    }
    out.extend(found.into_iter().map(|scored| index.metric.hit(scored)));
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
