//! From the columns of a request to one write for each shard, in one go and without waiting.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use milvus_roles::Write;
use milvus_types::collection::DEFAULT_PARTITION;
use milvus_types::columns::arrow_schema;
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Limits;
use milvus_types::{
    Collection, CollectionSchema, DataType, Failure, FieldSchema, PkType, PrimaryKeys, Result,
};

use super::columns::Bound;
use super::{build, columns, dynamic, key, split};
use crate::api::{InputColumn, InputValues, InsertRequest};
use crate::proxy::partition_id;
use crate::validate::names;

/// Which of the two requests it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Upsert,
}

/// What to write and what to answer.
pub(crate) struct Prepared {
    /// The keys of the rows.
    pub(crate) keys: PrimaryKeys,
    /// One for each shard that has a part.
    pub(crate) writes: Vec<Write>,
}

/// Checks a request and splits it over the shards. `first_id` begins the ids for keys that the
/// server makes.
pub(crate) fn prepare(
    collection: &Arc<Collection>,
    request: InsertRequest,
    operation: Operation,
    first_id: Option<i64>,
    limits: &Limits,
) -> Result<Prepared> {
    let schema = &collection.schema;
    let key_field = schema
        .primary_key()
        .ok_or_else(|| Failure::internal(format!("no primary key in {}", collection.name)))?;
    let rows = usize::try_from(request.num_rows).unwrap_or(usize::MAX);
    let mut columns = request.columns;
    if operation == Operation::Upsert {
        key::check_unique(key_field, &columns)?;
        check_rows(rows)?;
    }
    dynamic::complete(schema, &mut columns, rows)?;
    check_rows(rows)?;
    let keys = match operation {
        Operation::Insert => {
            let made = insert_keys(collection, key_field, &mut columns, rows, first_id)?;
            Keys { made, replaced: None }
        }
        Operation::Upsert => {
            columns::complete(schema, &mut columns, rows, false)?;
            upsert_keys(key_field, &mut columns, rows, first_id)?
        }
    };
    let bound = columns::bind(schema, columns)?;
    let partition = match request.partition_name.as_str() {
        "" => DEFAULT_PARTITION,
        name => name,
    };
    names::partition(partition, true, limits.name_length)?;
    let batch = batch(schema, &bound, rows, limits)?;
    let partition = partition_id(collection, partition)?;
    let written = written_keys(schema, key_field, &batch)?;
    let writes = match operation {
        Operation::Insert => split::inserts(collection, partition, batch, &written, keys.made)?,
        Operation::Upsert => {
            let replaced = keys.replaced.unwrap_or_else(|| written.clone());
            split::upserts(collection, partition, batch, &written, &replaced)?
        }
    };
    Ok(Prepared { keys: written, writes })
}

struct Keys {
    /// Whether the server made them just now.
    made: bool,
    /// The keys to replace, where they are not those of the rows.
    replaced: Option<PrimaryKeys>,
}

/// More rows than this do not fit into the largest request; a count that claims more would have
/// columns filled for rows that are not there.
const MAX_ROWS: usize = 8 << 20;

fn check_rows(rows: usize) -> Result<()> {
    if rows > MAX_ROWS {
        let expected = format!("at most {MAX_ROWS} rows");
        return Err(Failure::parameter_mismatch(expected, rows, "num_rows is too large"));
    }
    if rows > 0 {
        return Ok(());
    }
    Err(Failure::parameter_mismatch("invalid num_rows", rows, "num_rows should be greater than 0"))
}

/// Completes the columns of an insert; whether the keys were made here.
fn insert_keys(
    collection: &Collection,
    field: &FieldSchema,
    columns: &mut Vec<InputColumn>,
    rows: usize,
    first_id: Option<i64>,
) -> Result<bool> {
    let given = columns.iter().any(|column| column.name == field.name);
    let made = field.auto_id && !(given && key::may_be_given(collection));
    columns::complete(&collection.schema, columns, rows, made)?;
    if made {
        if given {
            return Err(Failure::parameter_invalid(format!(
                "can not assign primary field data when auto id enabled and allow_insert_auto_id \
                 is false {}",
                field.name
            )));
        }
        columns.push(key::made(field, first_id.unwrap_or_default(), rows));
    }
    if let Some(column) = columns.iter().find(|column| column.name == field.name) {
        key::check_type(column)?;
    }
    Ok(made)
}

/// The keys of an upsert: those given, or new ones in the place of those given.
fn upsert_keys(
    field: &FieldSchema,
    columns: &mut Vec<InputColumn>,
    rows: usize,
    first_id: Option<i64>,
) -> Result<Keys> {
    let Some(at) = columns.iter().position(|column| column.name == field.name) else {
        return Err(key::must_assign(field));
    };
    if let Some(column) = columns.get(at) {
        key::check_type(column)?;
    }
    if !field.auto_id {
        return Ok(Keys { made: false, replaced: None });
    }
    let given = columns.remove(at);
    columns.push(key::made(field, first_id.unwrap_or_default(), rows));
    let replaced = match &given.values {
        InputValues::Scalars(values) => PrimaryKeys::from_array(values),
        InputValues::FloatVectors { .. }
        | InputValues::Unsupported { .. }
        | InputValues::Missing => None,
    };
    let replaced = replaced.filter(|keys| {
        (keys.pk_type() == PkType::VarChar) == (field.data_type == DataType::VarChar)
    });
    let replaced = replaced.ok_or_else(|| key::must_assign(field))?;
    if replaced.len() != rows {
        return Err(Failure::parameter_mismatch(
            rows,
            replaced.len(),
            format!(
                "the num_rows ({}) of field ({}) is not equal to passed num_rows ({rows})",
                replaced.len(),
                field.name
            ),
        ));
    }
    Ok(Keys { made: true, replaced: Some(replaced) })
}

/// The rows as one batch in the order of the schema.
fn batch(
    schema: &CollectionSchema,
    bound: &[Bound<'_>],
    rows: usize,
    limits: &Limits,
) -> Result<RecordBatch> {
    for column in bound {
        build::check(column, limits)?;
    }
    let filled = bound.iter().map(|column| build::fill(column, rows));
    let filled: Vec<ArrayRef> = filled.collect::<Result<_>>()?;
    let mut arrays: Vec<(&str, ArrayRef)> = Vec::with_capacity(bound.len());
    for (column, values) in bound.iter().zip(filled) {
        arrays.push((&column.field.name, build::align(column, values, rows)?));
    }
    let in_order = schema.fields.iter().filter_map(|field| {
        let found = arrays.iter().find(|(name, _)| *name == field.name);
        found.map(|(_, array)| Arc::clone(array))
    });
    let batch = RecordBatch::try_new(arrow_schema(schema).or_failure()?, in_order.collect());
    batch.map_err(|error| Failure::internal(format!("rows of {}: {error}", schema.name)))
}

fn written_keys(
    schema: &CollectionSchema,
    field: &FieldSchema,
    batch: &RecordBatch,
) -> Result<PrimaryKeys> {
    let at =
        schema.fields.iter().position(|other| other.id == field.id && other.name == field.name);
    let keys = at.and_then(|at| batch.columns().get(at)).and_then(|column| {
        if let Some(keys) = column.as_primitive_opt::<Int64Type>() {
            return Some(PrimaryKeys::Int64(keys.clone()));
        }
        column.as_string_opt::<i32>().map(|keys| PrimaryKeys::VarChar(keys.clone()))
    });
    keys.ok_or_else(|| Failure::internal(format!("keys of {} are not keys", schema.name)))
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
