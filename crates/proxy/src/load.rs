//! Load and release, and how far loading is.

use std::collections::HashSet;

use milvus_roles::{LoadRequest, LoadState, LoadStatus};
use milvus_types::{
    Collection, CollectionSchema, ErrorCode, Failure, FieldSchema, PartitionId, Result,
};

use crate::Proxy;
use crate::api::{Context, LoadApiRequest, LoadStateReply};
use crate::partitions::{is_loaded, no_partition_key};
use crate::proxy::partition_id;
use crate::validate::names;
use crate::validate::schema::skips_loading;
use crate::wire_text::bracketed;

/// The one resource group there is.
const DEFAULT_RESOURCE_GROUP: &str = "__default_resource_group";

impl Proxy {
    /// Begins to load a collection or some of its partitions.
    pub async fn load(&self, cx: &Context, request: LoadApiRequest) -> Result<()> {
        let collection = self.named_collection(cx, &request.collection_name).await?;
        if request.partition_names.is_some() {
            no_partition_key(&collection, "load partitions")?;
        }
        let load_fields = load_fields(&collection, &request)?;
        self.check_indexes(&collection, &load_fields).await?;
        let partitions = match &request.partition_names {
            None => None,
            Some(names) if names.is_empty() => {
                return Err(Failure::parameter_invalid(
                    "failed to load partition, due to no partition specified",
                ));
            }
            Some(names) => Some(partition_ids(&collection, names)?),
        };
        let status = self.query_coord().load_status(collection.id).await?;
        let status = status.filter(|status| status.state != LoadState::NotLoad);
        if request.refresh && status.is_none() {
            return Err(Failure::collection_not_loaded(collection.id));
        }
        if !request.refresh {
            check_replicas(&request, status.as_ref())?;
        }
        self.query_coord()
            .load(LoadRequest {
                collection_id: collection.id,
                partitions,
                replica_number: request.replica_number,
                load_fields,
                refresh: request.refresh,
            })
            .await
    }

    /// Every vector field that is to be loaded has an index.
    async fn check_indexes(&self, collection: &Collection, load_fields: &[String]) -> Result<()> {
        let indexes = self.data().list_indexes(collection.id).await?;
        if indexes.is_empty() {
            return Err(Failure::with_fields(
                ErrorCode::IndexNotFound,
                &[("collection", &collection.name)],
            ));
        }
        let indexed: HashSet<_> = indexes.iter().map(|index| index.field_id).collect();
        let wanted = |name: &String| load_fields.is_empty() || load_fields.contains(name);
        let bare: Vec<&str> = collection
            .schema
            .vector_fields()
            .filter(|field| wanted(&field.name) && !indexed.contains(&field.id))
            .map(|field| field.name.as_str())
            .collect();
        if bare.is_empty() {
            return Ok(());
        }
        Err(Failure::parameter_invalid(format!(
            "there is no vector index on field: {}, please create index firstly",
            bracketed(bare)
        )))
    }

    /// Releases a collection or some of its partitions.
    pub async fn release(
        &self,
        cx: &Context,
        collection: &str,
        partition_names: Option<Vec<String>>,
    ) -> Result<()> {
        let collection = self.named_collection(cx, collection).await?;
        if partition_names.is_some() {
            no_partition_key(&collection, "release partitions")?;
        }
        let partitions = match partition_names {
            None => None,
            Some(names) if names.is_empty() => {
                return Err(Failure::with_fields(
                    ErrorCode::ParameterInvalid,
                    &[("expected", &"any partition"), ("actual", &"empty partition list")],
                ));
            }
            Some(names) => Some(partition_ids(&collection, &names)?),
        };
        self.query_coord().release(collection.id, partitions).await
    }

    /// How far loading is, 0..=100.
    pub async fn loading_progress(
        &self,
        cx: &Context,
        collection: &str,
        partition_names: &[String],
    ) -> Result<i64> {
        let collection = self.named_collection(cx, collection).await?;
        Ok(self.load_status(&collection, partition_names).await?.progress)
    }

    /// Whether a collection, or all of some partitions, is loaded.
    pub async fn load_state(
        &self,
        cx: &Context,
        collection: &str,
        partition_names: &[String],
    ) -> Result<LoadStateReply> {
        names::collection(collection, self.options().limits.name_length)?;
        let collection = match self.collection(cx, collection).await {
            Ok(collection) => collection,
            Err(failure)
                if matches!(
                    failure.code,
                    ErrorCode::CollectionNotFound | ErrorCode::DatabaseNotFound
                ) =>
            {
                return Ok(LoadStateReply::NotExist);
            }
            Err(failure) => return Err(failure),
        };
        match self.load_status(&collection, partition_names).await {
            Ok(status) if status.progress >= 100 => Ok(LoadStateReply::Known(LoadState::Loaded)),
            Ok(_) => Ok(LoadStateReply::Known(LoadState::Loading)),
            Err(failure)
                if matches!(
                    failure.code,
                    ErrorCode::CollectionNotLoaded | ErrorCode::PartitionNotLoaded
                ) =>
            {
                Ok(LoadStateReply::Known(LoadState::NotLoad))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn load_status(&self, collection: &Collection, names: &[String]) -> Result<LoadStatus> {
        let partitions = partition_ids(collection, names)?;
        self.loaded(collection, &partitions).await
    }

    /// What is loaded, or `collection not loaded` (101), `partition not loaded` (201) where one of
    /// `partitions` is not.
    pub(crate) async fn loaded(
        &self,
        collection: &Collection,
        partitions: &[PartitionId],
    ) -> Result<LoadStatus> {
        let status = self.query_coord().load_status(collection.id).await?;
        let status = status
            .filter(|status| status.state != LoadState::NotLoad)
            .ok_or_else(|| Failure::collection_not_loaded(collection.id))?;
        match partitions.iter().find(|partition| !is_loaded(&status, **partition)) {
            None => Ok(status),
            Some(partition) => Err(Failure::with_fields(
                ErrorCode::PartitionNotLoaded,
                &[("partition", partition)],
            )),
        }
    }
}

fn partition_ids(collection: &Collection, names: &[String]) -> Result<Vec<PartitionId>> {
    names.iter().map(|name| partition_id(collection, name)).collect()
}

/// The fields to load, empty for all: checked, and the dynamic field added unless it is skipped.
/// The name of a struct array stands for its sub-fields.
fn load_fields(collection: &Collection, request: &LoadApiRequest) -> Result<Vec<String>> {
    let schema = &collection.schema;
    if request.load_fields.is_empty() {
        return Ok(unnamed_fields(schema, request.skip_load_dynamic_field));
    }
    let mut fields: Vec<&FieldSchema> = Vec::with_capacity(request.load_fields.len() + 1);
    for name in &request.load_fields {
        if schema.struct_field(name).is_some() {
            fields.extend(schema.sub_fields(name));
            continue;
        }
        fields.push(schema.field(name).ok_or_else(|| {
            Failure::parameter_invalid(format!(
                "failed to get field schema by name: fieldName({name}) not found"
            ))
        })?);
    }
    if !request.skip_load_dynamic_field {
        fields.extend(
            schema.dynamic_field().filter(|field| !request.load_fields.contains(&field.name)),
        );
    }
    check_load_fields(schema, &request.load_fields, &fields)?;
    Ok(fields.into_iter().map(|field| field.name.clone()).collect())
}

/// All fields but those that say so themselves; empty where that is all.
fn unnamed_fields(schema: &CollectionSchema, skip_dynamic_field: bool) -> Vec<String> {
    let is_wanted =
        |field: &&FieldSchema| !(skips_loading(field) || skip_dynamic_field && field.is_dynamic);
    let kept: Vec<String> =
        schema.fields.iter().filter(is_wanted).map(|field| field.name.clone()).collect();
    if kept.len() == schema.fields.len() { Vec::new() } else { kept }
}

fn check_load_fields(
    schema: &CollectionSchema,
    names: &[String],
    fields: &[&FieldSchema],
) -> Result<()> {
    let has = |what: fn(&FieldSchema) -> bool| fields.iter().any(|field| what(field));
    let name_of = |what: fn(&FieldSchema) -> bool| {
        schema.fields.iter().find(|field| what(field)).map(|field| field.name.as_str())
    };
    let key = |field: &FieldSchema| field.is_primary_key;
    let lacking = if !has(key) {
        format!("primary key field {}", name_of(key).unwrap_or_default())
    } else if !has(|field| field.data_type.is_vector()) {
        "vector field".to_owned()
    } else if let Some(name) = name_of(|field| field.is_partition_key)
        && !has(|field| field.is_partition_key)
    {
        format!("partition key field {name}")
    } else if let Some(name) = name_of(|field| field.is_clustering_key)
        && !has(|field| field.is_clustering_key)
    {
        format!("clustering key field {name}")
    } else {
        return Ok(());
    };
    Err(Failure::parameter_invalid(format!(
        "load field list {} does not contain {lacking}",
        bracketed(names)
    )))
}

/// One process serves one replica in one resource group.
fn check_replicas(request: &LoadApiRequest, status: Option<&LoadStatus>) -> Result<()> {
    if let Some(group) =
        request.resource_groups.iter().find(|group| *group != DEFAULT_RESOURCE_GROUP)
    {
        return Err(Failure::with_fields(ErrorCode::ResourceGroupNotFound, &[("rg", group)]));
    }
    if request.replica_number <= 1 {
        return Ok(());
    }
    let replicas = request.replica_number;
    if let Some(status) = status
        && request.partition_names.is_some()
    {
        return Err(Failure::parameter_mismatch(
            status.replica_number.max(1),
            replicas,
            "can't change the replica number for loaded partitions",
        ));
    }
    let failure = Failure::with_fields(
        ErrorCode::ResourceInsufficient,
        &[("currentStreamingNode", &1), ("expectedStreamingNode", &replicas)],
    )
    .context(format!("when load {replicas} replica count"));
    Err(match request.partition_names {
        None => failure.context("call query coordinator LoadCollection"),
        Some(_) => failure,
    })
}

#[cfg(test)]
mod tests {
    use milvus_types::DataType;

    use super::*;

    fn schema() -> CollectionSchema {
        let field = |name: &str| FieldSchema { name: name.to_owned(), ..FieldSchema::default() };
        CollectionSchema {
            fields: vec![
                FieldSchema { is_primary_key: true, ..field("id") },
                FieldSchema { data_type: DataType::FloatVector, ..field("v") },
                FieldSchema { is_partition_key: true, ..field("p") },
                FieldSchema { is_clustering_key: true, ..field("k") },
                FieldSchema {
                    type_params: vec![milvus_types::KeyValue::new("field.skipLoad", "true")],
                    ..field("rare")
                },
                FieldSchema { is_dynamic: true, ..field("$meta") },
            ],
            ..CollectionSchema::default()
        }
    }

    #[test]
    fn a_list_of_fields_has_every_key_and_a_vector() {
        let schema = schema();
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let fields: Vec<&FieldSchema> =
                names.iter().filter_map(|name| schema.field(name)).collect();
            let result = check_load_fields(&schema, &names, &fields);
            result.err().map(|failure| failure.reason).unwrap_or_default()
        };
        assert_eq!(check(&["id", "v", "p", "k"]), "");
        for (names, lacking) in [
            (&["v"][..], "load field list [v] does not contain primary key field id"),
            (&["id", "p"], "load field list [id p] does not contain vector field"),
            (&["id", "v"], "load field list [id v] does not contain partition key field p"),
            (&["id", "v", "p"], "load field list [id v p] does not contain clustering key field k"),
        ] {
            assert_eq!(check(names), format!("{lacking}: invalid parameter"));
        }
    }

    #[test]
    fn fields_that_skip_loading_are_left_out() {
        let mut schema = schema();
        assert_eq!(unnamed_fields(&schema, false), ["id", "v", "p", "k", "$meta"]);
        assert_eq!(unnamed_fields(&schema, true), ["id", "v", "p", "k"]);
        schema.fields.remove(4);
        assert_eq!(unnamed_fields(&schema, false), [""; 0]);
    }
}
