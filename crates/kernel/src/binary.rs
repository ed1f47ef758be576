//! Distances between bit strings, packed eight to a byte.
//!
//! Functions panic where lengths disagree: callers have checked dimensions before they come here.

use crate::simd::{Kernels, kernels};

/// How many bits of `a` and `b` differ.
#[inline]
pub fn hamming(a: &[u8], b: &[u8]) -> u32 {
    hamming_with(kernels(), a, b)
}

/// How many bits are 1 in both of `a` and `b`, and how many in either.
#[inline]
pub fn overlap(a: &[u8], b: &[u8]) -> (u32, u32) {
    overlap_with(kernels(), a, b)
}

/// `1 - |a ∩ b| / |a ∪ b|`; 1 where both are empty.
#[inline]
pub fn jaccard(a: &[u8], b: &[u8]) -> f32 {
    let (both, either) = overlap(a, b);
    if either == 0 { 1.0 } else { (either - both) as f32 / either as f32 }
}

/// Whether every bit of `part` is one of `whole` too.
#[inline]
pub fn is_subset(part: &[u8], whole: &[u8]) -> bool {
    assert_eq!(part.len(), whole.len(), "dimensions disagree");
    part.iter().zip(whole).all(|(part, whole)| part & !whole == 0)
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn hamming_with(table: &Kernels, a: &[u8], b: &[u8]) -> u32 {
    assert_eq!(a.len(), b.len(), "dimensions disagree");
    // SAFETY: the table was chosen for this CPU, and the slices have the same length.
    unsafe { (table.hamming)(a, b) }
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn overlap_with(table: &Kernels, a: &[u8], b: &[u8]) -> (u32, u32) {
    assert_eq!(a.len(), b.len(), "dimensions disagree");
    // SAFETY: the table was chosen for this CPU, and the slices have the same length.
    unsafe { (table.overlap)(a, b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{Level, kernels_of};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_counts_bits(
            pairs in prop::collection::vec((any::<u8>(), any::<u8>()), 0..300),
        ) {
            let (a, b): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
            let count = |of: fn(u8, u8) -> u8| -> u32 {
                pairs.iter().map(|&(x, y)| of(x, y).count_ones()).sum()
            };
            let (both, either) = (count(|x, y| x & y), count(|x, y| x | y));
            for level in Level::ALL.into_iter().filter(|level| level.is_supported()) {
                let table = kernels_of(level);
                prop_assert_eq!(hamming_with(table, &a, &b), count(|x, y| x ^ y), "{:?}", level);
                prop_assert_eq!(overlap_with(table, &a, &b), (both, either), "{:?}", level);
            }
            prop_assert_eq!(is_subset(&a, &b), count(|x, y| x & !y) == 0);
        }
    }

    #[test]
    fn jaccard_is_one_of_nothing_and_zero_of_the_same() {
        assert_eq!(jaccard(&[0, 0], &[0, 0]), 1.0);
        assert_eq!(jaccard(&[3, 0], &[3, 0]), 0.0);
        assert_eq!(jaccard(&[0b11, 0], &[0b01, 1]), 2.0 / 3.0);
    }
}
