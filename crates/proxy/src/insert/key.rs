//! The primary key column: given, or made by the server.

use std::collections::HashSet;

use arrow::array::{Array as _, AsArray as _, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use milvus_types::{Collection, DataType, Failure, FieldSchema, PrimaryKeys, Result};

use crate::api::{InputColumn, InputValues};
use crate::wire_text::{param, parse_bool};

/// Whether a collection lets clients give the keys that the server would make.
pub(crate) fn may_be_given(collection: &Collection) -> bool {
    let of = |properties| param(properties, "allow_insert_auto_id").and_then(parse_bool);
    of(&collection.properties).or(of(&collection.schema.properties)).unwrap_or(false)
}

/// `rows` keys from `first_id` on; a VarChar key is the number in decimal.
pub(crate) fn made(field: &FieldSchema, first_id: i64, rows: usize) -> PrimaryKeys {
    let ids = (first_id..).take(rows);
    if field.data_type == DataType::VarChar {
        PrimaryKeys::VarChar(StringArray::from_iter_values(ids.map(|id| id.to_string())))
    } else {
        PrimaryKeys::Int64(Int64Array::from_iter_values(ids))
    }
}

/// Keys are integers or strings.
pub(crate) fn check_type(column: &InputColumn) -> Result<()> {
    match &column.values {
        InputValues::Scalars(values)
            if values.as_primitive_opt::<Int64Type>().is_some()
                || values.as_string_opt::<i32>().is_some() =>
        {
            Ok(())
        }
        InputValues::Vectors(_)
        | InputValues::SparseVectors(_)
        | InputValues::VectorLists(_)
        | InputValues::Structs(_) => {
            Err(Failure::parameter_invalid("currently not support vector field as PrimaryField"))
        }
        InputValues::Scalars(_)
        | InputValues::Arrays(_)
        | InputValues::Stored(_)
        | InputValues::Unsupported { .. }
        | InputValues::Missing => Err(Failure::parameter_invalid(
            "currently only support DataType Int64 or VarChar as PrimaryField",
        )),
    }
}

/// The keys of an upsert are given, and each only once.
#[expect(clippy::wildcard_enum_match_arm, reason = "keys are scalars")]
pub(crate) fn check_unique(field: &FieldSchema, columns: &[InputColumn]) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let Some(column) = columns.iter().find(|column| column.name == field.name) else {
        return Err(must_assign(field));
    };
    let values = match &column.values {
        InputValues::Scalars(values) => values,
        InputValues::Arrays(_) => {
            return Err(Failure::parameter_invalid("unsupported primary key type"));
        }
        _ => return Err(Failure::parameter_invalid("primary field must be scalar type")),
    };
    let repeated = if let Some(keys) = values.as_primitive_opt::<Int64Type>() {
        let mut seen = HashSet::with_capacity(keys.len());
        !keys.values().iter().all(|key| seen.insert(*key))
    } else if let Some(keys) = values.as_string_opt::<i32>() {
        let mut seen = HashSet::with_capacity(keys.len());
        !(0..keys.len()).all(|row| seen.insert(keys.value(row)))
    } else {
        return Err(Failure::parameter_invalid("unsupported primary key type"));
    };
    if repeated {
        return Err(Failure::parameter_invalid(
            "duplicate primary keys are not allowed in the same batch",
        ));
    }
    Ok(())
}

pub(crate) fn must_assign(field: &FieldSchema) -> Failure {
    Failure::parameter_invalid(format!("must assign pk when upsert, primary field: {}", field.name))
}
