//! Where a step finds its values: a batch's column, or one element of each of a column's arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use milvus_types::DataType;

use crate::column::Column;
use crate::error::EvaluateError;

use super::Run;

/// A column by name, and the type its values must have.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: Box<str>,
    /// The type of the values: of an array that is subscripted, its elements'.
    pub(super) data_type: DataType,
    /// Which element of each row's array is meant.
    element: Option<usize>,
}

/// Values to test, one for each row.
pub(super) struct Values {
    /// Null where there is nothing to test.
    pub(super) array: ArrayRef,
    /// The column itself, whose nulls are unknown.
    pub(super) rows: ArrayRef,
}

impl Source {
    pub(super) fn new(column: &Column) -> Self {
        let subscripted = column.data_type == DataType::Array && !column.is_element;
        let subscript = column.path.first().filter(|_| subscripted);
        Self {
            name: column.name.clone(),
            data_type: column.value_type(),
            // An index that is no number, or below nought, is beyond every array.
            element: subscript.map(|step| step.parse().unwrap_or(usize::MAX)),
        }
    }

    /// The elements of array `column`, to name them and their type.
    pub(super) fn element(column: &Column) -> Self {
        let data_type = column.element_type.unwrap_or(column.data_type);
        Self { name: column.name.clone(), data_type, element: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the values are elements at one index of arrays.
    pub(super) fn is_subscripted(&self) -> bool {
        self.element.is_some()
    }

    /// The whole column.
    pub(super) fn column<'b>(&self, batch: &'b RecordBatch) -> Result<&'b ArrayRef, EvaluateError> {
        batch
            .column_by_name(&self.name)
            .ok_or_else(|| EvaluateError::MissingColumn { column: self.name.to_string() })
    }

    /// The column as the strings it holds.
    pub(super) fn strings<'b>(
        &self,
        batch: &'b RecordBatch,
    ) -> Result<&'b StringArray, EvaluateError> {
        let array = self.column(batch)?;
        array.as_string_opt().ok_or_else(|| self.mismatch(array))
    }

    /// The column as the arrays it holds.
    pub(super) fn lists<'b>(&self, batch: &'b RecordBatch) -> Result<&'b ListArray, EvaluateError> {
        let array = self.column(batch)?;
        array.as_list_opt().ok_or_else(|| self.mismatch(array))
    }

    /// The values to test.
    pub(super) fn values(&self, run: &Run<'_>) -> Result<Values, EvaluateError> {
        let column = self.column(run.batch)?;
        let Some(index) = self.element else {
            return Ok(Values { array: Arc::clone(column), rows: Arc::clone(column) });
        };
        let lists = self.lists(run.batch)?;
        Ok(Values { array: elements_at(lists, index)?, rows: Arc::clone(column) })
    }

    /// The error that `array` has not the type planned for.
    pub(super) fn mismatch(&self, array: &dyn Array) -> EvaluateError {
        EvaluateError::ColumnType {
            column: self.name.to_string(),
            got: array.data_type().clone(),
            want: self.data_type,
        }
    }
}

/// Element `index` of each array, null where there is none.
pub(super) fn elements_at(lists: &ListArray, index: usize) -> Result<ArrayRef, EvaluateError> {
    let Ok(index) = i32::try_from(index) else {
        return Ok(new_null_array(lists.values().data_type(), lists.len()));
    };
    let places: UInt32Array = lists
        .value_offsets()
        .windows(2)
        .enumerate()
        .map(|(row, ends)| match ends {
            [start, end] if index < end - start && lists.is_valid(row) => {
                u32::try_from(start + index).ok()
            }
            _ => None,
        })
        .collect();
    take(lists.values(), &places)
}

/// `values` at `places`, null where a place is.
pub(super) fn take(values: &ArrayRef, places: &UInt32Array) -> Result<ArrayRef, EvaluateError> {
    arrow::compute::take(values, places, None)
        .map_err(|error| EvaluateError::Arrow { cause: error.to_string() })
}
