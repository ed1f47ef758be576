//! Which columns an insert carries: one for each field of the schema, no more.
//!
//! A column that may be left out (null or default) costs nothing here: it is filled when all that
//! was sent has passed. The key column of a server-made key is the caller's to add.

use std::collections::HashSet;

use milvus_types::{CollectionSchema, Failure, FieldSchema, Result};

use crate::api::InputColumn;

/// A column and the field it belongs to.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) field: &'a FieldSchema,
    pub(crate) column: InputColumn,
}

/// Refuses lacking, doubled and surplus columns.
///
/// With `key_is_made` the key's column must not be there.
pub(crate) fn check(
    schema: &CollectionSchema,
    columns: &[InputColumn],
    key_is_made: bool,
) -> Result<()> {
    let mut names = HashSet::new();
    for column in columns {
        if !names.insert(column.name.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated field {} found",
                column.name
            )));
        }
    }
    let mut left_out = usize::from(key_is_made);
    for field in &schema.fields {
        if (field.is_primary_key && key_is_made) || names.contains(field.name.as_str()) {
            continue;
        }
        if !may_be_left_out(field) {
            return Err(lacking(field));
        }
        left_out += 1;
    }
    let (expected, actual) = (schema.fields.len(), columns.len() + left_out);
    if expected != actual {
        return Err(Failure::parameter_mismatch(expected, actual, "more fieldData has pass in"));
    }
    Ok(())
}

/// Whether rows may be without a value of `field`.
pub(crate) fn may_be_left_out(field: &FieldSchema) -> bool {
    field.default_value.is_some() || field.nullable || field.is_dynamic
}

pub(crate) fn lacking(field: &FieldSchema) -> Failure {
    Failure::parameter_invalid(format!(
        "fieldSchema({}) has no corresponding fieldData pass in",
        field.name
    ))
}

/// Finds each column's field. The columns keep their order, in which they are checked.
pub(crate) fn bind(schema: &CollectionSchema, columns: Vec<InputColumn>) -> Result<Vec<Bound<'_>>> {
    let bind_one = |column: InputColumn| match schema.field(&column.name) {
        Some(field) => Ok(Bound { field, column }),
        None => Err(Failure::parameter_invalid(format!(
            "fieldName {} not exist in collection schema",
            column.name
        ))),
    };
    columns.into_iter().map(bind_one).collect()
}
