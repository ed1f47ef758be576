//! Conditions on the elements of a struct array, and how many of a row's elements must satisfy them.
//!
//! The sub-fields' columns are lists of equal lengths. Their elements, one row's after the other's,
//! are a batch of their own, over which the condition is evaluated like any other. A null row has no
//! elements; elements where the condition is unknown count as absent. The result is never unknown.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field, Schema};

use crate::ast::Quantifier;
use crate::column::Column;
use crate::error::EvaluateError;
use crate::predicate::Predicate;

use super::bits::{Bits, Truth};
use super::columns::{Source, take};
use super::{Run, Step};

/// A condition on elements.
#[derive(Debug)]
pub(crate) struct Elements {
    /// The sub-field that says how many elements a row has.
    first: Source,
    columns: Vec<(Source, Level)>,
    step: Box<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Row,
    Element,
}

/// Where each row's elements are among all.
struct Places {
    /// `row`'s are `ends[row]..ends[row + 1]`.
    ends: Vec<usize>,
}

impl Elements {
    pub(crate) fn new(first: &Column, predicate: &Predicate) -> Self {
        let mut columns: Vec<(Source, Level)> = Vec::new();
        predicate.visit_columns(&mut |column| {
            let source = Source::new(column);
            if columns.iter().all(|(known, _)| known.name() != source.name()) {
                let level = if column.is_element { Level::Element } else { Level::Row };
                columns.push((source, level));
            }
        });
        // Indexes know rows, not elements, so there are no leaves here.
        let step = Box::new(Step::without_leaves(predicate));
        Self { first: Source::new(first), columns, step }
    }

    /// The elements of `batch` that satisfy the condition, and where each row's elements are.
    pub(crate) fn evaluate(
        &self,
        batch: &RecordBatch,
    ) -> Result<(BooleanBuffer, Vec<usize>), EvaluateError> {
        let (truth, places) = self.truth(batch)?;
        Ok((truth.into_yes().into_buffer(), places.ends))
    }

    fn truth(&self, batch: &RecordBatch) -> Result<(Truth, Places), EvaluateError> {
        let lists = self.first.lists(batch)?;
        let places = Places::of(lists);
        let elements = self.flatten(batch, &places)?;
        let run = Run { batch: &elements, first_row: 0, answers: &[] };
        Ok((self.step.run(&run, None)?, places))
    }

    /// The elements as rows.
    fn flatten(&self, batch: &RecordBatch, places: &Places) -> Result<RecordBatch, EvaluateError> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (source, level) in &self.columns {
            let array = match level {
                Level::Element => places.elements(source, source.lists(batch)?)?,
                Level::Row => take(source.column(batch)?, &places.rows())?,
            };
            fields.push(Field::new(source.name(), array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(places.total()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| EvaluateError::Arrow { cause: error.to_string() })
    }
}

impl Places {
    fn of(lists: &ListArray) -> Self {
        let mut ends = Vec::with_capacity(lists.len() + 1);
        let mut end = 0;
        ends.push(end);
        for row in 0..lists.len() {
            end += length(lists, row);
            ends.push(end);
        }
        Self { ends }
    }

    fn total(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn range(&self, row: usize) -> (usize, usize) {
        let end = |row: usize| self.ends.get(row).copied().unwrap_or(0);
        (end(row), end(row + 1))
    }

    /// The row of each element.
    #[expect(clippy::cast_possible_truncation, reason = "a batch's rows are counted in u32")]
    fn rows(&self) -> UInt32Array {
        let of_row = |row: usize| {
            let (start, end) = self.range(row);
            std::iter::repeat_n(row as u32, end - start)
        };
        (0..self.ends.len().saturating_sub(1)).flat_map(of_row).collect::<Vec<u32>>().into()
    }

    /// The elements of `lists` in these places; null where a row has no list and the first
    /// sub-field has.
    fn elements(&self, source: &Source, lists: &ListArray) -> Result<ArrayRef, EvaluateError> {
        let offsets = lists.value_offsets();
        let at = |row: usize| offsets.get(row).copied().unwrap_or(0);
        let base = at(0);
        let rows = self.ends.len().saturating_sub(1);
        let same = |row: usize| usize::try_from(at(row) - base) == Ok(self.range(row).0);
        if (0..rows).all(same) && usize::try_from(at(rows) - base) == Ok(self.total()) {
            return Ok(lists.values().slice(usize::try_from(base).unwrap_or(0), self.total()));
        }
        let mut places: Vec<Option<u32>> = Vec::with_capacity(self.total());
        for row in 0..rows {
            let (start, end) = self.range(row);
            if lists.is_null(row) {
                places.extend(std::iter::repeat_n(None, end - start));
            } else if length(lists, row) == end - start {
                let first = at(row);
                places.extend((first..at(row + 1)).map(|place| u32::try_from(place).ok()));
            } else {
                return Err(EvaluateError::ElementCount { column: source.name().to_owned() });
            }
        }
        take(lists.values(), &UInt32Array::from(places))
    }
}

/// How many elements `row` has; a null row has none.
fn length(lists: &ListArray, row: usize) -> usize {
    if lists.is_null(row) { 0 } else { usize::try_from(lists.value_length(row)).unwrap_or(0) }
}

/// How many elements must satisfy a condition.
#[derive(Debug)]
pub(super) struct ElementsTest {
    quantifier: Quantifier,
    threshold: usize,
    /// A threshold below nought, which no count is.
    never: bool,
    elements: Elements,
}

impl ElementsTest {
    pub(super) fn new(
        quantifier: Quantifier,
        threshold: i64,
        first: &Column,
        element: &Predicate,
    ) -> Self {
        Self {
            quantifier,
            threshold: usize::try_from(threshold).unwrap_or(0),
            never: threshold < 0 && matches!(quantifier, Quantifier::Most | Quantifier::Exact),
            elements: Elements::new(first, element),
        }
    }

    /// Rows with at least one such element.
    pub(super) fn any(first: &Column, element: &Predicate) -> Self {
        Self::new(Quantifier::Any, 0, first, element)
    }

    pub(super) fn cost(&self) -> u8 {
        self.elements.step.cost(&[]).saturating_add(2)
    }

    pub(super) fn run(&self, run: &Run<'_>, active: Option<&Bits>) -> Result<Truth, EvaluateError> {
        let (truth, places) = self.elements.truth(run.batch)?;
        let (hits, unknown) = truth.parts();
        let yes = Bits::of_rows(run.batch.num_rows(), active, |row| {
            let (start, end) = places.range(row);
            let count = hits.count_in(start, end);
            match self.quantifier {
                Quantifier::Any => count > 0,
                Quantifier::All => {
                    let absent = unknown.map_or(0, |unknown| unknown.count_in(start, end));
                    count == end - start - absent
                }
                Quantifier::Least => count >= self.threshold,
                Quantifier::Most => !self.never && count <= self.threshold,
                Quantifier::Exact => !self.never && count == self.threshold,
            }
        });
        Ok(Truth::new(yes, None))
    }
}
