//! Tiles in AVX2 and FMA: up to 6 queries by 16 rows in twelve registers; interleaving by 8 x 8.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and what [`super::Pack`] and
//! [`super::Tile`] ask for; `simd` hands them out only where the features are there.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::x86_64::*;

use super::{LANES, ManyKernels, Operands, pack_row};

/// Rows of a panel.
const WIDTH: usize = 16;

pub(crate) const KERNELS: ManyKernels =
    ManyKernels { width: WIDTH, height: 6, pack, ip, l2, bf16_ip: None };

/// See [`super::Pack`].
#[target_feature(enable = "avx2,fma")]
pub(crate) fn pack(rows: &[u8], row_bytes: usize, width: usize, panel: &mut [u32]) {
    let count = rows.len() / row_bytes;
    debug_assert!(count <= width && panel.len() == row_bytes.div_ceil(4) * width);
    let even = row_bytes / 32 * 8;
    if count < width {
        panel.fill(0);
    }
    for first in (0..count / 8 * 8).step_by(8) {
        for word in (0..even).step_by(8) {
            // SAFETY: rows first..first + 8 exist and have 8 words from `word` on; the panel has
            // `width` elements for each word, of which first..first + 8 are written.
            unsafe {
                let from = rows.as_ptr().add(first * row_bytes + word * 4);
                let to = panel.as_mut_ptr().add(word * width + first);
                transpose(from, row_bytes, to, width);
            }
        }
        for n in first..first + 8 {
            pack_row(&rows[n * row_bytes..][..row_bytes], even, n, width, panel);
        }
    }
    for n in count / 8 * 8..count {
        pack_row(&rows[n * row_bytes..][..row_bytes], 0, n, width, panel);
    }
}

/// Writes the 8 x 8 words at `from`, rows `row_bytes` bytes apart, transposed to `to`, rows `width`
/// words apart. Both must reach as far as that says.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(from: *const u8, row_bytes: usize, to: *mut u32, width: usize) {
    let mut r = [_mm256_setzero_ps(); 8];
    for (n, r) in r.iter_mut().enumerate() {
        // SAFETY: the caller promises 8 rows of 8 words.
        *r = unsafe { _mm256_loadu_ps(from.add(n * row_bytes).cast()) };
    }
    let mut t = [_mm256_setzero_ps(); 8];
    for n in 0..4 {
        t[n * 2] = _mm256_unpacklo_ps(r[n * 2], r[n * 2 + 1]);
        t[n * 2 + 1] = _mm256_unpackhi_ps(r[n * 2], r[n * 2 + 1]);
    }
    let u = [
        _mm256_shuffle_ps::<0x44>(t[0], t[2]),
        _mm256_shuffle_ps::<0xee>(t[0], t[2]),
        _mm256_shuffle_ps::<0x44>(t[1], t[3]),
        _mm256_shuffle_ps::<0xee>(t[1], t[3]),
        _mm256_shuffle_ps::<0x44>(t[4], t[6]),
        _mm256_shuffle_ps::<0xee>(t[4], t[6]),
        _mm256_shuffle_ps::<0x44>(t[5], t[7]),
        _mm256_shuffle_ps::<0xee>(t[5], t[7]),
    ];
    for n in 0..4 {
        let low = _mm256_permute2f128_ps::<0x20>(u[n], u[n + 4]);
        let high = _mm256_permute2f128_ps::<0x31>(u[n], u[n + 4]);
        // SAFETY: the caller promises room for 8 rows of 8 words.
        unsafe {
            _mm256_storeu_ps(to.add(n * width).cast(), low);
            _mm256_storeu_ps(to.add((n + 4) * width).cast(), high);
        }
    }
}

macro_rules! tile {
    ($name:ident, $of:ident, |$sum:ident, $q:ident, $r:ident| $step:expr) => {
        #[target_feature(enable = "avx2,fma")]
        fn $of<const M: usize>(operands: Operands<'_>, out: &mut [f32]) {
            let mut sums = [[_mm256_setzero_ps(); 2]; M];
            let words = operands.panel.len() / WIDTH;
            debug_assert!(operands.queries.len() == words * LANES && M <= LANES);
            let (queries, panel) = (operands.queries.as_ptr(), operands.panel.as_ptr());
            for word in 0..words {
                // SAFETY: word < words, queries have LANES >= M elements a word, panels WIDTH.
                unsafe {
                    let r0 = _mm256_loadu_ps(panel.add(word * WIDTH).cast());
                    let r1 = _mm256_loadu_ps(panel.add(word * WIDTH + 8).cast());
                    for m in 0..M {
                        let $q = _mm256_broadcast_ss(&*queries.add(word * LANES + m).cast());
                        let ($sum, $r) = (sums[m][0], r0);
                        sums[m][0] = $step;
                        let ($sum, $r) = (sums[m][1], r1);
                        sums[m][1] = $step;
                    }
                }
            }
            for m in 0..M {
                let out = &mut out[m * operands.stride..];
                let mut lanes = [0.0f32; WIDTH];
                // SAFETY: lanes holds the 16 floats that are written.
                unsafe {
                    _mm256_storeu_ps(lanes.as_mut_ptr(), sums[m][0]);
                    _mm256_storeu_ps(lanes.as_mut_ptr().add(8), sums[m][1]);
                }
                super::put(&lanes[..operands.rows], operands.add, out);
            }
        }

        #[target_feature(enable = "avx2,fma")]
        fn $name(operands: Operands<'_>, out: &mut [f32]) {
            match operands.count {
                1 => $of::<1>(operands, out),
                2 => $of::<2>(operands, out),
                3 => $of::<3>(operands, out),
                4 => $of::<4>(operands, out),
                5 => $of::<5>(operands, out),
                _ => $of::<6>(operands, out),
            }
        }
    };
}

tile!(ip, ip_of, |sum, q, r| _mm256_fmadd_ps(q, r, sum));
tile!(l2, l2_of, |sum, q, r| {
    let d = _mm256_sub_ps(q, r);
    _mm256_fmadd_ps(d, d, sum)
});
