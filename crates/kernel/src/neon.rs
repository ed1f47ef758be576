//! Distances in NEON: 4 floats or 16 bytes at a step, tails by the portable path.
//!
//! Every function needs NEON, those called `_dot` the dot product instructions (SDOT) besides, and
//! slices of equal length; `simd` hands them out only where the features are there, the public
//! wrappers check lengths. Each row is summed in four accumulators in the same order, whatever the
//! number of rows, so that a row's distance has the same bits alone and among others.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::aarch64::*;
use std::arch::asm;

use crate::portable;

/// Floats of a step over four accumulators.
const STEP: usize = 16;

macro_rules! f32_kernel {
    ($name:ident, $quad:ident, $rows_of:ident, $tail:path, |$acc:ident, $q:ident, $r:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "neon")]
        fn $rows_of<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
            let dim = query.len();
            debug_assert!(rows.iter().all(|row| row.len() == dim));
            let whole = dim / STEP * STEP;
            let mut sums = [[vdupq_n_f32(0.0); 4]; R];
            for i in (0..whole).step_by(STEP) {
                for part in 0..4 {
                    // SAFETY: i + 16 <= dim, and the query and every row have dim elements.
                    let $q = unsafe { vld1q_f32(query.as_ptr().add(i + part * 4)) };
                    for n in 0..R {
                        // SAFETY: as above.
                        let $r = unsafe { vld1q_f32(rows[n].as_ptr().add(i + part * 4)) };
                        let $acc = sums[n][part];
                        sums[n][part] = $step;
                    }
                }
            }
            let mut out = [0.0; R];
            for n in 0..R {
                let [a, b, c, d] = sums[n];
                let sum = vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)));
                out[n] = sum + $tail(&query[whole..], &rows[n][whole..]);
            }
            out
        }

        #[target_feature(enable = "neon")]
        pub(crate) fn $name(query: &[f32], row: &[f32]) -> f32 {
            $rows_of(query, [row])[0]
        }

        #[target_feature(enable = "neon")]
        pub(crate) fn $quad(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
            $rows_of(query, rows)
        }
    };
}

f32_kernel!(l2, l2_x4, l2_rows, portable::l2, |acc, q, r| {
    let d = vsubq_f32(q, r);
    vfmaq_f32(acc, d, d)
});
f32_kernel!(ip, ip_x4, ip_rows, portable::ip, |acc, q, r| vfmaq_f32(acc, q, r));

/// Inner products and squared norms, bits as of [`ip`].
#[target_feature(enable = "neon")]
pub(crate) fn ip_norm_x4(query: &[f32], rows: [&[f32]; 4]) -> ([f32; 4], [f32; 4]) {
    let mut norms = [0.0; 4];
    for (norm, row) in norms.iter_mut().zip(rows) {
        *norm = ip(row, row);
    }
    (ip_x4(query, rows), norms)
}

/// Adds the products of 16 signed bytes.
#[inline]
#[target_feature(enable = "neon")]
fn multiply(acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    let high = vmull_high_s8(a, b);
    vpadalq_s16(vpadalq_s16(acc, low), high)
}

/// As [`multiply`] in one instruction.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn multiply_dot(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes these registers alone, and dotprod is enabled.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
            acc = inout(vreg) acc, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// 16 bytes of `bytes` from `at` on as signed, those of `flip` turned over.
#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8], at: usize, flip: uint8x16_t) -> int8x16_t {
    let bytes = &bytes[at..at + 16];
    // SAFETY: there are 16 bytes.
    vreinterpretq_s8_u8(veorq_u8(unsafe { vld1q_u8(bytes.as_ptr()) }, flip))
}

macro_rules! byte_kernels {
    ($features:literal, $multiply:ident, $code:ident, $code_x4:ident, $i8_ip:ident) => {
        /// The sum of `row[i] * (query[i] - 128)`: rows made signed, 128 times the query's sum added.
        #[target_feature(enable = $features)]
        pub(crate) fn $code(query: &[u8], row: &[u8]) -> i32 {
            debug_assert!(query.len() == row.len());
            let flip = vdupq_n_u8(128);
            let whole = query.len() / 16 * 16;
            let (mut products, mut sum) = (vdupq_n_s32(0), vdupq_n_s32(0));
            for at in (0..whole).step_by(16) {
                let (q, r) = (load(query, at, flip), load(row, at, flip));
                products = $multiply(products, q, r);
                sum = $multiply(sum, q, vdupq_n_s8(1));
            }
            let sum = vaddvq_s32(products).wrapping_add(vaddvq_s32(sum).wrapping_mul(128));
            sum.wrapping_add(portable::code(&query[whole..], &row[whole..]))
        }

        #[target_feature(enable = $features)]
        pub(crate) fn $code_x4(query: &[u8], rows: [&[u8]; 4]) -> [i32; 4] {
            let [a, b, c, d] = rows;
            [$code(query, a), $code(query, b), $code(query, c), $code(query, d)]
        }

        #[target_feature(enable = $features)]
        pub(crate) fn $i8_ip(a: &[i8], b: &[i8]) -> i32 {
            debug_assert!(a.len() == b.len());
            let mut sum = vdupq_n_s32(0);
            let (a_body, a_tail) = a.as_chunks::<16>();
            let (b_body, b_tail) = b.as_chunks::<16>();
            for (x, y) in a_body.iter().zip(b_body) {
                // SAFETY: both have 16 bytes.
                let (x, y) = unsafe { (vld1q_s8(x.as_ptr()), vld1q_s8(y.as_ptr())) };
                sum = $multiply(sum, x, y);
            }
            vaddvq_s32(sum) + portable::i8_ip(a_tail, b_tail)
        }
    };
}

byte_kernels!("neon", multiply, code, code_x4, i8_ip);
byte_kernels!("neon,dotprod", multiply_dot, code_dot, code_x4_dot, i8_ip_dot);

/// Squared differences of bytes, by their absolute differences.
#[target_feature(enable = "neon")]
pub(crate) fn i8_l2(a: &[i8], b: &[i8]) -> i32 {
    debug_assert!(a.len() == b.len());
    let mut sum = vdupq_n_u32(0);
    let (a_body, a_tail) = a.as_chunks::<16>();
    let (b_body, b_tail) = b.as_chunks::<16>();
    for (x, y) in a_body.iter().zip(b_body) {
        // SAFETY: both have 16 bytes.
        let (x, y) = unsafe { (vld1q_s8(x.as_ptr()), vld1q_s8(y.as_ptr())) };
        let d = vreinterpretq_u8_s8(vabdq_s8(x, y));
        sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
        sum = vpadalq_u16(sum, vmull_high_u8(d, d));
    }
    vaddvq_u32(sum).cast_signed() + portable::i8_l2(a_tail, b_tail)
}

/// Adds the bits of 16 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn count(acc: uint32x4_t, bytes: uint8x16_t) -> uint32x4_t {
    vpadalq_u16(acc, vpaddlq_u8(vcntq_u8(bytes)))
}

#[target_feature(enable = "neon")]
pub(crate) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    debug_assert!(a.len() == b.len());
    let whole = a.len() / 16 * 16;
    let mut sum = vdupq_n_u32(0);
    for at in (0..whole).step_by(16) {
        // SAFETY: at + 16 <= whole, and both have as many bytes.
        let (x, y) = unsafe { (vld1q_u8(a.as_ptr().add(at)), vld1q_u8(b.as_ptr().add(at))) };
        sum = count(sum, veorq_u8(x, y));
    }
    vaddvq_u32(sum) + portable::hamming(&a[whole..], &b[whole..])
}

#[target_feature(enable = "neon")]
pub(crate) fn overlap(a: &[u8], b: &[u8]) -> (u32, u32) {
    debug_assert!(a.len() == b.len());
    let whole = a.len() / 16 * 16;
    let (mut both, mut either) = (vdupq_n_u32(0), vdupq_n_u32(0));
    for at in (0..whole).step_by(16) {
        // SAFETY: at + 16 <= whole, and both have as many bytes.
        let (x, y) = unsafe { (vld1q_u8(a.as_ptr().add(at)), vld1q_u8(b.as_ptr().add(at))) };
        both = count(both, vandq_u8(x, y));
        either = count(either, vorrq_u8(x, y));
    }
    let tail = portable::overlap(&a[whole..], &b[whole..]);
    (vaddvq_u32(both) + tail.0, vaddvq_u32(either) + tail.1)
}
