//! Sets of rows of one segment, 64 rows to a word.

use arrow::buffer::{BooleanBuffer, Buffer};

/// Rows of a segment; bits beyond the last row are unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowSet {
    words: Vec<u64>,
    rows: usize,
}

impl RowSet {
    /// No row of `rows`.
    pub(crate) fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// Every row of `rows`.
    pub(crate) fn all(rows: usize) -> Self {
        Self { words: vec![u64::MAX; rows.div_ceil(64)], rows }.trimmed()
    }

    /// The rows whose bits are set in `words`; missing words count as zero.
    pub(crate) fn of_words(words: &[u64], rows: usize) -> Self {
        let mut words = words.to_vec();
        words.resize(rows.div_ceil(64), 0);
        Self { words, rows }.trimmed()
    }

    pub(crate) fn insert(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(crate) fn insert_all(&mut self, rows: &[u32]) {
        for &row in rows {
            self.insert(row);
        }
    }

    pub(crate) fn remove_all(&mut self, rows: &[u32]) {
        for &row in rows {
            if let Some(word) = self.words.get_mut(row as usize / 64) {
                *word &= !(1 << (row % 64));
            }
        }
    }

    /// Adds the rows of `words`.
    pub(crate) fn or_words(&mut self, words: &[u64]) {
        for (mine, other) in self.words.iter_mut().zip(words) {
            *mine |= other;
        }
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        for (mine, other) in self.words.iter_mut().zip(&other.words) {
            *mine &= other;
        }
        self
    }

    pub(crate) fn and_not(mut self, other: &Self) -> Self {
        for (mine, other) in self.words.iter_mut().zip(&other.words) {
            *mine &= !other;
        }
        self
    }

    /// The rows that are not in the set.
    pub(crate) fn not(mut self) -> Self {
        for word in &mut self.words {
            *word = !*word;
        }
        self.trimmed()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn into_buffer(self) -> BooleanBuffer {
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, self.rows)
    }

    fn trimmed(mut self) -> Self {
        let tail = self.rows % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << tail) - 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_end_with_the_last_row() {
        let mut set = RowSet::all(70);
        set.remove_all(&[0, 69]);
        assert_eq!(set.clone().into_buffer().count_set_bits(), 68);
        let rest = set.not();
        assert_eq!(rest.clone().into_buffer().set_indices().collect::<Vec<_>>(), [0, 69]);
        assert_eq!(RowSet::of_words(&[u64::MAX; 2], 70), RowSet::all(70));
        assert!(rest.and_not(&RowSet::all(70)).is_empty());
    }
}
