//! Comparison of two fields: integers exactly, other numbers as doubles, strings, booleans.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use milvus_types::DataType;

use crate::ast::CompareOp;
use crate::column::Column;
use crate::error::EvaluateError;
use crate::predicate::Operand;

use super::Run;
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

    pub(super) fn run(&self, run: &Run<'_>) -> Result<Truth, EvaluateError> {
        let (left, right) = (&self.left, &self.right);
        let (l, r) = (left.values(run)?, right.values(run)?);
        let yes = self.bits(&l.array, &r.array)?;
        let missing = either(Bits::nulls(&l.array), Bits::nulls(&r.array));
        let yes = match missing {
            Some(missing) => yes.and_not(&missing),
            None => yes,
        };
        Ok(Truth::new(yes, either(Bits::nulls(&l.rows), Bits::nulls(&r.rows))))
    }

    fn bits(&self, l: &ArrayRef, r: &ArrayRef) -> Result<Bits, EvaluateError> {
        let (left, right) = (&self.left, &self.right);
        Ok(if left.data_type.is_string() {
            let l: &StringArray = l.as_string_opt().ok_or_else(|| left.mismatch(l))?;
            let r: &StringArray = r.as_string_opt().ok_or_else(|| right.mismatch(r))?;
            self.rows(l.len(), |row| Some(l.value(row).cmp(r.value(row))))
        } else if left.data_type == DataType::Bool {
            let l = l.as_boolean_opt().ok_or_else(|| left.mismatch(l))?;
            let r = r.as_boolean_opt().ok_or_else(|| right.mismatch(r))?;
            self.rows(l.len(), |row| Some(l.value(row).cmp(&r.value(row))))
        } else if is_whole(left.data_type) && is_whole(right.data_type) {
            let (l, r) = (integers(left, l)?, integers(right, r)?);
            self.pairs(&l, &r, |l, r| Some(l.cmp(&r)))
        } else {
            let (l, r) = (doubles(left, l)?, doubles(right, r)?);
            self.pairs(&l, &r, |l, r| l.partial_cmp(&r))
        })
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

/// `starts_with` of two columns, or of a constant and a column.
#[derive(Debug)]
pub(super) struct PrefixTest {
    text: Result<Source, Box<str>>,
    prefix: Source,
}

impl PrefixTest {
    pub(super) fn new(text: &Operand, prefix: &Column) -> Self {
        let text = match text {
            Operand::Column(column) => Ok(Source::new(column)),
            Operand::Text(text) => Err(text.clone()),
        };
        Self { text, prefix: Source::new(prefix) }
    }

    pub(super) fn run(&self, run: &Run<'_>) -> Result<Truth, EvaluateError> {
        let prefixes = self.prefix.strings(run.batch)?;
        let unknown = Bits::nulls(prefixes);
        let rows = prefixes.len();
        Ok(match &self.text {
            Err(text) => {
                let starts = |row| text.starts_with(prefixes.value(row));
                Truth::new(Bits::of_rows(rows, None, starts), unknown)
            }
            Ok(source) => {
                let texts = source.strings(run.batch)?;
                let starts = |row| texts.value(row).starts_with(prefixes.value(row));
                let unknown = either(unknown, Bits::nulls(texts));
                Truth::new(Bits::of_rows(rows, None, starts), unknown)
            }
        })
    }
}

fn is_whole(data_type: DataType) -> bool {
    data_type.is_integer() || data_type == DataType::Timestamptz
}

fn either(left: Option<Bits>, right: Option<Bits>) -> Option<Bits> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.or(&right)),
        (left, right) => left.or(right),
    }
}

fn integers(source: &Source, array: &ArrayRef) -> Result<Vec<i64>, EvaluateError> {
    match source.data_type {
        DataType::Int8 => widen::<Int8Type, i64>(source, array),
        DataType::Int16 => widen::<Int16Type, i64>(source, array),
        DataType::Int32 => widen::<Int32Type, i64>(source, array),
        DataType::Timestamptz => widen::<TimestampMicrosecondType, i64>(source, array),
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
