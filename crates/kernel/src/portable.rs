//! Distances in plain Rust: the path of CPUs without SIMD kernels, and the reference for tests.
//!
//! Sums run in eight lanes so that the compiler can vectorise them with whatever the target has.

const LANES: usize = 8;

#[inline(always)]
fn sum_lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_tail) = a.as_chunks::<LANES>();
    let (b_body, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_body.iter().zip(b_body) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += term(x, y);
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(a_tail).zip(b_tail) {
        *lane += term(x, y);
    }
    lanes.iter().sum()
}

pub(crate) fn l2(a: &[f32], b: &[f32]) -> f32 {
    sum_lanes(a, b, |x, y| (x - y) * (x - y))
}

pub(crate) fn ip(a: &[f32], b: &[f32]) -> f32 {
    sum_lanes(a, b, |x, y| x * y)
}

pub(crate) fn l2_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    rows.map(|row| l2(query, row))
}

pub(crate) fn ip_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    rows.map(|row| ip(query, row))
}

pub(crate) fn ip_norm_x4(query: &[f32], rows: [&[f32]; 4]) -> ([f32; 4], [f32; 4]) {
    (rows.map(|row| ip(query, row)), rows.map(|row| ip(row, row)))
}

/// The sum of `row[i] * (query[i] - 128)`.
pub(crate) fn code(query: &[u8], row: &[u8]) -> i32 {
    row.iter().zip(query).map(|(&r, &q)| i32::from(r) * (i32::from(q) - 128)).sum()
}

pub(crate) fn code_x4(query: &[u8], rows: [&[u8]; 4]) -> [i32; 4] {
    rows.map(|row| code(query, row))
}
