//! Exact search: compares a query with every live row.
//!
//! For growing segments, segments too small for an index, and FLAT. Rows are read in tiles of 64
//! that stay in cache while all queries go over them; a tile with few live rows reads only those.
//! Ties are settled by ascending row. Scores are natural metric values: squared distance for L2.
//!
//! Every kind of vectors has a zero vector; its cosine with anything is 0. SUBSTRUCTURE and
//! SUPERSTRUCTURE find the rows that contain the query, or are contained in it, and no others; a
//! sparse inner product finds the rows where it is above 0.

use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::{DataType, MetricType};

use crate::compare::{Comparer, check};
use crate::comparison::Comparison;
use crate::error::CompareError;
use crate::many;
use crate::range::Range;
use crate::score::Metric;
use crate::vector_index::Hit;
use crate::vectors::{QueryData, VectorData, View};

/// Rows of a tile: a word of the bitset.
const TILE: usize = 64;
/// With at most this many live rows of a tile, only they are read.
const SPARSE: u32 = 24;

/// The best `k` live rows of `rows` for each of `queries`, best first; reads the rows once for all.
pub fn exact_search(
    metric: impl Into<Comparison>,
    queries: &QueryData,
    rows: &VectorData,
    live: Option<&Bitset>,
    k: usize,
) -> Result<Vec<Vec<Hit>>, CompareError> {
    let metric = check(metric, queries, rows)?;
    let comparers = Comparer::all(metric, queries, rows.view(), &[]);
    Ok(best(&comparers, rows.rows(), live, k))
}

/// The best `limit` live rows of `rows` whose score is within `range`, for each of `queries`.
pub fn exact_range(
    metric: impl Into<Comparison>,
    queries: &QueryData,
    rows: &VectorData,
    live: Option<&Bitset>,
    range: &Range,
    limit: usize,
) -> Result<Vec<Vec<Hit>>, CompareError> {
    let metric = check(metric, queries, rows)?;
    let comparers = Comparer::all(metric, queries, rows.view(), &[]);
    let within = |comparer: &Comparer<'_>| {
        let mut hits = Vec::new();
        range_into(comparer, rows.rows(), live, range, limit, &mut hits);
        hits
    };
    Ok(comparers.iter().map(within).collect())
}

/// The score of every live row for each of `queries`, NaN for rows that are not live or no answer.
pub fn score_all(
    metric: impl Into<Comparison>,
    queries: &QueryData,
    rows: &VectorData,
    live: Option<&Bitset>,
) -> Result<Vec<Vec<f32>>, CompareError> {
    let metric = check(metric, queries, rows)?;
    let comparers = Comparer::all(metric, queries, rows.view(), &[]);
    let mut scores = vec![vec![f32::NAN; rows.rows()]; comparers.len()];
    scan(&comparers, rows.rows(), live, &mut |query, scored| {
        scores[query][scored.row() as usize] = metric.score(scored.distance());
    });
    Ok(scores)
}

/// The scores of the rows named by `of` for query `query` of `queries`, NaN for rows that are no
/// answer. Panics where a row or the query is not there.
pub fn score_rows(
    metric: impl Into<Comparison>,
    queries: &QueryData,
    query: usize,
    rows: &VectorData,
    of: &[u32],
) -> Result<Vec<f32>, CompareError> {
    let metric = check(metric, queries, rows)?;
    let mut scores = vec![f32::NAN; of.len()];
    if let Some(comparer) = Comparer::new(metric, queries.row(query), rows.view(), &[]) {
        comparer.gather(of, &mut scores);
        for score in &mut scores {
            *score = if comparer.is_answer(*score) { metric.score(*score) } else { f32::NAN };
        }
    }
    Ok(scores)
}

/// The best `k` live rows of `block` for one query of floats, best first.
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
    let Some(metric) = Metric::of(metric, DataType::FloatVector) else {
        return vec![Vec::new(); queries.len().checked_div(dim).unwrap_or(0)];
    };
    let rows = block.len().checked_div(dim).unwrap_or(0);
    let comparers: Vec<Comparer<'_>> = queries
        .chunks_exact(dim.max(1))
        .filter_map(|query| Comparer::new(metric, query.into(), View::Float { block, dim }, &[]))
        .collect();
    best(&comparers, rows, live, k)
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
    let view = View::Float { block, dim: query.len() };
    let comparer = Metric::of(metric, DataType::FloatVector)
        .and_then(|metric| Comparer::new(metric, query.into(), view, &[]));
    if let Some(comparer) = comparer {
        let rows = block.len().checked_div(query.len()).unwrap_or(0);
        range_into(&comparer, rows, live, range, limit, &mut hits);
    }
    hits
}

/// The best `k` live rows for each comparer.
fn best(comparers: &[Comparer<'_>], rows: usize, live: Option<&Bitset>, k: usize) -> Vec<Vec<Hit>> {
    let at_once = comparers.first().and_then(Comparer::float_block).and_then(|block| {
        let queries: Vec<_> = comparers.iter().filter_map(Comparer::float_query).collect();
        many::best(comparers, &queries, block, live, k.min(rows))
    });
    let tops = at_once.unwrap_or_else(|| {
        let mut tops = vec![TopK::new(k.min(rows)); comparers.len()];
        scan(comparers, rows, live, &mut |query, scored| {
            tops[query].push(scored);
        });
        tops
    });
    let sorted = |(top, comparer): (TopK, &Comparer<'_>)| {
        top.into_sorted().into_iter().map(|scored| comparer.metric.hit(scored)).collect()
    };
    tops.into_iter().zip(comparers).map(sorted).collect()
}

/// Puts the best `k` live rows into `out`, best first.
pub(crate) fn search_into(
    comparer: &Comparer<'_>,
    rows: usize,
    live: Option<&Bitset>,
    k: usize,
    out: &mut Vec<Hit>,
) {
    let mut top = TopK::new(k.min(rows));
    scan(std::slice::from_ref(comparer), rows, live, &mut |_, scored| {
        top.push(scored);
    });
    out.clear();
    out.extend(top.into_sorted().into_iter().map(|scored| comparer.metric.hit(scored)));
}

/// Puts the best `limit` live rows within `range` into `out`, best first.
pub(crate) fn range_into(
    comparer: &Comparer<'_>,
    rows: usize,
    live: Option<&Bitset>,
    range: &Range,
    limit: usize,
    out: &mut Vec<Hit>,
) {
    let metric = comparer.metric;
    let mut top = TopK::new(limit.min(rows));
    scan(std::slice::from_ref(comparer), rows, live, &mut |_, scored| {
        if range.contains(metric.metric_type(), metric.hit(scored).score) {
            top.push(scored);
        }
    });
    out.clear();
    out.extend(top.into_sorted().into_iter().map(|scored| metric.hit(scored)));
}

/// Hands every live row's distance to every query on to `found`, with the query's number.
pub(crate) fn scan(
    comparers: &[Comparer<'_>],
    rows: usize,
    live: Option<&Bitset>,
    found: &mut impl FnMut(usize, Scored),
) {
    for tile in 0..rows.div_ceil(TILE) {
        let tile_rows = (rows - tile * TILE).min(TILE);
        let all = u64::MAX >> (TILE - tile_rows);
        let word = live.map_or(u64::MAX, |live| live.words().get(tile).copied().unwrap_or(0));
        match word & all {
            0 => {}
            word if word != all && word.count_ones() <= SPARSE => {
                scan_few(comparers, tile, word, found);
            }
            word => scan_tile(comparers, tile, tile_rows, word, found),
        }
    }
}

fn scan_tile(
    comparers: &[Comparer<'_>],
    tile: usize,
    rows: usize,
    word: u64,
    found: &mut impl FnMut(usize, Scored),
) {
    let first = tile * TILE;
    let mut computed = [0.0; TILE];
    // Several queries share the norms of a tile; one computes them as it goes.
    let norms = match comparers {
        [one, _, ..] if one.wants_tile_norms() => {
            one.tile_norms(first, &mut computed[..rows]);
            &computed[..rows]
        }
        _ => &[],
    };
    let mut distances = [0.0; TILE];
    for (n, comparer) in comparers.iter().enumerate() {
        comparer.tile(first, norms, &mut distances[..rows]);
        for (i, &distance) in distances[..rows].iter().enumerate() {
            if word >> i & 1 == 1 && comparer.is_answer(distance) {
                found(n, Scored::new(distance, row_number(first + i)));
            }
        }
    }
}

fn scan_few(
    comparers: &[Comparer<'_>],
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
    for (n, comparer) in comparers.iter().enumerate() {
        comparer.gather(rows, &mut distances[..count]);
        for (&row, &distance) in rows.iter().zip(&distances) {
            if comparer.is_answer(distance) {
                found(n, Scored::new(distance, row));
            }
        }
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

    fn sparse(row: &[(u32, f32)]) -> Vec<u8> {
        row.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn narrow_floats_and_bytes_are_searched_as_their_values() {
        let (rows, dim) = (200, 24);
        let floats: Vec<f32> = data(rows, dim).iter().map(|x| (x * 8.0).round()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
        let bytes: Vec<u8> = floats.iter().map(|x| (*x as i8).cast_unsigned()).collect();
        let wide = VectorData::floats(floats, dim).unwrap();
        let int8 =
            VectorData::dense(DataType::Int8Vector, dim, std::sync::Arc::new(bytes)).unwrap();
        let live = Bitset::from_bools((0..rows).map(|row| row % 3 != 0));
        for metric in [MetricType::L2, MetricType::Ip, MetricType::Cosine] {
            let queries = wide.take(&[5, 77]);
            let want = exact_search(metric, &queries, &wide, Some(&live), 9).unwrap();
            let others = [
                wide.converted(DataType::Float16Vector).unwrap(),
                wide.converted(DataType::BFloat16Vector).unwrap(),
                int8.clone(),
            ];
            for other in others {
                let queries = other.take(&[5, 77]);
                let got = exact_search(metric, &queries, &other, Some(&live), 9).unwrap();
                for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                    let kind = other.data_type();
                    assert_eq!(got.row, want.row, "{metric} {kind}");
                    assert!((got.score - want.score).abs() <= want.score.abs() * 1e-5, "{kind}");
                }
                let all = score_all(metric, &queries, &other, Some(&live)).unwrap();
                let some = score_rows(metric, &queries, 1, &other, &[7, 100]).unwrap();
                assert_eq!(some, [all[1][7], all[1][100]]);
                assert!(all[0][3].is_nan());
            }
        }
    }

    #[test]
    fn bits_are_counted_contained_and_shared() {
        let rows = vec![0b1111u8, 0, 0b0011, 0, 0b1100, 0, 0, 0, 0b0011, 1];
        let binary = |bytes| {
            VectorData::dense(DataType::BinaryVector, 16, std::sync::Arc::<Vec<u8>>::new(bytes))
                .unwrap()
        };
        let (rows, query) = (binary(rows), binary(vec![0b0011, 0]));
        let search = |metric| -> Vec<(u32, f32)> {
            let hits = exact_search(metric, &query, &rows, None, 9).unwrap().remove(0);
            hits.iter().map(|hit| (hit.row, hit.score)).collect()
        };
        let hamming = [(1, 0.0), (4, 1.0), (0, 2.0), (3, 2.0), (2, 4.0)];
        assert_eq!(search(MetricType::Hamming), hamming);
        let third = 1.0 / 3.0;
        let jaccard = [(1, 0.0), (4, third), (0, 0.5), (2, 1.0), (3, 1.0)];
        assert_eq!(search(MetricType::Jaccard), jaccard);
        assert_eq!(search(MetricType::Substructure), [(0, 0.0), (1, 0.0), (4, 0.0)]);
        assert_eq!(search(MetricType::Superstructure), [(1, 0.0), (3, 0.0)]);
        let same = [(1, 1.0), (0, 0.5), (2, 0.5), (3, 0.5), (4, 0.5)];
        assert_eq!(search(MetricType::MhJaccard), same);
        let range = Range { radius: 2.0, range_filter: Some(1.0) };
        let hits = exact_range(MetricType::Hamming, &query, &rows, None, &range, 9).unwrap();
        assert_eq!(hits, [[Hit { row: 4, score: 1.0 }]]);
    }

    #[test]
    fn sparse_rows_without_a_product_above_zero_are_no_answers() {
        let rows = [
            sparse(&[(1, 1.0), (9, 2.0)]),
            sparse(&[]),
            sparse(&[(9, 0.5)]),
            sparse(&[(2, 7.0)]),
            sparse(&[(1, -3.0)]),
        ];
        let sparse = |rows: &[Vec<u8>]| {
            let rows = rows.iter().map(Vec::as_slice);
            VectorData::Sparse(crate::vectors::SparseRows::from_rows(rows).unwrap())
        };
        let (rows, queries) = (sparse(&rows), sparse(&rows[..1]));
        let hits = exact_search(MetricType::Ip, &queries, &rows, None, 9).unwrap();
        assert_eq!(hits, [[Hit { row: 0, score: 5.0 }, Hit { row: 2, score: 1.0 }]]);
        assert!(exact_search(MetricType::L2, &queries, &rows, None, 9).is_err());
        let floats = VectorData::floats(vec![0.0; 4], 4).unwrap();
        let error = exact_search(MetricType::Ip, &queries, &floats, None, 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vector type must be the same, field type FloatVector, search type SparseFloatVector"
        );
        let wider = VectorData::floats(vec![0.0; 8], 8).unwrap();
        let error = exact_search(MetricType::Ip, &wider, &floats, None, 9).unwrap_err();
        assert_eq!(error.to_string(), "vector dimension mismatch, expected 4, got 8");
    }
}
