//! Rows that are lists: arrays of scalars, and lists of vectors. A null row is an empty list.

use std::ops::Range;

use arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, ListArray};
use arrow::datatypes::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};

use milvus_proto::{DoubleArray, FloatArray, schema as pb};
use milvus_types::{DataType, FieldSchema};
use pb::scalar_field::Data as Scalars;

use super::{Dense, vector_data};

/// `None` where the column is not of the field's layout.
pub(super) fn arrays(field: &FieldSchema, values: &ArrayRef) -> Option<pb::ArrayArray> {
    let lists = values.as_list_opt::<i32>()?;
    let element = field.element_type?;
    let row = |row: usize| {
        let data = Some(elements(element, lists.values(), range(lists, row))?);
        Some(pb::ScalarField { data, valid_data: Vec::new() })
    };
    let data = (0..lists.len()).map(row).collect::<Option<_>>()?;
    Some(pb::ArrayArray { data, element_type: element.number() })
}

fn elements(element: DataType, values: &ArrayRef, range: Range<usize>) -> Option<Scalars> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrays hold no other type")]
    Some(match element {
        DataType::Bool => {
            let values = values.as_boolean_opt()?;
            let data = range.map(|at| values.value(at)).collect();
            Scalars::BoolData(pb::BoolArray { data })
        }
        DataType::Int8 => Scalars::IntData(pb::IntArray { data: ints::<Int8Type>(values, range)? }),
        DataType::Int16 => {
            Scalars::IntData(pb::IntArray { data: ints::<Int16Type>(values, range)? })
        }
        DataType::Int32 => {
            Scalars::IntData(pb::IntArray { data: ints::<Int32Type>(values, range)? })
        }
        DataType::Int64 => {
            let data = numbers::<Int64Type>(values, range)?.to_vec();
            Scalars::LongData(pb::LongArray { data })
        }
        DataType::Float => {
            let numbers = numbers::<Float32Type>(values, range)?.iter().copied();
            Scalars::FloatData(FloatArray::from_numbers(numbers))
        }
        DataType::Double => {
            let numbers = numbers::<Float64Type>(values, range)?.iter().copied();
            Scalars::DoubleData(DoubleArray::from_numbers(numbers))
        }
        DataType::VarChar => {
            let texts = values.as_string_opt::<i32>()?;
            let data = range.map(|at| texts.value(at).to_owned()).collect();
            Scalars::StringData(pb::StringArray { data })
        }
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType>(values: &ArrayRef, range: Range<usize>) -> Option<&[T::Native]> {
    values.as_primitive_opt::<T>()?.values().get(range)
}

fn ints<T>(values: &ArrayRef, range: Range<usize>) -> Option<Vec<i32>>
where
    T: ArrowPrimitiveType,
    i32: From<T::Native>,
{
    Some(numbers::<T>(values, range)?.iter().map(|number| i32::from(*number)).collect())
}

/// `None` where the column is not of the field's layout.
pub(super) fn vectors(field: &FieldSchema, values: &ArrayRef) -> Option<pb::VectorArray> {
    let lists = values.as_list_opt::<i32>()?;
    let kind = field.element_type?;
    let dense = Dense::of(kind, lists.values())?;
    let row = |row: usize| {
        let Range { start, end } = range(lists, row);
        let bytes = dense.bytes.slice(start * dense.width..end * dense.width);
        pb::VectorField {
            dim: dense.dim,
            data: Some(vector_data(kind, bytes)),
            valid_data: Vec::new(),
        }
    };
    let data = (0..lists.len()).map(row).collect();
    Some(pb::VectorArray { dim: dense.dim, data, element_type: kind.number() })
}

/// The places of a row's elements.
fn range(lists: &ListArray, row: usize) -> Range<usize> {
    if lists.is_null(row) {
        return 0..0;
    }
    let at = |row: usize| {
        lists.value_offsets().get(row).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0)
    };
    at(row)..at(row + 1)
}
