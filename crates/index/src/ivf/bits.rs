//! One bit for each dimension: the direction from a row's centroid, turned at random (RaBitQ).
//!
//! The difference of a row and its centroid is turned by a fixed rotation that spreads it evenly
//! over all dimensions, padded to a power of two; a code is the signs of what comes out. The inner
//! product of a code with the turned difference of a query and the same centroid, over how well the
//! code fits its row, estimates the inner product of the two differences, from which the distance
//! follows. A query makes a table of its sums for each byte of a code, for each list anew.

use milvus_kernel::distance;

use crate::score::Metric;

/// Numbers kept of each row beside its code: the length of its difference, that length over how
/// well the code fits, and the inner product of difference and centroid.
pub(super) const FACTS: usize = 3;
/// Entries of a table: one for each byte.
const BYTES: usize = 256;
/// How often signs are flipped and sums taken; a few times spread anything.
const ROUNDS: u64 = 3;

/// Dimensions of codes of vectors of `dim`: a power of two, whole bytes.
pub(super) fn padded(dim: usize) -> usize {
    dim.next_power_of_two().max(8)
}

/// Whether the rotation flips dimension `i` in `round`: looks random, is the same everywhere.
fn flips(round: u64, i: usize) -> bool {
    let x = (i as u64 + 1 + (round << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 63 == 1
}

/// Turns `x`, whose length is a power of two; its Euclidean length stays.
fn rotate(x: &mut [f32]) {
    let scale = 1.0 / (x.len() as f32).sqrt();
    for round in 0..ROUNDS {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= if flips(round, i) { -scale } else { scale };
        }
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
    }
}

/// The difference of `floats` and `centroid`, turned, into `out`.
fn turned(floats: &[f32], centroid: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(floats.iter().zip(centroid).map(|(x, c)| x - c));
    out.resize(padded(floats.len()), 0.0);
    rotate(out);
}

/// Encodes `floats`, of the list around `centroid`, into `code`; its facts. `buffer` is scratch
/// space.
pub(super) fn encode(
    floats: &[f32],
    centroid: &[f32],
    buffer: &mut Vec<f32>,
    code: &mut [u8],
) -> [f32; FACTS] {
    turned(floats, centroid, buffer);
    for (byte, signs) in code.iter_mut().zip(buffer.chunks_exact(8)) {
        *byte = signs.iter().enumerate().fold(0, |byte, (n, x)| byte | u8::from(*x > 0.0) << n);
    }
    let length = distance::norm_squared(buffer).sqrt();
    let fit = buffer.iter().map(|x| x.abs()).sum::<f32>() / (buffer.len() as f32).sqrt();
    let ratio = if fit > 0.0 { length * length / fit } else { 0.0 };
    let along = distance::ip(floats, centroid) - distance::norm_squared(centroid);
    [length, ratio, along].map(|fact| if fact.is_finite() { fact } else { 0.0 })
}

/// A query beside the codes of one list at a time.
pub(super) struct BitQuery<'a> {
    metric: Metric,
    floats: &'a [f32],
    codes: &'a [u8],
    facts: &'a [f32],
    turned: Vec<f32>,
    table: Vec<f32>,
    /// The squared distance of query and centroid, and their inner product.
    apart: f32,
    along: f32,
}

impl<'a> BitQuery<'a> {
    pub(super) fn new(
        metric: Metric,
        floats: &'a [f32],
        codes: &'a [u8],
        facts: &'a [f32],
    ) -> Self {
        let table = vec![0.0; padded(floats.len()) / 8 * BYTES];
        Self { metric, floats, codes, facts, turned: Vec::new(), table, apart: 0.0, along: 0.0 }
    }

    /// Turns to the list around `centroid`.
    pub(super) fn enter(&mut self, centroid: &[f32]) {
        turned(self.floats, centroid, &mut self.turned);
        self.apart = distance::norm_squared(&self.turned);
        self.along = distance::ip(self.floats, centroid);
        let scale = 1.0 / (self.turned.len() as f32).sqrt();
        let parts = self.turned.chunks_exact(8);
        for (part, table) in parts.zip(self.table.chunks_exact_mut(BYTES)) {
            table[0] = -part.iter().sum::<f32>() * scale;
            for byte in 1..BYTES {
                let added = part[byte.trailing_zeros() as usize];
                table[byte] = table[byte & (byte - 1)] + 2.0 * added * scale;
            }
        }
    }

    /// Estimated distances to the codes at `places`, all of the list that was entered.
    pub(super) fn distances(&self, places: &[u32], out: &mut [f32]) {
        let width = self.turned.len() / 8;
        for (&place, out) in places.iter().zip(out) {
            let place = place as usize;
            let code = &self.codes[place * width..][..width];
            let parts = code.iter().zip(self.table.chunks_exact(BYTES));
            let sum: f32 = parts.map(|(&byte, table)| table[usize::from(byte)]).sum();
            let facts = &self.facts[place * FACTS..][..FACTS];
            let product = facts[1] * sum;
            *out = if self.metric == Metric::Ip {
                -(product + facts[2] + self.along)
            } else {
                facts[0] * facts[0] + self.apart - 2.0 * product
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    #[test]
    fn turning_keeps_lengths_and_spreads_them() {
        let mut x = vec![0.0; 64];
        x[5] = 8.0;
        rotate(&mut x);
        assert!((distance::norm_squared(&x) - 64.0).abs() < 1e-3);
        assert!(x.iter().all(|x| x.abs() < 5.0));
    }

    #[test]
    fn estimates_are_near_the_distances() {
        let dim = 100;
        let (centroid, query) = (numbers(dim, 1), numbers(dim, 2));
        for metric in [Metric::L2, Metric::Ip] {
            let (mut wrong, mut size) = (0.0, 0.0);
            for seed in 3..40 {
                let row = numbers(dim, seed);
                let mut code = vec![0; padded(dim) / 8];
                let facts = encode(&row, &centroid, &mut Vec::new(), &mut code);
                let mut bits = BitQuery::new(metric, &query, &code, &facts);
                bits.enter(&centroid);
                let mut got = [0.0];
                bits.distances(&[0], &mut got);
                let want = if metric == Metric::Ip {
                    -distance::ip(&query, &row)
                } else {
                    distance::l2(&query, &row)
                };
                wrong += (got[0] - want).abs();
                size += distance::norm_squared(&row).sqrt() * distance::norm_squared(&query).sqrt();
            }
            assert!(wrong < 0.2 * size, "{metric:?} {wrong} {size}");
        }
        let mut code = vec![0; padded(dim) / 8];
        assert_eq!(encode(&centroid, &centroid, &mut Vec::new(), &mut code)[1], 0.0);
    }
}
