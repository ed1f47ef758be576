//! Which columns an insert carries: one for each field of the schema, no more.
//!
//! A column that may be left out (null or default) is added as one without values. The key column
//! of a server-made key is the caller's to add.

use std::collections::HashSet;

use milvus_types::{CollectionSchema, Failure, FieldSchema, Result};

use crate::api::{InputColumn, InputValues};

/// A column and the field it belongs to.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) field: &'a FieldSchema,
    pub(crate) column: InputColumn,
}

/// Adds the columns that were left out; refuses lacking, doubled and surplus ones.
///
/// With `key_is_made` the key's column must not be there.
pub(crate) fn complete(
    schema: &CollectionSchema,
    columns: &mut Vec<InputColumn>,
    rows: usize,
    key_is_made: bool,
) -> Result<()> {
    let mut names = HashSet::new();
    for column in columns.iter() {
        if !names.insert(column.name.clone()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated field {} found",
                column.name
            )));
        }
    }
    for field in &schema.fields {
        let made = field.is_primary_key && key_is_made;
        if made || names.contains(&field.name) {
            continue;
        }
        if field.default_value.is_none() && !field.nullable {
            return Err(Failure::parameter_invalid(format!(
                "fieldSchema({}) has no corresponding fieldData pass in",
                field.name
            )));
        }
        columns.push(InputColumn {
            name: field.name.clone(),
            is_dynamic: field.is_dynamic,
            data_type: Some(field.data_type),
            values: InputValues::Missing,
            valid: vec![false; rows],
        });
    }
    let (expected, actual) = (schema.fields.len(), columns.len() + usize::from(key_is_made));
    if expected != actual {
        return Err(Failure::parameter_mismatch(expected, actual, "more fieldData has pass in"));
    }
    Ok(())
}

/// Finds each column's field. The columns keep their order, in which they are checked.
pub(crate) fn bind(schema: &CollectionSchema, columns: Vec<InputColumn>) -> Result<Vec<Bound<'_>>> {
    if columns.len() != schema.fields.len() {
        return Err(Failure::parameter_invalid(format!(
            "len(columns) mismatch the expectColumnNum, expectColumnNum: {}, len(columns): {}",
            schema.fields.len(),
            columns.len()
        )));
    }
    let bind_one = |column: InputColumn| match schema.field(&column.name) {
        Some(field) => Ok(Bound { field, column }),
        None => Err(Failure::parameter_invalid(format!(
            "fieldName {} not exist in collection schema",
            column.name
        ))),
    };
    columns.into_iter().map(bind_one).collect()
}
