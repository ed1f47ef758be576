//! Sums of table entries chosen by short codes: product codes of a list scanned from registers.
//!
//! A row is a code for each of its parts; a query is a table for each part; a row's sum is that of
//! the entries its codes choose. Tables of bytes fit registers, so that a lookup of many rows is one
//! shuffle. Sums are exact in 16 bits; what is approximate is the rounding of the tables to bytes,
//! which [`Scale`] bounds.
//!
//! - Codes of 4 bits, this module: blocks of [`BLOCK`] rows, two rows to a byte.
//! - Codes of 8 bits, [`wide`]: blocks of 64 rows, a byte for each.
//!
//! A block of 4-bit codes, parts rounded up to an even number: for each part 16 bytes, byte `i`
//! holding row `i` in its low half and row `16 + i` in its high half.
//!
//! Source: quick ADC (André, Kermarrec, Le Scouarnec, arXiv 1704.07355), and the layout's use in
//! faiss and ScaNN. Not here: how codes and tables come about (`milvus-index`, [`crate::rabitq`]).

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;
pub(crate) mod tables;
pub mod wide;

pub use tables::{Scale, quantise_tables};

use crate::simd::{Kernels, kernels};

/// Rows of a block.
pub const BLOCK: usize = 32;
/// Entries of a table.
pub const ENTRIES: usize = 16;

/// Sums of every row of `blocks`, `[blocks][parts][16]`, by `tables`, `[parts][16]`, parts even.
pub(crate) type Scan = unsafe fn(tables: &[u8], blocks: &[u8], out: &mut [u16]);
/// Sums of every row of `blocks`, `[blocks][parts][64]`, by `tables`, `[parts][256]`.
pub(crate) type WideScan = unsafe fn(tables: &[u8], blocks: &[u8], out: &mut [u16]);
/// Which of 32 sums for each of `masks` are at most `bound`.
pub(crate) type Within = unsafe fn(sums: &[u16], bound: u16, masks: &mut [u32]);

/// Rounds tables of so many entries to bytes, of which there are at least as many; see
/// [`quantise_tables`]. One piece of code, so that bits are the same, compiled for each level.
pub(crate) type Quantise = unsafe fn(tables: &[f32], entries: usize, bytes: &mut [u8]) -> Scale;

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastScanKernels {
    pub(crate) scan: Scan,
    pub(crate) wide_scan: WideScan,
    pub(crate) within: Within,
    pub(crate) quantise: Quantise,
}

/// Bytes of a block of rows of `parts` codes.
pub fn block_bytes(parts: usize) -> usize {
    parts.next_multiple_of(2) * ENTRIES
}

/// Bytes of the tables of `parts` parts: of an odd number, one more that is 0.
pub fn table_bytes(parts: usize) -> usize {
    parts.next_multiple_of(2) * ENTRIES
}

/// Packs `codes` `[rows, parts]`, one to a byte and below 16, into blocks; rows that are missing
/// from the last one are 0. Panics where lengths disagree.
pub fn pack(codes: &[u8], parts: usize, blocks: &mut [u8]) {
    assert!(parts > 0, "rows have no parts");
    let rows = codes.len() / parts;
    assert_eq!(codes.len(), rows * parts, "codes and parts disagree");
    assert_eq!(blocks.len(), rows.div_ceil(BLOCK) * block_bytes(parts), "rows and blocks disagree");
    blocks.fill(0);
    for (row, codes) in codes.chunks_exact(parts).enumerate() {
        set(blocks, row, codes);
    }
}

/// Sets the codes of row `row` of `blocks`, one to a byte and below 16.
pub fn set(blocks: &mut [u8], row: usize, codes: &[u8]) {
    let bytes = block_bytes(codes.len());
    let block = &mut blocks[row / BLOCK * bytes..][..bytes];
    let (byte, shift) = place(row);
    for (column, &code) in block.chunks_exact_mut(ENTRIES).zip(codes) {
        debug_assert!(usize::from(code) < ENTRIES, "code {code} is wider than 4 bits");
        column[byte] = column[byte] & !(15 << shift) | (code & 15) << shift;
    }
}

/// The codes of row `row` of `blocks` into `codes`, one to a byte.
pub fn get(blocks: &[u8], row: usize, codes: &mut [u8]) {
    let bytes = block_bytes(codes.len());
    let block = &blocks[row / BLOCK * bytes..][..bytes];
    let (byte, shift) = place(row);
    for (column, code) in block.chunks_exact(ENTRIES).zip(codes) {
        *code = column[byte] >> shift & 15;
    }
}

/// The byte of a part and the bits in it where a row's code is.
fn place(row: usize) -> (usize, u32) {
    (row % ENTRIES, if row % BLOCK < ENTRIES { 0 } else { 4 })
}

/// The sums of every row of `blocks` into `out`, [`BLOCK`] for each block.
///
/// `tables` are [`table_bytes`] long and add up to no more than 65535, as [`quantise_tables`]
/// makes them; more would wrap. Panics where lengths disagree.
pub fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    scan_with(kernels(), tables, blocks, out);
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn scan_with(table: &Kernels, tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    assert!(tables.len().is_multiple_of(2 * ENTRIES), "tables are not of an even number of parts");
    assert!(!tables.is_empty(), "rows have no parts");
    assert_eq!(blocks.len(), out.len() / BLOCK * tables.len(), "blocks and output disagree");
    assert!(out.len().is_multiple_of(BLOCK), "output is no whole number of blocks");
    // SAFETY: the table was chosen for this CPU, and the lengths fit each other.
    unsafe { (table.fastscan.scan)(tables, blocks, out) }
}

/// Which of the sums are at most `bound`: of each block's [`BLOCK`] sums, bit `i` of its mask is row
/// `i`. Panics where `sums` and `masks` disagree.
#[inline]
pub fn within(sums: &[u16], bound: u16, masks: &mut [u32]) {
    within_with(kernels(), sums, bound, masks);
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn within_with(table: &Kernels, sums: &[u16], bound: u16, masks: &mut [u32]) {
    assert_eq!(sums.len(), masks.len() * BLOCK, "sums and masks disagree");
    // SAFETY: the table was chosen for this CPU, and the lengths fit each other.
    unsafe { (table.fastscan.within)(sums, bound, masks) }
}

#[cfg(test)]
mod tests;
