//! Inner products of many queries and rows in bfloat16, and how far they may be from exact.
//!
//! Half the bytes of single precision and, where the CPU multiplies pairs of bfloat16
//! (VDPBF16PS), up to twice its speed. A filter: who needs exact scores computes those of the rows
//! that [`error`] leaves in question again.
//!
//! Where the CPU lacks the instruction, and for few queries, numbers are widened and single
//! precision does the work.

use half::bf16;

use super::{FEW, ManyKernels, Shape, blocked, bytes, few};
use crate::narrow;
use crate::simd::{Kernels, kernels};

/// Rows that are widened at a time where the CPU does not multiply bfloat16.
const WIDENED: usize = 256;
/// Sums that a vector's squares are gathered in.
const SUMS: usize = 8;

/// The inner products of `queries` `[q, dim]` and `rows` `[r, dim]` into `out` `[q, r]`.
///
/// All are row-major. Panics where lengths disagree. Allocates room for interleaved rows.
pub fn ip(queries: &[bf16], rows: &[bf16], dim: usize, out: &mut [f32]) {
    ip_with(kernels(), queries, rows, dim, out);
}

pub(super) fn ip_with(
    table: &Kernels,
    queries: &[bf16],
    rows: &[bf16],
    dim: usize,
    out: &mut [f32],
) {
    let shape = Shape::new(queries.len(), rows.len(), dim, out.len());
    match &table.many {
        Some(many) if shape.queries >= FEW => match many.bf16_ip {
            Some(tile) => blocked(many, tile, shape, bytes(queries), bytes(rows), out),
            None => widened(many, shape, queries, rows, dim, out),
        },
        _ => few(queries, rows, dim, out, |query, rows, out| {
            for (out, row) in out.iter_mut().zip(rows.chunks_exact(dim)) {
                *out = narrow::bf16_ip(table, query, row);
            }
        }),
    }
}

/// As [`ip`] by single precision, some rows at a time.
fn widened(
    table: &ManyKernels,
    shape: Shape,
    queries: &[bf16],
    rows: &[bf16],
    dim: usize,
    out: &mut [f32],
) {
    let wide: Vec<f32> = queries.iter().map(|x| x.to_f32()).collect();
    let mut block = Vec::new();
    let mut part = Vec::new();
    for first in (0..shape.rows).step_by(WIDENED) {
        let count = (shape.rows - first).min(WIDENED);
        block.clear();
        block.extend(rows[first * dim..][..count * dim].iter().map(|x| x.to_f32()));
        part.resize(shape.queries * count, 0.0);
        let shape_of_part = Shape { rows: count, ..shape };
        blocked(table, table.ip, shape_of_part, bytes(&wide), bytes(&block), &mut part);
        for (out, part) in out.chunks_exact_mut(shape.rows).zip(part.chunks_exact(count)) {
            out[first..][..count].copy_from_slice(part);
        }
    }
}

/// A vector's length and how far its bfloat16 form is from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rounded {
    /// The length of the vector.
    pub norm: f32,
    /// The length of the difference of vector and rounded vector.
    pub residual: f32,
}

/// Rounds `vector` to bfloat16, ties to even, into `out` of the same length.
#[expect(clippy::cast_possible_truncation, reason = "lengths of vectors of single precision")]
pub fn round(vector: &[f32], out: &mut [bf16]) -> Rounded {
    assert_eq!(vector.len(), out.len(), "dimensions disagree");
    let (mut norms, mut residuals) = ([0.0f64; SUMS], [0.0f64; SUMS]);
    for (values, out) in vector.chunks(SUMS).zip(out.chunks_mut(SUMS)) {
        let sums = norms.iter_mut().zip(&mut residuals);
        for ((&x, out), (norm, residual)) in values.iter().zip(out).zip(sums) {
            *out = bf16::from_f32(x);
            let (x, rest) = (f64::from(x), f64::from(x - out.to_f32()));
            *norm += x * x;
            *residual += rest * rest;
        }
    }
    let length = |squares: [f64; SUMS]| squares.iter().sum::<f64>().sqrt() as f32;
    Rounded { norm: length(norms), residual: length(residuals) }
}

/// How far an inner product of [`ip`] may be from the exact one of the vectors as they were.
///
/// With q = q' + dq and r = r' + dr: `<q, r> - <q', r'> = <dq, r> + <q', dr>`, at most
/// `|dq| |r| + (|q| + |dq|) |dr|` by Cauchy and Schwarz. To this come the roundings of the sum, each
/// at most 2^-24 of the magnitudes added, and what the instruction treats as zero (numbers below
/// 2^-126). Vectors of any finite numbers whose products do not overflow.
pub fn error(dim: usize, query: Rounded, row: Rounded) -> f32 {
    let steps = dim as f32 + 8.0;
    let rounding = query.residual * row.norm + (query.norm + query.residual) * row.residual;
    let length = (query.norm + query.residual) * (row.norm + row.residual);
    // The last factor covers the roundings of this bound and of the norms.
    rounding * (1.0 + steps * f32::EPSILON)
        + length * steps * f32::EPSILON
        + steps * f32::MIN_POSITIVE * (1.0 + query.norm + row.norm)
}
