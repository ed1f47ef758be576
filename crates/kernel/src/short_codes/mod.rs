//! Codes of four or six bits for each dimension: vectors at an eighth or a fifth of their size.
//!
//! A row `x`, centred by the index's mean, is kept as the [`crate::levels`] nearest to its
//! direction and the scale that goes with them. A query keeps eight bits for each dimension. Their
//! distance is `bias + bias + factor * scale * scale * <v, q>`, where the inner product is an
//! integer and the biases carry what depends on one vector alone: with the squared lengths as biases
//! and factor -2 it is L2, with 0 and -1 it is IP. Queries are made of vectors, to search, or of
//! rows, to build graphs.
//!
//! Layout of a row, little endian, [`Layout::stride`] bytes: `codes | 0 ... | scale f32 | bias f32`.
//! Codes come in chunks of 64 bytes for each of their streams, the last chunk shorter, `n` bytes:
//! - four bits, one stream of 2 `n` dimensions: byte `i` has dimension `i` below and `n + i` above;
//! - six bits, three streams of 4 `n` dimensions: byte `i` of stream `s` has dimension `s n + i` in
//!   its low six bits; the high two of the three, first stream first, are dimension `3 n + i`.
//!
//! Eight bits may be kept as two rows of four, see [`Layout::encode_split`].
//!
//! Rows are whole cache lines where that costs less than a tenth, else a multiple of 8 bytes.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod layout;
pub(crate) mod portable;
mod query;
mod split;

pub use layout::{Layout, Width};
pub use query::Query;

/// Bytes of a chunk of one stream.
pub(crate) const CHUNK: usize = 64;

/// The sum of `code * query` over a row's dimensions, for each row.
///
/// `query` has for each chunk the elements of each dimension stream, 64 each, zeros behind. Rows
/// have all their codes.
pub(crate) type ShortPair = unsafe fn(query: &[i8], row: &[u8], dim: usize) -> i32;
/// As [`ShortPair`] for four rows.
pub(crate) type ShortQuad = unsafe fn(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4];

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortKernels {
    pub(crate) four: ShortPair,
    pub(crate) four_x4: ShortQuad,
    pub(crate) six: ShortPair,
    pub(crate) six_x4: ShortQuad,
}

/// Bytes of each stream of a chunk that `left` dimensions are left for, of which a byte of every
/// stream holds `dims`.
#[inline(always)]
pub(crate) fn stream_bytes(left: usize, dims: usize) -> usize {
    left.div_ceil(dims).min(CHUNK)
}

#[cfg(test)]
mod tests;
