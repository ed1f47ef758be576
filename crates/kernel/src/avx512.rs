//! Distances in AVX-512: 16 floats or 64 codes at a step, tails by masked loads.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`] and slices of equal length;
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
                let d = _mm512_sub_ps($q, $r);
                _mm512_fmadd_ps(d, d, $acc)
            }
            Op::Ip => _mm512_fmadd_ps($q, $r, $acc),
        }
    };
}

/// The lanes of the last, partial step over `left` < 16 floats.
#[inline]
fn tail_mask(left: usize) -> __mmask16 {
    __mmask16::MAX >> (16 - left)
}

macro_rules! f32_kernel {
    ($name:ident, $op:expr, $rows:literal) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        fn $name(query: &[f32], rows: [&[f32]; $rows]) -> [f32; $rows] {
            let dim = query.len();
            debug_assert!(rows.iter().all(|row| row.len() == dim));
            let q = query.as_ptr();
            let r = rows.map(<[f32]>::as_ptr);
            let mut a = [_mm512_setzero_ps(); $rows];
            let mut b = [_mm512_setzero_ps(); $rows];
            let mut i = 0;
            while i + 32 <= dim {
                // SAFETY: i + 32 <= dim, and the query and every row have dim elements.
                unsafe {
                    let q0 = _mm512_loadu_ps(q.add(i));
                    let q1 = _mm512_loadu_ps(q.add(i + 16));
                    for n in 0..$rows {
                        a[n] = step!($op, a[n], q0, _mm512_loadu_ps(r[n].add(i)));
                        b[n] = step!($op, b[n], q1, _mm512_loadu_ps(r[n].add(i + 16)));
                    }
                }
                i += 32;
            }
            if i + 16 <= dim {
                // SAFETY: i + 16 <= dim, and the query and every row have dim elements.
                unsafe {
                    let q0 = _mm512_loadu_ps(q.add(i));
                    for n in 0..$rows {
                        a[n] = step!($op, a[n], q0, _mm512_loadu_ps(r[n].add(i)));
                    }
                }
                i += 16;
            }
            if i < dim {
                let mask = tail_mask(dim - i);
                // SAFETY: the mask selects lanes below dim - i < 16; others are not read.
                unsafe {
                    let q0 = _mm512_maskz_loadu_ps(mask, q.add(i));
                    for n in 0..$rows {
                        let r0 = _mm512_maskz_loadu_ps(mask, r[n].add(i));
                        b[n] = step!($op, b[n], q0, r0);
                    }
                }
            }
            let mut out = [0.0; $rows];
            for n in 0..$rows {
                out[n] = _mm512_reduce_add_ps(_mm512_add_ps(a[n], b[n]));
            }
            out
        }
    };
}

f32_kernel!(l2_rows_1, Op::L2, 1);
f32_kernel!(ip_rows_1, Op::Ip, 1);
f32_kernel!(l2_rows_4, Op::L2, 4);
f32_kernel!(ip_rows_4, Op::Ip, 4);

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn l2(query: &[f32], row: &[f32]) -> f32 {
    l2_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn ip(query: &[f32], row: &[f32]) -> f32 {
    ip_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn l2_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    l2_rows_4(query, rows)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn ip_x4(query: &[f32], rows: [&[f32]; 4]) -> [f32; 4] {
    ip_rows_4(query, rows)
}

/// Inner products and squared norms in one pass over the rows, bits as of [`ip`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn ip_norm_x4(query: &[f32], rows: [&[f32]; 4]) -> ([f32; 4], [f32; 4]) {
    let dim = query.len();
    debug_assert!(rows.iter().all(|row| row.len() == dim));
    let q = query.as_ptr();
    let r = rows.map(<[f32]>::as_ptr);
    let mut ip = [[_mm512_setzero_ps(); 2]; 4];
    let mut norm = [[_mm512_setzero_ps(); 2]; 4];
    let mut i = 0;
    let mut half = 0;
    while i + 16 <= dim {
        // SAFETY: i + 16 <= dim, and the query and every row have dim elements.
        unsafe {
            let q0 = _mm512_loadu_ps(q.add(i));
            for n in 0..4 {
                let r0 = _mm512_loadu_ps(r[n].add(i));
                ip[n][half] = _mm512_fmadd_ps(q0, r0, ip[n][half]);
                norm[n][half] = _mm512_fmadd_ps(r0, r0, norm[n][half]);
            }
        }
        half ^= 1;
        i += 16;
    }
    if i < dim {
        let mask = tail_mask(dim - i);
        // SAFETY: the mask selects lanes below dim - i < 16; others are not read.
        unsafe {
            let q0 = _mm512_maskz_loadu_ps(mask, q.add(i));
            for n in 0..4 {
                let r0 = _mm512_maskz_loadu_ps(mask, r[n].add(i));
                ip[n][1] = _mm512_fmadd_ps(q0, r0, ip[n][1]);
                norm[n][1] = _mm512_fmadd_ps(r0, r0, norm[n][1]);
            }
        }
    }
    let mut out = ([0.0; 4], [0.0; 4]);
    for n in 0..4 {
        out.0[n] = _mm512_reduce_add_ps(_mm512_add_ps(ip[n][0], ip[n][1]));
        out.1[n] = _mm512_reduce_add_ps(_mm512_add_ps(norm[n][0], norm[n][1]));
    }
    out
}

/// The sum of the lanes of a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn sums_x1([v]: [__m512i; 1]) -> [i32; 1] {
    [_mm512_reduce_add_epi32(v)]
}

/// Sums of the lanes of four vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn sums_x4(v: [__m512i; 4]) -> [i32; 4] {
    let half = |v| _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
    let [a, b, c, d] = v.map(half);
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
    let mut out = [0; 4];
    // SAFETY: out holds the 4 numbers that are written.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}

macro_rules! code_kernel {
    ($name:ident, $rows:literal, $sum:ident) => {
        /// VNNI multiplies unsigned row codes by the query's codes made signed (code - 128).
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
        fn $name(query: &[u8], rows: [&[u8]; $rows]) -> [i32; $rows] {
            let len = query.len();
            debug_assert!(rows.iter().all(|row| row.len() == len));
            let q = query.as_ptr();
            let r = rows.map(<[u8]>::as_ptr);
            let flip = _mm512_set1_epi8(-128);
            let mut a = [_mm512_setzero_si512(); $rows];
            let mut b = [_mm512_setzero_si512(); $rows];
            let mut i = 0;
            while i + 128 <= len {
                // SAFETY: i + 128 <= len, and the query and every row have len bytes.
                unsafe {
                    let q0 = _mm512_xor_si512(_mm512_loadu_si512(q.add(i).cast()), flip);
                    let q1 = _mm512_xor_si512(_mm512_loadu_si512(q.add(i + 64).cast()), flip);
                    for n in 0..$rows {
                        let r0 = _mm512_loadu_si512(r[n].add(i).cast());
                        let r1 = _mm512_loadu_si512(r[n].add(i + 64).cast());
                        a[n] = _mm512_dpbusd_epi32(a[n], r0, q0);
                        b[n] = _mm512_dpbusd_epi32(b[n], r1, q1);
                    }
                }
                i += 128;
            }
            while i < len {
                let left = (len - i).min(64);
                let mask = u64::MAX >> (64 - left);
                // SAFETY: the mask selects bytes below len - i; others are not read. A lane left
                // out of the row is 0, so it adds nothing whatever the query's lane holds.
                unsafe {
                    let q0 = _mm512_maskz_loadu_epi8(mask, q.add(i).cast());
                    let q0 = _mm512_xor_si512(q0, flip);
                    for n in 0..$rows {
                        let r0 = _mm512_maskz_loadu_epi8(mask, r[n].add(i).cast());
                        a[n] = _mm512_dpbusd_epi32(a[n], r0, q0);
                    }
                }
                i += left;
            }
            for n in 0..$rows {
                a[n] = _mm512_add_epi32(a[n], b[n]);
            }
            $sum(a)
        }
    };
}

code_kernel!(code_rows_1, 1, sums_x1);
code_kernel!(code_rows_4, 4, sums_x4);

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn code(query: &[u8], row: &[u8]) -> i32 {
    code_rows_1(query, [row])[0]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn code_x4(query: &[u8], rows: [&[u8]; 4]) -> [i32; 4] {
    code_rows_4(query, rows)
}

/// VNNI multiplies half-bytes by the planes of the query. Rows are whole lines of 64 bytes, planes
/// twice as long; see `lvq4`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(crate) fn lvq4_x4(planes: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
    let len = planes.len() / 2;
    debug_assert!(rows.iter().all(|row| row.len() == len && len.is_multiple_of(64)));
    let q = planes.as_ptr();
    let r = rows.map(<[u8]>::as_ptr);
    let mask = _mm512_set1_epi8(15);
    let mut low = [_mm512_setzero_si512(); 4];
    let mut high = [_mm512_setzero_si512(); 4];
    let mut i = 0;
    while i + 64 <= len {
        // SAFETY: i + 64 <= len, every row has len bytes, and the planes twice as many.
        unsafe {
            let q0 = _mm512_loadu_si512(q.add(2 * i).cast());
            let q1 = _mm512_loadu_si512(q.add(2 * i + 64).cast());
            for n in 0..4 {
                let codes = _mm512_loadu_si512(r[n].add(i).cast());
                let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask);
                low[n] = _mm512_dpbusd_epi32(low[n], _mm512_and_si512(codes, mask), q0);
                high[n] = _mm512_dpbusd_epi32(high[n], upper, q1);
            }
        }
        i += 64;
    }
    let quarter = |n: usize| {
        let sum = _mm512_add_epi32(low[n], high[n]);
        let half =
            _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
    };
    let sums = _mm_hadd_epi32(
        _mm_hadd_epi32(quarter(0), quarter(1)),
        _mm_hadd_epi32(quarter(2), quarter(3)),
    );
    let mut out = [0; 4];
    // SAFETY: out has room for the 16 bytes of a vector.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}
