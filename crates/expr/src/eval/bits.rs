//! Bitmaps of rows and three-valued truth over them, 64 rows to a word.

use arrow::array::{Array, BooleanArray};
use arrow::buffer::{BooleanBuffer, Buffer};

use super::wide::{self, pack};

/// One bit for each row; bits beyond the last row are unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    pub(super) fn filled(len: usize, value: bool) -> Self {
        let mut bits = Self { words: vec![if value { !0 } else { 0 }; len.div_ceil(64)], len };
        bits.clear_tail();
        bits
    }

    pub(super) fn from_buffer(buffer: &BooleanBuffer) -> Self {
        let chunks = buffer.bit_chunks();
        let mut words: Vec<u64> = chunks.iter_padded().collect();
        words.truncate(buffer.len().div_ceil(64));
        let mut bits = Self { words, len: buffer.len() };
        bits.clear_tail();
        bits
    }

    pub(super) fn from_bools(array: &BooleanArray) -> Self {
        Self::from_buffer(array.values())
    }

    /// The rows of `array` that are null, `None` if there are none.
    pub(super) fn nulls(array: &dyn Array) -> Option<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0)?;
        Some(Self::from_buffer(nulls.inner()).not())
    }

    /// The rows whose value satisfies `test`. Branch-free, so that it vectorises.
    pub(super) fn of_values<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> Self {
        let words = wide::words(values, test);
        Self { words, len: values.len() }
    }

    /// The rows whose length, the step from one of `offsets` to the next, satisfies `test`.
    pub(super) fn of_lengths(offsets: &[i32], test: impl Fn(i32) -> bool) -> Self {
        let (starts, ends) = match offsets {
            [] => (offsets, offsets),
            [rest @ .., _] => (rest, offsets.get(1..).unwrap_or_default()),
        };
        let mut words = Vec::with_capacity(starts.len().div_ceil(64));
        for (starts, ends) in starts.chunks(64).zip(ends.chunks(64)) {
            let mut flags = [0u8; 64];
            for (flag, (start, end)) in flags.iter_mut().zip(starts.iter().zip(ends)) {
                *flag = u8::from(test(end - start));
            }
            words.push(pack(&flags));
        }
        Self { words, len: starts.len() }
    }

    /// The rows that satisfy `test`, which is asked about the rows of `active` only.
    pub(super) fn of_rows(
        len: usize,
        active: Option<&Self>,
        mut test: impl FnMut(usize) -> bool,
    ) -> Self {
        let mut bits = Self::filled(len, false);
        for (index, word) in bits.words.iter_mut().enumerate() {
            let mut left = match active {
                Some(active) => active.words.get(index).copied().unwrap_or(0),
                None if len - index * 64 >= 64 => !0,
                None => (1 << (len - index * 64)) - 1,
            };
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                *word |= u64::from(test(index * 64 + bit as usize)) << bit;
            }
        }
        bits
    }

    /// Sets the bit of `row`.
    pub(super) fn set(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    /// Whether so many bits are set that going through all rows is no waste.
    pub(super) fn is_dense(&self) -> bool {
        self.count() * 4 >= self.len
    }

    /// Whether the bit of `row` is set.
    #[cfg(test)]
    pub(super) fn get(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many bits of `start..end` are set.
    pub(super) fn count_in(&self, start: usize, end: usize) -> usize {
        let (first, last) = (start / 64, end / 64);
        let word = |index: usize| self.words.get(index).copied().unwrap_or(0);
        let below = |bit: usize| (1u64 << bit) - 1;
        if first == last {
            return (word(first) & below(end % 64) & !below(start % 64)).count_ones() as usize;
        }
        let within: u32 = (first + 1..last).map(|index| word(index).count_ones()).sum();
        let ends = (word(first) & !below(start % 64)).count_ones()
            + (word(last) & below(end % 64)).count_ones();
        (within + ends) as usize
    }

    /// Whether any bit of `start..end` is set.
    pub(super) fn any_in(&self, start: usize, end: usize) -> bool {
        let (first, last) = (start / 64, end / 64);
        let word = |index: usize| self.words.get(index).copied().unwrap_or(0);
        let below = |bit: usize| (1u64 << bit) - 1;
        if first == last {
            return word(first) & below(end % 64) & !below(start % 64) != 0;
        }
        word(first) & !below(start % 64) != 0
            || (first + 1..last).any(|index| word(index) != 0)
            || word(last) & below(end % 64) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn not(mut self) -> Self {
        for word in &mut self.words {
            *word = !*word;
        }
        self.clear_tail();
        self
    }

    pub(super) fn and(self, other: &Self) -> Self {
        self.zip(other, |left, right| left & right)
    }

    pub(super) fn or(self, other: &Self) -> Self {
        self.zip(other, |left, right| left | right)
    }

    pub(super) fn and_not(self, other: &Self) -> Self {
        self.zip(other, |left, right| left & !right)
    }

    fn zip(mut self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        debug_assert_eq!(self.len, other.len);
        for (left, right) in self.words.iter_mut().zip(&other.words) {
            *left = op(*left, *right);
        }
        self
    }

    fn clear_tail(&mut self) {
        let tail = self.len % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << tail) - 1;
        }
    }

    pub(super) fn into_buffer(self) -> BooleanBuffer {
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, self.len)
    }
}

/// What is known of a condition, row by row: true, unknown, or else false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    yes: Bits,
    /// Has no row in common with `yes`; `None` if there are no such rows.
    unknown: Option<Bits>,
}

impl Truth {
    /// True in the rows of `yes` that are not `unknown`.
    pub(super) fn new(yes: Bits, unknown: Option<Bits>) -> Self {
        match unknown {
            Some(unknown) => Self { yes: yes.and_not(&unknown), unknown: Some(unknown) },
            None => Self { yes, unknown: None },
        }
    }

    pub(super) fn constant(len: usize, value: bool) -> Self {
        Self { yes: Bits::filled(len, value), unknown: None }
    }

    /// The rows where it is true, and those where it is unknown.
    pub(super) fn parts(&self) -> (&Bits, Option<&Bits>) {
        (&self.yes, self.unknown.as_ref())
    }

    /// The rows where it is true.
    pub(super) fn into_yes(self) -> Bits {
        self.yes
    }

    /// The rows where it is not false.
    pub(super) fn possible(&self) -> Bits {
        match &self.unknown {
            Some(unknown) => self.yes.clone().or(unknown),
            None => self.yes.clone(),
        }
    }

    /// The rows where it is not true.
    pub(super) fn open(&self) -> Bits {
        self.yes.clone().not()
    }

    pub(super) fn not(self) -> Self {
        Self { yes: self.possible().not(), unknown: self.unknown }
    }

    pub(super) fn and(self, other: &Self) -> Self {
        let unknown = (self.unknown.is_some() || other.unknown.is_some())
            .then(|| self.possible().and(&other.possible()));
        let yes = self.yes.and(&other.yes);
        let unknown = unknown.map(|possible| possible.and_not(&yes));
        Self { yes, unknown }
    }

    pub(super) fn or(self, other: &Self) -> Self {
        let unknown = match (self.unknown, &other.unknown) {
            (Some(left), Some(right)) => Some(left.or(right)),
            (Some(unknown), None) => Some(unknown),
            (None, unknown) => unknown.clone(),
        };
        let yes = self.yes.or(&other.yes);
        let unknown = unknown.map(|unknown| unknown.and_not(&yes));
        Self { yes, unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_pack_into_words_in_row_order() {
        let values: Vec<u32> = (0..150).collect();
        let bits = Bits::of_values(&values, |value| value % 3 == 0 || value == 149).into_buffer();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(bits.value(row), value % 3 == 0 || *value == 149, "row {row}");
        }
    }

    #[test]
    fn bits_of_a_range_are_counted() {
        let values: Vec<u32> = (0..300).collect();
        let bits = Bits::of_values(&values, |value| value % 7 == 3);
        for start in 0..300 {
            for end in start..=300 {
                let want = (start..end).filter(|value| value % 7 == 3).count();
                assert_eq!(bits.count_in(start, end), want, "{start}..{end}");
                assert_eq!(bits.any_in(start, end), want > 0, "{start}..{end}");
            }
        }
    }

    #[test]
    fn rows_outside_the_active_ones_are_not_asked() {
        let active = Bits::of_values(&(0..70).collect::<Vec<_>>(), |row| row >= 60);
        let mut asked = Vec::new();
        Bits::of_rows(70, Some(&active), |row| {
            asked.push(row);
            true
        });
        assert_eq!(asked, (60..70).collect::<Vec<_>>());
    }

    #[test]
    fn logic_has_three_values() {
        // Rows: true, false, unknown.
        let three = |order: [usize; 3]| {
            let kinds: Vec<_> = order.to_vec();
            let yes = Bits::of_values(&kinds, |kind| kind == 0);
            Truth::new(yes, Some(Bits::of_values(&kinds, |kind| kind == 2)))
        };
        for left in 0..3 {
            for right in 0..3 {
                let (l, r) = (three([left; 3]), three([right; 3]));
                let and = if left == 1 || right == 1 { 1 } else { left.max(right) };
                let or = if left == 0 || right == 0 { 0 } else { left.max(right) };
                assert_eq!(l.clone().and(&r), three([and; 3]), "{left} and {right}");
                assert_eq!(l.or(&r), three([or; 3]), "{left} or {right}");
            }
        }
        assert_eq!(three([0, 1, 2]).not(), three([1, 0, 2]));
    }
}
