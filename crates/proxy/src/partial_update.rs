//! Partial update: an upsert that gives only some columns of rows that exist.
//!
//! The rows are read as they are now, and the columns that the client left out are taken from them;
//! keys of the dynamic field are merged. A key without a row is an insert, which must have every
//! column that is neither nullable nor has a default.

mod field_ops;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use futures::future::join_all;
use milvus_base::{Priority, Purpose, Reservation};
use milvus_roles::QueryRequest;
use milvus_types::{
    Collection, CollectionSchema, ErrorCode, Failure, FieldSchema, PartitionId, PrimaryKey,
    PrimaryKeys, Result,
};

use crate::Proxy;
use crate::api::{FieldOpKind, InputColumn, InputValues, InsertRequest};
use crate::dynamic_keys::overlay;
use crate::fetch::Place;
use crate::insert::{self, build, key, prepare, split};
use crate::plan::plan;
use crate::proxy::partition_id;

pub(crate) use field_ops::check_ops;

/// A partial update that is whole.
pub(crate) struct Completed {
    /// With every column.
    pub(crate) request: InsertRequest,
    /// How many of its rows exist.
    pub(crate) existing: i64,
    /// What was read of them.
    pub(crate) memory: Reservation,
}

/// The rows that exist: for each row of the request its place in `columns`, and those columns.
struct Existing {
    /// `None` for a key without a row.
    rows: Vec<Option<u32>>,
    columns: Vec<(FieldSchema, ArrayRef)>,
}

impl Proxy {
    /// The request with every column, those not given taken from the rows as they are.
    pub(crate) async fn complete_rows(
        &self,
        collection: &Arc<Collection>,
        request: InsertRequest,
    ) -> Result<Completed> {
        let schema = &collection.schema;
        let key_field = prepare::key_field(collection)?;
        key::check_unique(key_field, &request.columns)?;
        let partition =
            prepare::partition(collection, &request.partition_name, &self.options().limits)?;
        let partition = partition.map(|name| partition_id(collection, name)).transpose()?;
        let given = request.columns.iter().find(|column| column.name == key_field.name);
        let keys = match given.map(|column| &column.values) {
            Some(InputValues::Scalars(values)) => PrimaryKeys::from_array(values),
            _ => None,
        };
        // Whatever is wrong with the keys or the row count is found by the checks that follow.
        let keys = keys.filter(|keys| {
            keys.pk_type() == schema.pk_type()
                && u32::try_from(keys.len()) == Ok(request.num_rows)
                && !keys.is_empty()
        });
        let mut memory = self.reserve(Purpose::Insert, 0).await?;
        let Some(keys) = keys else { return Ok(Completed { request, existing: 0, memory }) };
        check_names(schema, &request.columns)?;
        let existing = self.existing(collection, &keys, partition).await?;
        let bytes = existing.columns.iter().map(|(_, values)| values.get_array_memory_size()).sum();
        // Once as read and once in the order of the request.
        memory
            .resize(u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2))
            .map_err(|error| Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string()))?;
        let found = existing.rows.iter().flatten().count();
        let request =
            self.compute(Priority::Write, bytes, move || complete(request, &existing)).await?;
        let existing = i64::try_from(found).unwrap_or(i64::MAX);
        Ok(Completed { request, existing, memory })
    }

    async fn existing(
        &self,
        collection: &Collection,
        keys: &PrimaryKeys,
        partition: Option<PartitionId>,
    ) -> Result<Existing> {
        let loaded = self.loaded(collection, partition.as_slice()).await;
        loaded.map_err(|failure| failure.context("failed to query"))?;
        let now = self.allocate_timestamp().await?;
        let filter = plan("", &HashMap::new(), &collection.schema, "query")?;
        let parts = split::keys(collection, keys)?;
        let queries = parts.into_iter().enumerate().filter_map(|(shard, (vchannel, keys))| {
            let request = QueryRequest {
                collection_id: collection.id,
                vchannel,
                partitions: partition.map(|id| vec![id].into()),
                filter: filter.clone(),
                keys: Some(keys?),
                limit: None,
                count: false,
                ignore_growing: false,
                guarantee: now,
                // What a write that is still undecided may change must not be written over.
                mvcc: Some(now),
            };
            Some(async move { (shard, self.streaming().query(request).await) })
        });
        let mut places: Vec<Place> = Vec::new();
        let mut row_of: HashMap<PrimaryKey, u32> = HashMap::new();
        for (shard, reply) in join_all(queries).await {
            for (key, location) in reply?.rows {
                let row = u32::try_from(places.len())
                    .map_err(|_| Failure::internal("too many rows in a partial update"))?;
                row_of.insert(key, row);
                places.push((shard, location));
            }
        }
        let fields: Vec<&FieldSchema> =
            collection.schema.fields.iter().filter(|field| !field.is_primary_key).collect();
        let columns = self.fetch(collection, &fields, &places).await?;
        Ok(Existing {
            rows: keys.iter().map(|key| row_of.get(&key).copied()).collect(),
            columns: fields.into_iter().cloned().zip(columns).collect(),
        })
    }
}

fn check_names(schema: &CollectionSchema, columns: &[InputColumn]) -> Result<()> {
    let is_known =
        |column: &&InputColumn| column.is_dynamic || schema.field(&column.name).is_some();
    match columns.iter().find(|column| !is_known(column)) {
        None => Ok(()),
        Some(column) => Err(Failure::parameter_invalid(format!(
            "failed to get field schema by name: fieldName({}) not found",
            column.name
        ))),
    }
}

fn complete(mut request: InsertRequest, existing: &Existing) -> Result<InsertRequest> {
    let InsertRequest { columns, field_ops, .. } = &mut request;
    for (field, values) in &existing.columns {
        let given = columns.iter_mut().find(|column| {
            if field.is_dynamic { column.is_dynamic } else { column.name == field.name }
        });
        let Some(column) = given else {
            columns.push(carried_over(field, existing, values)?);
            continue;
        };
        let op = field_ops.iter().find(|op| op.field_name == field.name);
        let op = op.and_then(|op| op.kind).unwrap_or(FieldOpKind::Replace);
        if field.is_dynamic {
            merge_dynamic(column, existing, values);
        } else if op != FieldOpKind::Replace
            && let Some(lists) = field_ops::apply(field, op, (values, &existing.rows), column)?
        {
            column.values = InputValues::Stored(lists);
            column.valid = Vec::new();
        }
    }
    Ok(request)
}

/// The column of a field that the request leaves out: what rows have; for new rows the default, or
/// null.
fn carried_over(
    field: &FieldSchema,
    existing: &Existing,
    values: &ArrayRef,
) -> Result<InputColumn> {
    if !insert::may_be_left_out(field) && existing.rows.iter().any(Option::is_none) {
        return Err(insert::lacking(field));
    }
    let column = build::at_places(field, values, &existing.rows)?;
    Ok(InputColumn {
        name: field.name.clone(),
        is_dynamic: field.is_dynamic,
        data_type: Some(field.data_type),
        values: InputValues::Stored(column),
        valid: Vec::new(),
    })
}

/// Keys given now over those that the rows have.
fn merge_dynamic(column: &mut InputColumn, existing: &Existing, values: &ArrayRef) {
    let InputValues::Scalars(given) = &column.values else {
        return;
    };
    let (Some(given), Some(old)) = (given.as_string_opt::<i32>(), values.as_string_opt::<i32>())
    else {
        return;
    };
    let all = column.valid.is_empty() && given.len() == existing.rows.len();
    if !all && column.valid.len() != existing.rows.len() {
        return;
    }
    let mut next = 0;
    let mut merged: Vec<String> = Vec::with_capacity(given.len());
    for (row, place) in existing.rows.iter().enumerate() {
        if !all && !column.valid.get(row).copied().unwrap_or(false) {
            continue;
        }
        let Some(text) = (next < given.len()).then(|| given.value(next)) else {
            return;
        };
        next += 1;
        let before = place.and_then(|place| usize::try_from(place).ok());
        let before = before.filter(|row| *row < old.len() && old.is_valid(*row));
        merged.push(before.map_or_else(|| text.to_owned(), |row| overlay(old.value(row), text)));
    }
    column.values = InputValues::Scalars(Arc::new(StringArray::from(merged)));
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int8Array, Int64Array};
    use milvus_types::schema::DYNAMIC_FIELD;
    use milvus_types::{DataType, Value};

    use super::*;

    fn existing() -> Existing {
        let field = |name: &str, data_type, nullable| FieldSchema {
            name: name.to_owned(),
            data_type,
            nullable,
            ..FieldSchema::default()
        };
        let meta = FieldSchema { is_dynamic: true, ..field(DYNAMIC_FIELD, DataType::JSON, true) };
        let flag = FieldSchema {
            default_value: Some(Value::Bool(true)),
            ..field("b", DataType::Bool, false)
        };
        Existing {
            rows: vec![Some(1), Some(0)],
            columns: vec![
                (field("n", DataType::Int64, false), Arc::new(Int64Array::from(vec![10, 11]))),
                (field("s", DataType::Int8, true), Arc::new(Int8Array::from(vec![None, Some(7)]))),
                (flag, Arc::new(BooleanArray::from(vec![false, false]))),
                (meta, Arc::new(StringArray::from(vec![r#"{"a":1,"b":2}"#, "{}"]))),
            ],
        }
    }

    fn column(name: &str, values: ArrayRef) -> InputColumn {
        InputColumn {
            name: name.to_owned(),
            is_dynamic: name == DYNAMIC_FIELD,
            data_type: None,
            values: InputValues::Scalars(values),
            valid: Vec::new(),
        }
    }

    fn stored<'c>(completed: &'c InsertRequest, name: &str) -> &'c ArrayRef {
        let column = completed.columns.iter().find(|column| column.name == name).unwrap();
        let InputValues::Stored(values) = &column.values else { panic!("{column:?}") };
        values
    }

    #[test]
    fn what_is_left_out_is_carried_over_and_dynamic_keys_are_merged() {
        let meta: ArrayRef = Arc::new(StringArray::from(vec!["{}", r#"{"b":3}"#]));
        let request = InsertRequest {
            columns: vec![column(DYNAMIC_FIELD, meta)],
            num_rows: 2,
            ..InsertRequest::default()
        };
        let completed = complete(request, &existing()).unwrap();
        let InputValues::Scalars(meta) = &completed.columns[0].values else { panic!("no texts") };
        assert_eq!(meta.as_string::<i32>(), &StringArray::from(vec!["{}", r#"{"a":1,"b":3}"#]));
        assert_eq!(stored(&completed, "n").as_ref(), &Int64Array::from(vec![11, 10]));
        assert_eq!(stored(&completed, "s").as_ref(), &Int8Array::from(vec![Some(7), None]));
    }

    #[test]
    fn a_new_row_needs_every_column_that_has_no_default_and_is_not_nullable() {
        let mut existing = existing();
        existing.rows = vec![Some(0), None];
        let error = complete(InsertRequest::default(), &existing).unwrap_err();
        assert_eq!(
            error.reason,
            "fieldSchema(n) has no corresponding fieldData pass in: invalid parameter"
        );
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let request =
            InsertRequest { columns: vec![column("n", numbers)], ..InsertRequest::default() };
        let completed = complete(request, &existing).unwrap();
        assert_eq!(stored(&completed, "s").as_ref(), &Int8Array::from(vec![None, None]));
        assert_eq!(stored(&completed, "b").as_ref(), &BooleanArray::from(vec![false, true]));
        let meta = stored(&completed, DYNAMIC_FIELD).as_string::<i32>();
        assert_eq!(meta, &StringArray::from(vec![r#"{"a":1,"b":2}"#, "{}"]));
    }
}
