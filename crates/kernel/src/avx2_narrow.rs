//! Distances of 16-bit floats, bytes and bits in AVX2, F16C and POPCNT.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and slices of equal length;
//! `simd` hands them out only where the features are there, the public wrappers check lengths.
//! Floats are widened to 32 bits, bytes to 16; tails go through a zeroed buffer.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use half::{bf16, f16};

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen_f16(raw: __m128i) -> __m256 {
    _mm256_cvtph_ps(raw)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen_bf16(raw: __m128i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(raw)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sum_f32(v: __m256) -> f32 {
    let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sum_i32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair)))
}

macro_rules! step {
    (l2, $acc:expr, $x:expr, $y:expr) => {{
        let d = _mm256_sub_ps($x, $y);
        _mm256_fmadd_ps(d, d, $acc)
    }};
    (ip, $acc:expr, $x:expr, $y:expr) => {
        _mm256_fmadd_ps($x, $y, $acc)
    };
}

macro_rules! float_kernel {
    ($name:ident, $type:ty, $widen:ident, $op:ident) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        pub(crate) fn $name(a: &[$type], b: &[$type]) -> f32 {
            let dim = a.len();
            debug_assert!(b.len() == dim);
            let (p, q) = (a.as_ptr(), b.as_ptr());
            let mut sums = [_mm256_setzero_ps(); 2];
            let mut i = 0;
            while i + 16 <= dim {
                // SAFETY: i + 16 <= dim, and both vectors have dim elements of 16 bits.
                unsafe {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let x = $widen(_mm_loadu_si128(p.add(i + n * 8).cast()));
                        let y = $widen(_mm_loadu_si128(q.add(i + n * 8).cast()));
                        *sum = step!($op, *sum, x, y);
                    }
                }
                i += 16;
            }
            while i < dim {
                let left = (dim - i).min(8);
                let mut lanes = [[<$type>::ZERO; 8]; 2];
                lanes[0][..left].copy_from_slice(&a[i..i + left]);
                lanes[1][..left].copy_from_slice(&b[i..i + left]);
                // SAFETY: lanes holds the 8 elements that are read of each.
                let (x, y) = unsafe {
                    let x = _mm_loadu_si128(lanes[0].as_ptr().cast());
                    let y = _mm_loadu_si128(lanes[1].as_ptr().cast());
                    ($widen(x), $widen(y))
                };
                sums[0] = step!($op, sums[0], x, y);
                i += left;
            }
            sum_f32(_mm256_add_ps(sums[0], sums[1]))
        }
    };
}

float_kernel!(f16_l2, f16, widen_f16, l2);
float_kernel!(f16_ip, f16, widen_f16, ip);
float_kernel!(bf16_l2, bf16, widen_bf16, l2);
float_kernel!(bf16_ip, bf16, widen_bf16, ip);

macro_rules! i8_kernel {
    ($name:ident, |$x:ident, $y:ident| $product:expr) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        pub(crate) fn $name(a: &[i8], b: &[i8]) -> i32 {
            let dim = a.len();
            debug_assert!(b.len() == dim);
            let (p, q) = (a.as_ptr(), b.as_ptr());
            let mut sum = _mm256_setzero_si256();
            let mut i = 0;
            while i + 16 <= dim {
                // SAFETY: i + 16 <= dim, and both vectors have dim bytes.
                let ($x, $y) = unsafe {
                    let x = _mm256_cvtepi8_epi16(_mm_loadu_si128(p.add(i).cast()));
                    let y = _mm256_cvtepi8_epi16(_mm_loadu_si128(q.add(i).cast()));
                    (x, y)
                };
                sum = _mm256_add_epi32(sum, $product);
                i += 16;
            }
            sum_i32(sum) + crate::portable::$name(&a[i..], &b[i..])
        }
    };
}

i8_kernel!(i8_l2, |x, y| {
    let d = _mm256_sub_epi16(x, y);
    _mm256_madd_epi16(d, d)
});
i8_kernel!(i8_ip, |x, y| _mm256_madd_epi16(x, y));

#[target_feature(enable = "popcnt")]
pub(crate) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    crate::portable::hamming(a, b)
}

#[target_feature(enable = "popcnt")]
pub(crate) fn overlap(a: &[u8], b: &[u8]) -> (u32, u32) {
    crate::portable::overlap(a, b)
}

/// See [`crate::portable::equal`]; `bytes` is a power of two up to 32.
#[target_feature(enable = "avx2,popcnt")]
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
#[target_feature(enable = "avx2,popcnt")]
fn equal_of<const BYTES: usize>(a: &[u8], b: &[u8]) -> u32 {
    let (a_body, a_tail) = a.as_chunks::<64>();
    let (b_body, b_tail) = b.as_chunks::<64>();
    let mut count = 0;
    for (x, y) in a_body.iter().zip(b_body) {
        count += crate::portable::whole_elements::<BYTES>(same_bytes(x, y));
    }
    if !a_tail.is_empty() {
        let (mut x, mut y) = ([0; 64], [0; 64]);
        x[..a_tail.len()].copy_from_slice(a_tail);
        y[..b_tail.len()].copy_from_slice(b_tail);
        let there = u64::MAX >> (64 - a_tail.len());
        count += crate::portable::whole_elements::<BYTES>(there & same_bytes(&x, &y));
    }
    count
}

/// Which of 64 bytes are the same.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
#[expect(clippy::cast_sign_loss, reason = "bits, not a number")]
fn same_bytes(x: &[u8; 64], y: &[u8; 64]) -> u64 {
    let same = |at: usize| {
        debug_assert!(at <= 32);
        // SAFETY: at <= 32, and both have 64 bytes.
        unsafe {
            let x = _mm256_loadu_si256(x.as_ptr().add(at).cast());
            let y = _mm256_loadu_si256(y.as_ptr().add(at).cast());
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(x, y)) as u32
        }
    };
    u64::from(same(32)) << 32 | u64::from(same(0))
}
