//! Scans in plain Rust: the path of CPUs without SIMD kernels, and the reference for tests.

use super::{BLOCK, ENTRIES, FastScanKernels, tables, wide};

pub(crate) const KERNELS: FastScanKernels =
    FastScanKernels { scan, wide_scan, within, quantise: tables::quantise };

fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    let sums = out.as_chunks_mut::<BLOCK>().0;
    for (block, sums) in blocks.chunks_exact(tables.len()).zip(sums) {
        sums.fill(0);
        let (low, high) = sums.split_at_mut(ENTRIES);
        let columns = block.as_chunks::<ENTRIES>().0;
        for (table, column) in tables.as_chunks::<ENTRIES>().0.iter().zip(columns) {
            for ((&code, low), high) in column.iter().zip(&mut *low).zip(&mut *high) {
                *low = low.wrapping_add(u16::from(table[usize::from(code & 15)]));
                *high = high.wrapping_add(u16::from(table[usize::from(code >> 4)]));
            }
        }
    }
}

/// See [`super::WideScan`].
pub(crate) fn wide_scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    let sums = out.as_chunks_mut::<{ wide::BLOCK }>().0;
    let parts = tables.len() / wide::ENTRIES;
    for (block, sums) in blocks.chunks_exact(parts * wide::BLOCK).zip(sums) {
        sums.fill(0);
        let columns = block.as_chunks::<{ wide::BLOCK }>().0;
        for (table, column) in tables.as_chunks::<{ wide::ENTRIES }>().0.iter().zip(columns) {
            for (&code, sum) in column.iter().zip(&mut *sums) {
                *sum = sum.wrapping_add(u16::from(table[usize::from(code)]));
            }
        }
    }
}

/// See [`super::Within`].
pub(crate) fn within(sums: &[u16], bound: u16, masks: &mut [u32]) {
    for (sums, mask) in sums.as_chunks::<BLOCK>().0.iter().zip(masks) {
        *mask = sums.iter().rev().fold(0, |bits, &sum| bits << 1 | u32::from(sum <= bound));
    }
}
