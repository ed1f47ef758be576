//! Bitsets over the rows of a segment: which rows a search may see.

/// A fixed number of bits in 64-bit words, bit `i` in word `i / 64`. Bits past the end are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitset {
    words: Vec<u64>,
    len: usize,
}

impl Bitset {
    /// `len` bits, all 0.
    pub fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// `len` bits, all 1.
    pub fn ones(len: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(64)], len };
        bits.clear_past_end();
        bits
    }

    /// The first `len` bits of `words`; missing words are 0, bits past `len` are dropped.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut bits = Self { words, len };
        bits.clear_past_end();
        bits
    }

    /// One bit for each item.
    pub fn from_bools(bools: impl IntoIterator<Item = bool>) -> Self {
        let mut bits = Self::default();
        for bool in bools {
            bits.push(bool);
        }
        bits
    }

    /// `len` bits, those of `rows` 1. Rows past the end are ignored.
    pub fn from_rows(rows: impl IntoIterator<Item = u32>, len: usize) -> Self {
        let mut bits = Self::zeros(len);
        for row in rows {
            if (row as usize) < len {
                bits.set(row as usize);
            }
        }
        bits
    }

    /// Adds a bit at the end.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        if bit {
            self.set(self.len - 1);
        }
    }

    /// How many bits there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words.
    #[inline]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bit `i`; false past the end.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    /// Sets bit `i`. Panics past the end.
    #[inline]
    pub fn set(&mut self, i: usize) {
        assert!(i < self.len, "bit {i} of {}", self.len);
        self.words[i / 64] |= 1 << (i % 64);
    }

    /// Clears bit `i`. Panics past the end.
    #[inline]
    pub fn clear(&mut self, i: usize) {
        assert!(i < self.len, "bit {i} of {}", self.len);
        self.words[i / 64] &= !(1 << (i % 64));
    }

    /// How many bits are 1.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps the bits that are 1 in `other` too; `other` counts as 0 past its end.
    pub fn and(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            *word &= other;
        }
    }

    /// Clears the bits that are 1 in `other`.
    pub fn and_not(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Adds the bits that are 1 in `other`, as far as this one reaches.
    pub fn or(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
        self.clear_past_end();
    }

    /// Turns every bit over.
    pub fn flip(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        self.clear_past_end();
    }

    /// The positions of the bits that are 1, ascending.
    pub fn iter(&self) -> Ones<'_> {
        Ones { words: &self.words, next: 0, word: 0 }
    }

    fn clear_past_end(&mut self) {
        let used = self.len % 64;
        if let (true, Some(last)) = (used != 0, self.words.last_mut()) {
            *last &= (1 << used) - 1;
        }
    }
}

impl<'a> IntoIterator for &'a Bitset {
    type Item = usize;
    type IntoIter = Ones<'a>;

    fn into_iter(self) -> Ones<'a> {
        self.iter()
    }
}

/// The positions of the bits that are 1.
#[derive(Clone, Debug)]
pub struct Ones<'a> {
    words: &'a [u64],
    next: usize,
    word: u64,
}

impl Iterator for Ones<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.word = *self.words.get(self.next)?;
            self.next += 1;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some((self.next - 1) * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_vector_of_booleans(
            a in prop::collection::vec(any::<bool>(), 0..300),
            b in prop::collection::vec(any::<bool>(), 0..300),
        ) {
            let bits = Bitset::from_bools(a.iter().copied());
            let other = Bitset::from_bools(b.iter().copied());
            let at = |i: usize| b.get(i).copied().unwrap_or(false);
            prop_assert_eq!(bits.len(), a.len());
            prop_assert_eq!(bits.count(), a.iter().filter(|bit| **bit).count());
            let ones: Vec<usize> = (0..a.len()).filter(|&i| a[i]).collect();
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), ones);
            type Change = fn(&mut Bitset, &Bitset);
            type Law = fn(bool, bool) -> bool;
            let laws: [(Change, Law); 4] = [
                (Bitset::and, |x, y| x && y),
                (Bitset::and_not, |x, y| x && !y),
                (Bitset::or, |x, y| x || y),
                (|x, _| x.flip(), |x, _| !x),
            ];
            for (change, law) in laws {
                let mut changed = bits.clone();
                change(&mut changed, &other);
                let want = Bitset::from_bools((0..a.len()).map(|i| law(a[i], at(i))));
                prop_assert_eq!(changed, want);
            }
            prop_assert!(!bits.get(a.len()));
        }
    }

    #[test]
    fn ones_and_foreign_words_have_nothing_past_the_end() {
        assert_eq!(Bitset::ones(70).count(), 70);
        assert_eq!(Bitset::from_words(vec![u64::MAX; 9], 65).count(), 65);
        assert_eq!(Bitset::from_words(vec![], 65), Bitset::zeros(65));
        assert_eq!(Bitset::from_rows([3, 9, 64], 10).iter().collect::<Vec<_>>(), [3, 9]);
    }
}
