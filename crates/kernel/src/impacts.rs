//! Sums of quantised impacts: what rows of an inverted index can score at the most, many rows at a
//! time.
//!
//! An impact is a byte, a share of the largest value of its list. Lists that most rows are in are kept
//! as a byte for each row and added up whole ([`add`]); then the rows whose sums are beyond a bound are
//! picked out ([`above`]). One piece of code for each, compiled for each instruction set, so that sums
//! have the same bits everywhere.
//!
//! Not here: lists that few rows are in, which are added up posting by posting (`milvus-index`).

use crate::simd::{Kernels, kernels};

/// Rows of a mask.
pub const MASK: usize = 64;

/// Adds `step` times each impact to its sum.
pub(crate) type Add = unsafe fn(impacts: &[u8], step: f32, sums: &mut [f32]);
/// Which sums are above a bound, [`MASK`] for each of the masks.
pub(crate) type Above = unsafe fn(sums: &[f32], bound: f32, masks: &mut [u64]);

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImpactKernels {
    pub(crate) add: Add,
    pub(crate) above: Above,
}

/// Adds `step` times each of `impacts` to `sums`. Panics where lengths disagree.
pub fn add(impacts: &[u8], step: f32, sums: &mut [f32]) {
    add_with(kernels(), impacts, step, sums);
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn add_with(table: &Kernels, impacts: &[u8], step: f32, sums: &mut [f32]) {
    assert_eq!(impacts.len(), sums.len(), "impacts and sums disagree");
    // SAFETY: the table was chosen for this CPU, and the lengths are the same.
    unsafe { (table.impacts.add)(impacts, step, sums) }
}

/// Which of `sums` are above `bound`: of 64 rows each, bit `i` of a mask is row `i`; what is no number is
/// not. Panics where there are more sums than bits.
pub fn above(sums: &[f32], bound: f32, masks: &mut [u64]) {
    above_with(kernels(), sums, bound, masks);
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn above_with(table: &Kernels, sums: &[f32], bound: f32, masks: &mut [u64]) {
    assert_eq!(sums.len().div_ceil(MASK), masks.len(), "sums and masks disagree");
    // SAFETY: the table was chosen for this CPU, and the lengths fit each other.
    unsafe { (table.impacts.above)(sums, bound, masks) }
}

/// Functions of a level, the same code with the features of that level.
macro_rules! level {
    ($name:ident $(, #[$feature:meta])?) => {
        pub(crate) mod $name {
            use super::{ImpactKernels, MASK};

            pub(crate) const KERNELS: ImpactKernels = ImpactKernels { add, above };

            $(#[$feature])?
            fn add(impacts: &[u8], step: f32, sums: &mut [f32]) {
                for (sum, &impact) in sums.iter_mut().zip(impacts) {
                    *sum += step * f32::from(impact);
                }
            }

            $(#[$feature])?
            fn above(sums: &[f32], bound: f32, masks: &mut [u64]) {
                for (sums, mask) in sums.chunks(MASK).zip(masks) {
                    *mask = 0;
                    for (half, sums) in (0u32..).zip(sums.chunks(16)) {
                        let mut bits = 0u16;
                        if let Ok(sums) = <&[f32; 16]>::try_from(sums) {
                            for i in 0..16 {
                                bits |= u16::from(sums[i] > bound) << i;
                            }
                        } else {
                            for (i, &sum) in sums.iter().enumerate() {
                                bits |= u16::from(sum > bound) << i;
                            }
                        }
                        *mask |= u64::from(bits) << (16 * half);
                    }
                }
            }
        }
    };
}

level!(portable);
#[cfg(target_arch = "x86_64")]
level!(avx2, #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
level!(avx512, #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::every_table;

    proptest! {
        #[test]
        fn every_level_adds_and_compares_alike(
            impacts in prop::collection::vec(any::<u8>(), 0..300),
            from in 0usize..9,
            step in -2.0f32..3.0,
            bound in -100.0f32..400.0,
        ) {
            let impacts = &impacts[from.min(impacts.len())..];
            let before: Vec<f32> = (0..impacts.len()).map(|i| (i as f32).sin() * 50.0).collect();
            let want: Vec<f32> =
                before.iter().zip(impacts).map(|(sum, &x)| sum + step * f32::from(x)).collect();
            for table in every_table() {
                let mut sums = before.clone();
                add_with(table, impacts, step, &mut sums);
                prop_assert_eq!(&sums, &want, "{:?}", table.level);
                if let Some(sum) = sums.first_mut() {
                    *sum = f32::NAN;
                }
                let mut masks = vec![9; sums.len().div_ceil(MASK)];
                above_with(table, &sums, bound, &mut masks);
                for (row, &sum) in sums.iter().enumerate() {
                    let bit = masks[row / MASK] >> (row % MASK) & 1 == 1;
                    prop_assert_eq!(bit, sum > bound, "{:?} {}", table.level, row);
                }
                if let (Some(last), true) = (masks.last(), !sums.len().is_multiple_of(MASK)) {
                    prop_assert_eq!(last >> (sums.len() % MASK), 0);
                }
            }
        }
    }
}
