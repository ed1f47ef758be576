//! The order of the outputs' rows: each input sorted by itself, then all merged.
//!
//! Rows are ordered by (the field asked for, primary key, timestamp). An input that is in order
//! already, as an earlier compaction left it, is sorted in one pass.
//! Cost: 4 bytes for each row and 8 for each that is kept; a clustering key that is not of 64 bits
//! takes 8 more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type};
use milvus_roles::{CompactSegments, RowOrder};
use milvus_segment::SegmentSchema;
use milvus_types::FieldSchema;

use super::check_cancel;
use super::error::CompactError;
use crate::input::{Input, InputColumn, Place};
use crate::rows::Cancel;

/// How often a merge looks whether it is to stop, in rows.
const CHECK_ROWS: usize = 1 << 16;

/// The rows of all `inputs` that stay, in order.
pub(crate) fn places(
    task: &CompactSegments,
    schema: &SegmentSchema,
    inputs: &[Input],
    cancel: Cancel<'_>,
) -> Result<Vec<Place>, CompactError> {
    let key = schema.fields().iter().position(|field| field.is_primary_key);
    let leading = match task.order {
        RowOrder::Key => None,
        RowOrder::Field(id) => {
            let found = schema.fields().iter().position(|field| field.id == id);
            Some(found.ok_or(CompactError::NoSuchField { field_id: id })?)
        }
    };
    let mut runs = Vec::with_capacity(inputs.len());
    for (number, input) in (0_u32..).zip(inputs) {
        check_cancel(cancel)?;
        let column = |at: usize| match (schema.fields().get(at), input.column(at)) {
            (Some(field), Some(column)) => KeyColumn::new(field, column).map(Some),
            _ => Ok(None),
        };
        let leading = leading.map(column).transpose()?.flatten();
        let keys = key.map(column).transpose()?.flatten();
        let kept = input.kept(task.purge_until, &task.expiry, schema);
        let mut run = Run { number, leading, keys, input, rows: kept.set_indices_u32().collect() };
        run.sort();
        runs.push(run);
    }
    merge(&runs, cancel)
}

/// The kept rows of one input.
struct Run<'a> {
    number: u32,
    leading: Option<KeyColumn>,
    keys: Option<KeyColumn>,
    input: &'a Input,
    rows: Vec<u32>,
}

/// What a row is ordered by. Keys of one column are all numbers or all texts.
type RowKey<'a> = (SortKey<'a>, SortKey<'a>, u64);

impl Run<'_> {
    fn key(&self, row: u32) -> RowKey<'_> {
        let row = row as usize;
        let leading = self.leading.as_ref().map_or(SortKey::Null, |column| column.at(row));
        let key = self.keys.as_ref().map_or(SortKey::Null, |column| column.at(row));
        (leading, key, self.input.timestamps().value(row))
    }

    fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        self.rows = rows;
    }
}

/// The next row of a run.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head<'a> {
    key: RowKey<'a>,
    run: usize,
    at: usize,
}

fn merge(runs: &[Run<'_>], cancel: Cancel<'_>) -> Result<Vec<Place>, CompactError> {
    let mut places = Vec::with_capacity(runs.iter().map(|run| run.rows.len()).sum());
    let head = |run: usize, at: usize| -> Option<Reverse<Head<'_>>> {
        let of = runs.get(run)?;
        Some(Reverse(Head { key: of.key(*of.rows.get(at)?), run, at }))
    };
    let mut heads: BinaryHeap<_> = (0..runs.len()).filter_map(|run| head(run, 0)).collect();
    while let Some(mut first) = heads.peek_mut() {
        let Reverse(Head { run, at, .. }) = *first;
        match head(run, at + 1) {
            Some(next) => *first = next,
            None => drop(PeekMut::pop(first)),
        }
        if let Some((run, row)) = runs.get(run).and_then(|run| Some((run, *run.rows.get(at)?))) {
            places.push(Place { input: run.number, row });
        }
        if places.len() % CHECK_ROWS == 0 {
            check_cancel(cancel)?;
        }
    }
    Ok(places)
}

/// One value that rows are ordered by; rows without a value come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SortKey<'a> {
    Null,
    Number(i64),
    Text(&'a str),
}

/// The values of a column, comparable.
struct KeyColumn {
    values: KeyValues,
    /// Whether every row has the first value.
    same: bool,
}

enum KeyValues {
    Numbers(Int64Array),
    Texts(StringArray),
}

impl KeyColumn {
    fn new(field: &FieldSchema, column: &InputColumn) -> Result<Self, CompactError> {
        let values = key_values(column.array()).ok_or_else(|| CompactError::Order {
            field: field.name.clone(),
            data_type: field.data_type,
        })?;
        Ok(Self { values, same: matches!(column, InputColumn::Same(_)) })
    }

    fn at(&self, row: usize) -> SortKey<'_> {
        let row = if self.same { 0 } else { row };
        match &self.values {
            KeyValues::Numbers(numbers) if numbers.is_null(row) => SortKey::Null,
            KeyValues::Numbers(numbers) => SortKey::Number(numbers.value(row)),
            KeyValues::Texts(texts) if texts.is_null(row) => SortKey::Null,
            KeyValues::Texts(texts) => SortKey::Text(texts.value(row)),
        }
    }
}

/// `array` as numbers in the order of its values, or as texts; `None` if it is neither.
fn key_values(array: &ArrayRef) -> Option<KeyValues> {
    let numbers = |array: &ArrayRef| {
        let numbers = cast(array, &ArrowType::Int64).ok()?;
        numbers.as_primitive_opt::<Int64Type>().cloned()
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "other values have no order")]
    match array.data_type() {
        ArrowType::Boolean
        | ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::Timestamp(..) => numbers(array).map(KeyValues::Numbers),
        ArrowType::Float32 | ArrowType::Float64 => {
            let wide = cast(array, &ArrowType::Float64).ok()?;
            let wide = wide.as_primitive_opt::<Float64Type>()?;
            Some(KeyValues::Numbers(wide.unary(total_order)))
        }
        ArrowType::Utf8 => Some(KeyValues::Texts(array.as_string_opt::<i32>()?.clone())),
        _ => None,
    }
}

/// A number that compares as `value` does in IEEE 754's total order.
fn total_order(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn floating_numbers_keep_their_order_as_integers() {
        let ascending =
            [f64::NEG_INFINITY, -1e300, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 1e-300, 2.0, f64::NAN];
        let numbers: Vec<i64> = ascending.into_iter().map(total_order).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }

    #[test]
    fn values_without_an_order_are_not_keys() {
        let binary: ArrayRef = Arc::new(arrow::array::BinaryArray::from_iter_values([b"x"]));
        assert!(key_values(&binary).is_none());
    }
}
