//! Distances of 16-bit floats, bytes and bits in AVX-512, tails by masked loads.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`] and slices of equal length,
//! those called `_vectors` VPOPCNTDQ besides; `simd` hands them out only where the features are
//! there, the public wrappers check lengths. Floats are widened to 32 bits, bytes to 16.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use half::{bf16, f16};

pub(crate) use crate::avx2_narrow::{hamming, overlap};

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn widen_f16(raw: __m256i) -> __m512 {
    _mm512_cvtph_ps(raw)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn widen_bf16(raw: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(raw)))
}

macro_rules! step {
    (l2, $acc:expr, $x:expr, $y:expr) => {{
        let d = _mm512_sub_ps($x, $y);
        _mm512_fmadd_ps(d, d, $acc)
    }};
    (ip, $acc:expr, $x:expr, $y:expr) => {
        _mm512_fmadd_ps($x, $y, $acc)
    };
}

macro_rules! float_kernel {
    ($name:ident, $type:ty, $widen:ident, $op:ident) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        pub(crate) fn $name(a: &[$type], b: &[$type]) -> f32 {
            let dim = a.len();
            debug_assert!(b.len() == dim);
            let (p, q) = (a.as_ptr(), b.as_ptr());
            let mut sums = [_mm512_setzero_ps(); 2];
            let mut i = 0;
            while i + 32 <= dim {
                // SAFETY: i + 32 <= dim, and both vectors have dim elements of 16 bits.
                unsafe {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let x = $widen(_mm256_loadu_si256(p.add(i + n * 16).cast()));
                        let y = $widen(_mm256_loadu_si256(q.add(i + n * 16).cast()));
                        *sum = step!($op, *sum, x, y);
                    }
                }
                i += 32;
            }
            while i < dim {
                let left = (dim - i).min(16);
                let mask = __mmask16::MAX >> (16 - left);
                // SAFETY: the mask selects elements below dim - i; others are not read.
                let (x, y) = unsafe {
                    let x = _mm256_maskz_loadu_epi16(mask, p.add(i).cast());
                    let y = _mm256_maskz_loadu_epi16(mask, q.add(i).cast());
                    ($widen(x), $widen(y))
                };
                sums[0] = step!($op, sums[0], x, y);
                i += left;
            }
            _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
        }
    };
}

float_kernel!(f16_l2, f16, widen_f16, l2);
float_kernel!(f16_ip, f16, widen_f16, ip);
float_kernel!(bf16_l2, bf16, widen_bf16, l2);
float_kernel!(bf16_ip, bf16, widen_bf16, ip);

macro_rules! i8_kernel {
    ($name:ident, |$acc:ident, $x:ident, $y:ident| $next:expr) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        pub(crate) fn $name(a: &[i8], b: &[i8]) -> i32 {
            let dim = a.len();
            debug_assert!(b.len() == dim);
            let (p, q) = (a.as_ptr(), b.as_ptr());
            let mut $acc = _mm512_setzero_si512();
            let mut i = 0;
            while i < dim {
                let left = (dim - i).min(32);
                let mask = __mmask32::MAX >> (32 - left);
                // SAFETY: the mask selects bytes below dim - i; others are not read.
                let ($x, $y) = unsafe {
                    let x = _mm256_maskz_loadu_epi8(mask, p.add(i).cast());
                    let y = _mm256_maskz_loadu_epi8(mask, q.add(i).cast());
                    (_mm512_cvtepi8_epi16(x), _mm512_cvtepi8_epi16(y))
                };
                $acc = $next;
                i += left;
            }
            _mm512_reduce_add_epi32($acc)
        }
    };
}

i8_kernel!(i8_l2, |acc, x, y| {
    let d = _mm512_sub_epi16(x, y);
    _mm512_dpwssd_epi32(acc, d, d)
});
i8_kernel!(i8_ip, |acc, x, y| _mm512_dpwssd_epi32(acc, x, y));

/// Calls a body with 64 bytes of each bit string at a time, zeros behind their ends.
macro_rules! each_block {
    ($a:expr, $b:expr, |$x:ident, $y:ident| $body:expr) => {
        let len = $a.len();
        debug_assert!($b.len() == len);
        let (p, q) = ($a.as_ptr(), $b.as_ptr());
        let mut i = 0;
        while i < len {
            let left = (len - i).min(64);
            let mask = __mmask64::MAX >> (64 - left);
            // SAFETY: the mask selects bytes below len - i; others are not read.
            let ($x, $y) = unsafe {
                let x = _mm512_maskz_loadu_epi8(mask, p.add(i).cast());
                (x, _mm512_maskz_loadu_epi8(mask, q.add(i).cast()))
            };
            $body;
            i += left;
        }
    };
}

/// See [`crate::portable::equal`]; `bytes` is a power of two up to 32.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma,popcnt")]
pub(crate) fn equal(a: &[u8], b: &[u8], bytes: usize) -> u32 {
    match bytes {
        1 => equal_of::<1>(a, b),
        2 => equal_of::<2>(a, b),
        4 => equal_of::<4>(a, b),
        8 => equal_of::<8>(a, b),
        16 => equal_of::<16>(a, b),
        _ => equal_of::<32>(a, b),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma,popcnt")]
fn equal_of<const BYTES: usize>(a: &[u8], b: &[u8]) -> u32 {
    let (a_body, a_tail) = a.as_chunks::<64>();
    let (b_body, b_tail) = b.as_chunks::<64>();
    let mut count = 0;
    for (x, y) in a_body.iter().zip(b_body) {
        count += crate::portable::whole_elements::<BYTES>(same_bytes(x, y));
    }
    if !a_tail.is_empty() {
        let there = u64::MAX >> (64 - a_tail.len());
        count += crate::portable::whole_elements::<BYTES>(there & same_bytes(a_tail, b_tail));
    }
    count
}

/// Which of up to 64 bytes are the same; those behind are.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma,popcnt")]
fn same_bytes(x: &[u8], y: &[u8]) -> u64 {
    debug_assert!(x.len() == y.len() && (1..=64).contains(&x.len()));
    let mask = u64::MAX >> (64 - x.len());
    // SAFETY: the mask selects bytes below x.len(); others are not read.
    unsafe {
        let x = _mm512_maskz_loadu_epi8(mask, x.as_ptr().cast());
        _mm512_cmpeq_epi8_mask(x, _mm512_maskz_loadu_epi8(mask, y.as_ptr().cast()))
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bits")]
fn sum_u64(v: __m512i) -> u32 {
    _mm512_reduce_add_epi64(v) as u32
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
pub(crate) fn hamming_vectors(a: &[u8], b: &[u8]) -> u32 {
    let mut count = _mm512_setzero_si512();
    each_block!(a, b, |x, y| {
        count = _mm512_add_epi64(count, _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
    });
    sum_u64(count)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq,fma")]
pub(crate) fn overlap_vectors(a: &[u8], b: &[u8]) -> (u32, u32) {
    let (mut both, mut either) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    each_block!(a, b, |x, y| {
        both = _mm512_add_epi64(both, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
        either = _mm512_add_epi64(either, _mm512_popcnt_epi64(_mm512_or_si512(x, y)));
    });
    (sum_u64(both), sum_u64(either))
}
