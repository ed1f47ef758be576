//! Distances in plain Rust: the path of CPUs without SIMD kernels, and the reference for tests.
//!
//! Sums run in eight lanes so that the compiler can vectorise them with whatever the target has.

use half::{bf16, f16};

const LANES: usize = 8;

/// A sum over two vectors of numbers that read as floats.
#[inline(always)]
fn sum_as_floats<T: Copy>(
    a: &[T],
    b: &[T],
    float: impl Fn(T) -> f32,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_tail) = a.as_chunks::<LANES>();
    let (b_body, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_body.iter().zip(b_body) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += term(float(x), float(y));
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(a_tail).zip(b_tail) {
        *lane += term(float(x), float(y));
    }
    lanes.iter().sum()
}

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

/// The sums of half-bytes times the bytes of their planes, line after line.
pub(crate) fn lvq4_x4(planes: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
    rows.map(|row| {
        let lines = row.as_chunks::<64>().0.iter().zip(planes.as_chunks::<128>().0);
        lines
            .map(|(line, planes)| {
                let (low, high) = planes.split_at(64);
                let pairs = line.iter().zip(low.iter().zip(high));
                pairs
                    .map(|(&byte, (&low, &high))| {
                        i32::from(byte & 15) * i32::from(low)
                            + i32::from(byte >> 4) * i32::from(high)
                    })
                    .sum::<i32>()
            })
            .sum()
    })
}

pub(crate) fn f16_l2(a: &[f16], b: &[f16]) -> f32 {
    sum_as_floats(a, b, f16::to_f32, |x, y| (x - y) * (x - y))
}

pub(crate) fn f16_ip(a: &[f16], b: &[f16]) -> f32 {
    sum_as_floats(a, b, f16::to_f32, |x, y| x * y)
}

pub(crate) fn bf16_l2(a: &[bf16], b: &[bf16]) -> f32 {
    sum_as_floats(a, b, bf16::to_f32, |x, y| (x - y) * (x - y))
}

pub(crate) fn bf16_ip(a: &[bf16], b: &[bf16]) -> f32 {
    sum_as_floats(a, b, bf16::to_f32, |x, y| x * y)
}

pub(crate) fn i8_l2(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| (i32::from(x) - i32::from(y)).pow(2)).sum()
}

pub(crate) fn i8_ip(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

/// Calls `each` with the words of two equally long bit strings, the last padded with zeros.
#[inline(always)]
fn each_word(a: &[u8], b: &[u8], mut each: impl FnMut(u64, u64)) {
    let (a_words, a_tail) = a.as_chunks::<8>();
    let (b_words, b_tail) = b.as_chunks::<8>();
    for (x, y) in a_words.iter().zip(b_words) {
        each(u64::from_le_bytes(*x), u64::from_le_bytes(*y));
    }
    for (&x, &y) in a_tail.iter().zip(b_tail) {
        each(u64::from(x), u64::from(y));
    }
}

/// Bits that differ.
#[inline(always)]
pub(crate) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let mut count = 0;
    each_word(a, b, |x, y| count += (x ^ y).count_ones());
    count
}

/// Bits of both, and bits of either.
#[inline(always)]
pub(crate) fn overlap(a: &[u8], b: &[u8]) -> (u32, u32) {
    let (mut both, mut either) = (0, 0);
    each_word(a, b, |x, y| {
        both += (x & y).count_ones();
        either += (x | y).count_ones();
    });
    (both, either)
}

/// Elements of `bytes` bytes that are the same in both.
pub(crate) fn equal(a: &[u8], b: &[u8], bytes: usize) -> u32 {
    let pairs = a.chunks_exact(bytes).zip(b.chunks_exact(bytes));
    pairs.map(|(x, y)| u32::from(x == y)).sum()
}

/// Of 64 bytes that are the same where their bit is 1, the elements of `BYTES` bytes, a power of two
/// up to 32, all of whose bytes are.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn whole_elements<const BYTES: usize>(mut same: u64) -> u32 {
    let mut width = 1;
    while width < BYTES {
        same &= same >> width;
        width *= 2;
    }
    // The lowest bit of each element: all ones divided by an element of ones.
    (same & (u64::MAX / (u64::MAX >> (64 - BYTES)))).count_ones()
}
