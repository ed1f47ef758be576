//! Postings: the rows of each key of an index.
//!
//! The rows of all keys lie one after the other in key order, so that a range of keys is one slice.
//! Where keys are unique the list has one row for each key and needs no starts. In a bitmap index a
//! key that more than one in [`DENSE`] rows have keeps a bitmap instead of its list: a bitmap of all
//! rows is then no larger than the list.

use std::ops::Range;

use crate::container::{Container, Part, part};
use crate::error::{BuildError, OpenError};
use crate::row_set::RowSet;
use crate::section::Section;

/// Row numbers of a list take as many bits each.
const DENSE: usize = 32;
/// Marks a key whose rows are a list.
const LIST: u32 = u32::MAX;

/// Where each key's list begins; absent where every key has one row.
const STARTS: [u8; 8] = *b"pstarts ";
const ROWS: [u8; 8] = *b"prows   ";
/// The number of each key's bitmap, or [`LIST`].
const BITMAPS: [u8; 8] = *b"pbitmaps";
const WORDS: [u8; 8] = *b"pwords  ";

/// The rows of each key.
pub(crate) struct Postings {
    starts: Section<u32>,
    rows: Section<u32>,
    bitmaps: Section<u32>,
    words: Section<u64>,
    segment_rows: usize,
}

/// Postings to be written, key by key.
#[derive(Debug, Default)]
pub(crate) struct PostingsBuilder {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl PostingsBuilder {
    /// Begins the next key.
    pub(crate) fn key(&mut self) -> Result<(), BuildError> {
        let start = u32::try_from(self.rows.len()).map_err(|_| BuildError::TooManyEntries {
            got: self.rows.len() as u64,
            most: u64::from(u32::MAX),
        })?;
        self.starts.push(start);
        Ok(())
    }

    /// Adds a row to the key begun last; rows of a key ascend.
    pub(crate) fn row(&mut self, row: u32) {
        self.rows.push(row);
    }

    pub(crate) fn parts(
        mut self,
        bitmaps: bool,
        segment_rows: usize,
    ) -> Result<Vec<Part>, BuildError> {
        let keys = self.starts.len();
        self.key()?;
        if bitmaps {
            return Ok(self.bitmap_parts(segment_rows));
        }
        let mut parts = vec![part(ROWS, &self.rows)];
        if self.rows.len() != keys {
            parts.push(part(STARTS, &self.starts));
        }
        Ok(parts)
    }

    fn bitmap_parts(&self, segment_rows: usize) -> Vec<Part> {
        let (mut starts, mut rows) = (Vec::with_capacity(self.starts.len()), Vec::new());
        let (mut bitmaps, mut words) = (Vec::new(), Vec::new());
        let mut count = 0u32;
        for pair in self.starts.windows(2) {
            let &[start, end] = pair else { continue };
            let list = self.rows.get(start as usize..end as usize).unwrap_or_default();
            // No more than the list as a whole, which u32 numbers.
            starts.push(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            if list.len() * DENSE > segment_rows && list.len() > 2 {
                let mut set = RowSet::none(segment_rows);
                set.insert_all(list);
                words.extend_from_slice(set.words());
                bitmaps.push(count);
                count += 1;
            } else {
                rows.extend_from_slice(list);
                bitmaps.push(LIST);
            }
        }
        starts.push(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        vec![part(ROWS, &rows), part(STARTS, &starts), part(BITMAPS, &bitmaps), part(WORDS, &words)]
    }
}

impl Postings {
    /// Reads the postings of `keys` keys over `segment_rows` rows and checks all of them.
    pub(crate) fn open(
        container: &Container,
        keys: usize,
        segment_rows: usize,
    ) -> Result<Self, OpenError> {
        let starts: Section<u32> = container.section(STARTS)?;
        let rows: Section<u32> = container.section(ROWS)?;
        let bitmaps: Section<u32> = container.section(BITMAPS)?;
        let words: Section<u64> = container.section(WORDS)?;
        if rows.as_slice().iter().any(|row| *row as usize >= segment_rows) {
            return Err(OpenError::malformed("a row number is too great"));
        }
        if starts.is_empty() {
            if rows.len() != keys {
                return Err(OpenError::malformed("not every key has one row"));
            }
        } else {
            let starts = starts.as_slice();
            let ends = starts.first() == Some(&0)
                && starts.last().map(|last| *last as usize) == Some(rows.len());
            if starts.len() != keys.saturating_add(1) || !starts.is_sorted() || !ends {
                return Err(OpenError::malformed("lists of rows are out of order"));
            }
        }
        let width = segment_rows.div_ceil(64);
        if !bitmaps.is_empty() {
            let count = bitmaps.as_slice().iter().filter(|number| **number != LIST).count();
            let known = |number: &u32| *number == LIST || (*number as usize) < count;
            if bitmaps.len() != keys
                || !bitmaps.as_slice().iter().all(known)
                || count.checked_mul(width) != Some(words.len())
            {
                return Err(OpenError::malformed("bitmaps of keys do not fit"));
            }
        }
        Ok(Self { starts, rows, bitmaps, words, segment_rows })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.starts.bytes() + self.rows.bytes() + self.bitmaps.bytes() + self.words.bytes()
    }

    /// How many rows the lists of `keys` have; bitmaps do not count.
    pub(crate) fn listed(&self, keys: &Range<usize>) -> usize {
        self.span(self.starts.as_slice(), keys).len()
    }

    /// How many rows the lists of all keys have.
    pub(crate) fn all_listed(&self) -> usize {
        self.rows.len()
    }

    /// The list of `keys`' rows; bitmaps do not count.
    pub(crate) fn list(&self, keys: &Range<usize>) -> &[u32] {
        self.rows.as_slice().get(self.span(self.starts.as_slice(), keys)).unwrap_or_default()
    }

    /// Adds to `set` the rows of `keys`.
    pub(crate) fn add(&self, keys: &Range<usize>, set: &mut RowSet) {
        set.insert_all(self.list(keys));
        if self.bitmaps.is_empty() {
            return;
        }
        let (words, width) = (self.words.as_slice(), self.segment_rows.div_ceil(64));
        for number in self.bitmaps.as_slice().get(keys.clone()).unwrap_or_default() {
            if *number != LIST {
                let start = *number as usize * width;
                set.or_words(words.get(start..start + width).unwrap_or_default());
            }
        }
    }

    /// Removes from `set` the rows that `keys` list.
    pub(crate) fn remove(&self, keys: &Range<usize>, set: &mut RowSet) {
        set.remove_all(self.list(keys));
    }

    /// Whether some keys have bitmaps.
    pub(crate) fn has_bitmaps(&self) -> bool {
        !self.words.is_empty()
    }

    fn span(&self, starts: &[u32], keys: &Range<usize>) -> Range<usize> {
        if starts.is_empty() {
            return keys.clone();
        }
        let at = |key: usize| starts.get(key).map_or(0, |start| *start as usize);
        at(keys.start)..at(keys.end).max(at(keys.start))
    }
}
