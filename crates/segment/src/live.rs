//! Live rows: those that are visible at a snapshot, not deleted by then, and pass the filter.
//!
//! Cost: the filter is evaluated once over each chunk; visibility adds one pass over `rows / 64`
//! words, and nothing at all where every row is visible.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use milvus_expr::Plan;
use milvus_kernel::Bitset;
use milvus_scalar::ScalarIndexSet;
use milvus_types::PrimaryKeys;

use crate::chunk::Rows;
use crate::error::FilterError;

/// What a snapshot sees of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Visibility {
    /// Only rows before this one.
    pub(crate) rows: u32,
    /// Of these the ones whose bit is 1; `None` for all.
    pub(crate) alive: Option<BooleanBuffer>,
}

impl Visibility {
    pub(crate) fn sees(&self, row: u32) -> bool {
        row < self.rows && self.alive.as_ref().is_none_or(|alive| alive.value(row as usize))
    }

    /// Without the rows whose bit is 0.
    pub(crate) fn and(self, bits: Option<BooleanBuffer>) -> Self {
        let alive = match (self.alive, bits) {
            (Some(alive), Some(bits)) => Some(&alive & &bits),
            (alive, bits) => alive.or(bits),
        };
        Self { rows: self.rows, alive }
    }

    /// The live ones among `rows`.
    fn among(&self, rows: Vec<u32>) -> Live {
        let mut live = BooleanBufferBuilder::new(self.rows as usize);
        live.append_n(self.rows as usize, false);
        for row in rows.into_iter().filter(|row| self.sees(*row)) {
            live.set_bit(row as usize, true);
        }
        Live::Some(live.finish())
    }
}

/// The live rows of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Live {
    /// All rows before this one.
    All(u32),
    /// Those whose bit is 1.
    Some(BooleanBuffer),
}

impl Live {
    /// The live rows of `rows`; `find_keys` gives the rows that have one of some keys. Conditions
    /// that `indexes` know are not evaluated.
    pub(crate) fn find(
        rows: &Rows,
        visibility: Visibility,
        filter: &Plan,
        indexes: Option<&ScalarIndexSet>,
        find_keys: impl FnOnce(&PrimaryKeys) -> Vec<u32>,
    ) -> Result<Self, FilterError> {
        if filter.always_false() {
            return Ok(Self::All(0));
        }
        if let Some(keys) = filter.primary_keys() {
            return Ok(visibility.among(find_keys(&keys)));
        }
        if filter.always_true() {
            return Ok(match visibility.alive {
                None => Self::All(visibility.rows),
                Some(alive) => Self::Some(alive),
            });
        }
        let bound = indexes.filter(|_| filter.has_leaves()).map(|indexes| filter.bind(indexes));
        let bound = bound.filter(milvus_expr::BoundPlan::is_indexed);
        let mut passed = BooleanBufferBuilder::new(visibility.rows as usize);
        for (chunk, len) in rows.visible(visibility.rows) {
            let batch = rows.batch(chunk, filter.fields(), len)?;
            passed.append_buffer(&match &bound {
                Some(bound) => bound.evaluate(&batch, chunk.start)?,
                None => filter.evaluate_from(&batch, chunk.start)?,
            });
        }
        let passed = passed.finish();
        Ok(Self::Some(match visibility.alive {
            None => passed,
            Some(alive) => &passed & &alive,
        }))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::All(rows) => u64::from(*rows),
            Self::Some(rows) => rows.count_set_bits() as u64,
        }
    }

    /// Their numbers, ascending.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::All(rows) => Box::new(0..*rows),
            Self::Some(rows) => Box::new(rows.set_indices_u32()),
        }
    }

    /// Those among `len` rows from `start` on, as bits counted from `start`; `None` when all are.
    pub(crate) fn range(&self, start: u32, len: u32) -> Option<Bitset> {
        match self {
            Self::All(rows) if start.saturating_add(len) <= *rows => None,
            Self::All(rows) => Some(Bitset::from_rows(0..rows.saturating_sub(start), len as usize)),
            Self::Some(rows) => {
                let (start, len) = (start as usize, len as usize);
                let have = rows.len().saturating_sub(start).min(len);
                let bits = rows.slice(start.min(rows.len()), have);
                Some(Bitset::from_words(bits.bit_chunks().iter_padded().collect(), len))
            }
        }
    }
}
