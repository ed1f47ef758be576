//! Comparison of two fields: integers exactly, other numbers as doubles, strings, booleans.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use milvus_types::DataType;

use crate::ast::CompareOp;
use crate::column::Column;
use crate::error::EvaluateError;

use super::bits::{Bits, Truth};
use super::columns::Source;

#[derive(Debug)]
pub(super) struct FieldsTest {
    left: Source,
    op: CompareOp,
    right: Source,
}

impl FieldsTest {
    pub(super) fn new(left: &Column, op: CompareOp, right: &Column) -> Self {
        Self { left: Source::new(left), op, right: Source::new(right) }
    }

    pub(super) fn run(&self, batch: &RecordBatch) -> Result<Truth, EvaluateError> {
        let (left, right) = (&self.left, &self.right);
        let (l, r) = (left.array(batch)?, right.array(batch)?);
        let yes = if left.data_type.is_string() {
            let (l, r) = (left.strings(batch)?, right.strings(batch)?);
            self.rows(l.len(), |row| Some(l.value(row).cmp(r.value(row))))
        } else if left.data_type == DataType::Bool {
            let l = l.as_boolean_opt().ok_or_else(|| left.mismatch(l))?;
            let r = r.as_boolean_opt().ok_or_else(|| right.mismatch(r))?;
            self.rows(l.len(), |row| Some(l.value(row).cmp(&r.value(row))))
        } else if left.data_type.is_integer() && right.data_type.is_integer() {
            let (l, r) = (integers(left, l)?, integers(right, r)?);
            self.pairs(&l, &r, |l, r| Some(l.cmp(&r)))
        } else {
            let (l, r) = (doubles(left, l)?, doubles(right, r)?);
            self.pairs(&l, &r, |l, r| l.partial_cmp(&r))
        };
        let unknown = match (Bits::nulls(l), Bits::nulls(r)) {
            (Some(left), Some(right)) => Some(left.or(&right)),
            (left, right) => left.or(right),
        };
        Ok(Truth::new(yes, unknown))
    }

    fn rows(&self, len: usize, compare: impl Fn(usize) -> Option<Ordering>) -> Bits {
        Bits::of_rows(len, None, |row| self.op.holds(compare(row)))
    }

    fn pairs<T: Copy>(
        &self,
        left: &[T],
        right: &[T],
        compare: impl Fn(T, T) -> Option<Ordering>,
    ) -> Bits {
        let pairs: Vec<(T, T)> = left.iter().copied().zip(right.iter().copied()).collect();
        Bits::of_values(&pairs, |(left, right)| self.op.holds(compare(left, right)))
    }
}

fn integers(source: &Source, array: &ArrayRef) -> Result<Vec<i64>, EvaluateError> {
    match source.data_type {
        DataType::Int8 => widen::<Int8Type, i64>(source, array),
        DataType::Int16 => widen::<Int16Type, i64>(source, array),
        DataType::Int32 => widen::<Int32Type, i64>(source, array),
        _ => widen::<Int64Type, i64>(source, array),
    }
}

fn doubles(source: &Source, array: &ArrayRef) -> Result<Vec<f64>, EvaluateError> {
    match source.data_type {
        DataType::Float => widen::<Float32Type, f64>(source, array),
        DataType::Double => widen::<Float64Type, f64>(source, array),
        _ => Ok(integers(source, array)?.into_iter().map(|value| value as f64).collect()),
    }
}

fn widen<A: ArrowPrimitiveType, T>(
    source: &Source,
    array: &ArrayRef,
) -> Result<Vec<T>, EvaluateError>
where
    A::Native: Into<T>,
{
    let array = array.as_primitive_opt::<A>().ok_or_else(|| source.mismatch(array))?;
    Ok(array.values().iter().map(|value| (*value).into()).collect())
}
