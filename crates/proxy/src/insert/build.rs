//! One column's values: checked with Milvus's texts, then laid out as `milvus_types::columns` says.
//!
//! Three passes of checks over all columns, as in Milvus, so that the first complaint is the same:
//! values ([`check`]), nulls ([`count_present`]), row counts and dimensions ([`check_rows`]). None
//! of them takes more memory than was sent. Nulls and defaults are filled in by [`lay_out`] and
//! [`filled`], when everything has passed and [`bytes_to_fill`] are granted.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, UInt32Array, new_null_array};
use arrow::compute::{interleave, take};
use milvus_types::columns::arrow_type;
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Limits;
use milvus_types::{DataType, Failure, FieldSchema, Result, Value};
use milvus_values::sparse;
use milvus_values::timestamptz::Zone;

use super::columns::Bound;
use super::{arrays, scalars, vector_lists, vectors};
use crate::api::{InputValues, InputVectorLists, PackedVectors};

/// A column's values as they were given: checked, nulls left out.
#[derive(Debug)]
pub(crate) enum Compact {
    /// None.
    Nothing,
    /// In the column's type.
    Rows(ArrayRef),
    /// Of the field's kind, not yet cut into rows.
    Vectors(PackedVectors),
    /// Of the field's kind.
    VectorLists(InputVectorLists),
    /// A whole column, nulls and all.
    Whole(ArrayRef),
}

/// Complains about values that the field cannot have.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is a scalar, or no value of the field"
)]
pub(crate) fn check(bound: &Bound<'_>, limits: &Limits, zone: &Zone) -> Result<Compact> {
    let Bound { field, column } = bound;
    if let InputValues::Stored(values) = &column.values {
        return Ok(Compact::Whole(Arc::clone(values)));
    }
    let nothing = || if may_lack(field) { Ok(Compact::Nothing) } else { Err(illegal(field)) };
    if matches!(column.values, InputValues::Missing) && field.data_type != DataType::Timestamptz {
        return nothing();
    }
    match field.data_type {
        DataType::Array => {
            arrays::read(field, &column.values, field.max_capacity()).map(Compact::Rows)
        }
        DataType::ArrayOfVector => {
            vector_lists::check(field, &column.values).map(Compact::VectorLists)
        }
        DataType::SparseFloatVector => {
            let InputValues::SparseVectors(rows) = &column.values else { return nothing() };
            check_sparse(rows)?;
            Ok(Compact::Rows(Arc::clone(rows)))
        }
        kind if kind.is_vector() => {
            let InputValues::Vectors(given) = &column.values else { return nothing() };
            let Some(given) = vectors::of_kind(kind, given)? else { return nothing() };
            if given.bytes.is_empty() {
                return nothing();
            }
            vectors::check_finite(kind, &given.bytes)?;
            Ok(Compact::Vectors(given))
        }
        DataType::Timestamptz => match &column.values {
            InputValues::Scalars(values) if values.as_string_opt::<i32>().is_some() => {
                scalars::read(field, values, limits, zone).map(Compact::Rows)
            }
            InputValues::Missing if may_lack(field) => Ok(Compact::Nothing),
            _ => Err(Failure::parameter_invalid("timestamptz field data must be a string array")),
        },
        kind => match &column.values {
            InputValues::Scalars(values) if values.is_empty() => nothing(),
            InputValues::Scalars(values)
                if Some(values.data_type()) == scalars::input_type(kind).as_ref() =>
            {
                scalars::read(field, values, limits, zone).map(Compact::Rows)
            }
            _ => Err(illegal(field)),
        },
    }
}

fn may_lack(field: &FieldSchema) -> bool {
    field.nullable || field.default_value.is_some()
}

fn check_sparse(rows: &ArrayRef) -> Result<()> {
    let Some(rows) = rows.as_binary_opt::<i32>() else {
        return Err(Failure::internal("sparse vectors that are no bytes"));
    };
    for row in 0..rows.len() {
        sparse::check_row(rows.value(row)).map_err(Failure::parameter_invalid)?;
    }
    Ok(())
}

fn illegal(field: &FieldSchema) -> Failure {
    let (kind, need) = match field.data_type {
        DataType::FloatVector => ("float vector field", "float vector"),
        DataType::Float16Vector => ("float16 vector field", "float16 vector"),
        DataType::BFloat16Vector => ("bfloat16 vector field", "bfloat16 vector"),
        DataType::BinaryVector => ("binary vector field", "binary vector"),
        DataType::SparseFloatVector => ("sparse float vector field", "sparse float vector"),
        DataType::Int8Vector => ("int8 vector field", "int8 vector"),
        DataType::VarChar => ("varchar field", "string array"),
        DataType::Text => ("text field", "text array"),
        DataType::JSON => ("json field", "json array"),
        DataType::Geometry => ("geometry field", "geometry array"),
        DataType::Array => ("array field", "array"),
        DataType::ArrayOfVector => ("array of vector field", "array"),
        DataType::Bool => ("field", "bool array"),
        DataType::Int64 => ("field", "long int array"),
        DataType::Float => ("field", "float32 array"),
        DataType::Double => ("field", "float64(double) array"),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::String
        | DataType::Timestamptz
        | DataType::ArrayOfStruct
        | DataType::Struct => ("field", "int array"),
    };
    Failure::parameter_mismatch(
        format!("need {need}"),
        "got nil",
        format!("{kind} '{}' is illegal, array type mismatch", field.name),
    )
}

/// How many rows have a value, after complaints about `valid_data` and how it goes with the values.
pub(crate) fn count_present(bound: &Bound<'_>, compact: &Compact, rows: usize) -> Result<usize> {
    let (field, valid) = (bound.field, &bound.column.valid);
    let wrong_valid = |expected: usize| {
        Failure::parameter_mismatch(
            expected,
            valid.len(),
            format!("the length of valid_data of field({}) is wrong", field.name),
        )
    };
    if let Compact::Whole(_) = compact {
        return Ok(rows);
    }
    if !may_lack(field) {
        return if valid.is_empty() { Ok(rows) } else { Err(wrong_valid(0)) };
    }
    if !valid.is_empty() && valid.len() != rows {
        return Err(wrong_valid(rows));
    }
    let present =
        if valid.is_empty() { rows } else { valid.iter().filter(|valid| **valid).count() };
    let given = match compact {
        Compact::Nothing if field.data_type.is_vector() => present,
        Compact::Nothing => 0,
        Compact::Rows(_) if field.data_type == DataType::SparseFloatVector => present,
        Compact::Rows(values) => values.len(),
        Compact::VectorLists(lists) => lists.lengths.len(),
        // Their rows are counted with their dimension.
        Compact::Vectors(_) | Compact::Whole(_) => present,
    };
    if given != present {
        let what = "the length of field is wrong";
        return Err(Failure::parameter_mismatch(present, given, what));
    }
    Ok(present)
}

/// Complains about row counts and dimensions; `present` rows are to have a value.
pub(crate) fn check_rows(
    field: &FieldSchema,
    compact: &Compact,
    present: usize,
    rows: usize,
) -> Result<()> {
    let given = match compact {
        Compact::Nothing => 0,
        Compact::Rows(values) => values.len(),
        Compact::Whole(values) if values.len() == rows => return Ok(()),
        Compact::Whole(values) => values.len(),
        Compact::Vectors(given) => vectors::count(field, given)?,
        Compact::VectorLists(lists) => {
            vectors::check_dim(field, lists.dim, field.dim().unwrap_or(0))?;
            lists.lengths.len()
        }
    };
    if given == present {
        return Ok(());
    }
    let name = &field.name;
    Err(Failure::parameter_mismatch(
        rows,
        given,
        format!(
            "the num_rows ({given}) of field ({name}) is not equal to passed num_rows ({rows})"
        ),
    ))
}

/// Memory that filling `missing` rows of `field` takes, about.
pub(crate) fn bytes_to_fill(field: &FieldSchema, missing: usize) -> usize {
    let default = match &field.default_value {
        Some(Value::VarChar(text)) => text.len(),
        Some(Value::Bytes(bytes)) => bytes.len(),
        _ => 8,
    };
    let dense = vectors::row_bytes(field.data_type, field.dim().unwrap_or(0)).unwrap_or(0);
    missing.saturating_mul(default.saturating_add(dense).saturating_add(4))
}

/// The column, nulls and defaults in their rows.
pub(crate) fn lay_out(
    field: &FieldSchema,
    compact: Compact,
    valid: &[bool],
    rows: usize,
) -> Result<ArrayRef> {
    let missing = (!valid.iter().all(|valid| *valid)).then_some(valid);
    match compact {
        Compact::Whole(values) => Ok(values),
        Compact::Nothing => filled(field, rows),
        Compact::Vectors(given) => {
            vectors::layout(field.data_type, field.dim().unwrap_or(0), given.bytes, missing)
        }
        Compact::VectorLists(lists) => vector_lists::layout(field, &lists, missing),
        Compact::Rows(values) => match missing {
            None => Ok(values),
            Some(valid) => spread(&values, valid, default(field)?),
        },
    }
}

/// A column that was left out: the default in each row, or nulls.
pub(crate) fn filled(field: &FieldSchema, rows: usize) -> Result<ArrayRef> {
    if let Some(default) = default(field)? {
        let everywhere = UInt32Array::from(vec![0; rows]);
        return take(&default, &everywhere, None).map_err(|error| {
            Failure::internal(format!("default of field {}: {error}", field.name))
        });
    }
    if vectors::row_bytes(field.data_type, 1).is_some() {
        let (dim, none) = (field.dim().unwrap_or(0), vec![false; rows]);
        return vectors::layout(field.data_type, dim, Vec::<u8>::new().into(), Some(&none));
    }
    Ok(new_null_array(&arrow_type(field).or_failure()?, rows))
}

/// The rows of a whole column at `places`; where there is none, the default or null.
pub(crate) fn at_places(
    field: &FieldSchema,
    values: &ArrayRef,
    places: &[Option<u32>],
) -> Result<ArrayRef> {
    let filler = filled(field, 1)?;
    let place = |place: &Option<u32>| {
        place.and_then(|row| usize::try_from(row).ok()).map_or((1, 0), |row| (0, row))
    };
    let places: Vec<(usize, usize)> = places.iter().map(place).collect();
    interleave(&[&**values, &*filler], &places)
        .map_err(|error| Failure::internal(format!("rows of field {}: {error}", field.name)))
}

fn default(field: &FieldSchema) -> Result<Option<ArrayRef>> {
    let empty_object = Value::Bytes(b"{}".to_vec());
    let value = match &field.default_value {
        None if field.is_dynamic => Some(&empty_object),
        value => value.as_ref(),
    };
    value.map(|value| scalars::default_value(field, value)).transpose()
}

/// Spreads the present values over all rows.
fn spread(values: &ArrayRef, valid: &[bool], default: Option<ArrayRef>) -> Result<ArrayRef> {
    let mut next = 0;
    let mut places = valid.iter().map(|valid| {
        valid.then(|| {
            next += 1;
            next - 1
        })
    });
    let spread = match default {
        Some(default) => {
            let places: Vec<(usize, usize)> =
                places.map(|place| place.map_or((1, 0), |place| (0, place))).collect();
            interleave(&[&**values, &*default], &places)
        }
        None => {
            let places: UInt32Array =
                places.by_ref().map(|place| place.and_then(|at| u32::try_from(at).ok())).collect();
            take(values, &places, None)
        }
    };
    spread.map_err(|error| Failure::internal(format!("cannot spread values over rows: {error}")))
}

#[cfg(test)]
mod tests {
    use milvus_types::KeyValue;
    use milvus_types::columns::array_element;

    use super::*;

    /// A nullable field of each type that has a column.
    fn fields() -> Vec<FieldSchema> {
        let field = |data_type, element_type| FieldSchema {
            name: "f".to_owned(),
            data_type,
            element_type,
            nullable: true,
            type_params: vec![KeyValue::new("dim", "8")],
            ..FieldSchema::default()
        };
        let plain = DataType::ALL.iter().map(|data_type| field(*data_type, None));
        let elements = DataType::ALL.iter().copied().map(Some);
        let arrays = elements.clone().map(|element| field(DataType::Array, element));
        let lists = elements.map(|element| field(DataType::ArrayOfVector, element));
        plain.chain(arrays).chain(lists).filter(|field| arrow_type(field).is_ok()).collect()
    }

    #[test]
    fn nulls_of_every_type_have_the_columns_type() {
        let elements = DataType::ALL.iter().filter(|element| array_element(**element).is_some());
        assert_eq!(fields().len(), 12 + 6 + elements.count() + 5);
        for field in fields() {
            let expected = arrow_type(&field).unwrap();
            let nulls = filled(&field, 3).unwrap();
            assert_eq!((nulls.data_type(), nulls.null_count()), (&expected, 3), "{field:?}");
            let spread = spread(&nulls.slice(0, 1), &[false, true], None).unwrap();
            assert_eq!(spread.data_type(), &expected, "{field:?}");
            let moved = at_places(&field, &nulls, &[Some(2), None]).unwrap();
            assert_eq!((moved.data_type(), moved.null_count()), (&expected, 2), "{field:?}");
            let none = at_places(&field, &nulls.slice(0, 0), &[None]).unwrap();
            assert_eq!(none.data_type(), &expected, "{field:?}");
            let schema = arrow::datatypes::Schema::new(vec![
                milvus_types::columns::arrow_field(&field).unwrap(),
            ]);
            arrow::array::RecordBatch::try_new(Arc::new(schema), vec![moved]).unwrap();
        }
    }
}
