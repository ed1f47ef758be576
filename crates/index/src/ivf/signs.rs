//! One bit for each dimension: the direction of a row from its centroid, turned at random (RaBitQ).
//!
//! The difference `r` of a row and its centroid is turned by a fixed rotation that spreads it evenly
//! over all dimensions; a code is the signs of what comes out. The inner product of a turned query
//! with the signs, times how much longer the row is than what they say of it, estimates the inner
//! product of query and difference. Queries are centred by the mean of all rows rather than by the
//! centroid, so that one set of tables serves every list; what the centroid adds is kept of each row:
//!
//! - L2: `|q - x|² = |q - c|² + |r|² + 2 <c - m, r> - 2 <q - m, r>`;
//! - IP: `-<q, x> = -<q, c> - <m, r> - <q - m, r>`.
//!
//! Codes lie in blocks of 32 rows for `milvus_kernel::fastscan`, each list beginning a block. Bits
//! behind the first are in `planes`.
//! Source: RaBitQ (arXiv 2405.12497).

use milvus_kernel::fastscan::{self, BLOCK, Scale, quantise_tables};
use milvus_kernel::{Scored, TopK, distance, rabitq};

use super::blocks::{Lists, push_block};
use super::planes::{Planes, PlanesQuery};
use crate::score::Metric;
use crate::section::Section;

/// Numbers kept of each row beside its code: what its distance has of the row alone, and what the
/// sum of signs is worth.
pub(super) const FACTS: usize = 2;
/// How often signs are flipped and sums taken; a few times spread anything.
const ROUNDS: u64 = 4;

/// The codes of all rows.
pub(super) struct Signs {
    /// The mean of all rows, `[dim]`.
    pub(super) mean: Section<f32>,
    /// Blocks of codes, list after list.
    pub(super) blocks: Section<u8>,
    /// `[rows, FACTS]`, in the order of the lists.
    pub(super) facts: Section<f32>,
    /// The bits behind the first, where there are more.
    pub(super) planes: Option<Planes>,
}

/// Dimensions of codes of vectors of `dim`.
pub(super) fn padded(dim: usize) -> usize {
    dim.next_multiple_of(8)
}

/// Parts of the codes of vectors of `dim`.
pub(super) fn parts(dim: usize) -> usize {
    rabitq::signs::parts(padded(dim))
}

/// Whether the rotation flips dimension `i` in `round`: looks random, is the same everywhere.
fn flips(round: u64, i: usize) -> bool {
    let x = (i as u64 + 1 + (round << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 63 == 1
}

/// Sums and differences, again and again, of `x`, whose length is a power of two; its Euclidean
/// length stays.
fn hadamard(x: &mut [f32]) {
    let mut half = 1;
    while half < x.len() {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (x.len() as f32).sqrt();
    x.iter_mut().for_each(|x| *x *= scale);
}

/// Turns `x`; its Euclidean length stays. Its beginning and its end take turns, where its length is
/// no power of two.
fn rotate(x: &mut [f32]) {
    let power = 1 << x.len().ilog2();
    let rest = x.len() - power;
    for round in 0..ROUNDS {
        for (i, x) in x.iter_mut().enumerate() {
            *x = if flips(round, i) { -*x } else { *x };
        }
        let start = if round % 2 == 0 { 0 } else { rest };
        hadamard(&mut x[start..start + power]);
    }
}

/// The difference of `floats` and `from`, turned, into `out`.
fn turned(floats: &[f32], from: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(floats.iter().zip(from).map(|(x, c)| x - c));
    out.resize(padded(floats.len()), 0.0);
    rotate(out);
}

/// Encodes `floats`, of the list around `centroid`, into `codes`, one of each part; its facts.
/// `buffer` is scratch space, and holds what was turned afterwards.
pub(super) fn encode(
    metric: Metric,
    floats: &[f32],
    centroid: &[f32],
    mean: &[f32],
    buffer: &mut Vec<f32>,
    codes: &mut [u8],
) -> [f32; FACTS] {
    buffer.clear();
    buffer.extend(floats.iter().zip(centroid).map(|(x, c)| x - c));
    let base = if metric == Metric::Ip {
        -distance::ip(buffer, mean)
    } else {
        let along = distance::ip(buffer, centroid) - distance::ip(buffer, mean);
        distance::norm_squared(buffer) + 2.0 * along
    };
    turned(floats, centroid, buffer);
    for (code, signs) in codes.iter_mut().zip(buffer.chunks(4)) {
        *code = signs.iter().enumerate().fold(0, |code, (n, x)| code | u8::from(*x > 0.0) << n);
    }
    let fit: f32 = buffer.iter().map(|x| x.abs()).sum();
    let worth = if fit > 0.0 { distance::norm_squared(buffer) / fit } else { 0.0 };
    [base, worth * factor(metric)].map(|fact| if fact.is_finite() { fact } else { 0.0 })
}

/// A query beside the codes.
pub(super) struct SignsQuery<'a> {
    signs: &'a Signs,
    tables: Vec<u8>,
    scale: Scale,
    planes: Option<PlanesQuery<'a>>,
}

impl Signs {
    /// `floats`, widened as the rows were, beside the codes; `bits` of each dimension beside those
    /// behind the first, 0 for as many as there are.
    pub(super) fn query(&self, floats: &[f32], bits: u8) -> SignsQuery<'_> {
        let mut rotated = Vec::new();
        turned(floats, self.mean.as_slice(), &mut rotated);
        let parts = parts(floats.len());
        let mut sums = vec![0.0; parts * fastscan::ENTRIES];
        rabitq::signs::tables(&rotated, &mut sums);
        let mut tables = vec![0; fastscan::table_bytes(parts)];
        let scale = quantise_tables(&sums, fastscan::ENTRIES, &mut tables);
        let planes = self.planes.as_ref().map(|planes| planes.query(&rotated, bits));
        SignsQuery { signs: self, tables, scale, planes }
    }

    pub(super) fn bytes(&self) -> u64 {
        let planes = self.planes.as_ref().map_or(0, Planes::bytes);
        self.mean.bytes() + self.blocks.bytes() + self.facts.bytes() + planes
    }
}

impl SignsQuery<'_> {
    /// Offers the rows of `list` to `top` by estimated distance; `apart` is what the distance has of
    /// query and centroid. `each` says which rows may be offered.
    pub(super) fn scan(
        &self,
        lists: &Lists<'_>,
        list: usize,
        apart: f32,
        is_live: impl Fn(u32) -> bool,
        top: &mut TopK,
    ) {
        let (range, first_block) = (lists.range(list), lists.first_block(list));
        let blocks = self.signs.blocks.as_slice().chunks_exact(self.tables.len());
        let rows = &lists.rows[range.clone()];
        let facts = &self.signs.facts.as_slice()[range.start * FACTS..range.end * FACTS];
        let facts = facts.as_chunks::<FACTS>().0;
        let mut sums = [0u16; BLOCK];
        let mut distances = [0.0f32; BLOCK];
        let parts = rows.chunks(BLOCK).zip(facts.chunks(BLOCK));
        let mut place = range.start;
        for (block, (rows, facts)) in blocks.skip(first_block).zip(parts) {
            fastscan::scan(&self.tables, block, &mut sums);
            for ((distance, fact), &sum) in distances.iter_mut().zip(facts).zip(&sums) {
                *distance = apart + fact[0] + fact[1] * self.scale.value(sum);
            }
            if let Some(planes) = &self.planes {
                let base = |n: usize| (apart + facts[n][0], self.scale.value(sums[n]));
                push_exact(planes, (rows, place), (&distances, &base), &is_live, top);
            } else {
                push_block(rows, &distances, &is_live, top);
            }
            place += rows.len();
        }
    }
}

/// Offers `rows`, which begin at `place`, to `top` by all bits of their codes, where `distances` by
/// their signs do not rule them out. `base` is what a row's distance has besides the product, and the
/// product with its signs.
#[inline]
fn push_exact(
    planes: &PlanesQuery<'_>,
    (rows, place): (&[u32], usize),
    (distances, base): (&[f32; BLOCK], &impl Fn(usize) -> (f32, f32)),
    is_live: impl Fn(u32) -> bool,
    top: &mut TopK,
) {
    let facts = planes.facts(place..place + rows.len());
    for (n, ((&row, &distance), facts)) in rows.iter().zip(distances).zip(facts).enumerate() {
        let beyond = top.is_full() && distance - planes.slack(facts) > top.bound().distance();
        if !beyond && is_live(row) {
            let (rest, signs) = base(n);
            top.push(Scored::new(rest + planes.product(place + n, facts, signs), row));
        }
    }
}

/// The factor of products in distances.
pub(super) fn factor(metric: Metric) -> f32 {
    if metric == Metric::Ip { -1.0 } else { -2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    #[test]
    fn turning_keeps_lengths_and_spreads_them() {
        for len in [64, 104, 384] {
            let mut x = vec![0.0; len];
            x[len - 5] = 8.0;
            rotate(&mut x);
            assert!((distance::norm_squared(&x) - 64.0).abs() < 1e-2);
            assert!(x.iter().all(|x| x.abs() < 6.0), "{len}");
        }
    }

    #[test]
    fn estimates_are_near_the_distances() {
        let dim = 100;
        let (centroid, mean, query) = (numbers(dim, 1), numbers(dim, 90), numbers(dim, 2));
        let vectors: Vec<Vec<f32>> = (3..40).map(|seed| numbers(dim, seed)).collect();
        for metric in [Metric::L2, Metric::Ip] {
            let mut codes = vec![0; vectors.len() * parts(dim)];
            let mut facts = Vec::new();
            for (row, code) in vectors.iter().zip(codes.chunks_exact_mut(parts(dim))) {
                facts.extend(encode(metric, row, &centroid, &mean, &mut Vec::new(), code));
            }
            let mut blocks =
                vec![0; vectors.len().div_ceil(BLOCK) * fastscan::block_bytes(parts(dim))];
            fastscan::pack(&codes, parts(dim), &mut blocks);
            let signs = Signs {
                mean: mean.clone().into(),
                blocks: blocks.into(),
                facts: facts.into(),
                planes: None,
            };
            let rows: Vec<u32> = (0u32..).take(vectors.len()).collect();
            let ends = [u32::try_from(vectors.len()).unwrap()];
            let lists = Lists::new(&rows, &ends, BLOCK);
            let apart = if metric == Metric::Ip {
                -distance::ip(&query, &centroid)
            } else {
                distance::l2(&query, &centroid)
            };
            let mut top = TopK::new(vectors.len());
            signs.query(&query, 0).scan(&lists, 0, apart, |_| true, &mut top);
            let (mut wrong, mut size) = (0.0, 0.0);
            for scored in top.into_sorted() {
                let row = &vectors[scored.row() as usize];
                let want = if metric == Metric::Ip {
                    -distance::ip(&query, row)
                } else {
                    distance::l2(&query, row)
                };
                wrong += (scored.distance() - want).abs();
                size += distance::norm_squared(row).sqrt() * distance::norm_squared(&query).sqrt();
            }
            assert!(size > 0.0 && wrong < 0.2 * size, "{metric:?} {wrong} {size}");
        }
    }
}
