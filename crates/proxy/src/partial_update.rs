//! Partial update: an upsert that gives only some columns of rows that exist.
//!
//! The rows are read as they are now, and the columns that the client left out are taken from them;
//! keys of the dynamic field are merged. A key without a row is an insert, which must have every
//! column that is neither nullable nor has a default.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int32Array, PrimitiveArray, StringArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{ArrowPrimitiveType, Int8Type, Int16Type};
use futures::future::join_all;
use milvus_base::Priority;
use milvus_roles::QueryRequest;
use milvus_types::{Collection, DataType, Failure, FieldSchema, PrimaryKey, PrimaryKeys, Result};

use crate::Proxy;
use crate::api::{InputColumn, InputValues, InsertRequest};
use crate::dynamic_keys::overlay;
use crate::fetch::Place;
use crate::insert::{key, split};
use crate::plan::plan;

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
    ) -> Result<InsertRequest> {
        let schema = &collection.schema;
        let key_field = schema
            .primary_key()
            .ok_or_else(|| Failure::internal(format!("no primary key in {}", collection.name)))?;
        key::check_unique(key_field, &request.columns)?;
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
        let Some(keys) = keys else { return Ok(request) };
        let existing = self.existing(collection, &keys).await?;
        let bytes = existing.columns.iter().map(|(_, values)| values.get_array_memory_size()).sum();
        self.compute(Priority::Write, bytes, move || complete(request, &existing)).await
    }

    async fn existing(&self, collection: &Collection, keys: &PrimaryKeys) -> Result<Existing> {
        self.loaded(collection, &[]).await?;
        let now = self.allocate_timestamp().await?;
        let filter = plan("", &HashMap::new(), &collection.schema, "query")?;
        let parts = split::keys(collection, keys)?;
        let queries = parts.into_iter().enumerate().filter_map(|(shard, (vchannel, keys))| {
            let request = QueryRequest {
                collection_id: collection.id,
                vchannel,
                partitions: None,
                filter: filter.clone(),
                keys: Some(keys?),
                limit: None,
                count: false,
                ignore_growing: false,
                guarantee: now,
                mvcc: None,
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

fn complete(mut request: InsertRequest, existing: &Existing) -> Result<InsertRequest> {
    for (field, values) in &existing.columns {
        let given = request.columns.iter_mut().find(|column| {
            if field.is_dynamic { column.is_dynamic } else { column.name == field.name }
        });
        match given {
            Some(column) if field.is_dynamic => merge_dynamic(column, existing, values),
            Some(_) => {}
            None => request.columns.push(carried_over(field, existing, values)?),
        }
    }
    Ok(request)
}

/// The column of a field that the request leaves out.
fn carried_over(
    field: &FieldSchema,
    existing: &Existing,
    values: &ArrayRef,
) -> Result<InputColumn> {
    let sparse = field.nullable || field.default_value.is_some();
    if !sparse && existing.rows.iter().any(Option::is_none) {
        return Err(Failure::parameter_invalid(format!(
            "fieldSchema({}) has no corresponding fieldData pass in",
            field.name
        )));
    }
    let present = |row: &Option<u32>| {
        row.filter(|row| usize::try_from(*row).is_ok_and(|row| values.is_valid(row)))
    };
    let rows: Vec<Option<u32>> = existing.rows.iter().map(present).collect();
    let valid = if sparse { rows.iter().map(Option::is_some).collect() } else { Vec::new() };
    let taken: UInt32Array = rows.into_iter().flatten().collect::<Vec<u32>>().into();
    let taken = take(values, &taken, None)
        .map_err(|error| Failure::internal(format!("rows of field {}: {error}", field.name)))?;
    Ok(InputColumn {
        name: field.name.clone(),
        is_dynamic: field.is_dynamic,
        data_type: Some(field.data_type),
        values: as_input(field, taken),
        valid,
    })
}

/// Values in the form in which a client's arrive.
fn as_input(field: &FieldSchema, values: ArrayRef) -> InputValues {
    if let (DataType::FloatVector, Some(lists)) = (field.data_type, values.as_fixed_size_list_opt())
    {
        let dim = i64::from(lists.value_length());
        return InputValues::FloatVectors { dim, values: Arc::clone(lists.values()) };
    }
    let wide: ArrayRef = if let Some(small) = values.as_primitive_opt::<Int8Type>() {
        Arc::new(widened(small))
    } else if let Some(small) = values.as_primitive_opt::<Int16Type>() {
        Arc::new(widened(small))
    } else {
        values
    };
    InputValues::Scalars(wide)
}

fn widened<T: ArrowPrimitiveType<Native: Into<i32>>>(values: &PrimitiveArray<T>) -> Int32Array {
    values.unary(Into::into)
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
    use arrow::array::{Int8Array, Int64Array};
    use milvus_types::schema::DYNAMIC_FIELD;

    use super::*;

    fn existing() -> Existing {
        let field = |name: &str, data_type, nullable| FieldSchema {
            name: name.to_owned(),
            data_type,
            nullable,
            ..FieldSchema::default()
        };
        let meta = FieldSchema { is_dynamic: true, ..field(DYNAMIC_FIELD, DataType::JSON, true) };
        Existing {
            rows: vec![Some(1), Some(0)],
            columns: vec![
                (field("n", DataType::Int64, false), Arc::new(Int64Array::from(vec![10, 11]))),
                (field("s", DataType::Int8, true), Arc::new(Int8Array::from(vec![None, Some(7)]))),
                (meta, Arc::new(StringArray::from(vec![r#"{"a":1,"b":2}"#, "{}"]))),
            ],
        }
    }

    fn meta(rows: Vec<&str>) -> InputColumn {
        InputColumn {
            name: DYNAMIC_FIELD.to_owned(),
            is_dynamic: true,
            data_type: Some(DataType::JSON),
            values: InputValues::Scalars(Arc::new(StringArray::from(rows))),
            valid: Vec::new(),
        }
    }

    #[test]
    fn what_is_left_out_is_carried_over_and_dynamic_keys_are_merged() {
        let request = InsertRequest {
            columns: vec![meta(vec!["{}", r#"{"b":3}"#])],
            num_rows: 2,
            ..InsertRequest::default()
        };
        let completed = complete(request, &existing()).unwrap();
        let [meta, n, s] = completed.columns.as_slice() else { panic!("three columns") };
        let scalars = |column: &InputColumn| {
            let InputValues::Scalars(values) = &column.values else { panic!("{column:?}") };
            Arc::clone(values)
        };
        assert_eq!(
            scalars(meta).as_string::<i32>(),
            &StringArray::from(vec!["{}", r#"{"a":1,"b":3}"#])
        );
        assert_eq!(scalars(n).as_ref(), &Int64Array::from(vec![11, 10]));
        assert_eq!(
            (scalars(s).as_ref(), &*s.valid),
            (&Int32Array::from(vec![7]) as _, &[true, false][..])
        );
    }

    #[test]
    fn a_new_row_needs_every_column() {
        let mut existing = existing();
        existing.rows = vec![Some(0), None];
        let error = complete(InsertRequest::default(), &existing).unwrap_err();
        assert_eq!(
            error.reason,
            "fieldSchema(n) has no corresponding fieldData pass in: invalid parameter"
        );
    }
}
