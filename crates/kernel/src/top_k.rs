//! Top-k: the best rows by distance, smaller first, equal distances by ascending row.
//!
//! Distance and row are packed into one integer whose order is theirs, so comparing is one
//! instruction and ties are settled the same way everywhere. NaN is worse than any number.

use std::collections::BinaryHeap;

/// A row and its distance as one ordered integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scored(u64);

impl Scored {
    /// Worse than every row.
    pub const WORST: Self = Self(u64::MAX);

    /// `row` at `distance`.
    #[inline]
    pub fn new(distance: f32, row: u32) -> Self {
        // Adding 0 makes -0 into 0; every NaN becomes the one that sorts last.
        let bits = if distance.is_nan() { 0x7fff_ffff } else { (distance + 0.0).to_bits() };
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(row))
    }

    /// The distance; 0 where -0 was given.
    #[inline]
    pub fn distance(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered ^ 1 << 31 } else { !ordered })
    }

    /// The row.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the row is the low half")]
    pub fn row(self) -> u32 {
        self.0 as u32
    }
}

/// Keeps the best `k` rows of those pushed.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    heap: BinaryHeap<Scored>,
}

impl TopK {
    /// Keeps up to `k` rows.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(1 << 16)) }
    }

    /// Empties it and sets how many rows it keeps; its memory is kept.
    pub fn reset(&mut self, k: usize) {
        self.k = k;
        self.heap.clear();
    }

    /// What a row must be better than to be kept.
    #[inline]
    pub fn bound(&self) -> Scored {
        if self.k == 0 {
            return Scored(0);
        }
        if self.heap.len() < self.k {
            return Scored::WORST;
        }
        self.heap.peek().copied().unwrap_or(Scored::WORST)
    }

    /// Offers a row; whether it is among the best so far.
    #[inline]
    pub fn push(&mut self, scored: Scored) -> bool {
        if scored >= self.bound() {
            return false;
        }
        if self.heap.len() < self.k {
            self.heap.push(scored);
        } else if let Some(mut worst) = self.heap.peek_mut() {
            *worst = scored;
        }
        true
    }

    /// How many rows are kept.
    #[inline]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no rows are kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Whether `k` rows are kept.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.heap.len() >= self.k
    }

    /// Moves the rows into `out`, best first, and empties it.
    pub fn drain_sorted(&mut self, out: &mut Vec<Scored>) {
        out.clear();
        out.extend(self.heap.drain());
        out.sort_unstable();
    }

    /// The rows, best first.
    pub fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec()
    }
}

/// The best `k` of lists that are each sorted, best first.
pub fn merge_sorted(lists: &[&[Scored]], k: usize) -> Vec<Scored> {
    let mut heads: BinaryHeap<(std::cmp::Reverse<Scored>, usize)> = lists
        .iter()
        .enumerate()
        .filter_map(|(n, list)| list.first().map(|&first| (std::cmp::Reverse(first), n)))
        .collect();
    let mut next = vec![1usize; lists.len()];
    let mut best = Vec::with_capacity(k.min(lists.iter().map(|list| list.len()).sum()));
    while best.len() < k {
        let Some((std::cmp::Reverse(scored), n)) = heads.pop() else {
            break;
        };
        best.push(scored);
        if let Some(&following) = lists[n].get(next[n]) {
            heads.push((std::cmp::Reverse(following), n));
            next[n] += 1;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_is_by_distance_then_row_and_nan_is_last() {
        let sorted = [
            Scored::new(f32::NEG_INFINITY, 7),
            Scored::new(-2.0, 0),
            Scored::new(-1.0, 9),
            Scored::new(-0.0, 1),
            Scored::new(0.0, 2),
            Scored::new(1e-40, 0),
            Scored::new(3.5, 0),
            Scored::new(f32::INFINITY, 0),
            Scored::new(-f32::NAN, 0),
            Scored::new(f32::NAN, 1),
        ];
        assert!(sorted.is_sorted());
        assert_eq!((sorted[1].distance(), sorted[2].row()), (-2.0, 9));
        assert!(sorted[9] < Scored::WORST && sorted[9].distance().is_nan());
    }

    proptest! {
        #[test]
        fn keeps_what_sorting_would(
            distances in prop::collection::vec(-3i8..3, 0..60),
            k in 0usize..20,
            cut in 0usize..60,
        ) {
            let rows = (0u32..).zip(&distances);
            let all: Vec<Scored> = rows.map(|(row, &d)| Scored::new(f32::from(d), row)).collect();
            let mut want = all.clone();
            want.sort_unstable();
            want.truncate(k);
            let mut top = TopK::new(k);
            for &scored in &all {
                top.push(scored);
            }
            prop_assert_eq!(top.is_full(), all.len() >= k);
            prop_assert_eq!(&top.into_sorted(), &want);
            let (a, b) = all.split_at(cut.min(all.len()));
            let (mut a, mut b) = (a.to_vec(), b.to_vec());
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(&merge_sorted(&[&a, &b, &[]], k), &want);
        }
    }
}
