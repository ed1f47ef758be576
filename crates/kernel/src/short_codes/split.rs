//! Eight bits a dimension in two rows of four: the upper halves tell most rows apart, the lower ones
//! are read of the few that are left.
//!
//! A code `16 h + l` stands for `step * (16 (2 h - 15) + (2 l - 15))`, so that the row of `h`, with
//! the scale `16 step`, and the row of `l`, with the scale `step`, add up to the vector: products with
//! a [`super::Query`] may be added, too.

use crate::round;

use super::layout::{HEADER, Layout, Width};
use super::{CHUNK, stream_bytes};

/// Levels on either side of zero.
const HALF: f32 = 128.0;

impl Layout {
    /// Encodes `vector` into `upper` and `lower`, of [`Layout::stride`] bytes each, with bias 0: rows
    /// of four bits. `codes` has room for a byte for each dimension. Both rows stand for nothing where
    /// the vector is not finite. Returns the step.
    pub fn encode_split(
        self,
        vector: &[f32],
        codes: &mut [u8],
        upper: &mut [u8],
        lower: &mut [u8],
    ) -> f32 {
        assert_eq!(self.width, Width::Four, "halves of eight bits have four");
        assert_eq!((vector.len(), codes.len()), (self.dim, self.dim), "dimensions disagree");
        let stride = self.stride();
        assert_eq!((upper.len(), lower.len()), (stride, stride), "rows and dimension disagree");
        let (least, most) = round::reach(vector);
        let reach = most.max(-least);
        let sound = reach > 0.0 && (HALF / reach).is_finite() && round::all_finite(vector);
        let step = if sound { reach / (2.0 * HALF) } else { 0.0 };
        let inverse = if sound { HALF / reach } else { 0.0 };
        for (code, &x) in codes.iter_mut().zip(vector) {
            // The whole number below, within what a byte holds.
            let x = round::within(x * inverse + HALF - 0.5, 0.0, 2.0 * HALF - 1.0);
            *code = round::byte(x);
        }
        pack(codes, upper, |code| code >> 4);
        pack(codes, lower, |code| code & 15);
        for (row, scale) in [(upper, 16.0 * step), (lower, step)] {
            row[stride - HEADER..stride - HEADER + 4].copy_from_slice(&scale.to_le_bytes());
        }
        step
    }
}

/// Puts what `half` takes of each of `codes` into `row`, zeros behind.
#[inline(always)]
fn pack(codes: &[u8], row: &mut [u8], half: impl Fn(u8) -> u8) {
    let mut end = 0;
    for (codes, bytes) in codes.chunks(2 * CHUNK).zip(row.chunks_mut(CHUNK)) {
        let len = stream_bytes(codes.len(), 2);
        let (below, above) = codes.split_at(len);
        for (byte, &code) in bytes.iter_mut().zip(below) {
            *byte = half(code);
        }
        for (byte, &code) in bytes.iter_mut().zip(above) {
            *byte |= half(code) << 4;
        }
        end += len;
    }
    row[end..].fill(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::short_codes::Query;

    fn split(vector: &[f32]) -> (Layout, f32, Vec<u8>, [Vec<u8>; 2]) {
        let layout = Layout::new(Width::Four, vector.len());
        let mut codes = vec![7; vector.len()];
        let mut rows = [vec![9; layout.stride()], vec![9; layout.stride()]];
        let [upper, lower] = &mut rows;
        let step = layout.encode_split(vector, &mut codes, upper, lower);
        (layout, step, codes, rows)
    }

    proptest! {
        #[test]
        fn halves_add_up_to_the_vector(
            vector in prop::collection::vec(-9.0f32..9.0, 1..600),
            query in prop::collection::vec(-1.0f32..1.0, 600),
        ) {
            let (layout, step, codes, rows) = split(&vector);
            let reach = vector.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            prop_assert!((step * 256.0 - reach).abs() <= reach * 1e-6);
            let (mut upper, mut lower) = (vec![0.0; vector.len()], vec![0.0; vector.len()]);
            layout.decode(&rows[0], &mut upper);
            layout.decode(&rows[1], &mut lower);
            for (i, x) in vector.iter().enumerate() {
                let level = 2.0 * f32::from(codes[i]) - 255.0;
                prop_assert!((upper[i] + lower[i] - step * level).abs() <= reach * 1e-6);
                prop_assert!((x - upper[i]).abs() <= step * 16.0 * 1.001, "{} {}", x, upper[i]);
                prop_assert!((x - upper[i] - lower[i]).abs() <= step * 1.001 + reach * 1e-6);
            }
            let query = Query::new(layout, &query[..vector.len()], 0.0, 1.0);
            let mut of_query = vec![0.0; vector.len()];
            query.decode(&mut of_query);
            let product = |row: &[f32]| row.iter().zip(&of_query).map(|(x, q)| x * q).sum::<f32>();
            for (row, decoded) in rows.iter().zip([&upper, &lower]) {
                let (got, want) = (query.distance(row), product(decoded));
                prop_assert!((got - want).abs() <= reach * vector.len() as f32 * 1e-5);
            }
        }
    }

    #[test]
    fn zero_and_unsound_vectors_stand_for_nothing() {
        for x in [0.0, f32::NAN, f32::INFINITY] {
            let (layout, step, _, rows) = split(&[x, 0.0, 0.0]);
            let mut decoded = vec![1.0; 3];
            for row in &rows {
                layout.decode(row, &mut decoded);
                assert_eq!((step, &decoded[..]), (0.0, &[0.0; 3][..]));
            }
        }
    }
}
