//! Array fields: capacity, the kind of the elements, their ranges and lengths; then the column's
//! own layout.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use milvus_types::columns::{array_element, vector_element};
use milvus_types::{DataType, Failure, FieldSchema, Result};

use super::scalars;
use crate::api::{InputArrays, InputValues};

/// The lists, elements in the column's type; `capacity` is the most elements each may have.
pub(crate) fn read(
    field: &FieldSchema,
    values: &InputValues,
    capacity: Option<usize>,
) -> Result<ArrayRef> {
    let element = field.element_type.unwrap_or(DataType::Int64);
    let InputValues::Arrays(arrays) = values else {
        return Err(Failure::parameter_mismatch(
            format!("need {element} array"),
            "got nil",
            format!("array field '{}' is illegal, array type mismatch", field.name),
        ));
    };
    let unsupported = || Failure::internal(format!("arrays of {element} in {}", field.name));
    let arrow_element = array_element(element).ok_or_else(unsupported)?;
    let lists = arrays.lists.as_list_opt::<i32>();
    if let Some(lists) = lists
        && scalars::input_type(element).as_ref() == Some(&lists.value_type())
    {
        check_capacity(lists, capacity)?;
    }
    check_kind(element, arrays)?;
    let Some(lists) = lists.filter(|lists| !lists.is_empty()) else {
        return Ok(new_empty_array(&ArrowType::List(vector_element(arrow_element))));
    };
    check_elements(field, element, lists)?;
    let elements = scalars::narrow(element, Arc::clone(lists.values()));
    let lists =
        ListArray::try_new(vector_element(arrow_element), lists.offsets().clone(), elements, None);
    let lists =
        lists.map_err(|error| Failure::internal(format!("arrays of {}: {error}", field.name)))?;
    Ok(Arc::new(lists))
}

fn check_capacity(lists: &ListArray, capacity: Option<usize>) -> Result<()> {
    let Some(max) = capacity else { return Ok(()) };
    let too_long = lists.offsets().lengths().enumerate().find(|(_, length)| *length > max);
    let Some((row, length)) = too_long else { return Ok(()) };
    Err(Failure::parameter_mismatch(
        "valid length array",
        "array length exceeds max capacity",
        format!("the length ({length}) of {row}th array exceeds max capacity ({max})"),
    ))
}

/// Every row has elements of the right kind.
#[expect(clippy::wildcard_enum_match_arm, reason = "arrays hold no other type")]
fn check_kind(element: DataType, arrays: &InputArrays) -> Result<()> {
    let want = match element {
        DataType::Bool => "bool array",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int array",
        DataType::Int64 => "int64 array",
        DataType::Float => "float array",
        DataType::Double => "double array",
        _ => "string array",
    };
    let mismatch = |got: &str| {
        Failure::parameter_mismatch(want, format!("{got} array"), "insert data does not match")
    };
    if let Some(lists) = arrays.lists.as_list_opt::<i32>()
        && !lists.is_empty()
        && scalars::input_type(element).as_ref() != Some(&lists.value_type())
    {
        return Err(mismatch(wire_kind(&lists.value_type())));
    }
    arrays.odd.as_deref().map_or(Ok(()), |odd| Err(mismatch(odd)))
}

/// How Milvus's messages name the kind of a row.
fn wire_kind(element: &ArrowType) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other type arrives")]
    match element {
        ArrowType::Boolean => "*schemapb.ScalarField_BoolData",
        ArrowType::Int32 => "*schemapb.ScalarField_IntData",
        ArrowType::Int64 => "*schemapb.ScalarField_LongData",
        ArrowType::Float32 => "*schemapb.ScalarField_FloatData",
        ArrowType::Float64 => "*schemapb.ScalarField_DoubleData",
        _ => "*schemapb.ScalarField_StringData",
    }
}

fn check_elements(field: &FieldSchema, element: DataType, lists: &ListArray) -> Result<()> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing to check of the others")]
    match element {
        DataType::Int8 => check_ranges(lists, i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => check_ranges(lists, i16::MIN.into(), i16::MAX.into()),
        DataType::VarChar => {
            field.max_length().map_or(Ok(()), |max| string_lengths(field, lists, max))
        }
        _ => Ok(()),
    }
}

fn check_ranges(lists: &ListArray, low: i32, high: i32) -> Result<()> {
    let Some(numbers) = lists.values().as_primitive_opt::<Int32Type>() else { return Ok(()) };
    let Some(at) = scalars::first_outside(numbers, low, high) else { return Ok(()) };
    let (_, index) = place(lists.offsets(), at);
    Err(scalars::out_of_range(index, numbers.value(at), low, high))
}

fn string_lengths(field: &FieldSchema, lists: &ListArray, max: usize) -> Result<()> {
    let Some(texts) = lists.values().as_string_opt::<i32>() else { return Ok(()) };
    let too_long = texts.offsets().lengths().enumerate().find(|(_, length)| *length > max);
    let Some((at, length)) = too_long else { return Ok(()) };
    let (row, index) = place(lists.offsets(), at);
    Err(Failure::parameter_invalid(format!(
        "length of {} array field \"{}\" exceeds max length, row number: {row}, array index: \
         {index}, length: {length}, max length: {max}",
        field.data_type, field.name
    )))
}

/// The row in which element `at` lies, and which of its elements it is.
fn place(offsets: &OffsetBuffer<i32>, at: usize) -> (usize, usize) {
    let starts_by_then = |start: &i32| usize::try_from(*start).is_ok_and(|start| start <= at);
    let row = offsets.partition_point(starts_by_then).saturating_sub(1);
    let start = offsets.get(row).and_then(|start| usize::try_from(*start).ok()).unwrap_or(0);
    (row, at - start)
}
