//! Lists of vectors, the vector sub-fields of struct arrays: checked and laid out as lists.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use milvus_types::columns::vector_element;
use milvus_types::{DataType, Failure, FieldSchema, Result};

use super::vectors;
use crate::api::{InputValues, InputVectorLists, PackedVectors};

/// The lists in the kind of the field's vectors, or a complaint about them.
#[expect(clippy::wildcard_enum_match_arm, reason = "lists hold no other vectors")]
pub(crate) fn check(field: &FieldSchema, values: &InputValues) -> Result<InputVectorLists> {
    let element = field.element_type.unwrap_or(DataType::FloatVector);
    let InputValues::VectorLists(lists) = values else {
        return Err(illegal(field, element.name()));
    };
    let kind = match element {
        DataType::BinaryVector => "binary vector",
        DataType::Float16Vector => "float16 vector",
        DataType::BFloat16Vector => "bfloat16 vector",
        DataType::Int8Vector => "int8 vector",
        _ => "float vector",
    };
    if lists.kind.is_some_and(|kind| kind != element) {
        return Err(illegal(field, kind));
    }
    let dim = field.dim().unwrap_or(0);
    let width = vectors::row_bytes(element, dim).filter(|width| *width > 0).ok_or_else(|| {
        Failure::parameter_invalid(format!(
            "invalid dim {dim} for array of vector field {}",
            field.name
        ))
    })?;
    for bytes in &lists.lengths {
        check_row(field, element, *bytes, width)?;
    }
    if lists.odd {
        return Err(illegal(field, kind));
    }
    let bytes = PackedVectors { kind: element, dim: lists.dim, bytes: lists.bytes.clone() };
    vectors::check_finite(element, &bytes.bytes)?;
    Ok(InputVectorLists { kind: Some(element), ..lists.clone() })
}

fn illegal(field: &FieldSchema, need: &str) -> Failure {
    Failure::parameter_mismatch(
        format!("need {need} array"),
        "got nil",
        format!("array of vector field '{}' is illegal, array type mismatch", field.name),
    )
}

fn check_row(field: &FieldSchema, element: DataType, bytes: usize, width: usize) -> Result<()> {
    let name = &field.name;
    if !bytes.is_multiple_of(width) {
        // Floats are counted in numbers, everything else in bytes.
        let unit = if element == DataType::FloatVector { 4 } else { 1 };
        return Err(Failure::parameter_mismatch(
            "valid array of vector payload length",
            "invalid payload length",
            format!(
                "array of vector field {name} has invalid payload length {}, should be divisible \
                 by vector width {}",
                bytes / unit,
                width / unit
            ),
        ));
    }
    let count = bytes / width;
    match field.max_capacity() {
        Some(max) if count > max => Err(Failure::parameter_mismatch(
            "valid length array",
            "array length exceeds max capacity",
            format!(
                "the length ({count}) of array of vector field {name} exceeds max capacity ({max})"
            ),
        )),
        _ => Ok(()),
    }
}

/// A column of lists; with `valid` its true rows take the lists in order, the others are null.
pub(crate) fn layout(
    field: &FieldSchema,
    lists: &InputVectorLists,
    valid: Option<&[bool]>,
) -> Result<ArrayRef> {
    let kind = field.element_type.unwrap_or(DataType::FloatVector);
    let dim = field.dim().unwrap_or(0);
    let width = vectors::row_bytes(kind, dim).unwrap_or(0).max(1);
    let vectors = vectors::layout(kind, dim, lists.bytes.clone(), None)?;
    let mut given = lists.lengths.iter().map(|bytes| bytes / width);
    let offsets = match valid {
        None => OffsetBuffer::from_lengths(given),
        Some(valid) => OffsetBuffer::from_lengths(
            valid.iter().map(|valid| if *valid { given.next().unwrap_or(0) } else { 0 }),
        ),
    };
    let element = vector_element(vectors.data_type().clone());
    let lists = ListArray::try_new(element, offsets, vectors, valid.map(NullBuffer::from));
    let lists =
        lists.map_err(|error| Failure::internal(format!("lists of {}: {error}", field.name)))?;
    Ok(Arc::new(lists))
}
