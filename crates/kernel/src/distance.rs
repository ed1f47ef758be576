//! Distances between float vectors: squared Euclidean, inner product, norms.
//!
//! `block`s are `[rows, dim] f32`, row-major, of any alignment. Nothing here allocates. Functions
//! panic where lengths disagree: callers have checked dimensions before they come here.

use crate::prefetch::prefetch_lines;
use crate::simd::{F32Pair, F32Quad, Kernels, kernels};

/// How far ahead of the rows being computed gathered rows are prefetched.
const AHEAD: usize = 4;
/// Cache lines of a gathered row that are prefetched; hardware follows from there.
const LINES: usize = 8;

/// The squared Euclidean distance of `a` and `b`.
#[inline]
pub fn l2(a: &[f32], b: &[f32]) -> f32 {
    pair(kernels().l2, a, b)
}

/// The inner product of `a` and `b`.
#[inline]
pub fn ip(a: &[f32], b: &[f32]) -> f32 {
    pair(kernels().ip, a, b)
}

/// The squared length of `a`.
#[inline]
pub fn norm_squared(a: &[f32]) -> f32 {
    ip(a, a)
}

/// One over the length of a vector with squared length `norm_squared`; 0 of the zero vector, so
/// that its cosine with anything is 0.
#[inline]
pub fn inverse_norm(norm_squared: f32) -> f32 {
    if norm_squared > 0.0 { 1.0 / norm_squared.sqrt() } else { 0.0 }
}

/// The squared Euclidean distances of `query` and each row of `block`, into `out`.
pub fn l2_rows(query: &[f32], block: &[f32], out: &mut [f32]) {
    l2_rows_with(kernels(), query, block, out);
}

pub(crate) fn l2_rows_with(table: &Kernels, query: &[f32], block: &[f32], out: &mut [f32]) {
    block_rows(table.l2_x4, table.l2, query, block, out);
}

/// The inner products of `query` and each row of `block`, into `out`.
pub fn ip_rows(query: &[f32], block: &[f32], out: &mut [f32]) {
    ip_rows_with(kernels(), query, block, out);
}

pub(crate) fn ip_rows_with(table: &Kernels, query: &[f32], block: &[f32], out: &mut [f32]) {
    block_rows(table.ip_x4, table.ip, query, block, out);
}

/// The squared Euclidean distances of `query` and the rows of `block` named by `rows`.
pub fn l2_gather(query: &[f32], block: &[f32], rows: &[u32], out: &mut [f32]) {
    gather(kernels().l2_x4, kernels().l2, query, block, rows, out);
}

/// The inner products of `query` and the rows of `block` named by `rows`.
pub fn ip_gather(query: &[f32], block: &[f32], rows: &[u32], out: &mut [f32]) {
    gather(kernels().ip_x4, kernels().ip, query, block, rows, out);
}

/// Inner products of `query` with each row of `block`, and the rows' squared lengths, reading the
/// block once.
pub fn ip_norm_rows(query: &[f32], block: &[f32], ips: &mut [f32], norms: &mut [f32]) {
    ip_norm_rows_with(kernels(), query, block, ips, norms);
}

/// The squared lengths of the rows of `block`, each of `dim` floats.
pub fn norms_squared(block: &[f32], dim: usize, out: &mut [f32]) {
    assert_eq!(block.len(), dim * out.len(), "block and output disagree");
    for (row, norm) in block.chunks_exact(dim.max(1)).zip(out) {
        *norm = norm_squared(row);
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn pair(kernel: F32Pair, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "dimensions disagree");
    // SAFETY: the table was chosen for this CPU, and the slices have the same length.
    unsafe { kernel(a, b) }
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn block_rows(quad: F32Quad, one: F32Pair, query: &[f32], block: &[f32], out: &mut [f32]) {
    let dim = query.len();
    assert_eq!(block.len(), dim * out.len(), "block and output disagree");
    let (quads, rest) = out.as_chunks_mut::<4>();
    let (body, tail) = block.split_at(quads.len() * 4 * dim);
    if dim == 0 {
        quads.as_flattened_mut().fill(0.0);
        rest.fill(0.0);
        return;
    }
    for (scores, rows) in quads.iter_mut().zip(body.chunks_exact(4 * dim)) {
        let (ab, cd) = rows.split_at(2 * dim);
        let ((a, b), (c, d)) = (ab.split_at(dim), cd.split_at(dim));
        // SAFETY: the table was chosen for this CPU, and every row has the query's length.
        *scores = unsafe { quad(query, [a, b, c, d]) };
    }
    for (score, row) in rest.iter_mut().zip(tail.chunks_exact(dim)) {
        *score = pair(one, query, row);
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn gather(
    quad: F32Quad,
    one: F32Pair,
    query: &[f32],
    block: &[f32],
    rows: &[u32],
    out: &mut [f32],
) {
    assert_eq!(rows.len(), out.len(), "rows and output disagree");
    let dim = query.len();
    let row = |id: u32| &block[id as usize * dim..][..dim];
    let (quads, rest) = rows.as_chunks::<4>();
    let (out_quads, out_rest) = out.as_chunks_mut::<4>();
    for (n, (ids, scores)) in quads.iter().zip(out_quads).enumerate() {
        for &id in rows.iter().skip(n * 4 + AHEAD).take(4) {
            prefetch_lines(row(id), LINES);
        }
        // SAFETY: the table was chosen for this CPU, and every row has the query's length.
        *scores = unsafe { quad(query, ids.map(row)) };
    }
    for (&id, score) in rest.iter().zip(out_rest) {
        *score = pair(one, query, row(id));
    }
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn ip_norm_rows_with(
    table: &Kernels,
    query: &[f32],
    block: &[f32],
    ips: &mut [f32],
    norms: &mut [f32],
) {
    let dim = query.len();
    assert_eq!(block.len(), dim * ips.len(), "block and output disagree");
    assert_eq!(ips.len(), norms.len(), "outputs disagree");
    if dim == 0 {
        ips.fill(0.0);
        norms.fill(0.0);
        return;
    }
    let (ip_quads, ip_rest) = ips.as_chunks_mut::<4>();
    let (norm_quads, norm_rest) = norms.as_chunks_mut::<4>();
    let (body, tail) = block.split_at(ip_quads.len() * 4 * dim);
    for ((ips, norms), rows) in ip_quads.iter_mut().zip(norm_quads).zip(body.chunks_exact(4 * dim))
    {
        let (ab, cd) = rows.split_at(2 * dim);
        let ((a, b), (c, d)) = (ab.split_at(dim), cd.split_at(dim));
        // SAFETY: the table was chosen for this CPU, and every row has the query's length.
        (*ips, *norms) = unsafe { (table.ip_norm_x4)(query, [a, b, c, d]) };
    }
    for ((ip, norm), row) in ip_rest.iter_mut().zip(norm_rest).zip(tail.chunks_exact(dim)) {
        *ip = pair(table.ip, query, row);
        *norm = pair(table.ip, row, row);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::every_table;

    /// A sum in double precision, and how far a single-precision one may be from it.
    fn exact(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
        let terms = a.iter().zip(b).map(|(&x, &y)| term(f64::from(x), f64::from(y)));
        let (sum, magnitude) = terms.fold((0.0, 0.0), |(s, m), t| (s + t, m + t.abs()));
        (sum, magnitude * 1e-5 + 1e-6)
    }

    fn check(table: &Kernels, query: &[f32], block: &[f32]) {
        let level = table.level;
        let dim = query.len();
        let rows = block.len() / dim;
        let mut ids: Vec<u32> = (0u32..).take(rows).collect();
        ids.reverse();
        let (mut l2s, mut ips) = (vec![0.0; rows], vec![0.0; rows]);
        block_rows(table.l2_x4, table.l2, query, block, &mut l2s);
        block_rows(table.ip_x4, table.ip, query, block, &mut ips);
        let (mut l2g, mut ipg) = (vec![0.0; rows], vec![0.0; rows]);
        gather(table.l2_x4, table.l2, query, block, &ids, &mut l2g);
        gather(table.ip_x4, table.ip, query, block, &ids, &mut ipg);
        let (mut fused, mut norms) = (vec![0.0; rows], vec![0.0; rows]);
        ip_norm_rows_with(table, query, block, &mut fused, &mut norms);
        for (n, row) in block.chunks_exact(dim).enumerate() {
            let (want, slack) = exact(query, row, |x, y| (x - y) * (x - y));
            assert!((f64::from(l2s[n]) - want).abs() <= slack, "{level:?} l2 {} {want}", l2s[n]);
            let (want, slack) = exact(query, row, |x, y| x * y);
            assert!((f64::from(ips[n]) - want).abs() <= slack, "{level:?} ip {} {want}", ips[n]);
            let bits = |x: f32| x.to_bits();
            assert_eq!(bits(l2s[n]), bits(pair(table.l2, query, row)), "{level:?} l2 alone");
            assert_eq!(bits(ips[n]), bits(pair(table.ip, query, row)), "{level:?} ip alone");
            assert_eq!(bits(l2s[n]), bits(l2g[rows - 1 - n]), "{level:?} l2 gathered");
            assert_eq!(bits(ips[n]), bits(ipg[rows - 1 - n]), "{level:?} ip gathered");
            assert_eq!(bits(ips[n]), bits(fused[n]), "{level:?} ip fused");
            assert_eq!(bits(norms[n]), bits(pair(table.ip, row, row)), "{level:?} norm fused");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_agrees_with_double_precision_at_any_dimension_and_alignment(
            dim in 1usize..200,
            rows in 0usize..11,
            shift in 0usize..5,
            seed in prop::collection::vec(-10.0f32..10.0, 64),
        ) {
            let value = |i: usize| seed[i % seed.len()] * ((i % 7) as f32 - 3.0);
            let data: Vec<f32> = (0..shift + dim * (rows + 1)).map(value).collect();
            let (query, block) = data[shift..].split_at(dim);
            for table in every_table() {
                check(table, query, block);
            }
        }
    }

    #[test]
    fn the_zero_vector_has_cosine_zero() {
        assert_eq!(inverse_norm(norm_squared(&[0.0; 5])), 0.0);
        assert_eq!(inverse_norm(norm_squared(&[3.0, 4.0])), 0.2);
    }

    #[test]
    #[should_panic(expected = "dimensions disagree")]
    fn lengths_are_checked_before_any_kernel_runs() {
        l2(&[1.0], &[1.0, 2.0]);
    }
}
