//! From the columns of a request to one write for each shard and partition, without waiting.
//!
//! Two steps: [`check`] takes no more memory than was sent and says what filling in nulls, defaults
//! and keys will take; [`Checked::prepare`] does that when it is granted.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use milvus_roles::Write;
use milvus_types::collection::DEFAULT_PARTITION;
use milvus_types::columns::arrow_schema;
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Limits;
use milvus_types::{
    Collection, CollectionSchema, DataType, Failure, FieldSchema, PartitionId, PkType, PrimaryKeys,
    Result,
};
use milvus_values::timestamptz::Zone;

use super::build::{self, Compact};
use super::{columns, dynamic, key, partition_key, split, structs};
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
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The keys of the rows.
    pub(crate) keys: PrimaryKeys,
    /// One for each shard and partition that has a part.
    pub(crate) writes: Vec<Write>,
}

/// A request without faults.
#[derive(Debug)]
pub(crate) struct Checked {
    collection: Arc<Collection>,
    operation: Operation,
    rows: usize,
    columns: Vec<CheckedColumn>,
    /// `None` where each row's partition key decides.
    partition: Option<PartitionId>,
    /// Whether the server makes the keys.
    keys_are_made: bool,
    /// The keys to replace, where they are not those of the rows.
    replaced: Option<PrimaryKeys>,
}

#[derive(Debug)]
struct CheckedColumn {
    /// Which field of the schema.
    field: usize,
    compact: Compact,
    valid: Vec<bool>,
    present: usize,
}

/// Checks a request.
pub(crate) fn check(
    collection: &Arc<Collection>,
    request: InsertRequest,
    operation: Operation,
    limits: &Limits,
) -> Result<Checked> {
    let schema = &collection.schema;
    let key_field = key_field(collection)?;
    let rows = usize::try_from(request.num_rows).unwrap_or(usize::MAX);
    let mut columns = request.columns;
    if operation == Operation::Upsert {
        key::check_unique(key_field, &columns)?;
        check_row_count(rows)?;
    }
    dynamic::check(schema, &mut columns, request.partial_update)?;
    columns = structs::flatten(schema, columns)?;
    check_row_count(rows)?;
    let keys = match operation {
        Operation::Insert => insert_keys(collection, key_field, &columns)?,
        Operation::Upsert => {
            columns::check(schema, &columns, false)?;
            upsert_keys(key_field, &mut columns, rows)?
        }
    };
    if columns.is_empty() {
        return Err(Failure::parameter_invalid(format!("no field data for {rows} rows")));
    }
    let bound = columns::bind(schema, columns)?;
    let partition = partition(collection, &request.partition_name, limits)?;
    let zone = zone(collection);
    let mut compact = Vec::with_capacity(bound.len());
    for column in &bound {
        compact.push(build::check(column, limits, &zone)?);
    }
    let mut present = Vec::with_capacity(bound.len());
    for (column, compact) in bound.iter().zip(&compact) {
        present.push(build::count_present(column, compact, rows)?);
    }
    let mut checked = Vec::with_capacity(bound.len());
    for ((column, compact), present) in bound.into_iter().zip(compact).zip(present) {
        build::check_rows(column.field, &compact, present, rows)?;
        let field = schema.fields.iter().position(|field| std::ptr::eq(field, column.field));
        let field = field.ok_or_else(|| Failure::internal("a column without a field"))?;
        let valid = column.column.valid;
        checked.push(CheckedColumn { field, compact, valid, present });
    }
    Ok(Checked {
        collection: Arc::clone(collection),
        operation,
        rows,
        columns: checked,
        partition: partition.map(|name| partition_id(collection, name)).transpose()?,
        keys_are_made: keys.made,
        replaced: keys.replaced,
    })
}

pub(crate) fn key_field(collection: &Collection) -> Result<&FieldSchema> {
    let field = collection.schema.primary_key();
    field.ok_or_else(|| Failure::internal(format!("no primary key in {}", collection.name)))
}

/// The zone in which a collection reads times that name none.
pub(crate) fn zone(collection: &Collection) -> Zone {
    let name = collection.property("timezone").unwrap_or("UTC");
    Zone::parse(name).unwrap_or_default()
}

/// The partition a write names, `None` where each row's partition key decides.
pub(crate) fn partition<'n>(
    collection: &Collection,
    name: &'n str,
    limits: &Limits,
) -> Result<Option<&'n str>> {
    if collection.schema.partition_key().is_some() {
        return partition_key::refuse_name(name).map(|()| None);
    }
    let name = if name.is_empty() { DEFAULT_PARTITION } else { name };
    names::partition(name, true, limits.name_length)?;
    Ok(Some(name))
}

impl Checked {
    /// How many keys the server is to make.
    pub(crate) fn keys_to_make(&self) -> Option<u64> {
        self.keys_are_made.then(|| u64::try_from(self.rows).unwrap_or(u64::MAX))
    }

    /// Memory that filling in what was left out takes, about.
    pub(crate) fn bytes_to_fill(&self) -> usize {
        let fields = self.collection.schema.fields.iter().enumerate();
        let of_field = |(at, field): (usize, &FieldSchema)| {
            let column = self.columns.iter().find(|column| column.field == at);
            let missing = column.map_or(self.rows, |column| self.rows - column.present);
            if missing == 0 { 0 } else { build::bytes_to_fill(field, missing) }
        };
        fields.map(of_field).fold(0, usize::saturating_add)
    }

    /// Fills in what was left out and splits the rows over shards and partitions. `first_id` begins
    /// the keys that the server makes.
    pub(crate) fn prepare(self, first_id: Option<i64>) -> Result<Prepared> {
        let Self { collection, operation, rows, columns, partition, keys_are_made, replaced } =
            self;
        let schema = &collection.schema;
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; schema.fields.len()];
        for CheckedColumn { field: at, compact, valid, .. } in columns {
            if let (Some(field), Some(array)) = (schema.fields.get(at), arrays.get_mut(at)) {
                *array = Some(build::lay_out(field, compact, &valid, rows)?);
            }
        }
        let key_field = key_field(&collection)?;
        let made = match first_id {
            Some(first_id) if keys_are_made => Some(key::made(key_field, first_id, rows)),
            _ => None,
        };
        let mut in_order = Vec::with_capacity(arrays.len());
        for (field, array) in schema.fields.iter().zip(arrays) {
            in_order.push(match (array, &made) {
                (_, Some(made)) if field.is_primary_key => made.to_array(),
                (Some(array), _) => array,
                (None, _) => build::filled(field, rows)?,
            });
        }
        let batch = RecordBatch::try_new(arrow_schema(schema).or_failure()?, in_order)
            .map_err(|error| Failure::internal(format!("rows of {}: {error}", schema.name)))?;
        let keys = written_keys(schema, &batch)?;
        let places = split::places(&collection, partition, &keys, &batch)?;
        let writes = match operation {
            Operation::Insert => split::inserts(&places, batch, keys_are_made)?,
            Operation::Upsert => split::upserts(&collection, &places, batch, &keys, replaced)?,
        };
        Ok(Prepared { keys, writes })
    }
}

struct Keys {
    /// Whether the server is to make them.
    made: bool,
    /// The keys to replace, where they are not those of the rows.
    replaced: Option<PrimaryKeys>,
}

/// More rows than this do not fit into the largest request.
pub(crate) const MAX_ROWS: usize = 8 << 20;

fn check_row_count(rows: usize) -> Result<()> {
    if rows > MAX_ROWS {
        let expected = format!("at most {MAX_ROWS} rows");
        return Err(Failure::parameter_mismatch(expected, rows, "num_rows is too large"));
    }
    if rows > 0 {
        return Ok(());
    }
    Err(Failure::parameter_mismatch("invalid num_rows", rows, "num_rows should be greater than 0"))
}

/// The keys of an insert: given or, with auto ids, made.
fn insert_keys(
    collection: &Collection,
    field: &FieldSchema,
    columns: &[InputColumn],
) -> Result<Keys> {
    let given = columns.iter().find(|column| column.name == field.name);
    let made = field.auto_id && (given.is_none() || !key::may_be_given(collection));
    columns::check(&collection.schema, columns, made)?;
    match given {
        Some(_) if made => Err(Failure::parameter_invalid(format!(
            "can not assign primary field data when auto id enabled and allow_insert_auto_id is \
             false {}",
            field.name
        ))),
        Some(column) => {
            key::check_type(column)?;
            Ok(Keys { made, replaced: None })
        }
        None => Ok(Keys { made, replaced: None }),
    }
}

/// The keys of an upsert: those given, or new ones in the place of those given.
#[expect(clippy::wildcard_enum_match_arm, reason = "keys are scalars")]
fn upsert_keys(field: &FieldSchema, columns: &mut Vec<InputColumn>, rows: usize) -> Result<Keys> {
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
    let replaced = match &given.values {
        InputValues::Scalars(values) => PrimaryKeys::from_array(values),
        _ => None,
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

fn written_keys(schema: &CollectionSchema, batch: &RecordBatch) -> Result<PrimaryKeys> {
    let at = schema.fields.iter().position(|field| field.is_primary_key);
    let column = at.and_then(|at| batch.columns().get(at));
    column
        .and_then(|keys| PrimaryKeys::from_array(keys))
        .ok_or_else(|| Failure::internal(format!("keys of {} are not keys", schema.name)))
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
