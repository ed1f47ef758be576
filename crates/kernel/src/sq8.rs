//! Eight-bit codes of float vectors, for finding candidates; exact scores come from the floats.
//!
//! A vector `x`, centred by the index's mean, is kept as `scale * (code - 128)` for each dimension,
//! with a scale of its own. The distance of two coded vectors is
//! `bias + bias + factor * scale * scale * dot`, where `dot` is an integer and the biases carry
//! what depends on one vector alone, so that one kernel serves L2, IP and COSINE.
//!
//! Layout of a row, little endian, [`stride`] bytes:
//! `scale f32 | bias f32 | sum of (code - 128) i32 | 0 u32 | codes | 128 ... to a cache line`

use crate::prefetch::{CACHE_LINE, prefetch_lines};
use crate::simd::{Kernels, kernels};

/// Bytes before the codes of a row.
pub const HEADER: usize = 16;
/// The code of zero.
const ZERO: u8 = 128;
/// Codes are within `ZERO` ± this.
const REACH: f32 = 127.0;
/// Dimensions whose squares are summed in 32 bits.
const CHUNK: usize = 1024;
/// How far ahead of the rows being computed rows are prefetched.
const AHEAD: usize = 12;

/// Bytes of a coded row of `dim` dimensions: a whole number of cache lines.
pub fn stride(dim: usize) -> usize {
    (HEADER + dim).next_multiple_of(CACHE_LINE)
}

/// Encodes `centred` into `row`, of [`stride`] bytes, with bias 0. Returns the squared length of
/// the vector that the codes stand for.
pub fn encode(centred: &[f32], row: &mut [u8]) -> f32 {
    assert_eq!(row.len(), stride(centred.len()), "row and dimension disagree");
    let reach = centred.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = if reach.is_finite() { reach / REACH } else { 0.0 };
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let (header, codes) = row.split_at_mut(HEADER);
    codes.fill(ZERO);
    let (mut sum, mut squares) = (0i32, 0i64);
    for (codes, values) in codes.chunks_mut(CHUNK).zip(centred.chunks(CHUNK)) {
        let mut part = 0i32;
        for (code, &x) in codes.iter_mut().zip(values) {
            let value = quantise(x * inverse);
            *code = ZERO.wrapping_add_signed(value);
            sum += i32::from(value);
            part += i32::from(value).pow(2);
        }
        squares += i64::from(part);
    }
    header[0..4].copy_from_slice(&scale.to_le_bytes());
    header[4..8].copy_from_slice(&0f32.to_le_bytes());
    header[8..12].copy_from_slice(&sum.to_le_bytes());
    header[12..16].fill(0);
    scale * scale * squares as f32
}

/// The nearest whole number within ± `REACH`, ties to even; 0 of NaN.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "clamped to what an i8 holds")]
fn quantise(x: f32) -> i8 {
    // Adding 1.5 * 2^23 leaves no room for a fraction, and the sum's low bits are the number.
    const SHIFT: f32 = 12_582_912.0;
    let x = if x.is_nan() { 0.0 } else { x };
    let shifted = x.clamp(-REACH, REACH) + SHIFT;
    (shifted.to_bits().wrapping_sub(SHIFT.to_bits())) as i8
}

/// Sets the bias of `row`.
pub fn set_bias(row: &mut [u8], bias: f32) {
    row[4..8].copy_from_slice(&bias.to_le_bytes());
}

/// The scale of `row`.
#[inline]
pub fn scale(row: &[u8]) -> f32 {
    f32::from_le_bytes([row[0], row[1], row[2], row[3]])
}

/// The bias of `row`.
#[inline]
pub fn bias(row: &[u8]) -> f32 {
    f32::from_le_bytes([row[4], row[5], row[6], row[7]])
}

#[inline]
fn sum(row: &[u8]) -> i32 {
    i32::from_le_bytes([row[8], row[9], row[10], row[11]])
}

/// The header of a coded query, read once.
struct Query<'a> {
    codes: &'a [u8],
    scale: f32,
    bias: f32,
    /// What the offset of the row's codes adds to the integer product.
    offset: i32,
}

impl<'a> Query<'a> {
    #[inline(always)]
    fn new(row: &'a [u8], factor: f32) -> Self {
        Self {
            codes: &row[HEADER..],
            scale: scale(row) * factor,
            bias: bias(row),
            offset: sum(row).wrapping_mul(i32::from(ZERO)),
        }
    }

    #[inline(always)]
    fn distance(&self, row: &[u8], product: i32) -> f32 {
        self.bias + bias(row) + self.scale * scale(row) * product.wrapping_sub(self.offset) as f32
    }
}

/// The distance of coded rows `a` and `b`: biases plus `factor` times their inner product.
#[inline]
pub fn distance(a: &[u8], b: &[u8], factor: f32) -> f32 {
    distance_with(kernels(), a, b, factor)
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn distance_with(table: &Kernels, a: &[u8], b: &[u8], factor: f32) -> f32 {
    assert_eq!(a.len(), b.len(), "strides disagree");
    let query = Query::new(a, factor);
    // SAFETY: the table was chosen for this CPU, and the slices have the same length.
    let product = unsafe { (table.code)(query.codes, &b[HEADER..]) };
    query.distance(b, product)
}

/// The distances of coded row `query` and the rows of `codes` named by `rows`, into `out`.
pub fn gather(query: &[u8], codes: &[u8], rows: &[u32], factor: f32, out: &mut [f32]) {
    gather_with(kernels(), query, codes, rows, factor, out);
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn gather_with(
    table: &Kernels,
    query: &[u8],
    codes: &[u8],
    rows: &[u32],
    factor: f32,
    out: &mut [f32],
) {
    assert_eq!(rows.len(), out.len(), "rows and output disagree");
    let stride = query.len();
    let row = |id: u32| &codes[id as usize * stride..][..stride];
    let head = Query::new(query, factor);
    let (quads, rest) = rows.as_chunks::<4>();
    let (out_quads, out_rest) = out.as_chunks_mut::<4>();
    for &id in rows.iter().take(AHEAD) {
        prefetch_lines(row(id), usize::MAX);
    }
    for (n, (ids, scores)) in quads.iter().zip(out_quads).enumerate() {
        for &id in rows.iter().skip(n * 4 + AHEAD).take(4) {
            prefetch_lines(row(id), usize::MAX);
        }
        let near = ids.map(row);
        // SAFETY: the table was chosen for this CPU, and every row has the query's length.
        let products = unsafe { (table.code_x4)(head.codes, near.map(|row| &row[HEADER..])) };
        for ((score, row), product) in scores.iter_mut().zip(near).zip(products) {
            *score = head.distance(row, product);
        }
    }
    for (&id, score) in rest.iter().zip(out_rest) {
        *score = distance_with(table, query, row(id), factor);
    }
}

/// The distances of coded row `query` and consecutive coded rows `block`, into `out`.
pub fn block(query: &[u8], block: &[u8], factor: f32, out: &mut [f32]) {
    block_with(kernels(), query, block, factor, out);
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn block_with(table: &Kernels, query: &[u8], block: &[u8], factor: f32, out: &mut [f32]) {
    let stride = query.len();
    assert_eq!(block.len(), stride * out.len(), "block and output disagree");
    let head = Query::new(query, factor);
    let (quads, rest) = out.as_chunks_mut::<4>();
    let (body, tail) = block.split_at(quads.len() * 4 * stride);
    for (scores, rows) in quads.iter_mut().zip(body.chunks_exact(4 * stride)) {
        let (ab, cd) = rows.split_at(2 * stride);
        let ((a, b), (c, d)) = (ab.split_at(stride), cd.split_at(stride));
        let rows = [a, b, c, d];
        // SAFETY: the table was chosen for this CPU, and every row has the query's length.
        let products = unsafe { (table.code_x4)(head.codes, rows.map(|row| &row[HEADER..])) };
        for ((score, row), product) in scores.iter_mut().zip(rows).zip(products) {
            *score = head.distance(row, product);
        }
    }
    for (score, row) in rest.iter_mut().zip(tail.chunks_exact(stride)) {
        *score = distance_with(table, query, row, factor);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{Level, every_table, kernels_of};

    fn coded(rows: &[Vec<f32>]) -> Vec<u8> {
        let stride = rows.first().map_or(0, |row| stride(row.len()));
        let mut codes = vec![0; stride * rows.len()];
        for (row, code) in rows.iter().zip(codes.chunks_exact_mut(stride.max(1))) {
            let norm = encode(row, code);
            set_bias(code, norm);
        }
        codes
    }

    #[test]
    fn codes_are_within_half_a_step_of_the_vector() {
        let x: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let y: Vec<f32> = (0..37).map(|i| (i as f32 * 0.3).cos() * 2.0).collect();
        let codes = coded(&[x.clone(), y.clone()]);
        let (a, b) = codes.split_at(stride(37));
        for (code, value) in a[HEADER..].iter().zip(&x) {
            let decoded = scale(a) * (f32::from(*code) - 128.0);
            assert!((decoded - value).abs() <= scale(a) * 0.5001, "{decoded} {value}");
        }
        let want: f32 = x.iter().zip(&y).map(|(x, y)| (x - y) * (x - y)).sum();
        assert!((distance(a, b, -2.0) - want).abs() < 0.02 * want);
        assert!(distance(a, a, -2.0).abs() < 1e-3);
    }

    #[test]
    fn zero_and_unsound_vectors_get_codes_of_zero() {
        for x in [vec![0.0; 9], vec![f32::NAN; 9], vec![f32::INFINITY; 9]] {
            let codes = coded(&[x]);
            assert!(codes[HEADER..].iter().all(|&code| code == ZERO));
            assert_eq!(distance(&codes, &codes, -2.0), 0.0);
        }
    }

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        for step in -1400i16..1400 {
            let x = f32::from(step) / 10.0;
            let want = x.clamp(-REACH, REACH).round_ties_even();
            assert_eq!(f32::from(quantise(x)), want, "{x}");
        }
        assert_eq!((quantise(f32::NAN), quantise(f32::INFINITY)), (0, 127));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_gives_the_same_bits(
            dim in 1usize..300,
            count in 1usize..11,
            bytes in prop::collection::vec(-1.0f32..1.0, 97),
        ) {
            let rows: Vec<Vec<f32>> = (0..count)
                .map(|n| (0..dim).map(|i| bytes[(n * 31 + i * 7) % bytes.len()]).collect())
                .collect();
            let codes = coded(&rows);
            let stride = stride(dim);
            let query = &codes[..stride];
            let want: Vec<f32> = codes
                .chunks_exact(stride)
                .map(|row| distance_with(kernels_of(Level::Portable), query, row, -2.0))
                .collect();
            let ids: Vec<u32> = (0u32..).take(count).collect();
            for table in every_table() {
                let mut got = vec![0.0; count];
                gather_with(table, query, &codes, &ids, -2.0, &mut got);
                prop_assert_eq!(&got, &want, "{:?}", table.level);
                block_with(table, query, &codes, -2.0, &mut got);
                prop_assert_eq!(&got, &want, "{:?}", table.level);
            }
        }
    }

    #[test]
    fn the_largest_dimension_does_not_overflow() {
        let codes = coded(&[vec![1.0; 32768], vec![-1.0; 32768]]);
        let (a, b) = codes.split_at(stride(32768));
        for table in every_table() {
            let d = distance_with(table, a, b, -2.0);
            assert!((d - 4.0 * 32768.0).abs() < 1.0, "{:?} {d}", table.level);
        }
    }
}
