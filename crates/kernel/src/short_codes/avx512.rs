//! Products of short codes in AVX-512 VNNI: 64 bytes of codes at a step, unpacked by masks.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`] and the shapes of
//! [`super::ShortPair`]; `simd` hands them out only where the features are there. High halves are
//! multiplied where they are, their sums shifted once at the end: sums of multiples of 16 (4 bits)
//! or 4 (6 bits) stay below 2^31 at 32,768 dimensions.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{CHUNK, ShortKernels, stream_bytes};
use crate::avx512::sums_x4;

pub(crate) const KERNELS: ShortKernels = ShortKernels { four, four_x4, six, six_x4 };

/// The first `bytes` of 64 bytes at `from`, zeros behind. They must be there to be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
unsafe fn load(from: *const u8, bytes: usize) -> __m512i {
    let mask = u64::MAX >> (CHUNK - bytes);
    // SAFETY: the mask selects what the caller promises.
    unsafe { _mm512_maskz_loadu_epi8(mask, from.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn four_of<const R: usize>(query: &[i8], rows: [&[u8]; R], dim: usize) -> [__m512i; R] {
    let (low_mask, high_mask) = (_mm512_set1_epi8(15), _mm512_set1_epi8(-16));
    let mut low = [_mm512_setzero_si512(); R];
    let mut high = [_mm512_setzero_si512(); R];
    for chunk in 0..dim.div_ceil(2 * CHUNK) {
        let bytes = stream_bytes(dim - chunk * 2 * CHUNK, 2);
        debug_assert!(query.len() >= (chunk + 1) * 2 * CHUNK);
        debug_assert!(rows.iter().all(|row| row.len() >= chunk * CHUNK + bytes));
        // SAFETY: the query has 128 elements for each chunk, a row the chunk's bytes.
        unsafe {
            let query = query.as_ptr().add(chunk * 2 * CHUNK);
            let q0 = _mm512_loadu_si512(query.cast());
            let q1 = _mm512_loadu_si512(query.add(CHUNK).cast());
            for n in 0..R {
                let r = load(rows[n].as_ptr().add(chunk * CHUNK), bytes);
                low[n] = _mm512_dpbusd_epi32(low[n], _mm512_and_si512(r, low_mask), q0);
                high[n] = _mm512_dpbusd_epi32(high[n], _mm512_and_si512(r, high_mask), q1);
            }
        }
    }
    for n in 0..R {
        low[n] = _mm512_add_epi32(low[n], _mm512_srai_epi32::<4>(high[n]));
    }
    low
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn six_of<const R: usize>(query: &[i8], rows: [&[u8]; R], dim: usize) -> [__m512i; R] {
    let low_mask = _mm512_set1_epi8(63);
    let [top_two, top_four, top_six] = [-64, -16, -4].map(|mask| _mm512_set1_epi8(mask));
    let mut low = [_mm512_setzero_si512(); R];
    let mut last = [_mm512_setzero_si512(); R];
    for chunk in 0..dim.div_ceil(4 * CHUNK) {
        let bytes = stream_bytes(dim - chunk * 4 * CHUNK, 4);
        debug_assert!(query.len() >= (chunk + 1) * 4 * CHUNK);
        debug_assert!(rows.iter().all(|row| row.len() >= chunk * 3 * CHUNK + 3 * bytes));
        // SAFETY: the query has 256 elements for each chunk, a row three streams of bytes.
        unsafe {
            let query = query.as_ptr().add(chunk * 4 * CHUNK);
            let q = [0, 1, 2, 3].map(|n| _mm512_loadu_si512(query.add(n * CHUNK).cast()));
            for n in 0..R {
                let row = rows[n].as_ptr().add(chunk * 3 * CHUNK);
                let r = [0, 1, 2].map(|stream| load(row.add(stream * bytes), bytes));
                for stream in 0..3 {
                    let codes = _mm512_and_si512(r[stream], low_mask);
                    low[n] = _mm512_dpbusd_epi32(low[n], codes, q[stream]);
                }
                // Selects by mask: the first stream's top two bits, then the second's, the third's.
                let (b, c) = (_mm512_srli_epi16::<2>(r[1]), _mm512_srli_epi16::<4>(r[2]));
                let codes = _mm512_ternarylogic_epi32::<0xca>(top_two, r[0], b);
                let codes = _mm512_ternarylogic_epi32::<0xca>(top_four, codes, c);
                last[n] = _mm512_dpbusd_epi32(last[n], _mm512_and_si512(codes, top_six), q[3]);
            }
        }
    }
    for n in 0..R {
        low[n] = _mm512_add_epi32(low[n], _mm512_srai_epi32::<2>(last[n]));
    }
    low
}

macro_rules! kernels {
    ($pair:ident, $quad:ident, $of:ident) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        fn $pair(query: &[i8], row: &[u8], dim: usize) -> i32 {
            _mm512_reduce_add_epi32($of(query, [row], dim)[0])
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        fn $quad(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4] {
            sums_x4($of(query, rows, dim))
        }
    };
}

kernels!(four, four_x4, four_of);
kernels!(six, six_x4, six_of);
