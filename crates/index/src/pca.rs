//! Principal directions of a sample of vectors, and turning by random rotations.
//!
//! Directions are found by simultaneous iteration on the covariance: a block of directions is
//! multiplied by it and made orthogonal again, a few times. The first directions are then those in
//! which vectors differ most. They are not resolved from neighbours of almost equal weight, which
//! nobody here needs.

use milvus_kernel::distance;

use crate::ivf::kmeans::in_parts;

/// How often directions are multiplied by the covariance.
const ROUNDS: usize = 12;

/// The first `kept` principal directions, `[kept, dim]`, orthonormal, of `sample`, which is
/// `[rows, dim]` and has mean zero.
pub(crate) fn principal_directions(
    sample: &[f32],
    dim: usize,
    kept: usize,
    threads: usize,
) -> Vec<f32> {
    let covariance = covariance(sample, dim, threads);
    let mut directions = random(kept * dim);
    orthonormalise(&mut directions, dim);
    for _ in 0..ROUNDS {
        directions = in_parts(kept, threads, |range| {
            let mut turned = vec![0.0; range.len() * dim];
            let from = &directions[range.start * dim..range.end * dim];
            for (direction, out) in from.chunks_exact(dim).zip(turned.chunks_exact_mut(dim)) {
                distance::ip_rows(direction, &covariance, out);
            }
            turned
        })
        .concat();
        orthonormalise(&mut directions, dim);
    }
    directions
}

/// `[dim, dim]` sums of products of the columns of `sample`.
fn covariance(sample: &[f32], dim: usize, threads: usize) -> Vec<f32> {
    let rows = sample.len() / dim.max(1);
    let mut columns = vec![0.0; sample.len()];
    for (row, vector) in sample.chunks_exact(dim).enumerate() {
        for (i, &x) in vector.iter().enumerate() {
            columns[i * rows + row] = x;
        }
    }
    let column = |i: usize| &columns[i * rows..][..rows];
    in_parts(dim, threads, |range| {
        let mut products = vec![0.0; range.len() * dim];
        for (i, out) in range.zip(products.chunks_exact_mut(dim)) {
            distance::ip_rows(column(i), &columns, out);
        }
        products
    })
    .concat()
}

/// A random orthonormal `[size, size]`, the same for every call.
pub(crate) fn rotation(size: usize) -> Vec<f32> {
    let mut rows = random(size * size);
    orthonormalise(&mut rows, size);
    rows
}

/// The product of `[n, m]` and `[m, dim]`.
pub(crate) fn product(left: &[f32], right: &[f32], m: usize, dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; left.len() / m.max(1) * dim];
    for (factors, out) in left.chunks_exact(m.max(1)).zip(out.chunks_exact_mut(dim.max(1))) {
        for (&factor, row) in factors.iter().zip(right.chunks_exact(dim)) {
            out.iter_mut().zip(row).for_each(|(sum, &x)| *sum += factor * x);
        }
    }
    out
}

/// Makes rows of `dim` orthonormal, each against those before it. One that is nothing but their sum
/// becomes zero.
fn orthonormalise(rows: &mut [f32], dim: usize) {
    for at in (0..rows.len()).step_by(dim.max(1)) {
        let (before, rest) = rows.split_at_mut(at);
        let row = &mut rest[..dim];
        let length = distance::norm_squared(row);
        // Once more takes away what rounding has left.
        for _ in 0..2 {
            for other in before.chunks_exact(dim) {
                let along = distance::ip(row, other);
                row.iter_mut().zip(other).for_each(|(x, &y)| *x -= along * y);
            }
        }
        let left = distance::norm_squared(row);
        let inverse = if left > length * 1e-10 { distance::inverse_norm(left) } else { 0.0 };
        row.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// Numbers with mean 0 and a bell-shaped distribution, the same in every call.
fn random(count: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (0..6).map(|_| uniform()).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_lengths_and_angles() {
        for size in [1, 7, 64] {
            let rows = rotation(size);
            for (i, row) in rows.chunks_exact(size).enumerate() {
                for (j, other) in rows.chunks_exact(size).enumerate() {
                    let want = f32::from(u8::from(i == j));
                    assert!((distance::ip(row, other) - want).abs() < 1e-4, "{i} {j}");
                }
            }
        }
    }

    #[test]
    fn the_first_directions_are_those_of_most_difference() {
        // Vectors that differ along two directions only, and a little everywhere.
        let (dim, rows) = (24, 500);
        let basis = rotation(dim);
        let noise = random(rows * (dim + 2));
        let sample: Vec<f32> = noise
            .chunks_exact(dim + 2)
            .flat_map(|noise| {
                let (along, each) = noise.split_at(2);
                let wide = basis[..dim].iter().zip(&basis[dim..2 * dim]);
                let row = wide
                    .zip(each)
                    .map(|((a, b), noise)| 3.0 * along[0] * a + 2.0 * along[1] * b + 0.05 * noise);
                row.collect::<Vec<f32>>()
            })
            .collect();
        let found = principal_directions(&sample, dim, 4, 2);
        for wide in basis.chunks_exact(dim).take(2) {
            let kept: f32 =
                found.chunks_exact(dim).take(2).map(|d| distance::ip(d, wide).powi(2)).sum();
            assert!(kept > 0.99, "{kept}");
        }
        let same = product(&rotation(4), &found, 4, dim);
        let length: f32 =
            same.chunks_exact(dim).map(|row| distance::ip(row, &basis[..dim]).powi(2)).sum();
        assert!(length > 0.99, "{length}");
    }

    #[test]
    fn directions_of_vectors_that_do_not_differ_are_no_numbers_gone_wrong() {
        let found = principal_directions(&[0.0; 40], 8, 4, 1);
        assert!(found.iter().all(|x| x.is_finite()));
    }
}
