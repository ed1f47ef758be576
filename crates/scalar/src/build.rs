//! Building: from a field's Arrow columns to the sections of an index.
//!
//! Rows count through all chunks. Null rows are kept apart, and so are rows that have no key (NaN,
//! empty arrays, JSON values that are missing or do not cast), so that negations stay exact.

mod column;
mod flat;
mod ordered;

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef};
use milvus_types::{FieldId, KeyValue};

use crate::container::{self, Header, Part, part};
use crate::error::BuildError;
use crate::index_type::ScalarIndexType;
use crate::ngram;
use crate::params::ScalarBuild;
use crate::row_set::RowSet;
use crate::rtree;
use crate::shape::{JsonCast, Shape};

/// Row numbers end before this.
const MOST_ROWS: u64 = u32::MAX as u64;

/// An index in memory, ready to be written.
#[derive(Debug)]
pub struct BuiltScalarIndex {
    header: Header,
    parts: Vec<Part>,
}

impl BuiltScalarIndex {
    /// Writes the container.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        container::write(out, &self.header, &self.parts)
    }

    /// Bytes of the sections, here and once it is opened.
    pub fn memory_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, data)| data.len() as u64).sum()
    }

    /// The field it is over.
    pub fn field(&self) -> FieldId {
        self.header.field
    }

    /// Rows it covers.
    pub fn rows(&self) -> usize {
        self.header.rows
    }
}

/// Builds what `spec` says over `chunks`, the field's values in row order.
///
/// Cost: sorts the values; memory as [`estimate_build_bytes`] says. Errors: a chunk is not of the
/// field's type, or there are more entries than row numbers reach.
pub fn build(spec: &ScalarBuild, chunks: &[ArrayRef]) -> Result<BuiltScalarIndex, BuildError> {
    let rows: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    if rows as u64 >= MOST_ROWS {
        return Err(BuildError::TooManyEntries { got: rows as u64, most: MOST_ROWS });
    }
    let input = Input { spec, chunks, rows };
    let mut params = spec.target.params().to_vec();
    let mut parts = Vec::new();
    let nulls = input.nulls();
    if !nulls.is_empty() {
        parts.push(part(NULLS, nulls.words()));
    }
    match (spec.index_type, spec.target.shape) {
        (ScalarIndexType::Rtree, _) | (_, Shape::Geometry) => {
            rtree::build(&input, &mut params, &mut parts)?;
        }
        (ScalarIndexType::Ngram, _) => ngram::build(&input, &mut params, &mut parts)?,
        (_, Shape::Json(JsonCast::Json)) => flat::build(&input, &mut params, &mut parts)?,
        _ => ordered::build(&input, &mut params, &mut parts)?,
    }
    let header = Header {
        index_type: spec.index_type.name().to_owned(),
        field: spec.target.field,
        rows,
        params,
    };
    Ok(BuiltScalarIndex { header, parts })
}

/// About how many bytes building `spec` takes over `rows` rows whose column has `column_bytes`.
pub fn estimate_build_bytes(spec: &ScalarBuild, rows: usize, column_bytes: u64) -> u64 {
    let entry = 64 * rows as u64;
    match spec.index_type {
        // A few grams begin at each character.
        ScalarIndexType::Ngram => {
            let lengths = (spec.grams.1 - spec.grams.0 + 1) as u64;
            entry + column_bytes.saturating_mul(8).saturating_mul(lengths.min(8))
        }
        ScalarIndexType::Rtree => 2 * entry,
        ScalarIndexType::Inverted
        | ScalarIndexType::Bitmap
        | ScalarIndexType::StlSort
        | ScalarIndexType::Trie
        | ScalarIndexType::Hybrid => {
            let of_elements = if spec.target.shape.is_multiple() { column_bytes * 8 } else { 0 };
            entry + 3 * column_bytes + of_elements
        }
    }
}

/// The section of null rows, one bit each; absent if there are none.
pub(crate) const NULLS: container::Tag = *b"nulls   ";
/// The section of rows without a key, null rows among them; absent if there are none.
pub(crate) const KEYLESS: container::Tag = *b"keyless ";
/// The section of rows whose JSON path leads to something; present over JSON only.
pub(crate) const PRESENT: container::Tag = *b"present ";

/// What is built over.
pub(crate) struct Input<'a> {
    pub(crate) spec: &'a ScalarBuild,
    pub(crate) chunks: &'a [ArrayRef],
    pub(crate) rows: usize,
}

impl<'a> Input<'a> {
    /// Each chunk with the number of its first row.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &'a ArrayRef)> {
        let mut next = 0u32;
        self.chunks.iter().map(move |chunk| {
            let first = next;
            // The sum was bounded before.
            next = next.saturating_add(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
            (first, chunk)
        })
    }

    /// Calls `visit` with each row that is not null, in order.
    pub(crate) fn for_each_row<E>(
        &self,
        mut visit: impl FnMut(&'a ArrayRef, usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for (first, chunk) in self.numbered() {
            for (index, row) in (first..).enumerate().take(chunk.len()) {
                if chunk.is_valid(index) {
                    visit(chunk, index, row)?;
                }
            }
        }
        Ok(())
    }

    /// The error that `chunk` is not of the field's type.
    pub(crate) fn mismatch(&self, chunk: &ArrayRef) -> BuildError {
        BuildError::ColumnType { got: chunk.data_type().clone(), want: self.spec.data_type }
    }

    fn nulls(&self) -> RowSet {
        let mut nulls = RowSet::none(self.rows);
        for (first, chunk) in self.numbered() {
            if chunk.null_count() > 0 {
                for (index, row) in (first..).enumerate().take(chunk.len()) {
                    if chunk.is_null(index) {
                        nulls.insert(row);
                    }
                }
            }
        }
        nulls
    }
}

/// A parameter that says `true`.
pub(crate) fn flag(key: &str) -> KeyValue {
    KeyValue::new(key, "true")
}
