//! Load and release, and how far loading is.

use std::collections::HashSet;

use milvus_roles::{LoadRequest, LoadState, LoadStatus};
use milvus_types::{Collection, ErrorCode, Failure, PartitionId, Result};

use crate::Proxy;
use crate::api::{Context, LoadApiRequest, LoadStateReply};
use crate::partitions::is_loaded;
use crate::proxy::partition_id;
use crate::validate::names;
use crate::wire_text::bracketed;

/// The one resource group there is.
const DEFAULT_RESOURCE_GROUP: &str = "__default_resource_group";

impl Proxy {
    /// Begins to load a collection or some of its partitions.
    pub async fn load(&self, cx: &Context, request: LoadApiRequest) -> Result<()> {
        let collection = self.named_collection(cx, &request.collection_name).await?;
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
        check_replicas(&request)?;
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
fn load_fields(collection: &Collection, request: &LoadApiRequest) -> Result<Vec<String>> {
    let schema = &collection.schema;
    if request.load_fields.is_empty() {
        if !request.skip_load_dynamic_field || schema.dynamic_field().is_none() {
            return Ok(Vec::new());
        }
        let kept = schema.fields.iter().filter(|field| !field.is_dynamic);
        return Ok(kept.map(|field| field.name.clone()).collect());
    }
    let mut fields = Vec::with_capacity(request.load_fields.len() + 1);
    for name in &request.load_fields {
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
    let lacks = |what: String| {
        Err(Failure::parameter_invalid(format!(
            "load field list {} does not contain {what}",
            bracketed(&request.load_fields)
        )))
    };
    if !fields.iter().any(|field| field.is_primary_key) {
        let name = schema.primary_key().map_or("", |field| &field.name);
        return lacks(format!("primary key field {name}"));
    }
    if !fields.iter().any(|field| field.data_type.is_vector()) {
        return lacks("vector field".to_owned());
    }
    Ok(fields.into_iter().map(|field| field.name.clone()).collect())
}

/// One process serves one replica in one resource group.
fn check_replicas(request: &LoadApiRequest) -> Result<()> {
    if let Some(group) =
        request.resource_groups.iter().find(|group| *group != DEFAULT_RESOURCE_GROUP)
    {
        return Err(Failure::with_fields(ErrorCode::ResourceGroupNotFound, &[("rg", group)]));
    }
    if request.replica_number <= 1 {
        return Ok(());
    }
    let replicas = request.replica_number;
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
