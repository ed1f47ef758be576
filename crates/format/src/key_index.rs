//! Key indexes: from a primary key to its rows in one sealed segment, searched in the mapped file.
//!
//! Keys are sorted, each with its row beside it; equal keys have their rows in ascending order. The
//! index takes 12 bytes per `Int64` key, 8 bytes and the text per `VarChar` key, none of them
//! copied. [`KeyIndex::open`] verifies the checksum and every offset and row, so that lookups can
//! neither fail nor panic; they work at any alignment.
//!
//! ```text
//! | "MVKX" | version 1 | 0 | body len | body | crc32c |
//!
//! body:  | key type, u8 | 0, 7 bytes | count n, u64 | text len t, u64 |
//!   Int64 (1):    | keys, n x i64 | rows, n x u32 |
//!   VarChar (2):  | ends, n x u32 | rows, n x u32 | text, t bytes: the keys one after the other |
//! ```
//!
//! Not here: growing rows (`segment`), which segments to ask (`streaming`).

mod search;
mod write;

use std::cmp::Ordering;

use bytes::Bytes;
use milvus_types::{PkType, PrimaryKey, PrimaryKeys};

use crate::error::DecodeError;
use crate::frame::{Format, u32_at, u64_at};

pub use write::write_key_index;

const FORMAT: Format = Format { what: "key index", magic: *b"MVKX", version: 1 };
const HEADER_BYTES: usize = 24;

/// An open key index.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    pk_type: PkType,
    count: usize,
    /// Sorted keys (`Int64`) or the end of each key in `text` (`VarChar`).
    keys: Bytes,
    rows: Bytes,
    text: Bytes,
}

impl KeyIndex {
    /// Opens the index in `bytes`, usually a mapped file.
    ///
    /// Cost: reads every byte once, about a millisecond per million `Int64` keys.
    pub fn open(bytes: &Bytes) -> Result<Self, DecodeError> {
        let body = bytes.slice_ref(FORMAT.open(bytes)?);
        let malformed = |reason: String| DecodeError::malformed(FORMAT.what, reason);
        if body.len() < HEADER_BYTES {
            return Err(malformed(format!("a body of {} bytes", body.len())));
        }
        let pk_type = match body.first() {
            Some(1) => PkType::Int64,
            Some(2) => PkType::VarChar,
            other => return Err(malformed(format!("unknown key type {other:?}"))),
        };
        let count = u64_at(&body, 1).unwrap_or_default();
        let text = u64_at(&body, 2).unwrap_or_default();
        let key_bytes = match pk_type {
            PkType::Int64 => 8,
            PkType::VarChar => 4,
        };
        let want = count
            .checked_mul(key_bytes + 4)
            .and_then(|bytes| bytes.checked_add(text)?.checked_add(HEADER_BYTES as u64));
        if want != Some(body.len() as u64) || (pk_type == PkType::Int64 && text != 0) {
            return Err(malformed(format!(
                "{count} keys and {text} bytes of text in a body of {} bytes",
                body.len()
            )));
        }
        // Both fit: their sum is a length in memory.
        let part = |bytes: u64| usize::try_from(bytes).unwrap_or_default();
        let rows_at = HEADER_BYTES + part(count * key_bytes);
        let text_at = rows_at + part(count * 4);
        let index = Self {
            pk_type,
            count: part(count),
            keys: body.slice(HEADER_BYTES..rows_at),
            rows: body.slice(rows_at..text_at),
            text: body.slice(text_at..),
        };
        index.check()?;
        Ok(index)
    }

    /// The type of the keys.
    pub fn pk_type(&self) -> PkType {
        self.pk_type
    }

    /// How many rows it covers.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it covers none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether rows are in order of keys: the segment is sorted.
    pub fn is_in_row_order(&self) -> bool {
        (0..self.count).all(|place| self.row(place) as usize == place)
    }

    /// The bytes it keeps mapped.
    pub fn size_bytes(&self) -> usize {
        self.keys.len() + self.rows.len() + self.text.len()
    }

    /// The smallest key.
    pub fn min_key(&self) -> Option<PrimaryKey> {
        (self.count > 0).then(|| self.key(0))
    }

    /// The largest key.
    pub fn max_key(&self) -> Option<PrimaryKey> {
        self.count.checked_sub(1).map(|last| self.key(last))
    }

    /// The rows that have `key`, in ascending order; none if it is of the other type.
    pub fn get(&self, key: &PrimaryKey) -> impl Iterator<Item = u32> + '_ {
        let places = match (key, self.pk_type) {
            (PrimaryKey::Int64(key), PkType::Int64) => {
                search::equal_range(0, self.count, |place| self.int(place).cmp(key))
            }
            (PrimaryKey::VarChar(key), PkType::VarChar) => {
                search::equal_range(0, self.count, |place| self.str(place).cmp(key.as_bytes()))
            }
            (PrimaryKey::Int64(_), PkType::VarChar) | (PrimaryKey::VarChar(_), PkType::Int64) => {
                0..0
            }
        };
        places.map(|place| self.row(place))
    }

    /// Whether some row has `key`.
    pub fn contains(&self, key: &PrimaryKey) -> bool {
        self.get(key).next().is_some()
    }

    /// Every pair of a key's place in `keys` and a row that has that key, by place, then row.
    ///
    /// Cost: sorts the keys' places and walks the index once, leaping over what lies between; keys
    /// outside `min_key..=max_key` cost one comparison.
    pub fn lookup_many(&self, keys: &PrimaryKeys) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        match (keys, self.pk_type) {
            (PrimaryKeys::Int64(keys), PkType::Int64) => {
                let keys = keys.values();
                self.lookup_sorted(
                    keys.len(),
                    |a, b| keys.get(a).cmp(&keys.get(b)),
                    |place, key| {
                        keys.get(key).map_or(Ordering::Less, |key| self.int(place).cmp(key))
                    },
                    &mut found,
                );
            }
            (PrimaryKeys::VarChar(keys), PkType::VarChar) => {
                let key = |index: usize| keys.value(index).as_bytes();
                self.lookup_sorted(
                    arrow::array::Array::len(keys),
                    |a, b| key(a).cmp(key(b)),
                    |place, index| self.str(place).cmp(key(index)),
                    &mut found,
                );
            }
            (PrimaryKeys::Int64(_), PkType::VarChar) | (PrimaryKeys::VarChar(_), PkType::Int64) => {
            }
        }
        found.sort_unstable();
        found
    }

    /// Every key with its row, sorted by key, then row.
    pub fn iter(&self) -> impl Iterator<Item = (PrimaryKey, u32)> + '_ {
        (0..self.count).map(|place| (self.key(place), self.row(place)))
    }

    fn lookup_sorted(
        &self,
        keys: usize,
        order: impl Fn(usize, usize) -> Ordering,
        compare: impl Fn(usize, usize) -> Ordering,
        found: &mut Vec<(usize, u32)>,
    ) {
        let Some(last) = self.count.checked_sub(1) else {
            return;
        };
        let within = |key: &usize| compare(0, *key).is_le() && compare(last, *key).is_ge();
        let mut sorted: Vec<usize> = (0..keys).filter(within).collect();
        sorted.sort_unstable_by(|a, b| order(*a, *b));
        let mut from = 0;
        for key in sorted {
            let places = search::gallop_range(from, self.count, |place| compare(place, key));
            // The next key may be equal to this one, so it starts where this one did.
            from = places.start;
            found.extend(places.map(|place| (key, self.row(place))));
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        let malformed = |reason: &str| Err(DecodeError::malformed(FORMAT.what, reason));
        if (0..self.count).any(|place| self.row(place) as usize >= self.count) {
            return malformed("a row lies beyond the segment");
        }
        let sorted = match self.pk_type {
            PkType::Int64 => (1..self.count).all(|place| self.int(place - 1) <= self.int(place)),
            PkType::VarChar => {
                let end = |place| u32_at(&self.keys, place).unwrap_or(0) as usize;
                let rising = (1..self.count).all(|place| end(place - 1) <= end(place));
                let last = self.count.checked_sub(1).map_or(0, end);
                if !rising || last != self.text.len() || std::str::from_utf8(&self.text).is_err() {
                    return malformed("its text is not cut into keys");
                }
                (1..self.count).all(|place| self.str(place - 1) <= self.str(place))
            }
        };
        if !sorted {
            return malformed("its keys are not sorted");
        }
        Ok(())
    }

    fn key(&self, place: usize) -> PrimaryKey {
        match self.pk_type {
            PkType::Int64 => PrimaryKey::Int64(self.int(place)),
            PkType::VarChar => PrimaryKey::VarChar(String::from_utf8_lossy(self.str(place)).into()),
        }
    }

    fn int(&self, place: usize) -> i64 {
        u64_at(&self.keys, place).unwrap_or_default().cast_signed()
    }

    fn str(&self, place: usize) -> &[u8] {
        let end = |place| u32_at(&self.keys, place).unwrap_or_default() as usize;
        let start = place.checked_sub(1).map_or(0, end);
        self.text.get(start..end(place)).unwrap_or_default()
    }

    fn row(&self, place: usize) -> u32 {
        u32_at(&self.rows, place).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
