//! A query in planes of bits, ready to be compared with codes.

use crate::prefetch::{prefetch, prefetch_lines};
use crate::round;
use crate::simd::{Kernels, kernels};

use super::{bit_of_eight, code_bytes, plane_words};

/// How far ahead of the rows being computed rows are prefetched.
const AHEAD: usize = 12;

/// A rotated query of a few bits for each dimension, see the header of [`super`].
#[derive(Clone, Debug)]
pub struct Query {
    dim: usize,
    /// `[bits][words]`, least significant first.
    planes: Vec<u64>,
    pub(super) low: f32,
    pub(super) step: f32,
    /// The sum of the whole numbers that the planes hold.
    pub(super) sum: u32,
}

impl Query {
    /// `rotated` in 1 to 8 `bits`; the authors use 4 for rows of one bit, 8 is as good as exact.
    /// A query that is not finite counts as 0. Panics at other numbers of bits.
    pub fn new(rotated: &[f32], bits: u32) -> Self {
        assert!((1..=8).contains(&bits), "a query of {bits} bits");
        let most = ((1u32 << bits) - 1) as f32;
        let (least, largest) = round::reach(rotated);
        let width = largest - least;
        let sound = width.is_finite() && round::all_finite(rotated);
        let (low, step) = if sound { (least, width / most) } else { (0.0, 0.0) };
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let words = plane_words(rotated.len());
        let mut planes = vec![0u64; words * bits as usize];
        let mut sum = 0;
        for (n, values) in rotated.chunks(8).enumerate() {
            let mut numbers = [0; 8];
            for (number, &x) in numbers.iter_mut().zip(values) {
                *number = round::byte(round::within((x - low) * inverse, 0.0, most));
                sum += u32::from(*number);
            }
            let eight = u64::from_le_bytes(numbers);
            for (plane, bit) in planes.chunks_exact_mut(words).zip(0..) {
                plane[n / 8] |= u64::from(bit_of_eight(eight, bit)) << (n % 8 * 8);
            }
        }
        Self { dim: rotated.len(), planes, low, step, sum }
    }

    /// Dimensions.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What `<u, k>` of a code of `bits` bits, whose sum is `code_sum`, says of `<v, q>`.
    #[inline]
    pub fn product(&self, dot: u32, code_sum: u32, bits: u32) -> f32 {
        let most = f64::from((1u32 << bits) - 1);
        let whole = 2.0 * f64::from(dot) - most * f64::from(self.sum);
        let rest = 2.0 * f64::from(code_sum) - most * self.dim as f64;
        #[expect(clippy::cast_possible_truncation, reason = "an estimate of single precision")]
        let product = (f64::from(self.step) * whole + f64::from(self.low) * rest) as f32;
        product
    }

    /// `<u, k>` of `code`, of any number of planes up to 8. Panics where its length is of another
    /// dimension.
    #[inline]
    pub fn dot(&self, code: &[u8]) -> u32 {
        self.dot_with(kernels(), code)
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    pub(super) fn dot_with(&self, table: &Kernels, code: &[u8]) -> u32 {
        let words = plane_words(self.dim);
        if words == 0 {
            return 0;
        }
        assert!(code.len().is_multiple_of(words * 8), "code and dimension disagree");
        assert!(code.len() <= words * 64, "a code of more than 8 bits");
        // SAFETY: the table was chosen for this CPU, and the lengths fit each other.
        unsafe { (table.planes.pair)(&self.planes, code, words) }
    }

    /// `<u, k>` of the codes of `bits` bits that `rows` names, into `out`. The code of row `n` begins
    /// at byte `n * stride` of `codes`.
    pub fn gather(&self, codes: &[u8], bits: u32, stride: usize, rows: &[u32], out: &mut [u32]) {
        self.gather_with(kernels(), codes, bits, stride, rows, out);
    }

    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    pub(super) fn gather_with(
        &self,
        table: &Kernels,
        codes: &[u8],
        bits: u32,
        stride: usize,
        rows: &[u32],
        out: &mut [u32],
    ) {
        assert_eq!(rows.len(), out.len(), "rows and output disagree");
        assert!((1..=8).contains(&bits), "codes of {bits} bits");
        let (words, bytes) = (plane_words(self.dim), code_bytes(self.dim, bits));
        if words == 0 {
            out.fill(0);
            return;
        }
        let row = |id: u32| &codes[id as usize * stride..][..bytes];
        let (quads, rest) = rows.as_chunks::<4>();
        let (out_quads, out_rest) = out.as_chunks_mut::<4>();
        let ask = |id: u32| {
            prefetch(row(id));
            prefetch_lines(&row(id)[bytes - 1..], 1);
        };
        rows.iter().take(AHEAD).for_each(|&id| ask(id));
        for (n, (ids, dots)) in quads.iter().zip(out_quads).enumerate() {
            for &id in rows.iter().skip(n * 4 + AHEAD).take(4) {
                ask(id);
            }
            // SAFETY: the table was chosen for this CPU, and codes have `bits` planes of `words`.
            *dots = unsafe { (table.planes.quad)(&self.planes, ids.map(row), words) };
        }
        for (&id, dot) in rest.iter().zip(out_rest) {
            *dot = self.dot_with(table, row(id));
        }
    }
}
