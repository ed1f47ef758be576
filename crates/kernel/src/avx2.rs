//! Distances in AVX2 and FMA: 8 floats or 16 codes at a step, tails through a zeroed buffer.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and slices of equal length;
//! `simd` hands them out only where the features are there, the public wrappers check lengths.
//! Each row is summed in two accumulators in the same order, whatever the number of rows, so that
//! a row's distance has the same bits alone and among others.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

/// What a step adds to an accumulator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    L2,
    Ip,
}

macro_rules! step {
    ($op:expr, $acc:expr, $q:expr, $r:expr) => {
        match $op {
            Op::L2 => {
                let d = _mm256_sub_ps($q, $r);
                _mm256_fmadd_ps(d, d, $acc)
            }
            Op::Ip => _mm256_fmadd_ps($q, $r, $acc),
        }
    };
}

/// Fewer than 8 floats, zeros behind them.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_tail(tail: &[f32]) -> __m256 {
    let mut lanes = [0.0f32; 8];
    lanes[..tail.len()].copy_from_slice(tail);
    // SAFETY: lanes holds the 8 floats that are read.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_f32(v: __m256) -> f32 {
    let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_i32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b00_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair)))
}

macro_rules! f32_kernel {
    ($name:ident, $op:expr, $rows:literal) => {
        #[target_feature(enable = "avx2,fma")]
        fn $name(query: &[f32], rows: [&[f32]; $rows]) -> [f32; $rows] {
            let dim = query.len();
            debug_assert!(rows.iter().all(|row| row.len() == dim));
            let q = query.as_ptr();
            let r = rows.map(<[f32]>::as_ptr);
            let mut a = [_mm256_setzero_ps(); $rows];
            let mut b = [_mm256_setzero_ps(); $rows];
            let mut i = 0;
            while i + 16 <= dim {
                // SAFETY: i + 16 <= dim, and the query and every row have dim elements.
                unsafe {
                    let q0 = _mm256_loadu_ps(q.add(i));
                    let q1 = _mm256_loadu_ps(q.add(i + 8));
                    for n in 0..$rows {
                        a[n] = step!($op, a[n], q0, _mm256_loadu_ps(r[n].add(i)));
                        b[n] = step!($op, b[n], q1, _mm256_loadu_ps(r[n].add(i + 8)));
                    }
                }
                i += 16;
            }
            if i + 8 <= dim {
                // SAFETY: i + 8 <= dim, and the query and every row have dim elements.
                unsafe {
                    let q0 = _mm256_loadu_ps(q.add(i));
                    for n in 0..$rows {
                        a[n] = step!($op, a[n], q0, _mm256_loadu_ps(r[n].add(i)));
                    }
                }
                i += 8;
            }
            if i < dim {
                let q0 = load_tail(&query[i..]);
                for n in 0..$rows {
                    b[n] = step!($op, b[n], q0, load_tail(&rows[n][i..]));
                }
            }
            let mut out = [0.0; $rows];
            for n in 0..$rows {
                out[n] = sum_f32(_mm256_add_ps(a[n], b[n]));
            }
            out
        }
    };
}

f32_kernel!(l2_rows_1, Op::L2, 1);
f32_kernel!(ip_rows_1, Op::Ip, 1);
f32_kernel!(l2_rows_4, Op::L2, 4);
f32_kernel!(ip_rows_4, Op::Ip, 4);

#[target_feature(enable = "avx2,fma")]
pub(crate) fn l2(query: &[f32], row: &[f32]) -> f32 {
    l2_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx2,fma")]
pub(crate) fn ip(query: &[f32], row: &[f32]) -> f32 {
    ip_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx2,fma")]
pub(crate) fn l2_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    l2_rows_4(query, rows)
}

#[target_feature(enable = "avx2,fma")]
pub(crate) fn ip_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    ip_rows_4(query, rows)
}

/// Inner products and squared norms, bits as of [`ip`]; sixteen registers hold no fused form.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn ip_norm_x4(query: &[f32], rows: [&[f32]; 4]) -> ([f32; 4], [f32; 4]) {
    let mut norms = [0.0; 4];
    for (norm, row) in norms.iter_mut().zip(rows) {
        *norm = ip_rows_1(row, [row])[0];
    }
    (ip_rows_4(query, rows), norms)
}

macro_rules! code_kernel {
    ($name:ident, $rows:literal) => {
        /// Widens to 16 bits: the 8-bit multiply of AVX2 would saturate.
        #[target_feature(enable = "avx2,fma")]
        fn $name(query: &[u8], rows: [&[u8]; $rows]) -> [i32; $rows] {
            let len = query.len();
            debug_assert!(rows.iter().all(|row| row.len() == len));
            let q = query.as_ptr();
            let r = rows.map(<[u8]>::as_ptr);
            let zero = _mm256_set1_epi16(128);
            let mut sums = [_mm256_setzero_si256(); $rows];
            let mut i = 0;
            while i + 16 <= len {
                // SAFETY: i + 16 <= len, and the query and every row have len bytes.
                unsafe {
                    let q0 = _mm256_cvtepu8_epi16(_mm_loadu_si128(q.add(i).cast()));
                    let q0 = _mm256_sub_epi16(q0, zero);
                    for n in 0..$rows {
                        let r0 = _mm256_cvtepu8_epi16(_mm_loadu_si128(r[n].add(i).cast()));
                        sums[n] = _mm256_add_epi32(sums[n], _mm256_madd_epi16(q0, r0));
                    }
                }
                i += 16;
            }
            let mut out = [0; $rows];
            for n in 0..$rows {
                out[n] = sum_i32(sums[n]) + crate::portable::code(&query[i..], &rows[n][i..]);
            }
            out
        }
    };
}

code_kernel!(code_rows_1, 1);
code_kernel!(code_rows_4, 4);

#[target_feature(enable = "avx2,fma")]
pub(crate) fn code(query: &[u8], row: &[u8]) -> i32 {
    code_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx2,fma")]
pub(crate) fn code_x4(query: &[u8], rows: [&[u8]; 4]) -> [i32; 4] {
    code_rows_4(query, rows)
}

/// Half-bytes times the planes of the query: pairs of products stay below 3,811, so 16 bits hold the
/// sum of a line. Rows are whole lines of 64 bytes, planes twice as long; see `lvq4`.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn lvq4_x4(planes: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
    let len = planes.len() / 2;
    debug_assert!(rows.iter().all(|row| row.len() == len && len.is_multiple_of(64)));
    let q = planes.as_ptr();
    let r = rows.map(<[u8]>::as_ptr);
    let mask = _mm256_set1_epi8(15);
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); 4];
    let mut i = 0;
    while i + 64 <= len {
        for half in [0, 32] {
            // SAFETY: i + 64 <= len, every row has len bytes, and the planes twice as many.
            unsafe {
                let q0 = _mm256_loadu_si256(q.add(2 * i + half).cast());
                let q1 = _mm256_loadu_si256(q.add(2 * i + 64 + half).cast());
                for n in 0..4 {
                    let codes = _mm256_loadu_si256(r[n].add(i + half).cast());
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
                    let low = _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), q0);
                    let both = _mm256_add_epi16(low, _mm256_maddubs_epi16(upper, q1));
                    sums[n] = _mm256_add_epi32(sums[n], _mm256_madd_epi16(both, ones));
                }
            }
        }
        i += 64;
    }
    sums.map(|sum| sum_i32(sum))
}
