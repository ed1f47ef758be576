//! Sums of table entries chosen by 8-bit codes: product codes of a byte for each part.
//!
//! A block holds [`BLOCK`] rows: for each part 64 bytes, byte `i` the code of row `i`. Where the CPU
//! looks bytes up in registers (AVX512_VBMI), the 256 entries of a part are four of them. Elsewhere
//! these are plain lookups in the same tables, with the same sums.

use super::{Scale, quantise_tables};
use crate::simd::{Kernels, kernels};

/// Rows of a block.
pub const BLOCK: usize = 64;
/// Entries of a table.
pub const ENTRIES: usize = 256;

/// Bytes of a block of rows of `parts` codes.
pub fn block_bytes(parts: usize) -> usize {
    parts * BLOCK
}

/// Packs `codes` `[rows, parts]` into blocks; rows that are missing from the last one are 0.
/// Panics where lengths disagree.
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

/// Sets the codes of row `row` of `blocks`.
pub fn set(blocks: &mut [u8], row: usize, codes: &[u8]) {
    let bytes = block_bytes(codes.len());
    let block = &mut blocks[row / BLOCK * bytes..][..bytes];
    for (column, &code) in block.chunks_exact_mut(BLOCK).zip(codes) {
        column[row % BLOCK] = code;
    }
}

/// The codes of row `row` of `blocks` into `codes`.
pub fn get(blocks: &[u8], row: usize, codes: &mut [u8]) {
    let bytes = block_bytes(codes.len());
    let block = &blocks[row / BLOCK * bytes..][..bytes];
    for (column, code) in block.chunks_exact(BLOCK).zip(codes) {
        *code = column[row % BLOCK];
    }
}

/// As [`quantise_tables`], of tables of [`ENTRIES`].
pub fn quantise(tables: &[f32], bytes: &mut [u8]) -> Scale {
    quantise_tables(tables, ENTRIES, bytes)
}

/// The sums of every row of `blocks` into `out`, [`BLOCK`] for each block.
///
/// `tables` are `[parts][256]` and add up to no more than 65535, as [`quantise`] makes them; more
/// would wrap. Panics where lengths disagree.
pub fn scan(tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    scan_with(kernels(), tables, blocks, out);
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
pub(super) fn scan_with(table: &Kernels, tables: &[u8], blocks: &[u8], out: &mut [u16]) {
    let parts = tables.len() / ENTRIES;
    assert!(parts > 0 && tables.len() == parts * ENTRIES, "tables are not of whole parts");
    assert!(out.len().is_multiple_of(BLOCK), "output is no whole number of blocks");
    assert_eq!(blocks.len(), out.len() * parts, "blocks and output disagree");
    // SAFETY: the table was chosen for this CPU, and the lengths fit each other.
    unsafe { (table.fastscan.wide_scan)(tables, blocks, out) }
}
