//! Distances between vectors of narrow numbers: half-precision floats, bfloat16, signed bytes.
//!
//! Sums are in single precision; those of bytes are exact integers. Functions panic where lengths
//! disagree: callers have checked dimensions before they come here.

use half::{bf16, f16};

use crate::simd::{Kernels, kernels};

/// A number that vectors are made of and that is narrower than `f32`.
pub trait Narrow: Copy + Send + Sync + 'static {
    /// The squared Euclidean distance of `a` and `b`.
    fn l2(a: &[Self], b: &[Self]) -> f32;

    /// The inner product of `a` and `b`.
    fn ip(a: &[Self], b: &[Self]) -> f32;

    /// The number as `f32`.
    fn widen(self) -> f32;
}

macro_rules! wrapper {
    ($name:ident, $kernel:ident, $type:ty, $result:ty) => {
        #[inline(always)]
        #[expect(unsafe_code, reason = "calls through the table of kernels")]
        pub(crate) fn $name(table: &Kernels, a: &[$type], b: &[$type]) -> $result {
            assert_eq!(a.len(), b.len(), "dimensions disagree");
            // SAFETY: the table was chosen for this CPU, and the slices have the same length.
            unsafe { (table.$kernel)(a, b) }
        }
    };
}

wrapper!(f16_l2, f16_l2, f16, f32);
wrapper!(f16_ip, f16_ip, f16, f32);
wrapper!(bf16_l2, bf16_l2, bf16, f32);
wrapper!(bf16_ip, bf16_ip, bf16, f32);
wrapper!(i8_l2, i8_l2, i8, i32);
wrapper!(i8_ip, i8_ip, i8, i32);

impl Narrow for f16 {
    #[inline]
    fn l2(a: &[Self], b: &[Self]) -> f32 {
        f16_l2(kernels(), a, b)
    }

    #[inline]
    fn ip(a: &[Self], b: &[Self]) -> f32 {
        f16_ip(kernels(), a, b)
    }

    #[inline]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Narrow for bf16 {
    #[inline]
    fn l2(a: &[Self], b: &[Self]) -> f32 {
        bf16_l2(kernels(), a, b)
    }

    #[inline]
    fn ip(a: &[Self], b: &[Self]) -> f32 {
        bf16_ip(kernels(), a, b)
    }

    #[inline]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Narrow for i8 {
    #[inline]
    fn l2(a: &[Self], b: &[Self]) -> f32 {
        i8_l2(kernels(), a, b) as f32
    }

    #[inline]
    fn ip(a: &[Self], b: &[Self]) -> f32 {
        i8_ip(kernels(), a, b) as f32
    }

    #[inline]
    fn widen(self) -> f32 {
        f32::from(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::every_table;

    type Pair<T> = fn(&Kernels, &[T], &[T]) -> f32;

    fn check_floats<T: Narrow>(table: &Kernels, a: &[T], b: &[T], l2: Pair<T>, ip: Pair<T>) {
        let level = table.level;
        let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(x.widen()), f64::from(y.widen())));
        let near = |got: f32, terms: &[f64]| {
            let want: f64 = terms.iter().sum();
            let magnitude: f64 = terms.iter().map(|term| term.abs()).sum();
            assert!(
                (f64::from(got) - want).abs() <= magnitude * 1e-5 + 1e-6,
                "{level:?} {got} {want}"
            );
        };
        near(l2(table, a, b), &pairs().map(|(x, y)| (x - y) * (x - y)).collect::<Vec<_>>());
        near(ip(table, a, b), &pairs().map(|(x, y)| x * y).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_agrees_with_double_precision_at_any_dimension_and_alignment(
            dim in 0usize..200,
            shift in 0usize..5,
            seed in prop::collection::vec(-10.0f32..10.0, 64),
        ) {
            let floats: Vec<f32> = (0..shift + 2 * dim)
                .map(|i| seed[i % seed.len()] * ((i % 7) as f32 - 3.0))
                .collect();
            let halves: Vec<f16> = floats.iter().map(|&x| f16::from_f32(x)).collect();
            let brains: Vec<bf16> = floats.iter().map(|&x| bf16::from_f32(x)).collect();
            #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
            let bytes: Vec<i8> = floats.iter().map(|&x| (x * 30.0) as i8).collect();
            for table in every_table() {
                let (a, b) = halves[shift..].split_at(dim);
                check_floats(table, a, b, f16_l2, f16_ip);
                let (a, b) = brains[shift..].split_at(dim);
                check_floats(table, a, b, bf16_l2, bf16_ip);
                let (a, b) = bytes[shift..].split_at(dim);
                let pairs = || a.iter().zip(b).map(|(&x, &y)| (i32::from(x), i32::from(y)));
                prop_assert_eq!(i8_l2(table, a, b), pairs().map(|(x, y)| (x - y).pow(2)).sum::<i32>());
                prop_assert_eq!(i8_ip(table, a, b), pairs().map(|(x, y)| x * y).sum::<i32>());
            }
        }
    }

    #[test]
    fn the_largest_dimension_of_bytes_does_not_overflow() {
        let (a, b) = (vec![i8::MIN; 32768], vec![i8::MAX; 32768]);
        for table in every_table() {
            assert_eq!(i8_l2(table, &a, &b), 255 * 255 * 32768, "{:?}", table.level);
            assert_eq!(i8_ip(table, &a, &a), 128 * 128 * 32768, "{:?}", table.level);
        }
    }
}
