//! The bits of RaBitQ codes behind the first, where a row has more than one for each dimension.
//!
//! A code of `B` bits is a sign, which lies in blocks (`signs`), and a number of `B - 1` bits. Signs
//! alone say which rows may be among the best, with how far they may be wrong; of those the number
//! makes the estimate as good as its bits: with `v` the levels of a code, `v = 2^(B-1) s + w` of sign
//! `s` and the levels `w` of the number, so that `<v, q> = 2^(B-1) <s, q> + <w, q>`.
//!
//! Source: Gao et al., arXiv 2409.09913.

use milvus_kernel::{distance, levels, rabitq};

use crate::section::Section;

/// Numbers kept of each row: how far its signs may be wrong, for a query of length 1; what the
/// product of its levels is worth; the sum of its numbers.
pub(super) const FACTS: usize = 3;
/// How sure the bound on the error of signs is; as the authors have it.
const CONFIDENCE: f32 = 1.9;
/// The most bits of a query's dimension.
const QUERY_BITS: u32 = 8;

/// The numbers of all rows, in the order of the lists.
pub(super) struct Planes {
    /// Bits of a number, 1 to 7.
    pub(super) bits: u32,
    /// `[rows, bytes]`, see [`rabitq::pack`].
    pub(super) codes: Section<u8>,
    /// `[rows, FACTS]`.
    pub(super) facts: Section<f32>,
}

/// Bytes of a row's numbers of `bits` bits for each of `dim` dimensions.
pub(super) fn bytes(dim: usize, bits: u32) -> usize {
    rabitq::code_bytes(dim, bits)
}

/// Encodes `turned` in a sign and a number of `bits` bits for each dimension: the numbers into `code`,
/// the signs into `signs`, four to each part. `factor` is that of products in distances.
pub(super) fn encode(
    turned: &[f32],
    (bits, factor): (u32, f32),
    signs: &mut [u8],
    code: &mut [u8],
) -> [f32; FACTS] {
    let mut codes = vec![0; turned.len()];
    let fitted = levels::encode(turned, bits + 1, &mut codes);
    for (part, four) in signs.iter_mut().zip(codes.chunks(4)) {
        *part = four.iter().enumerate().fold(0, |part, (n, code)| part | (code >> bits) << n);
    }
    codes.iter_mut().for_each(|code| *code &= (1u8 << bits) - 1);
    rabitq::pack(&codes, bits, code);
    let sum: u32 = codes.iter().map(|&code| u32::from(code)).sum();
    let fit: f32 = turned.iter().map(|x| x.abs()).sum();
    let of_signs = levels::Levels {
        norm_squared: distance::norm_squared(turned),
        dot: fit,
        levels_squared: turned.len() as f32,
        code_sum: 0,
    };
    let off = rabitq::error(&of_signs, turned.len(), CONFIDENCE) * factor.abs();
    let facts = [off, fitted.scale() * factor, sum as f32];
    facts.map(|fact| if fact.is_finite() { fact } else { 0.0 })
}

/// A query beside the numbers.
pub(super) struct PlanesQuery<'a> {
    planes: &'a Planes,
    query: rabitq::Query,
    length: f32,
}

impl Planes {
    /// The turned query in `bits` bits of each dimension, 0 for as many as there are.
    pub(super) fn query(&self, turned: &[f32], bits: u8) -> PlanesQuery<'_> {
        let bits = if bits == 0 { QUERY_BITS } else { u32::from(bits).min(QUERY_BITS) };
        let query = rabitq::Query::new(turned, bits);
        let length = distance::norm_squared(turned).sqrt();
        PlanesQuery { planes: self, query, length }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.codes.bytes() + self.facts.bytes()
    }
}

impl PlanesQuery<'_> {
    /// The facts of the rows at `places`.
    pub(super) fn facts(&self, places: std::ops::Range<usize>) -> &[[f32; FACTS]] {
        let facts = self.planes.facts.as_slice();
        facts[places.start * FACTS..places.end * FACTS].as_chunks::<FACTS>().0
    }

    /// How much nearer than by its signs a row may be.
    #[inline]
    pub(super) fn slack(&self, facts: &[f32; FACTS]) -> f32 {
        facts[0] * self.length
    }

    /// What the whole code of the row at `place` adds to its distance, where `signs` is the product
    /// of the query with its signs.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
    pub(super) fn product(&self, place: usize, facts: &[f32; FACTS], signs: f32) -> f32 {
        let (bits, size) = (self.planes.bits, bytes(self.query.dim(), self.planes.bits));
        let code = &self.planes.codes.as_slice()[place * size..][..size];
        let numbers = self.query.product(self.query.dot(code), facts[2] as u32, bits);
        facts[1] * ((1u32 << bits) as f32 * signs + numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bits_come_nearer_to_products() {
        let dim = 128;
        let number = |i: usize| (i * 7919 % 2003) as f32 / 1000.0 - 1.0;
        let row: Vec<f32> = (0..dim).map(number).collect();
        let query: Vec<f32> = (7..dim + 7).map(|i| number(i * i)).collect();
        let want = distance::ip(&row, &query);
        let off = |bits: u32| {
            let (mut signs, mut code) = (vec![0; dim / 4], vec![0; bytes(dim, bits)]);
            let facts = encode(&row, (bits, 1.0), &mut signs, &mut code);
            let sign = |i: usize| if signs[i / 4] >> (i % 4) & 1 == 1 { 1.0 } else { -1.0 };
            let of_signs: f32 = query.iter().enumerate().map(|(i, x)| sign(i) * x).sum();
            let planes = Planes { bits, codes: code.into(), facts: facts.to_vec().into() };
            let near = planes.query(&query, 0).product(0, &facts, of_signs);
            (near - want).abs()
        };
        assert!(off(1) < 2.0 && off(3) < 0.5 && off(7) < 0.1, "{} {} {}", off(1), off(3), off(7));
    }
}
