//! Scans in NEON: a table lookup of 16 rows in the table of one part.
//!
//! Every function needs NEON and the lengths of [`super::Scan`]; `simd` hands them out only where
//! it is there.
#![expect(unsafe_code, reason = "intrinsics; see the header for what makes them sound")]

use std::arch::aarch64::*;

use super::{BLOCK, ENTRIES, FastScanKernels, portable};

pub(crate) const KERNELS: FastScanKernels = FastScanKernels { scan, ..portable::KERNELS };

#[target_feature(enable = "neon")]
fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    let nibble = vdupq_n_u8(15);
    let sums = out.as_chunks_mut::<BLOCK>().0;
    for (block, sums) in blocks.chunks_exact(tables.len()).zip(sums) {
        let mut acc = [vdupq_n_u16(0); 4];
        let columns = block.as_chunks::<ENTRIES>().0;
        for (table, codes) in tables.as_chunks::<ENTRIES>().0.iter().zip(columns) {
            // SAFETY: both are 16 bytes.
            let (table, codes) = unsafe { (vld1q_u8(table.as_ptr()), vld1q_u8(codes.as_ptr())) };
            let low = vqtbl1q_u8(table, vandq_u8(codes, nibble));
            let high = vqtbl1q_u8(table, vshrq_n_u8::<4>(codes));
            acc[0] = vaddw_u8(acc[0], vget_low_u8(low));
            acc[1] = vaddw_high_u8(acc[1], low);
            acc[2] = vaddw_u8(acc[2], vget_low_u8(high));
            acc[3] = vaddw_high_u8(acc[3], high);
        }
        for (acc, sums) in acc.into_iter().zip(sums.as_chunks_mut::<8>().0) {
            // SAFETY: sums has 8 elements of 16 bits.
            unsafe { vst1q_u16(sums.as_mut_ptr(), acc) };
        }
    }
}
