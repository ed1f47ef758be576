//! Scans in AVX-512: a shuffle looks up 16 rows in the tables of four parts, or 64 rows in the 256
//! entries of one.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`], `wide_scan` AVX512_VBMI
//! besides, and the lengths of [`super::Scan`]; `simd` hands them out only where the features are
//! there. Sums of odd and even rows are kept apart as in `avx2`.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{BLOCK, ENTRIES, FastScanKernels, avx2, portable, wide};

pub(crate) const KERNELS: FastScanKernels =
    FastScanKernels { scan, wide_scan: portable::wide_scan, within, quantise: avx2::quantise };

/// As [`KERNELS`] on CPUs that look bytes up in registers.
pub(crate) const VBMI_KERNELS: FastScanKernels = FastScanKernels { wide_scan, ..KERNELS };

/// Sums of the even and the odd of 16 or 64 rows, as pairs and upper bytes.
type Sums = [__m512i; 2];

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn add(sums: &mut Sums, bytes: __m512i) {
    sums[0] = _mm512_add_epi16(sums[0], bytes);
    sums[1] = _mm512_add_epi16(sums[1], _mm512_srli_epi16::<8>(bytes));
}

/// Adds what the codes of up to four parts choose: low halves of bytes, and high halves.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn look_up(table: __m512i, codes: __m512i, low: &mut Sums, high: &mut Sums) {
    let nibble = _mm512_set1_epi8(15);
    add(low, _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibble)));
    let codes = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
    add(high, _mm512_shuffle_epi8(table, codes));
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    debug_assert!(blocks.len() / tables.len() * BLOCK == out.len());
    let (quads, rest) = tables.as_chunks::<{ 4 * ENTRIES }>();
    let last = u64::MAX >> (64 - 2 * ENTRIES);
    let sums = out.as_chunks_mut::<BLOCK>().0;
    for (block, sums) in blocks.chunks_exact(tables.len()).zip(sums) {
        let (mut low, mut high) = ([_mm512_setzero_si512(); 2], [_mm512_setzero_si512(); 2]);
        let (columns, tail) = block.as_chunks::<{ 4 * ENTRIES }>();
        for (table, codes) in quads.iter().zip(columns) {
            // SAFETY: both are 64 bytes.
            let (table, codes) = unsafe {
                let table = _mm512_loadu_si512(table.as_ptr().cast());
                (table, _mm512_loadu_si512(codes.as_ptr().cast()))
            };
            look_up(table, codes, &mut low, &mut high);
        }
        if rest.len() == 2 * ENTRIES && tail.len() == 2 * ENTRIES {
            // SAFETY: both are 32 bytes, which is what the mask selects; the entries that the other
            // lanes look up are 0.
            let (table, codes) = unsafe {
                let table = _mm512_maskz_loadu_epi8(last, rest.as_ptr().cast());
                (table, _mm512_maskz_loadu_epi8(last, tail.as_ptr().cast()))
            };
            look_up(table, codes, &mut low, &mut high);
        }
        let (first, second) = sums.split_at_mut(ENTRIES);
        put(low, first);
        put(high, second);
    }
}

/// Writes the sums of 16 rows, the four parts of each added up.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn put(sums: Sums, out: &mut [u16]) {
    let even = _mm512_sub_epi16(sums[0], _mm512_slli_epi16::<8>(sums[1]));
    let (even, odd) = (add_parts(even), add_parts(sums[1]));
    let out = &mut out[..16];
    // SAFETY: out has 16 elements of 16 bits.
    unsafe {
        _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_unpacklo_epi16(even, odd));
        _mm_storeu_si128(out.as_mut_ptr().add(8).cast(), _mm_unpackhi_epi16(even, odd));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn add_parts(v: __m512i) -> __m128i {
    let half = _mm256_add_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
    _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi,fma")]
fn wide_scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    let parts = tables.len() / wide::ENTRIES;
    debug_assert!(blocks.len() == out.len() * parts);
    // Two blocks share what is loaded of the tables.
    let (pairs, rest) = out.as_chunks_mut::<{ 2 * wide::BLOCK }>();
    let (body, tail) = blocks.split_at(pairs.len() * 2 * parts * wide::BLOCK);
    for (sums, blocks) in pairs.iter_mut().zip(body.chunks_exact(2 * parts * wide::BLOCK)) {
        let (a, b) = blocks.split_at(parts * wide::BLOCK);
        wide_blocks(tables, [a, b], sums);
    }
    if !rest.is_empty() {
        wide_blocks(tables, [tail], rest);
    }
}

/// Sums of the rows of `N` blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi,fma")]
fn wide_blocks<const N: usize>(tables: &[u8], blocks: [&[u8]; N], out: &mut [u16]) {
    let mut sums = [[_mm512_setzero_si512(); 2]; N];
    let columns = blocks.map(|block| block.as_chunks::<{ wide::BLOCK }>().0);
    for (part, table) in tables.as_chunks::<{ wide::ENTRIES }>().0.iter().enumerate() {
        // SAFETY: a table has 256 bytes.
        let quarter = |n: usize| unsafe { _mm512_loadu_si512(table.as_ptr().add(n * 64).cast()) };
        let table = [quarter(0), quarter(1), quarter(2), quarter(3)];
        for n in 0..N {
            // SAFETY: a column has 64 bytes.
            let codes = unsafe { _mm512_loadu_si512(columns[n][part].as_ptr().cast()) };
            let low = _mm512_permutex2var_epi8(table[0], codes, table[1]);
            let high = _mm512_permutex2var_epi8(table[2], codes, table[3]);
            add(&mut sums[n], _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high));
        }
    }
    for (sums, out) in sums.into_iter().zip(out.chunks_exact_mut(wide::BLOCK)) {
        let even = _mm512_sub_epi16(sums[0], _mm512_slli_epi16::<8>(sums[1]));
        let mut halves = [[0u16; 32]; 2];
        // SAFETY: each half has 32 elements of 16 bits.
        unsafe {
            _mm512_storeu_si512(halves[0].as_mut_ptr().cast(), even);
            _mm512_storeu_si512(halves[1].as_mut_ptr().cast(), sums[1]);
        }
        let [evens, odds] = halves;
        for ((pair, even), odd) in out.as_chunks_mut::<2>().0.iter_mut().zip(evens).zip(odds) {
            *pair = [even, odd];
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
#[expect(clippy::cast_possible_wrap, reason = "bits, not a number")]
fn within(sums: &[u16], bound: u16, masks: &mut [u32]) {
    let bound = _mm512_set1_epi16(bound as i16);
    for (sums, mask) in sums.as_chunks::<BLOCK>().0.iter().zip(masks) {
        // SAFETY: sums has 32 elements of 16 bits.
        let sums = unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) };
        *mask = _mm512_cmple_epu16_mask(sums, bound);
    }
}
