//! Products of short codes in AVX2: 32 bytes of codes at a step, unpacked by masks and shifts.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and the shapes of
//! [`super::ShortPair`]; `simd` hands them out only where the features are there. Codes of up to 63
//! times elements of ± 127, added in pairs, stay within 16 bits.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{CHUNK, ShortKernels, stream_bytes};

pub(crate) const KERNELS: ShortKernels = ShortKernels { four, four_x4, six, six_x4 };

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_i32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair)))
}

/// Both halves of 64 bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(bytes: &[u8; CHUNK]) -> [__m256i; 2] {
    // SAFETY: there are 64 bytes.
    unsafe {
        let low = _mm256_loadu_si256(bytes.as_ptr().cast());
        [low, _mm256_loadu_si256(bytes.as_ptr().add(32).cast())]
    }
}

/// Adds the products of 32 codes and the query's elements from `at` on, of which there must be 32.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(sum: __m256i, codes: __m256i, query: &[i8], at: usize) -> __m256i {
    let query = &query[at..at + 32];
    // SAFETY: query has 32 elements.
    let query = unsafe { _mm256_loadu_si256(query.as_ptr().cast()) };
    let pairs = _mm256_maddubs_epi16(codes, query);
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

/// The `bytes` bytes of `row` from `at` on as 64, what follows them or zeros behind: the query is 0
/// there.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(row: &[u8], at: usize, bytes: usize) -> [__m256i; 2] {
    if let Some(whole) = row[at..].first_chunk::<CHUNK>() {
        return halves(whole);
    }
    let mut padded = [0; CHUNK];
    padded[..bytes].copy_from_slice(&row[at..at + bytes]);
    halves(&padded)
}

#[target_feature(enable = "avx2,fma")]
fn four(query: &[i8], row: &[u8], dim: usize) -> i32 {
    let mask = _mm256_set1_epi8(15);
    let mut sum = _mm256_setzero_si256();
    for (chunk, query) in query.chunks_exact(2 * CHUNK).enumerate() {
        let bytes = stream_bytes(dim - chunk * 2 * CHUNK, 2);
        for (half, codes) in load(row, chunk * CHUNK, bytes).into_iter().enumerate() {
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
            sum = add(sum, _mm256_and_si256(codes, mask), query, half * 32);
            sum = add(sum, high, query, CHUNK + half * 32);
        }
    }
    sum_i32(sum)
}

#[target_feature(enable = "avx2,fma")]
fn six(query: &[i8], row: &[u8], dim: usize) -> i32 {
    let (mask, top) = (_mm256_set1_epi8(63), _mm256_set1_epi8(3));
    let mut sum = _mm256_setzero_si256();
    for (chunk, query) in query.chunks_exact(4 * CHUNK).enumerate() {
        let bytes = stream_bytes(dim - chunk * 4 * CHUNK, 4);
        let mut last = [_mm256_setzero_si256(); 2];
        for stream in 0..3 {
            let codes = load(row, chunk * 3 * CHUNK + stream * bytes, bytes);
            for (half, codes) in codes.into_iter().enumerate() {
                let low = _mm256_and_si256(codes, mask);
                sum = add(sum, low, query, stream * CHUNK + half * 32);
                let high = _mm256_and_si256(_mm256_srli_epi16::<6>(codes), top);
                last[half] = _mm256_or_si256(_mm256_slli_epi16::<2>(last[half]), high);
            }
        }
        for (half, codes) in last.into_iter().enumerate() {
            sum = add(sum, codes, query, 3 * CHUNK + half * 32);
        }
    }
    sum_i32(sum)
}

#[target_feature(enable = "avx2,fma")]
fn four_x4(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4] {
    rows.map(|row| four(query, row, dim))
}

#[target_feature(enable = "avx2,fma")]
fn six_x4(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4] {
    rows.map(|row| six(query, row, dim))
}
