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

/// How many elements of `element_bytes` bytes are the same in `a` and `b`, place by place: of two
/// MinHash signatures, the hashes they agree in. Panics where lengths are no whole number of them.
#[inline]
pub fn equal_elements(a: &[u8], b: &[u8], element_bytes: usize) -> u32 {
    equal_with(kernels(), a, b, element_bytes)
}

#[inline(always)]
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn equal_with(table: &Kernels, a: &[u8], b: &[u8], element_bytes: usize) -> u32 {
    assert_eq!(a.len(), b.len(), "dimensions disagree");
    assert!(element_bytes > 0, "elements of no bytes");
    assert!(a.len().is_multiple_of(element_bytes), "dimension and elements disagree");
    if !element_bytes.is_power_of_two() || element_bytes > 32 {
        return crate::portable::equal(a, b, element_bytes);
    }
    // SAFETY: the table was chosen for this CPU, the slices have the same length, and elements are
    // of a size the kernels take.
    unsafe { (table.equal)(a, b, element_bytes) }
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
    use crate::simd::every_table;

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
            for table in every_table() {
                let level = table.level;
                prop_assert_eq!(hamming_with(table, &a, &b), count(|x, y| x ^ y), "{:?}", level);
                prop_assert_eq!(overlap_with(table, &a, &b), (both, either), "{:?}", level);
            }
            prop_assert_eq!(is_subset(&a, &b), count(|x, y| x & !y) == 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_level_counts_equal_elements(
            width in 0usize..8,
            count in 0usize..150,
            shift in 0usize..3,
            seed in prop::collection::vec((any::<u8>(), 0u8..4), 89),
        ) {
            let bytes = [1, 2, 4, 8, 16, 32, 3, 64][width];
            let at = |i: usize| seed[(i * 5 + i / 17) % seed.len()];
            let a: Vec<u8> = (0..shift + count * bytes).map(|i| at(i).0).collect();
            // One byte in four of one element in two differs.
            let other = |i: usize| u8::from((i / bytes).is_multiple_of(2) && at(i).1 == 0);
            let b: Vec<u8> = a.iter().enumerate().map(|(i, x)| x ^ other(i)).collect();
            let (a, b) = (&a[shift..], &b[shift..]);
            let elements = a.chunks_exact(bytes).zip(b.chunks_exact(bytes));
            let want = u32::try_from(elements.filter(|(x, y)| x == y).count()).unwrap();
            for table in every_table() {
                prop_assert_eq!(equal_with(table, a, b, bytes), want, "{:?}", table.level);
            }
        }
    }

    #[test]
    fn jaccard_is_one_of_nothing_and_zero_of_the_same() {
        assert_eq!(jaccard(&[0, 0], &[0, 0]), 1.0);
        assert_eq!(jaccard(&[3, 0], &[3, 0]), 0.0);
        assert_eq!(jaccard(&[0b11, 0], &[0b01, 1]), 2.0 / 3.0);
    }
}
