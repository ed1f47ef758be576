//! Scans in AVX2: a shuffle looks up 16 rows in the tables of two parts.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and the lengths of
//! [`super::Scan`]; `simd` hands them out only where the features are there. Sums of odd and even
//! rows are kept apart: one adds bytes as pairs and is corrected at the end by the other, which
//! adds the upper bytes alone.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{BLOCK, ENTRIES, FastScanKernels, portable};

pub(crate) const KERNELS: FastScanKernels =
    FastScanKernels { scan, wide_scan: portable::wide_scan, within };

#[target_feature(enable = "avx2,fma")]
fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    debug_assert!(blocks.len() / tables.len() * BLOCK == out.len());
    let nibble = _mm256_set1_epi8(15);
    let sums = out.as_chunks_mut::<BLOCK>().0;
    for (block, sums) in blocks.chunks_exact(tables.len()).zip(sums) {
        let mut acc = [_mm256_setzero_si256(); 4];
        let pairs = block.as_chunks::<{ 2 * ENTRIES }>().0;
        for (table, codes) in tables.as_chunks::<{ 2 * ENTRIES }>().0.iter().zip(pairs) {
            // SAFETY: both are 32 bytes.
            let (table, codes) = unsafe {
                let table = _mm256_loadu_si256(table.as_ptr().cast());
                (table, _mm256_loadu_si256(codes.as_ptr().cast()))
            };
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let low = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibble));
            let high = _mm256_shuffle_epi8(table, high);
            acc[0] = _mm256_add_epi16(acc[0], low);
            acc[1] = _mm256_add_epi16(acc[1], _mm256_srli_epi16::<8>(low));
            acc[2] = _mm256_add_epi16(acc[2], high);
            acc[3] = _mm256_add_epi16(acc[3], _mm256_srli_epi16::<8>(high));
        }
        let (low, high) = sums.split_at_mut(ENTRIES);
        put(acc[0], acc[1], low);
        put(acc[2], acc[3], high);
    }
}

/// Writes the sums of 16 rows, both parts of each added up.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn put(pairs: __m256i, odd: __m256i, out: &mut [u16]) {
    let even = _mm256_sub_epi16(pairs, _mm256_slli_epi16::<8>(odd));
    let add = |v| _mm_add_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let (even, odd) = (add(even), add(odd));
    let out = &mut out[..16];
    // SAFETY: out has 16 elements of 16 bits.
    unsafe {
        _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_unpacklo_epi16(even, odd));
        _mm_storeu_si128(out.as_mut_ptr().add(8).cast(), _mm_unpackhi_epi16(even, odd));
    }
}

/// See [`super::Within`].
#[target_feature(enable = "avx2,fma")]
#[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "bits, not numbers")]
pub(crate) fn within(sums: &[u16; BLOCK], bound: u16) -> u32 {
    let bound = _mm256_set1_epi16(bound as i16);
    // SAFETY: sums has 32 elements of 16 bits.
    let (a, b) = unsafe {
        let a = _mm256_loadu_si256(sums.as_ptr().cast());
        (a, _mm256_loadu_si256(sums.as_ptr().add(16).cast()))
    };
    let most = |v| _mm256_cmpeq_epi16(_mm256_max_epu16(v, bound), bound);
    let bytes = _mm256_packs_epi16(most(a), most(b));
    _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)) as u32
}
