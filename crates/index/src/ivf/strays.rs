//! Strays: the few rows that lie far from all others, which no centroid and no code can reach without
//! losing what tells the others apart.
//!
//! A row is one where a single number of it is several times as far from the middle of its dimension
//! as almost all others are, or is no number. Strays are in no list: they lie behind the last one, are
//! learned from by nobody, and every search compares them exactly. There are never more than one in
//! [`MOST`] rows, so that this costs little; those that stray most are taken first.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::kmeans::{in_parts, widen};
use crate::brute::row_number;
use crate::score::Metric;
use crate::vectors::VectorData;

/// One row in so many may be a stray.
const MOST: usize = 256;
/// Rows that the reach of each dimension is measured by.
const SAMPLED: usize = 1024;
/// The share of rows, as one in so many, that may lie beyond a dimension's reach.
const BEYOND: usize = 50;
/// How many reaches a number of a stray is from the middle.
const FAR: f32 = 6.0;
/// Rows between two looks at whether to stop.
const BATCH: usize = 1024;

/// The middle of each dimension, and one by how far almost all rows are from it.
struct Spread {
    middle: Vec<f32>,
    inverse_reach: Vec<f32>,
}

impl Spread {
    /// Measured by a sample of the rows.
    fn of(metric: Metric, vectors: &VectorData) -> Self {
        let (rows, dim) = (vectors.rows(), vectors.dim());
        let sampled = rows.min(SAMPLED);
        let mut columns = vec![0.0f32; sampled * dim];
        let mut floats = Vec::with_capacity(dim);
        for n in 0..sampled {
            widen(metric, vectors.row(n * rows / sampled), &mut floats);
            for (i, &x) in floats.iter().enumerate() {
                columns[i * sampled + n] = if x.is_nan() { 0.0 } else { x };
            }
        }
        let (mut middle, mut reach) = (Vec::with_capacity(dim), Vec::with_capacity(dim));
        for column in columns.chunks_exact_mut(sampled.max(1)) {
            let centre = *column.select_nth_unstable_by(sampled / 2, f32::total_cmp).1;
            column.iter_mut().for_each(|x| *x = (*x - centre).abs());
            let most = sampled - 1 - sampled / BEYOND;
            reach.push(*column.select_nth_unstable_by(most, f32::total_cmp).1);
            middle.push(centre);
        }
        // Dimensions in which almost all rows are the same are measured by the others.
        let usual = reach.iter().sum::<f32>() / dim.max(1) as f32;
        let inverse = |reach: f32| if reach > 0.0 { 1.0 / reach } else { 0.0 };
        let inverse_reach = reach.iter().map(|&reach| inverse(reach.max(usual))).collect();
        Self { middle, inverse_reach }
    }

    /// How many reaches the farthest number of `floats` is away; without end where one is no number.
    fn farthest(&self, floats: &[f32]) -> f32 {
        let mut most = [0.0f32; 8];
        let mut sound = 0.0f32;
        let scales = self.middle.iter().zip(&self.inverse_reach);
        for (n, (&x, (middle, inverse))) in floats.iter().zip(scales).enumerate() {
            let far = (x - middle).abs() * inverse;
            sound += x * 0.0;
            most[n % 8] = most[n % 8].max(far);
        }
        if sound == 0.0 { most.iter().fold(0.0, |a, &b| a.max(b)) } else { f32::INFINITY }
    }
}

/// The strays among the rows of `vectors`, ascending; none of bits.
pub(super) fn strays(
    metric: Metric,
    vectors: &VectorData,
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<u32> {
    let most = vectors.rows() / MOST;
    if most == 0 || matches!(vectors, VectorData::Binary(_)) {
        return Vec::new();
    }
    let spread = Spread::of(metric, vectors);
    let mut found: Vec<(f32, u32)> = in_parts(vectors.rows(), threads, |range| {
        let mut found = Vec::new();
        let mut floats = Vec::with_capacity(vectors.dim());
        for row in range {
            if row % BATCH == 0 && cancel.load(Relaxed) {
                break;
            }
            widen(metric, vectors.row(row), &mut floats);
            let far = spread.farthest(&floats);
            if far > FAR {
                found.push((far, row_number(row)));
            }
        }
        found
    })
    .concat();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(most);
    let mut rows: Vec<u32> = found.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(floats: Vec<f32>, dim: usize) -> Vec<u32> {
        let vectors = VectorData::floats(floats, dim).unwrap();
        strays(Metric::L2, &vectors, 2, &AtomicBool::new(false))
    }

    #[test]
    fn rows_far_in_one_dimension_or_without_numbers_stray_and_others_do_not() {
        let dim = 8;
        let number = |i: usize| (i * 7919 % 2003) as f32 / 1000.0 - 1.0;
        let mut floats: Vec<f32> = (0..2000 * dim).map(number).collect();
        assert_eq!(found(floats.clone(), dim), []);
        floats[5 * dim + 3] = 1e4;
        floats[700 * dim] = -1e30;
        floats[1234 * dim + 7] = f32::NAN;
        assert_eq!(found(floats.clone(), dim), [5, 700, 1234]);
        // No more than one in 256 rows, those that stray most.
        (1500..1520).for_each(|row| floats[row * dim] = 1e3);
        assert_eq!(found(floats, dim), [5, 700, 1234, 1500, 1501, 1502, 1503]);
        assert_eq!(found(vec![1.0; 4000], 4), []);
    }
}
