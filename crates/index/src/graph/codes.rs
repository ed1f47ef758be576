//! The 8-bit codes of a segment's vectors, and whether they are good enough to walk on.
//!
//! Vectors are centred by the segment's mean before they are coded (COSINE: normalised first), so
//! that a constant offset of a dimension costs no precision. COSINE is coded as L2 of unit vectors,
//! which orders rows alike; a zero vector counts as being at right angles to everything.

use std::thread;

use milvus_kernel::{Scored, TopK, distance, sq8};

use crate::brute::{row_number, scan};
use crate::compare::{Comparer, query_of};
use crate::graph::space::{CodeSpace, Space, Target, factor};
use crate::score::Metric;
use crate::vectors::{VectorData, Vectors};

/// Up to this dimension a coded row is no smaller than the vector.
const SMALL_DIM: usize = 16;
/// Rows that are looked for when codes are judged: as many as reading this many floats allows,
/// within bounds.
const TRIAL_FLOATS: usize = 1 << 29;
const TRIALS: std::ops::RangeInclusive<usize> = 8..=24;
/// Nearest rows that each trial looks for.
const NEAREST: usize = 10;
/// The share of nearest rows that must be among the candidates.
const GOOD_SHARE: f64 = 0.97;

/// Turns vectors into codes.
#[derive(Clone, Copy)]
pub(crate) struct Coder<'a> {
    pub(crate) metric: Metric,
    pub(crate) mean: &'a [f32],
}

impl Coder<'_> {
    /// Encodes `vector` into `row`; `buffer` is scratch space.
    pub(crate) fn encode(&self, vector: &[f32], buffer: &mut Vec<f32>, row: &mut [u8]) {
        let (unit, zero) = if self.metric == Metric::Cosine {
            let inverse = distance::inverse_norm(distance::norm_squared(vector));
            (inverse, inverse == 0.0)
        } else {
            (1.0, false)
        };
        buffer.clear();
        buffer.extend(vector.iter().zip(self.mean).map(|(&x, &mean)| x * unit - mean));
        let norm = sq8::encode(buffer, row);
        let bias = if self.metric == Metric::Ip {
            -distance::ip(buffer, self.mean) - distance::norm_squared(self.mean) / 2.0
        } else {
            norm + f32::from(u8::from(zero))
        };
        sq8::set_bias(row, bias);
    }
}

/// The mean of the vectors, normalised first where the metric is cosine.
pub(crate) fn mean(metric: Metric, vectors: &Vectors) -> Vec<f32> {
    let mut sums = vec![0.0f64; vectors.dim()];
    let mut part = vec![0.0f32; vectors.dim()];
    for block in vectors.as_slice().chunks(vectors.dim() * 256) {
        part.fill(0.0);
        for row in block.chunks_exact(vectors.dim()) {
            let unit = if metric == Metric::Cosine {
                distance::inverse_norm(distance::norm_squared(row))
            } else {
                1.0
            };
            part.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x * unit);
        }
        sums.iter_mut().zip(&part).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let rows = vectors.rows().max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean = sums.into_iter().map(|sum| (sum / rows) as f32);
    // Vectors with infinities have no mean; their codes are then useless and will be judged so.
    mean.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
}

/// The codes of all vectors, computed on `threads` threads.
pub(crate) fn encode_all(coder: Coder<'_>, vectors: &Vectors, threads: usize) -> Vec<u8> {
    let stride = sq8::stride(vectors.dim());
    let mut codes = vec![0; vectors.rows() * stride];
    let share = vectors.rows().div_ceil(threads.max(1)).max(1);
    let work = |vectors: &[f32], codes: &mut [u8], dim: usize| {
        let mut buffer = Vec::with_capacity(dim);
        for (vector, row) in vectors.chunks_exact(dim).zip(codes.chunks_exact_mut(stride)) {
            coder.encode(vector, &mut buffer, row);
        }
    };
    let dim = vectors.dim();
    let parts = vectors.as_slice().chunks(share * dim).zip(codes.chunks_mut(share * stride));
    thread::scope(|scope| {
        for (vectors, codes) in parts {
            scope.spawn(move || work(vectors, codes, dim));
        }
    });
    codes
}

/// Whether the nearest rows are among the nearest `candidates` by code: looked up for a few rows of
/// the segment.
pub(crate) fn good_enough(
    space: &impl Space,
    metric: Metric,
    vectors: &VectorData,
    candidates: usize,
) -> bool {
    let rows = vectors.rows();
    if rows == 0 || vectors.dim() <= SMALL_DIM {
        return false;
    }
    let view = vectors.view();
    let ids: Vec<u32> = (0..rows).map(row_number).collect();
    let mut coded = vec![0.0; rows];
    let (mut found, mut wanted) = (0, 0);
    let trials =
        (TRIAL_FLOATS / (rows * vectors.dim())).clamp(*TRIALS.start(), *TRIALS.end()).min(rows);
    for trial in 0..trials {
        let row = trial * rows / trials;
        let query = query_of(Comparer::new(metric, vectors.row(row), view, &[]));
        let mut nearest = TopK::new(NEAREST.min(rows));
        scan(&[query], rows, None, &mut |_, scored| {
            nearest.push(scored);
        });
        let mut coded_top = TopK::new(candidates);
        space.target(row_number(row)).distances(&ids, &mut coded);
        for (&id, &distance) in ids.iter().zip(&coded) {
            coded_top.push(Scored::new(distance, id));
        }
        let rows: Vec<u32> = coded_top.into_sorted().iter().map(|c| c.row()).collect();
        let mut exact = vec![0.0; rows.len()];
        query.gather(&rows, &mut exact);
        let reach = nearest.bound().distance();
        let want = nearest.len();
        // Rows as near as the last of the nearest are as good: identical vectors are no mistake.
        found += exact.iter().filter(|&&distance| distance <= reach).count().min(want);
        wanted += want;
    }
    found as f64 >= GOOD_SHARE * wanted as f64
}

/// The space of `codes`.
pub(crate) fn space(codes: &[u8], metric: Metric, dim: usize) -> CodeSpace<'_> {
    CodeSpace { codes, stride: sq8::stride(dim), factor: factor(metric) }
}
