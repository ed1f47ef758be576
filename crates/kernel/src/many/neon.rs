//! Tiles in NEON: up to 6 queries by 16 rows in 24 registers.
//!
//! Every function needs NEON and what [`super::Tile`] asks for; `simd` hands them out only where it
//! is there. Rows are interleaved word by word.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::aarch64::*;

use super::{LANES, ManyKernels, Operands, pack_row};

/// Rows of a panel.
const WIDTH: usize = 16;

pub(crate) const KERNELS: ManyKernels =
    ManyKernels { width: WIDTH, height: 6, pack, ip, l2, bf16_ip: None };

/// See [`super::Pack`].
fn pack(rows: &[u8], row_bytes: usize, width: usize, panel: &mut [u32]) {
    panel.fill(0);
    for (n, row) in rows.chunks_exact(row_bytes).enumerate() {
        pack_row(row, 0, n, width, panel);
    }
}

macro_rules! tile {
    ($name:ident, $of:ident, |$sum:ident, $q:ident, $r:ident| $step:expr) => {
        #[target_feature(enable = "neon")]
        fn $of<const M: usize>(operands: Operands<'_>, out: &mut [f32]) {
            let mut sums = [[vdupq_n_f32(0.0); 4]; M];
            let words = operands.panel.len() / WIDTH;
            debug_assert!(operands.queries.len() == words * LANES && M <= LANES);
            let (queries, panel) = (operands.queries.as_ptr(), operands.panel.as_ptr());
            for word in 0..words {
                // SAFETY: word < words, queries have LANES >= M elements a word, panels WIDTH.
                unsafe {
                    let from = panel.add(word * WIDTH).cast::<f32>();
                    let rows = [0, 4, 8, 12].map(|n| vld1q_f32(from.add(n)));
                    for m in 0..M {
                        let $q = vld1q_dup_f32(queries.add(word * LANES + m).cast());
                        for n in 0..4 {
                            let ($sum, $r) = (sums[m][n], rows[n]);
                            sums[m][n] = $step;
                        }
                    }
                }
            }
            for m in 0..M {
                let mut lanes = [0.0f32; WIDTH];
                for (lanes, sum) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(sums[m]) {
                    // SAFETY: lanes holds the 4 floats that are written.
                    unsafe { vst1q_f32(lanes.as_mut_ptr(), sum) };
                }
                let out = &mut out[m * operands.stride..];
                super::put(&lanes[..operands.rows], operands.add, out);
            }
        }

        #[target_feature(enable = "neon")]
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

tile!(ip, ip_of, |sum, q, r| vfmaq_f32(sum, q, r));
tile!(l2, l2_of, |sum, q, r| {
    let d = vsubq_f32(q, r);
    vfmaq_f32(sum, d, d)
});
