//! Exact search: compares a query with every live row.
//!
//! For growing segments, segments too small for an index, and FLAT. Rows are read in tiles of 64
//! that stay in cache while all queries go over them; a tile with few live rows reads only those.
//! Ties are settled by ascending row.

use milvus_kernel::{Bitset, Scored, TopK, distance};
use milvus_types::MetricType;

use crate::range::Range;
use crate::score::{Metric, Query};
use crate::vector_index::Hit;

/// Rows of a tile: a word of the bitset.
const TILE: usize = 64;
/// With at most this many live rows of a tile, only they are read.
const SPARSE: u32 = 24;

/// The best `k` live rows of `block` for one query, best first.
///
/// `block` is `[rows, query.len()] f32`, row-major. Returns exactly `min(k, live rows)` hits with
/// natural metric values. Metrics that are not of float vectors find nothing.
pub fn brute_force(
    metric: MetricType,
    query: &[f32],
    block: &[f32],
    live: Option<&Bitset>,
    k: usize,
) -> Vec<Hit> {
    brute_force_many(metric, query, query.len(), block, live, k).pop().unwrap_or_default()
}

/// As [`brute_force`] for each of `queries`, `[nq, dim] f32`; reads the block once for all.
pub fn brute_force_many(
    metric: MetricType,
    queries: &[f32],
    dim: usize,
    block: &[f32],
    live: Option<&Bitset>,
    k: usize,
) -> Vec<Vec<Hit>> {
    let Some(metric) = Metric::of(metric) else {
        return vec![Vec::new(); queries.len().checked_div(dim).unwrap_or(0)];
    };
    let queries: Vec<Query<'_>> =
        queries.chunks_exact(dim.max(1)).map(|query| Query::new(metric, query)).collect();
    let rows = block.len().checked_div(dim).unwrap_or(0);
    let mut tops = vec![TopK::new(k.min(rows)); queries.len()];
    let scan = Scan { block, dim, inverse_norms: &[] };
    scan.run(&queries, live, &mut |query, scored| {
        tops[query].push(scored);
    });
    let hits = |top: TopK| top.into_sorted().into_iter().map(|scored| metric.hit(scored)).collect();
    tops.into_iter().map(hits).collect()
}

/// The best `limit` live rows of `block` whose score is within `range`, best first.
pub fn brute_force_range(
    metric: MetricType,
    query: &[f32],
    block: &[f32],
    live: Option<&Bitset>,
    range: &Range,
    limit: usize,
) -> Vec<Hit> {
    let mut hits = Vec::new();
    if let Some(metric) = Metric::of(metric) {
        let scan = Scan { block, dim: query.len(), inverse_norms: &[] };
        scan.range(&Query::new(metric, query), live, range, limit, &mut hits);
    }
    hits
}

/// A pass over the rows of a block.
pub(crate) struct Scan<'a> {
    pub(crate) block: &'a [f32],
    pub(crate) dim: usize,
    /// Of all rows, or empty: computed on the way.
    pub(crate) inverse_norms: &'a [f32],
}

impl Scan<'_> {
    /// Hands every live row's distance to every query on to `found`, with the query's number.
    pub(crate) fn run(
        &self,
        queries: &[Query<'_>],
        live: Option<&Bitset>,
        found: &mut impl FnMut(usize, Scored),
    ) {
        let dim = self.dim.max(1);
        for (tile, block) in self.block.chunks(TILE * dim).enumerate() {
            let rows = block.len() / dim;
            let all = u64::MAX >> (TILE - rows);
            let word = live.map_or(u64::MAX, |live| live.words().get(tile).copied().unwrap_or(0));
            match word & all {
                0 => {}
                word if word != all && word.count_ones() <= SPARSE => {
                    self.sparse(queries, tile, word, found);
                }
                word => self.dense(queries, tile, block, word, found),
            }
        }
    }

    fn dense(
        &self,
        queries: &[Query<'_>],
        tile: usize,
        block: &[f32],
        word: u64,
        found: &mut impl FnMut(usize, Scored),
    ) {
        let first = tile * TILE;
        let rows = block.len() / self.dim.max(1);
        let mut computed = [0.0; TILE];
        let norms = match self.inverse_norms.get(first..first + rows) {
            Some(norms) => norms,
            // Several queries share the norms of a tile; one computes them as it goes.
            None if queries.len() > 1 && queries[0].metric == Metric::Cosine => {
                distance::norms_squared(block, self.dim, &mut computed[..rows]);
                computed.iter_mut().for_each(|norm| *norm = distance::inverse_norm(*norm));
                &computed[..rows]
            }
            None => &[],
        };
        let mut distances = [0.0; TILE];
        for (n, query) in queries.iter().enumerate() {
            query.rows(block, norms, &mut distances[..rows]);
            for (i, &distance) in distances[..rows].iter().enumerate() {
                if word >> i & 1 == 1 {
                    found(n, Scored::new(distance, row_number(first + i)));
                }
            }
        }
    }

    fn sparse(
        &self,
        queries: &[Query<'_>],
        tile: usize,
        mut word: u64,
        found: &mut impl FnMut(usize, Scored),
    ) {
        let mut rows = [0u32; TILE];
        let mut count = 0;
        while word != 0 {
            rows[count] = row_number(tile * TILE + word.trailing_zeros() as usize);
            word &= word - 1;
            count += 1;
        }
        let rows = &rows[..count];
        let mut distances = [0.0; TILE];
        for (n, query) in queries.iter().enumerate() {
            query.gather(self.block, self.inverse_norms, rows, &mut distances[..count]);
            for (&row, &distance) in rows.iter().zip(&distances) {
                found(n, Scored::new(distance, row));
            }
        }
    }

    /// Puts the best `limit` live rows within `range` into `out`.
    pub(crate) fn range(
        &self,
        query: &Query<'_>,
        live: Option<&Bitset>,
        range: &Range,
        limit: usize,
        out: &mut Vec<Hit>,
    ) {
        let metric = query.metric;
        let mut top = TopK::new(limit.min(self.block.len() / self.dim.max(1)));
        self.run(&[*query], live, &mut |_, scored| {
            if range.contains(metric.metric_type(), metric.hit(scored).score) {
                top.push(scored);
            }
        });
        out.clear();
        out.extend(top.into_sorted().into_iter().map(|scored| metric.hit(scored)));
    }
}

/// A row's position as a row number. Segments have fewer rows than 2^32.
#[expect(clippy::cast_possible_truncation, reason = "segments are far smaller; checked at build")]
#[inline]
pub(crate) fn row_number(row: usize) -> u32 {
    debug_assert!(u32::try_from(row).is_ok());
    row as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_possible_truncation, reason = "the reference is computed in doubles")]
    fn narrow(x: f64) -> f32 {
        x as f32
    }

    fn data(rows: usize, dim: usize) -> Vec<f32> {
        (0..rows * dim).map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 100.0).collect()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "no other metric is asked for")]
    fn slow(metric: MetricType, query: &[f32], block: &[f32], live: &Bitset, k: usize) -> Vec<Hit> {
        let score = |row: &[f32]| -> f64 {
            let pairs = || query.iter().zip(row).map(|(&a, &b)| (f64::from(a), f64::from(b)));
            let ip: f64 = pairs().map(|(a, b)| a * b).sum();
            match metric {
                MetricType::L2 => -pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>(),
                MetricType::Ip => ip,
                _ => {
                    let norms: f64 = pairs().map(|(a, _)| a * a).sum::<f64>().sqrt()
                        * pairs().map(|(_, b)| b * b).sum::<f64>().sqrt();
                    if norms > 0.0 { ip / norms } else { 0.0 }
                }
            }
        };
        let mut all: Vec<(u32, f64)> = block
            .chunks_exact(query.len())
            .enumerate()
            .filter(|(row, _)| live.get(*row))
            .map(|(row, vector)| (row_number(row), score(vector)))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        let sign = if metric == MetricType::L2 { -1.0 } else { 1.0 };
        all.into_iter().map(|(row, s)| Hit { row, score: narrow(sign * s) }).collect()
    }

    #[test]
    fn finds_what_sorting_every_row_finds_at_any_share_of_live_rows() {
        for metric in [MetricType::L2, MetricType::Ip, MetricType::Cosine] {
            for (rows, dim, every) in [(1, 3, 1), (200, 17, 1), (333, 8, 2), (700, 33, 30)] {
                let mut block = data(rows, dim);
                block[..dim].fill(0.0);
                let queries = data(2, dim);
                let live = Bitset::from_bools((0..rows).map(|row| row % every == 0));
                let many = brute_force_many(metric, &queries, dim, &block, Some(&live), 10);
                for (query, got) in queries.chunks_exact(dim).zip(&many) {
                    let want = slow(metric, query, &block, &live, 10);
                    assert_eq!(got.len(), want.len());
                    for (got, want) in got.iter().zip(&want) {
                        assert!((got.score - want.score).abs() <= want.score.abs() * 1e-5 + 1e-4);
                    }
                    assert_eq!(*got, brute_force(metric, query, &block, Some(&live), 10));
                }
            }
        }
    }

    #[test]
    fn a_range_is_complete_and_limited_to_the_best() {
        let block: Vec<f32> = (0..100u8).map(f32::from).collect();
        let range = Range { radius: 100.0, range_filter: Some(4.0) };
        let hits = brute_force_range(MetricType::L2, &[50.0], &block, None, &range, 100);
        assert_eq!(hits.len(), 16);
        assert!(hits.iter().all(|hit| (4.0..100.0).contains(&hit.score)));
        let best = brute_force_range(MetricType::L2, &[50.0], &block, None, &range, 3);
        assert_eq!(best, hits[..3]);
        assert_eq!((best[0].row, best[1].row), (48, 52));
    }

    #[test]
    fn zero_vectors_have_cosine_zero_and_equal_scores_come_by_row() {
        let block = [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, -1.0, 0.0, 0.0, 0.0];
        let hits = brute_force(MetricType::Cosine, &[3.0, 0.0], &block, None, 9);
        let rows: Vec<(u32, f32)> = hits.iter().map(|hit| (hit.row, hit.score)).collect();
        assert_eq!(rows, [(1, 1.0), (2, 1.0), (0, 0.0), (4, 0.0), (3, -1.0)]);
        assert!(hits[2].score.is_sign_positive());
        assert!(brute_force(MetricType::Hamming, &[3.0, 0.0], &block, None, 9).is_empty());
        let short = Bitset::ones(2);
        assert_eq!(brute_force(MetricType::L2, &[3.0, 0.0], &block, Some(&short), 9).len(), 2);
    }
}
