//! Sparse vectors: (u32 index, f32 value) pairs, 8 bytes each, little-endian, ascending by index.
//!
//! Bytes behind the last whole pair are ignored; pairs out of order cost matches, nothing else.

/// How many times longer than the other a vector must be for searching to beat stepping.
const GALLOP: usize = 16;

/// Bytes of a pair.
pub const PAIR: usize = 8;

/// A pair from its bytes.
#[inline(always)]
fn pair([a, b, c, d, e, f, g, h]: [u8; PAIR]) -> (u32, f32) {
    (u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]))
}

/// The pairs of `row`.
pub fn pairs(row: &[u8]) -> impl ExactSizeIterator<Item = (u32, f32)> + Clone {
    row.as_chunks::<PAIR>().0.iter().map(|bytes| pair(*bytes))
}

/// The inner product of `a` and `b`, summed in the order of their common indices.
pub fn dot(a: &[u8], b: &[u8]) -> f32 {
    let (a, b) = (a.as_chunks::<PAIR>().0, b.as_chunks::<PAIR>().0);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len().saturating_mul(GALLOP) < long.len() {
        return search(short, long);
    }
    let mut sum = 0.0;
    let (mut i, mut j) = (0, 0);
    while let (Some(&x), Some(&y)) = (short.get(i), long.get(j)) {
        let ((left, x), (right, y)) = (pair(x), pair(y));
        if left == right {
            sum += x * y;
        }
        i += usize::from(left <= right);
        j += usize::from(right <= left);
    }
    sum
}

/// As [`dot`], finding each pair of `short` in what is left of `long`.
fn search(short: &[[u8; PAIR]], mut long: &[[u8; PAIR]]) -> f32 {
    let mut sum = 0.0;
    for &x in short {
        let (index, x) = pair(x);
        long = &long[long.partition_point(|&y| pair(y).0 < index)..];
        match long.first().map(|&y| pair(y)) {
            Some((other, y)) if other == index => sum += x * y,
            Some(_) => {}
            None => break,
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bytes(row: &BTreeMap<u32, f32>) -> Vec<u8> {
        row.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat()).collect()
    }

    proptest! {
        #[test]
        fn dot_is_the_sum_over_common_indices(
            a in prop::collection::btree_map(0u32..500, -2.0f32..2.0, 0..20),
            b in prop::collection::btree_map(0u32..500, -2.0f32..2.0, 0..500),
        ) {
            let want: f64 =
                a.iter().filter_map(|(i, x)| Some(f64::from(*x) * f64::from(*b.get(i)?))).sum();
            let (a, b) = (bytes(&a), bytes(&b));
            for got in [dot(&a, &b), dot(&b, &a)] {
                prop_assert!((f64::from(got) - want).abs() < 1e-4, "{} {}", got, want);
            }
            prop_assert_eq!(dot(&a, &b).to_bits(), dot(&b, &a).to_bits());
        }
    }

    #[test]
    fn pairs_are_read_and_a_broken_tail_is_not() {
        let row = [bytes(&BTreeMap::from([(7, 0.5), (u32::MAX, -1.0)])), vec![1, 2, 3]].concat();
        assert_eq!(pairs(&row).collect::<Vec<_>>(), [(7, 0.5), (u32::MAX, -1.0)]);
    }
}
