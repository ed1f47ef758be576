//! Scans in AVX2: a shuffle looks up 16 rows in the tables of two parts.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and the lengths of
//! [`super::Scan`]; `simd` hands them out only where the features are there. Sums of odd and even
//! rows are kept apart: one adds bytes as pairs and is corrected at the end by the other, which
//! adds the upper bytes alone.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::tables::{self, Sixteens};
use super::{BLOCK, ENTRIES, FastScanKernels, Scale, portable};

pub(crate) const KERNELS: FastScanKernels =
    FastScanKernels { scan, wide_scan: portable::wide_scan, within, quantise };

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
pub(crate) fn within(sums: &[u16], bound: u16, masks: &mut [u32]) {
    let bound = _mm256_set1_epi16(bound as i16);
    for (sums, mask) in sums.as_chunks::<BLOCK>().0.iter().zip(masks) {
        // SAFETY: sums has 32 elements of 16 bits.
        let (a, b) = unsafe {
            let a = _mm256_loadu_si256(sums.as_ptr().cast());
            (a, _mm256_loadu_si256(sums.as_ptr().add(16).cast()))
        };
        let most = |v| _mm256_cmpeq_epi16(_mm256_max_epu16(v, bound), bound);
        let bytes = _mm256_packs_epi16(most(a), most(b));
        *mask = _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)) as u32;
    }
}

/// See [`super::Quantise`].
#[target_feature(enable = "avx2,fma")]
pub(crate) fn quantise(tables: &[f32], entries: usize, bytes: &mut [u8]) -> Scale {
    tables::quantise_by(&Vectors, tables, entries, bytes)
}

/// Sixteen entries in two registers. Private, so that [`quantise`] alone makes use of it, which needs
/// the features that its methods need.
struct Vectors;

#[inline(always)]
fn load(values: &[f32; ENTRIES]) -> [__m256; 2] {
    // SAFETY: there are 16 floats; the features are those of `quantise`.
    unsafe { [_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))] }
}

impl Sixteens for Vectors {
    #[inline(always)]
    fn reach(&self, values: &[f32; ENTRIES]) -> (f32, f32) {
        let [a, b] = load(values);
        // SAFETY: the features are those of `quantise`.
        unsafe {
            // Largest as the least of the negated, so that both are found at once.
            let sign = _mm256_set1_ps(-0.0);
            let (least, most) = (_mm256_min_ps(a, b), _mm256_xor_ps(_mm256_max_ps(a, b), sign));
            let low = _mm256_permute2f128_ps::<0x20>(least, most);
            let both = _mm256_min_ps(low, _mm256_permute2f128_ps::<0x31>(least, most));
            let both = _mm256_min_ps(both, _mm256_permute_ps::<0b00_00_11_10>(both));
            let both = _mm256_min_ps(both, _mm256_permute_ps::<1>(both));
            (_mm256_cvtss_f32(both), -_mm_cvtss_f32(_mm256_extractf128_ps::<1>(both)))
        }
    }

    #[inline(always)]
    fn all_finite(&self, values: &[f32; ENTRIES]) -> bool {
        let [a, b] = load(values);
        // SAFETY: the features are those of `quantise`.
        unsafe {
            // A number times 0 is 0 unless it is not finite.
            let zero = _mm256_setzero_ps();
            let zeros = _mm256_add_ps(_mm256_mul_ps(a, zero), _mm256_mul_ps(b, zero));
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(zeros, zeros)) == 0
        }
    }

    #[inline(always)]
    fn round(&self, values: &[f32; ENTRIES], least: f32, inverse: f32) -> [u8; ENTRIES] {
        let mut bytes = [0; ENTRIES];
        // SAFETY: the features are those of `quantise`, and bytes holds the 16 that are written.
        unsafe {
            let [a, b] = load(values).map(|v| {
                let v = _mm256_sub_ps(v, _mm256_set1_ps(least));
                let v = _mm256_mul_ps(v, _mm256_set1_ps(inverse));
                // Of NaN the second, 0.
                let v = _mm256_max_ps(v, _mm256_setzero_ps());
                _mm256_cvtps_epi32(_mm256_min_ps(v, _mm256_set1_ps(255.0)))
            });
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm_packus_epi16(low, high));
        }
        bytes
    }
}
