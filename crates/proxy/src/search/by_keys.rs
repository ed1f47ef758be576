//! Searching by keys: the vectors of these rows are the queries.
//!
//! Rows whose vector is null find nothing. A key that no row has is an error.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray as _, FixedSizeListArray};
use arrow::datatypes::{Float16Type, Float32Type, Int8Type};
use bytes::Bytes;
use milvus_roles::QueryRequest;
use milvus_types::{
    CollectionSchema, DataType, ErrorCode, Failure, KeyValue, PkType, PrimaryKey, PrimaryKeys,
    Result,
};

use super::placeholder;
use super::plan::{Draft, Target};
use super::shards::Moment;
use crate::api::{Placeholder, SearchInput};
use crate::fetch::Place;
use crate::wire_text::{bracketed, param};
use crate::{Proxy, plan};

/// What a search compares with, whichever way it came.
pub(crate) struct Queries {
    pub(crate) placeholder: Placeholder,
    /// Of each key, whether its row has a vector; empty where vectors came.
    pub(crate) present: Vec<bool>,
}

/// Checks the keys of a search, if it has any.
pub(crate) fn check(
    input: &SearchInput,
    params: &[KeyValue],
    schema: &CollectionSchema,
) -> Result<()> {
    let SearchInput::Keys(keys) = input else {
        return Ok(());
    };
    let mut seen = HashSet::with_capacity(keys.len());
    if !keys.iter().all(|key| seen.insert(key)) {
        return Err(Failure::parameter_invalid("duplicate IDs found in search request"));
    }
    let given = param(params, "anns_field").filter(|name| !name.is_empty());
    let vectors: Vec<_> = schema.vector_fields().collect();
    let field = match (given, vectors.as_slice()) {
        (Some(name), _) => schema.field(name).ok_or_else(|| {
            let failure = Failure::with_fields(ErrorCode::FieldNotFound, &[("field", &name)]);
            failure.context("vector field not found in schema")
        })?,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::parameter_mismatch(
                "valid anns_field in search_params",
                "missing",
                "multiple vector fields exist, please specify anns_field in search_params",
            ));
        }
    };
    if field.data_type == DataType::ArrayOfVector {
        return Err(Failure::parameter_invalid(
            "array of vector is not supported for search by IDs",
        ));
    }
    if !field.data_type.is_vector() {
        return Err(Failure::parameter_invalid(format!(
            "field ({}) to search is not of vector data type",
            field.name
        )));
    }
    match (schema.pk_type(), keys.pk_type()) {
        (PkType::Int64, PkType::VarChar) => Err(Failure::parameter_mismatch(
            "int64 IDs",
            "got other type",
            "primary key is int64, but IDs type mismatch",
        )),
        (PkType::VarChar, PkType::Int64) => Err(Failure::parameter_mismatch(
            "string IDs",
            "got other type",
            "primary key is varchar, but IDs type mismatch",
        )),
        _ => Ok(()),
    }
}

impl Proxy {
    /// The queries of a search: as they came, or fetched by key.
    pub(crate) async fn queries(
        &self,
        target: &Target,
        draft: &Draft,
        input: SearchInput,
        moment: Moment,
    ) -> Result<Queries> {
        let keys = match input {
            SearchInput::Vectors(all) => {
                let placeholder = placeholder::only(all)?;
                return Ok(Queries { placeholder, present: Vec::new() });
            }
            SearchInput::Nothing => return Err(Failure::parameter_invalid("must have queries")),
            SearchInput::Keys(keys) => keys,
        };
        let places = self.places_of(target, &keys, moment).await?;
        let fields = [&draft.field];
        let columns = self.fetch(&target.collection, &fields, &places).await?;
        let column = columns.into_iter().next();
        let column = column.ok_or_else(|| Failure::internal("the vector column is missing"))?;
        let present = (0..column.len()).map(|row| column.is_valid(row)).collect();
        let values = vectors(&column)?;
        let kind = draft.field.data_type.number();
        Ok(Queries { placeholder: Placeholder { tag: "$0".to_owned(), kind, values }, present })
    }

    /// Where the rows with these keys are, in the order of the keys.
    async fn places_of(
        &self,
        target: &Target,
        keys: &PrimaryKeys,
        moment: Moment,
    ) -> Result<Vec<Place>> {
        let collection = &target.collection;
        let everything = plan::plan("", &HashMap::new(), &collection.schema, "query")?;
        let shards = collection.vchannels.iter().map(|vchannel| {
            self.streaming().query(QueryRequest {
                collection_id: collection.id,
                vchannel: vchannel.clone(),
                partitions: target.partitions.clone(),
                filter: everything.clone(),
                keys: Some(keys.clone()),
                limit: None,
                count: false,
                ignore_growing: false,
                guarantee: moment.guarantee,
                mvcc: moment.mvcc,
            })
        });
        let replies: Vec<_> =
            futures::future::join_all(shards).await.into_iter().collect::<Result<_>>()?;
        let mut found: HashMap<PrimaryKey, Place> = HashMap::new();
        for (shard, reply) in replies.into_iter().enumerate() {
            for (key, at) in reply.rows {
                found.entry(key).or_insert((shard, at));
            }
        }
        let missing: Vec<PrimaryKey> = keys.iter().filter(|key| !found.contains_key(key)).collect();
        if !missing.is_empty() {
            return Err(Failure::parameter_invalid(format!(
                "some of the provided primary key IDs do not exist: missing IDs = {}",
                bracketed(missing)
            )));
        }
        Ok(keys.iter().filter_map(|key| found.get(&key).copied()).collect())
    }
}

/// The vectors of a column that are not null, as the bytes of a placeholder.
fn vectors(column: &ArrayRef) -> Result<Vec<Bytes>> {
    let rows = || (0..column.len()).filter(|row| column.is_valid(*row));
    if let Some(lists) = column.as_fixed_size_list_opt() {
        return rows().map(|row| dense(lists, row)).collect();
    }
    if let Some(rows_of) = column.as_fixed_size_binary_opt() {
        return Ok(rows().map(|row| Bytes::copy_from_slice(rows_of.value(row))).collect());
    }
    if let Some(rows_of) = column.as_binary_opt::<i32>() {
        return Ok(rows().map(|row| Bytes::copy_from_slice(rows_of.value(row))).collect());
    }
    Err(Failure::internal(format!("a column of {} is not one of vectors", column.data_type())))
}

fn dense(lists: &FixedSizeListArray, row: usize) -> Result<Bytes> {
    let vector = lists.value(row);
    if let Some(floats) = vector.as_primitive_opt::<Float32Type>() {
        Ok(floats.values().iter().flat_map(|x| x.to_le_bytes()).collect())
    } else if let Some(halves) = vector.as_primitive_opt::<Float16Type>() {
        Ok(halves.values().iter().flat_map(|x| x.to_le_bytes()).collect())
    } else if let Some(bytes) = vector.as_primitive_opt::<Int8Type>() {
        Ok(bytes.values().iter().flat_map(|x| x.to_le_bytes()).collect())
    } else {
        Err(Failure::internal(format!("vectors of {} are not known", vector.data_type())))
    }
}
