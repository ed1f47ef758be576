//! Four-bit codes of float vectors with a scale of their own (locally-adaptive vector quantisation,
//! LVQ-4), in rows of whole cache lines: the smallest thing that a graph walk can tell rows apart by.
//!
//! A row stands for `scale * (code - 7.5)` in each dimension. The scale makes the inner product of
//! the row with the vector it was made from right, so that estimates are unbiased. A query, or a row
//! that others are compared with, is taken with 8 bits: the estimate of a distance is
//! `bias + bias + factor * query scale * row scale * (dot - 7.5 * sum of the query)`.
//!
//! Layout of a row: `codes | scale f32 | bias f32`, little endian. Each line of 64 bytes holds the
//! codes of 64 dimensions in its low half-bytes and of the next 64 in its high ones; the 16
//! half-bytes that scale and bias take are passed over. A query has two planes of 64 signed bytes for
//! each line, with zeros over what is no code, so that kernels need no special end.

use crate::prefetch::CACHE_LINE;
use crate::simd::{Kernels, kernels};

/// Bytes behind the codes of a row.
const TAIL: usize = 8;
/// The middle of the codes 0 to 15.
const MIDDLE: f32 = 7.5;
/// Values beyond this share of the largest one are cut: finer steps for all are worth more.
const KEPT: f32 = 0.8;
/// Bytes of a query are within ± this.
const REACH: f32 = 127.0;

/// Bytes of a row that holds `dim` dimensions.
pub fn stride(dim: usize) -> usize {
    (dim.div_ceil(2) + TAIL).next_multiple_of(CACHE_LINE)
}

/// The most dimensions that rows of `stride` bytes hold.
pub fn capacity(stride: usize) -> usize {
    stride.saturating_sub(TAIL) * 2
}

/// The place of dimension `i` in the planes of rows of `stride` bytes.
#[inline]
fn place(i: usize, stride: usize) -> usize {
    // The last line has shorter planes, for the tail takes its last bytes.
    let (line, within) = (i / (2 * CACHE_LINE), i % (2 * CACHE_LINE));
    let last = line + 1 == stride / CACHE_LINE;
    let width = if last { CACHE_LINE - TAIL } else { CACHE_LINE };
    line * 2 * CACHE_LINE + within / width * CACHE_LINE + within % width
}

/// Encodes `values` into `row`, of [`stride`] bytes or more lines, with `bias`.
pub fn encode(values: &[f32], bias: f32, row: &mut [u8]) {
    let stride = row.len();
    assert!(
        stride.is_multiple_of(CACHE_LINE) && values.len() <= capacity(stride),
        "row and dimension disagree"
    );
    row.fill(0);
    let reach = values.iter().fold(0.0f32, |most, x| most.max(x.abs())) * KEPT;
    let inverse = if reach > 0.0 && reach.is_finite() { MIDDLE / reach } else { 0.0 };
    let (mut length, mut fit) = (0.0f32, 0.0f32);
    for (i, &x) in values.iter().enumerate() {
        let code = level(x * inverse);
        length += x * x;
        fit += x * (f32::from(code) - MIDDLE);
        let place = place(i, stride);
        let (line, within) = (place / (2 * CACHE_LINE), place % (2 * CACHE_LINE));
        let shift = if within < CACHE_LINE { 0 } else { 4 };
        row[line * CACHE_LINE + within % CACHE_LINE] |= code << shift;
    }
    let scale = if fit > 0.0 { length / fit } else { 0.0 };
    let scale = if scale.is_finite() { scale } else { 0.0 };
    row[stride - 8..stride - 4].copy_from_slice(&scale.to_le_bytes());
    row[stride - 4..].copy_from_slice(&bias.to_le_bytes());
}

/// The code nearest to `x`, which is in steps from the middle.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn level(x: f32) -> u8 {
    // NaN becomes 0.
    (x + 8.0).clamp(0.0, 15.0) as u8
}

#[inline(always)]
fn scale(row: &[u8]) -> f32 {
    let at = row.len() - 8;
    f32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
}

#[inline(always)]
fn bias(row: &[u8]) -> f32 {
    let at = row.len() - 4;
    f32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
}

/// What goes with the planes of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head {
    /// What a byte of the planes is worth.
    pub scale: f32,
    /// The sum of the planes.
    pub sum: i32,
    /// What the distance has of the query alone.
    pub bias: f32,
}

/// Encodes a query into `planes`, twice as long as the rows it will be compared with.
pub fn encode_query(values: &[f32], bias: f32, planes: &mut [i8]) -> Head {
    let stride = planes.len() / 2;
    assert!(values.len() <= capacity(stride), "planes and dimension disagree");
    planes.fill(0);
    let reach = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = if reach.is_finite() { reach / REACH } else { 0.0 };
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut sum = 0;
    for (i, &x) in values.iter().enumerate() {
        let value = nearest(x * inverse);
        sum += i32::from(value);
        planes[place(i, stride)] = value;
    }
    Head { scale, sum, bias }
}

/// The nearest whole number within ± `REACH`, ties to even; 0 of NaN.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "clamped to what an i8 holds")]
fn nearest(x: f32) -> i8 {
    // Adding 1.5 * 2^23 leaves no room for a fraction, and the sum's low bits are the number.
    const SHIFT: f32 = 12_582_912.0;
    let x = if x.is_nan() { 0.0 } else { x };
    (x.clamp(-REACH, REACH) + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i8
}

/// A query ready to be compared with rows.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    planes: &'a [i8],
    scale: f32,
    offset: f32,
    bias: f32,
}

impl<'a> Query<'a> {
    /// A query of `planes` and `head`, in distances with `factor` times the inner product.
    #[inline]
    pub fn new(planes: &'a [i8], head: Head, factor: f32) -> Self {
        let scale = head.scale * factor;
        Self { planes, scale, offset: scale * MIDDLE * head.sum as f32, bias: head.bias }
    }

    /// Bytes of the rows it is compared with.
    #[inline]
    pub fn stride(&self) -> usize {
        self.planes.len() / 2
    }

    #[inline(always)]
    fn distance(&self, row: &[u8], product: i32) -> f32 {
        self.bias + bias(row) + scale(row) * (self.scale * product as f32 - self.offset)
    }

    /// The distances to the rows of `codes` named by `rows`, into `out`. Prefetches nothing.
    pub fn gather(&self, codes: &[u8], rows: &[u32], out: &mut [f32]) {
        self.gather_with(kernels(), codes, rows, out);
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    fn gather_with(&self, table: &Kernels, codes: &[u8], rows: &[u32], out: &mut [f32]) {
        assert_eq!(rows.len(), out.len(), "rows and output disagree");
        let stride = self.stride();
        let row = |id: u32| &codes[id as usize * stride..][..stride];
        let (quads, rest) = rows.as_chunks::<4>();
        let (out_quads, out_rest) = out.as_chunks_mut::<4>();
        for (ids, scores) in quads.iter().zip(out_quads) {
            let near = ids.map(row);
            // SAFETY: the table was chosen for this CPU; rows are whole lines, planes twice as long.
            let products = unsafe { (table.lvq4_x4)(self.planes, near) };
            for ((score, row), product) in scores.iter_mut().zip(near).zip(products) {
                *score = self.distance(row, product);
            }
        }
        if let [first, ..] = rest {
            // One row may stand for several: what it gives is not looked at.
            let mut near = [row(*first); 4];
            rest.iter().zip(&mut near).for_each(|(&id, near)| *near = row(id));
            // SAFETY: as above.
            let products = unsafe { (table.lvq4_x4)(self.planes, near) };
            for ((score, row), product) in out_rest.iter_mut().zip(near).zip(products) {
                *score = self.distance(row, product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{Level, kernels_of};

    fn numbers(dim: usize, seed: usize) -> Vec<f32> {
        (0..dim).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn every_dimension_has_a_place_of_its_own_that_is_not_in_the_tail() {
        for stride in [64, 128, 192, 448] {
            let mut seen = vec![false; stride * 2];
            for i in 0..capacity(stride) {
                let place = place(i, stride);
                assert!(!std::mem::replace(&mut seen[place], true));
                let byte = place / 128 * 64 + place % 64;
                assert!(byte < stride - TAIL, "dimension {i} of stride {stride}");
            }
        }
        assert_eq!((stride(112), stride(113), stride(240), stride(241)), (64, 128, 128, 192));
    }

    #[test]
    fn estimates_are_near_the_distances_and_right_of_the_row_itself() {
        for dim in [1, 7, 100, 113, 240, 384, 1000] {
            let x = numbers(dim, 1);
            let mut planes = vec![0; 2 * stride(dim)];
            let head = encode_query(&x, dot(&x, &x), &mut planes);
            let query = Query::new(&planes, head, -2.0);
            for seed in 1..20 {
                let y = numbers(dim, seed);
                let mut row = vec![0; stride(dim)];
                encode(&y, dot(&y, &y), &mut row);
                let mut got = [0.0];
                query.gather(&row, &[0], &mut got);
                let want = dot(&x, &x) + dot(&y, &y) - 2.0 * dot(&x, &y);
                let size = (dot(&x, &x) * dot(&y, &y)).sqrt();
                let most = if seed == 1 { 0.02 } else { 0.6 / (dim as f32).sqrt() + 0.05 };
                assert!((got[0] - want).abs() <= most * size, "{dim} {seed}: {got:?} {want}");
            }
        }
    }

    #[test]
    fn zero_and_unsound_vectors_stand_for_nothing() {
        for x in [vec![0.0; 9], vec![f32::NAN; 9], vec![f32::INFINITY; 9]] {
            let mut row = vec![0; stride(9)];
            encode(&x, 0.0, &mut row);
            let mut planes = vec![0; 2 * stride(9)];
            let head = encode_query(&numbers(9, 3), 1.5, &mut planes);
            let mut got = [0.0];
            Query::new(&planes, head, -2.0).gather(&row, &[0], &mut got);
            assert_eq!(got, [1.5]);
            assert_eq!(encode_query(&x, 0.0, &mut planes).sum, 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_gives_the_same_bits(dim in 1usize..700, count in 1usize..11, seed in 0usize..99) {
            let stride = stride(dim);
            let mut codes = vec![0; stride * count];
            for (n, row) in codes.chunks_exact_mut(stride).enumerate() {
                encode(&numbers(dim, seed + n), n as f32, row);
            }
            let mut planes = vec![0; 2 * stride];
            let head = encode_query(&numbers(dim, seed + 50), 0.5, &mut planes);
            let query = Query::new(&planes, head, -2.0);
            let ids: Vec<u32> = (0u32..).take(count).collect();
            let mut want = vec![0.0; count];
            query.gather_with(kernels_of(Level::Portable), &codes, &ids, &mut want);
            for level in Level::ALL.into_iter().filter(|level| level.is_supported()) {
                let mut got = vec![0.0; count];
                query.gather_with(kernels_of(level), &codes, &ids, &mut got);
                prop_assert_eq!(&got, &want, "{:?}", level);
            }
        }
    }
}
