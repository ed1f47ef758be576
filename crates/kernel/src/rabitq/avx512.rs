//! Products of planes in AVX-512 with VPOPCNTDQ: eight words at a step, four rows side by side.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`], VPOPCNTDQ besides, and the
//! shapes of [`super::PlanesPair`]; `simd` hands them out only where the features are there.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::PlanesKernels;

pub(crate) const KERNELS: PlanesKernels = PlanesKernels { pair, quad };

/// Words of a vector.
const LANES: usize = 8;

/// Sums of the 64-bit lanes of codes' products.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
fn sums<const R: usize>(query: &[u64], codes: [&[u8]; R], words: usize) -> [__m512i; R] {
    let (planes, weights) = (codes[0].len() / (words * 8), query.len() / words);
    debug_assert!(codes.iter().all(|code| code.len() == planes * words * 8));
    debug_assert!(query.len() == weights * words);
    let mut total = [_mm512_setzero_si512(); R];
    for plane in 0..planes {
        total = total.map(|total| _mm512_add_epi64(total, total));
        for word in (0..words).step_by(LANES) {
            let mask = __mmask8::MAX >> (LANES - (words - word).min(LANES));
            // SAFETY: the mask selects words below words - word; a code has `planes` planes of
            // `words` words.
            let rows = codes.map(|code| unsafe {
                _mm512_maskz_loadu_epi64(
                    mask,
                    code.as_ptr().cast::<i64>().add(plane * words + word),
                )
            });
            let mut sum = [_mm512_setzero_si512(); R];
            for weight in (0..weights).rev() {
                // SAFETY: as above; the query has `weights` planes of `words` words.
                let q = unsafe {
                    let from = query.as_ptr().cast::<i64>().add(weight * words + word);
                    _mm512_maskz_loadu_epi64(mask, from)
                };
                for (sum, row) in sum.iter_mut().zip(rows) {
                    let count = _mm512_popcnt_epi64(_mm512_and_si512(row, q));
                    *sum = _mm512_add_epi64(_mm512_add_epi64(*sum, *sum), count);
                }
            }
            for (total, sum) in total.iter_mut().zip(sum) {
                *total = _mm512_add_epi64(*total, sum);
            }
        }
    }
    total
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum below 2^32")]
fn pair(query: &[u64], code: &[u8], words: usize) -> u32 {
    _mm512_reduce_add_epi64(sums(query, [code], words)[0]) as u32
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
fn quad(query: &[u64], codes: [&[u8]; 4], words: usize) -> [u32; 4] {
    // Lanes are below 2^32, so that the halves of 64 bits can be added as 32 with zeros between.
    crate::avx512::sums_x4(sums(query, codes, words)).map(i32::cast_unsigned)
}
