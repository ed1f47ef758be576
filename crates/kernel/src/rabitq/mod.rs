//! RaBitQ: inner products of rotated vectors in 1 to 8 bits a dimension, and how far off they are.
//!
//! A row `x` (centred, rotated at random) is coded as [`crate::levels`]: codes `u` of `B` bits that
//! stand for `v = 2 u - (2^B - 1)`. With what `levels::encode` says of a row, an inner product with
//! a query `q`, rotated likewise, is estimated as `levels.scale() * <v, q>`. For one bit `v` is the
//! sign of each element. The estimate has no bias, and for a unit `q` it errs by no more than
//!
//! `e * |x| * sqrt((1 - c²) / c²) / sqrt(dim - 1)`, where `c = levels.cosine()`,
//!
//! with a probability that grows as `1 - 2 exp(-e² / 2)`; `e = 1.9` is what the authors use. See
//! [`error`].
//!
//! Two ways to `<v, q>`:
//! - [`Query`]: `q` in `b` bits, `q ≈ low + step * k` with whole numbers `k`. Then
//!   `<v, q> ≈ step * (2 <u, k> - (2^B - 1) Σ k) + low * (2 Σ u - (2^B - 1) dim)`,
//!   and `<u, k>` is counted in bits: `Σ_i Σ_j 2^(i+j) popcount(plane_i(u) & plane_j(k))`.
//! - [`signs`]: one bit of many rows at once by [`crate::fastscan`].
//!
//! Layout of a code: `B` planes, the most significant first, each a bit for each dimension in 64-bit
//! little-endian words, zeros behind. The first plane alone is the one-bit code.
//!
//! Source: Gao and Long, "RaBitQ", arXiv 2405.12497, sections 3.1 to 3.3; Gao et al., arXiv
//! 2409.09913, for more bits. Not here: rotations, centres and lists (`milvus-index`).

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
mod query;
pub mod signs;

pub use query::Query;

use crate::levels::Levels;

/// `<u, k>` of a query's planes, `[bits][words]`, least significant first, and each code.
///
/// Needs `words` at least 1 and codes of the same, whole number of planes, at most 8 of each.
pub(crate) type PlanesPair = unsafe fn(query: &[u64], code: &[u8], words: usize) -> u32;
/// As [`PlanesPair`] for four codes.
pub(crate) type PlanesQuad = unsafe fn(query: &[u64], codes: [&[u8]; 4], words: usize) -> [u32; 4];

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanesKernels {
    pub(crate) pair: PlanesPair,
    pub(crate) quad: PlanesQuad,
}

/// Words of a plane.
#[inline]
fn plane_words(dim: usize) -> usize {
    dim.div_ceil(64)
}

/// Bytes of a code of `bits` bits for each of `dim` dimensions.
pub fn code_bytes(dim: usize, bits: u32) -> usize {
    plane_words(dim) * 8 * bits as usize
}

/// Packs `codes`, one to a byte and of `bits` bits, into planes. Panics where lengths disagree.
pub fn pack(codes: &[u8], bits: u32, planes: &mut [u8]) {
    assert!((1..=8).contains(&bits), "codes of {bits} bits");
    assert_eq!(planes.len(), code_bytes(codes.len(), bits), "dimension and planes disagree");
    planes.fill(0);
    let bytes = plane_words(codes.len()) * 8;
    for (n, codes) in codes.chunks(8).enumerate() {
        let eight = eight_codes(codes);
        for (plane, bit) in planes.chunks_exact_mut(bytes).zip((0..bits).rev()) {
            plane[n] = bit_of_eight(eight, bit);
        }
    }
}

/// Up to eight codes in a word, the first lowest.
#[inline(always)]
fn eight_codes(codes: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..codes.len()].copy_from_slice(codes);
    u64::from_le_bytes(bytes)
}

/// Bit `bit` of each of eight codes, the first code's lowest.
#[inline(always)]
fn bit_of_eight(codes: u64, bit: u32) -> u8 {
    // Moves the lowest bit of byte i to bit 56 + i; no two of the products' bits meet.
    let gathered = (codes >> bit & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080);
    gathered.to_le_bytes()[7]
}

/// The codes of `planes`, of `bits` bits, into `codes`, one to a byte.
pub fn unpack(planes: &[u8], bits: u32, codes: &mut [u8]) {
    assert_eq!(planes.len(), code_bytes(codes.len(), bits), "dimension and planes disagree");
    codes.fill(0);
    let bytes = plane_words(codes.len()) * 8;
    for plane in planes.chunks_exact(bytes.max(1)) {
        for (i, code) in codes.iter_mut().enumerate() {
            *code = *code << 1 | (plane[i / 8] >> (i % 8) & 1);
        }
    }
}

/// How far, with `confidence` as `e` above, an estimate may be from `<x, q>` for `q` of length 1.
pub fn error(levels: &Levels, dim: usize, confidence: f32) -> f32 {
    let cosine = levels.cosine();
    if cosine <= 0.0 || dim < 2 {
        return levels.norm_squared.sqrt();
    }
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    confidence * levels.norm_squared.sqrt() * sine / (cosine * ((dim - 1) as f32).sqrt())
}

#[cfg(test)]
mod tests;
