//! Levels: a vector's nearest point of a grid, by direction, and what is needed to undo it.
//!
//! A dimension becomes a code `u` of `bits` bits that stands for the odd number
//! `v = 2 u - (2^bits - 1)`: evenly spaced, symmetrical, without a zero. The grid is stretched until
//! the angle between `v` and the vector is about as small as it gets. With the angle known, an inner
//! product of the vector `x` and any `q` is estimated as `|x|² / <v, x> * <v, q>`; the error has
//! mean 0 over random rotations, and none along `x` itself.
//!
//! Source: RaBitQ (Gao and Long, arXiv 2405.12497) for one bit, its extension to more (Gao et al.,
//! arXiv 2409.09913) for the stretching. There every stretch at which a code changes is tried; here
//! a geometric walk from the largest element down, which ends when it gets worse.

use crate::round;
use crate::simd::{Kernels, kernels};

/// How much the grid shrinks from one trial to the next.
const STEP: f32 = 1.06;
/// Trials without gain after which the walk ends.
const PATIENCE: usize = 3;
/// Most trials.
const TRIALS: usize = 40;
/// Sums that run side by side.
const LANES: usize = 8;

/// What a vector and its levels have to do with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Levels {
    /// The squared length of the vector.
    pub norm_squared: f32,
    /// The inner product of the vector and its levels.
    pub dot: f32,
    /// The squared length of the levels.
    pub levels_squared: f32,
    /// The sum of the codes.
    pub code_sum: u32,
}

impl Levels {
    /// What `<v, q>` is multiplied by to estimate `<x, q>`; 0 of the zero vector.
    pub fn scale(&self) -> f32 {
        if self.dot > 0.0 { self.norm_squared / self.dot } else { 0.0 }
    }

    /// The cosine of the angle between vector and levels; 1 of the zero vector.
    pub fn cosine(&self) -> f32 {
        let lengths = (self.norm_squared * self.levels_squared).sqrt();
        if lengths > 0.0 { (self.dot / lengths).min(1.0) } else { 1.0 }
    }
}

/// The number that `code` of `bits` bits stands for.
#[inline]
pub fn level(code: u8, bits: u32) -> i32 {
    2 * i32::from(code) - ((1 << bits) - 1)
}

/// The codes of `vector`, of 1 to 8 bits each, into `codes`.
///
/// A vector with elements that are not finite gets [`Levels::default`], whose scale is 0. Panics
/// where lengths disagree or `bits` are not 1 to 8.
pub fn encode(vector: &[f32], bits: u32, codes: &mut [u8]) -> Levels {
    assert_eq!(vector.len(), codes.len(), "dimensions disagree");
    assert!((1..=8).contains(&bits), "codes of {bits} bits");
    encode_with(kernels(), vector, (1u32 << (bits - 1)) as f32, codes)
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn encode_with(table: &Kernels, vector: &[f32], half: f32, codes: &mut [u8]) -> Levels {
    // SAFETY: the table was chosen for this CPU.
    unsafe { (table.levels)(vector, half, codes) }
}

/// Encodes a vector into as many codes of grids of twice `half` levels. One piece of code, so that
/// bits are the same, compiled for each instruction set.
pub(crate) type Encode = unsafe fn(vector: &[f32], half: f32, codes: &mut [u8]) -> Levels;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) fn avx2(vector: &[f32], half: f32, codes: &mut [u8]) -> Levels {
    portable(vector, half, codes)
}

/// See [`Encode`].
#[inline(always)]
pub(crate) fn portable(vector: &[f32], half: f32, codes: &mut [u8]) -> Levels {
    let norm_squared = sums(vector, |x| (x * x, 0.0)).0;
    let (least, most) = round::reach(vector);
    let widest = half / most.max(-least);
    // Squares may over- and underflow where numbers do not.
    let sound = norm_squared > 0.0 && norm_squared.is_finite() && widest.is_finite();
    if !sound || !round::all_finite(vector) {
        return Levels { code_sum: write(vector, half, 0.0, codes), ..Levels::default() };
    }
    let stretch = best_stretch(vector, half, widest);
    let code_sum = write(vector, half, stretch, codes);
    let (dot, levels_squared) = fit(vector, half, stretch);
    Levels { norm_squared, dot, levels_squared, code_sum }
}

/// The stretch with the smallest angle of those tried, from `widest` up, at which the largest
/// element ends the grid.
#[inline(always)]
fn best_stretch(vector: &[f32], half: f32, widest: f32) -> f32 {
    let (mut best, mut best_cosine, mut idle) = (widest, f32::NEG_INFINITY, 0);
    let mut stretch = widest;
    for _ in 0..if half > 1.0 { TRIALS } else { 0 } {
        let (dot, squares) = fit(vector, half, stretch);
        let cosine = dot / squares.sqrt();
        if cosine > best_cosine {
            (best, best_cosine, idle) = (stretch, cosine, 0);
        } else {
            idle += 1;
        }
        if idle == PATIENCE {
            break;
        }
        stretch *= STEP;
    }
    best
}

/// The whole number below `x * stretch`, within what codes reach: a level is `2 w + 1`.
#[inline(always)]
fn whole(x: f32, half: f32, stretch: f32) -> f32 {
    let x = round::within(x * stretch, -half, half);
    round::within(round::nearest(x - 0.5), -half, half - 1.0)
}

/// The inner product of the vector and its levels, and the levels' squared length.
#[inline(always)]
fn fit(vector: &[f32], half: f32, stretch: f32) -> (f32, f32) {
    sums(vector, |x| {
        let level = 2.0 * whole(x, half, stretch) + 1.0;
        (level * x, level * level)
    })
}

/// Sums of two terms over a vector.
#[inline(always)]
fn sums(vector: &[f32], terms: impl Fn(f32) -> (f32, f32)) -> (f32, f32) {
    let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (body, tail) = vector.as_chunks::<LANES>();
    for chunk in body {
        for lane in 0..LANES {
            let (first, second) = terms(chunk[lane]);
            a[lane] += first;
            b[lane] += second;
        }
    }
    for (lane, &x) in tail.iter().enumerate() {
        let (first, second) = terms(x);
        a[lane] += first;
        b[lane] += second;
    }
    (a.iter().sum(), b.iter().sum())
}

/// Writes the codes and returns their sum.
#[inline(always)]
fn write(vector: &[f32], half: f32, stretch: f32, codes: &mut [u8]) -> u32 {
    let mut sum = 0;
    for (&x, code) in vector.iter().zip(codes) {
        let x = if x.is_finite() { x } else { 0.0 };
        *code = round::byte(whole(x, half, stretch) + half);
        sum += u32::from(*code);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::every_table;

    fn normal(dim: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..dim).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    #[test]
    fn more_bits_are_nearer_and_as_near_as_the_best_uniform_grid() {
        // One minus the squared cosine of the best even grid for normal numbers is its mean
        // squared error: 0.363, 0.119, 0.0374, 0.01154, 0.00349 at 1 to 5 bits.
        let most = [0.40, 0.13, 0.042, 0.0135, 0.0042, 0.0013, 0.0004, 0.00012];
        for (bits, most) in (1..).zip(most) {
            let vector = normal(768, 7 + u64::from(bits));
            let mut codes = vec![0; 768];
            let levels = encode(&vector, bits, &mut codes);
            let off = 1.0 - levels.cosine().powi(2);
            assert!(off > 0.0 && off < most, "{bits} bits {off}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_codes(
            vector in prop::collection::vec(-5.0f32..5.0, 1..80),
            bits in 1u32..9,
        ) {
            let mut codes = vec![0; vector.len()];
            let levels = encode(&vector, bits, &mut codes);
            for table in every_table() {
                let mut again = vec![9; vector.len()];
                let got = encode_with(table, &vector, (1u32 << (bits - 1)) as f32, &mut again);
                prop_assert_eq!((got, &again), (levels, &codes), "{:?}", table.level);
            }
            prop_assert!(codes.iter().all(|&code| u32::from(code) < 1 << bits));
            prop_assert_eq!(levels.code_sum, codes.iter().map(|&code| u32::from(code)).sum::<u32>());
            let pairs = || vector.iter().zip(&codes).map(|(&x, &code)| (x, level(code, bits) as f32));
            let dot: f32 = pairs().map(|(x, v)| x * v).sum();
            let squares: f32 = pairs().map(|(_, v)| v * v).sum();
            prop_assert!((levels.dot - dot).abs() <= dot.abs() * 1e-4);
            prop_assert!((levels.levels_squared - squares).abs() <= squares * 1e-4);
            // No estimate error along the vector itself.
            prop_assert!((levels.scale() * dot - levels.norm_squared).abs() <= levels.norm_squared * 1e-3);
            for (x, v) in pairs() {
                prop_assert!(x * v >= 0.0, "{} {}", x, v);
            }
        }
    }

    #[test]
    fn zero_and_unsound_vectors_have_no_scale() {
        for x in [0.0, f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE] {
            let mut codes = [0; 5];
            let levels = encode(&[x; 5], 4, &mut codes);
            assert!(levels.scale() == 0.0 && levels.cosine() == 1.0, "{x}");
            assert!(codes.iter().all(|&code| code < 16));
        }
    }
}
