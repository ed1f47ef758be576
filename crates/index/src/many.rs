//! Exact search for many queries of floats at once: products by the block, scores by the row.
//!
//! Matrix products of a tile of rows with all queries are several times faster than a row at a time,
//! but add up in another order. So they only say which rows may be among the best, with room for what
//! both sums may have lost; those few get the same scores, to the bit, that a single query gives them.

use milvus_kernel::{Bitset, Scored, TopK, distance, many};

use crate::brute::row_number;
use crate::compare::Comparer;
use crate::score::{Metric, Query};

/// Rows of a tile.
const TILE: usize = 256;
/// Fewer queries than this are compared one by one.
const FEW: usize = 8;
/// With more rows wanted than one in so many, too many would be computed twice.
const SHARE: usize = 16;

/// What decides whether a row of a tile may be among the best of a query: whether
/// `product * scale + offset` is at least the query's threshold.
struct Tile {
    scale: Vec<f32>,
    offset: Vec<f32>,
    /// The largest length and scale of its rows.
    length: f32,
    most_scale: f32,
}

impl Tile {
    fn of(metric: Metric, rows: &[f32], dim: usize) -> Self {
        let mut squares = vec![0.0; rows.len() / dim];
        distance::norms_squared(rows, dim, &mut squares);
        let length = squares.iter().fold(0.0f32, |most, &x| most.max(x)).sqrt();
        let scale: Vec<f32> = squares
            .iter()
            .map(|&x| if metric == Metric::Cosine { distance::inverse_norm(x) } else { 1.0 })
            .collect();
        let offset = squares.iter().map(|x| if metric == Metric::L2 { x / -2.0 } else { 0.0 });
        let most_scale = scale.iter().fold(0.0f32, |most, &x| most.max(x));
        // A sum that is no number, or has no bound, must not hide behind those that are.
        let length = if squares.iter().all(|x| x.is_finite()) { length } else { f32::INFINITY };
        Self { offset: offset.collect(), scale, length, most_scale }
    }

    /// The least value of a row that may be nearer to `query` than `bound`.
    fn threshold(&self, query: &Query<'_>, length: f32, bound: f32) -> f32 {
        let dim = query.vector.len() as f32;
        let lost = 4.0 * (dim + 8.0) * f32::EPSILON * length * self.length * self.most_scale;
        if query.metric == Metric::L2 {
            let sizes = length * length + self.length * self.length + bound;
            let lost = lost + (dim + 8.0) * f32::EPSILON * sizes;
            return (length * length - bound) / 2.0 - lost;
        }
        if query.metric == Metric::Ip {
            return -bound - lost;
        }
        // Everything is equally near to a query of length 0.
        if query.inverse_norm > 0.0 {
            -bound / query.inverse_norm - lost * 2.0
        } else {
            f32::NEG_INFINITY
        }
    }
}

/// The best `k` live rows of `block`, `[rows, dim]`, for each query; `None` where going query by query
/// is better. `comparers` are the queries beside `block`.
pub(crate) fn best(
    comparers: &[Comparer<'_>],
    queries: &[Query<'_>],
    block: &[f32],
    live: Option<&Bitset>,
    k: usize,
) -> Option<Vec<TopK>> {
    let dim = queries.first()?.vector.len();
    let rows = block.len().checked_div(dim)?;
    let live_rows = live.map_or(rows, |live| live.count().min(rows));
    if queries.len() < FEW || k * SHARE > rows || live_rows * 2 < rows {
        return None;
    }
    let packed: Vec<f32> = queries.iter().flat_map(|query| query.vector).copied().collect();
    let lengths: Vec<f32> =
        queries.iter().map(|query| distance::norm_squared(query.vector).sqrt()).collect();
    let mut tops = vec![TopK::new(k); queries.len()];
    let mut products = Vec::new();
    let mut candidates = Vec::with_capacity(TILE);
    let mut distances = [0.0; TILE];
    for (tile_number, rows) in block.chunks(TILE * dim).enumerate() {
        let (first, count) = (tile_number * TILE, rows.len() / dim);
        let tile = Tile::of(queries[0].metric, rows, dim);
        products.resize(queries.len() * count, 0.0);
        many::ip(&packed, rows, dim, &mut products);
        for (n, products) in products.chunks_exact(count).enumerate() {
            let top = &mut tops[n];
            let threshold = if top.is_full() {
                tile.threshold(&queries[n], lengths[n], top.bound().distance())
            } else {
                f32::NEG_INFINITY
            };
            candidates.clear();
            tile.candidates(products, threshold, |row| {
                let row = first + row;
                if live.is_none_or(|live| live.get(row)) {
                    candidates.push(row_number(row));
                }
            });
            let distances = &mut distances[..candidates.len()];
            comparers[n].gather(&candidates, distances);
            for (&row, &distance) in candidates.iter().zip(&*distances) {
                top.push(Scored::new(distance, row));
            }
        }
    }
    Some(tops)
}

impl Tile {
    /// Calls `found` with every row whose value is not below `threshold`.
    #[inline]
    fn candidates(&self, products: &[f32], threshold: f32, mut found: impl FnMut(usize)) {
        const LANES: usize = 16;
        let parts = products.chunks(LANES).zip(self.scale.chunks(LANES));
        for (n, ((products, scale), offset)) in parts.zip(self.offset.chunks(LANES)).enumerate() {
            let values = || products.iter().zip(scale).zip(offset);
            // What is no number counts as found.
            let below = |((p, s), o): ((&f32, &f32), &f32)| p * s + o < threshold;
            if values().fold(true, |all, value| all & below(value)) {
                continue;
            }
            for (lane, value) in values().enumerate() {
                if !below(value) {
                    found(n * LANES + lane);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::MetricType;
    use proptest::prelude::*;

    use crate::brute::{brute_force, brute_force_many};
    use milvus_kernel::Bitset;

    fn numbers(count: usize, seed: usize, size: f32) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7919 + i / 13 * 31 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
            .map(|x| x * size)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn many_queries_find_what_each_finds_alone_to_the_bit(
            (rows, dim, queries) in (300usize..1200, 1usize..70, 8usize..20),
            (seed, k, exponent) in (0usize..1000, 1usize..12, -12i32..12),
            odd in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(vec![
                f32::NAN, f32::INFINITY, 0.0, 1e30, -3e38,
            ]))),
            every in 1usize..4,
        ) {
            let size = 10f32.powi(exponent);
            let mut block = numbers(rows * dim, seed, size);
            if let Some((row, value)) = odd {
                let row = row.index(rows);
                block[row * dim..(row + 1) * dim].fill(value);
            }
            let asked = numbers(queries * dim, seed + 1, size);
            let live = Bitset::from_bools((0..rows).map(|row| row % (every + 1) != 0));
            for metric in [MetricType::L2, MetricType::Ip, MetricType::Cosine] {
                for live in [None, Some(&live)] {
                    let many = brute_force_many(metric, &asked, dim, &block, live, k);
                    for (query, got) in asked.chunks_exact(dim).zip(&many) {
                        let want = brute_force(metric, query, &block, live, k);
                        let bits = |hits: &[crate::Hit]| -> Vec<(u32, u32)> {
                            hits.iter().map(|hit| (hit.row, hit.score.to_bits())).collect()
                        };
                        prop_assert_eq!(bits(got), bits(&want), "{}", metric);
                    }
                }
            }
        }
    }
}
