//! Tiles in AVX-512: up to 12 queries by 32 rows in 24 registers; bfloat16 by VDPBF16PS.
//!
//! Every function needs the CPU features of [`crate::Level::Avx512`], `bf16_ip` AVX512_BF16
//! besides, and what [`super::Tile`] asks for; `simd` hands them out only where the features are
//! there. Twenty-four sums hide the latency of the multiplier; more queries would spill.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{LANES, ManyKernels, Operands, avx2};

/// Rows of a panel.
const WIDTH: usize = 32;
/// How many words ahead rows are brought from the second-level cache.
const AHEAD: usize = 24;

pub(crate) const KERNELS: ManyKernels =
    ManyKernels { width: WIDTH, height: 12, pack: avx2::pack, ip, l2, bf16_ip: None };

/// As [`KERNELS`] on CPUs that multiply bfloat16.
pub(crate) const BF16_KERNELS: ManyKernels = ManyKernels { bf16_ip: Some(bf16_ip), ..KERNELS };

/// Writes the first `rows` of 32 floats to `out`, or adds them to what is there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn store(sums: [__m512; 2], rows: usize, add: bool, out: &mut [f32]) {
    for (sum, out) in sums.into_iter().zip(out[..rows].chunks_mut(16)) {
        let mask = __mmask16::MAX >> (16 - out.len());
        // SAFETY: the mask selects lanes below out.len() <= 16.
        unsafe {
            let old = _mm512_maskz_loadu_ps(if add { mask } else { 0 }, out.as_ptr());
            _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, _mm512_add_ps(sum, old));
        }
    }
}

macro_rules! tile {
    ($name:ident, $of:ident, $features:literal, |$sum:ident, $q:ident, $r:ident| $step:expr) => {
        #[target_feature(enable = $features)]
        fn $of<const M: usize>(operands: Operands<'_>, out: &mut [f32]) {
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            let words = operands.panel.len() / WIDTH;
            debug_assert!(operands.queries.len() == words * LANES && M <= LANES);
            let (queries, panel) = (operands.queries.as_ptr(), operands.panel.as_ptr());
            for word in 0..words {
                // SAFETY: word < words, queries have LANES >= M elements a word, panels WIDTH.
                unsafe {
                    let ahead = panel.wrapping_add((word + AHEAD) * WIDTH).cast();
                    _mm_prefetch::<_MM_HINT_T0>(ahead);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                    let r0 = _mm512_loadu_ps(panel.add(word * WIDTH).cast());
                    let r1 = _mm512_loadu_ps(panel.add(word * WIDTH + 16).cast());
                    for m in 0..M {
                        let $q = _mm512_set1_ps(*queries.add(word * LANES + m).cast());
                        let ($sum, $r) = (sums[m][0], r0);
                        sums[m][0] = $step;
                        let ($sum, $r) = (sums[m][1], r1);
                        sums[m][1] = $step;
                    }
                }
            }
            for m in 0..M {
                store(sums[m], operands.rows, operands.add, &mut out[m * operands.stride..]);
            }
        }

        #[target_feature(enable = $features)]
        fn $name(operands: Operands<'_>, out: &mut [f32]) {
            match operands.count {
                1 => $of::<1>(operands, out),
                2 => $of::<2>(operands, out),
                3 => $of::<3>(operands, out),
                4 => $of::<4>(operands, out),
                5 => $of::<5>(operands, out),
                6 => $of::<6>(operands, out),
                7 => $of::<7>(operands, out),
                8 => $of::<8>(operands, out),
                9 => $of::<9>(operands, out),
                10 => $of::<10>(operands, out),
                11 => $of::<11>(operands, out),
                _ => $of::<12>(operands, out),
            }
        }
    };
}

tile!(ip, ip_of, "avx512f,avx512bw,avx512vl,avx512vnni,fma", |sum, q, r| {
    _mm512_fmadd_ps(q, r, sum)
});
tile!(l2, l2_of, "avx512f,avx512bw,avx512vl,avx512vnni,fma", |sum, q, r| {
    let d = _mm512_sub_ps(q, r);
    _mm512_fmadd_ps(d, d, sum)
});
tile!(bf16_ip, bf16_ip_of, "avx512f,avx512bw,avx512vl,avx512vnni,avx512bf16,fma", |sum, q, r| {
    _mm512_dpbf16_ps(sum, pairs(q), pairs(r))
});

/// Sixteen words as pairs of bfloat16.
#[inline(always)]
fn pairs(words: __m512) -> __m512bh {
    // SAFETY: both are 512 bits of plain data.
    unsafe { std::mem::transmute(words) }
}
