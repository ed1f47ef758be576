//! Where a step finds its values: a batch's column, checked against the type planned for.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use milvus_types::DataType;

use crate::column::Column;
use crate::error::EvaluateError;

/// A column by name, and the type it must have.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: Box<str>,
    pub(super) data_type: DataType,
}

impl Source {
    pub(super) fn new(column: &Column) -> Self {
        Self { name: column.name.clone(), data_type: column.data_type }
    }

    pub(super) fn array<'b>(&self, batch: &'b RecordBatch) -> Result<&'b ArrayRef, EvaluateError> {
        batch
            .column_by_name(&self.name)
            .ok_or_else(|| EvaluateError::MissingColumn { column: self.name.to_string() })
    }

    pub(super) fn strings<'b>(
        &self,
        batch: &'b RecordBatch,
    ) -> Result<&'b StringArray, EvaluateError> {
        let array = self.array(batch)?;
        array.as_string_opt().ok_or_else(|| self.mismatch(array))
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
