//! Creating collections: room for them, ids, partitions and shards.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_roles::{CreateCollection, LoadScope, OpenChannel};
use milvus_types::collection::DEFAULT_PARTITION;
use milvus_types::index_meta::find;
use milvus_types::{
    Collection, CollectionId, CollectionSchema, DatabaseId, ErrorCode, Failure, FieldId, Partition,
    PartitionId, Result, Timestamp, VChannel,
};

use super::{RootCoordinator, entry_of};
use crate::data::DataCoordinator;
use crate::ids::Ids;
use crate::mix::StreamingSlot;

/// The database property that limits its collections.
const MAX_COLLECTIONS: &str = "database.max.collections";

impl RootCoordinator {
    pub(crate) async fn create_collection(
        self: &Arc<Self>,
        request: CreateCollection,
        create_ts: Timestamp,
        ids: Arc<Ids>,
        data: Arc<DataCoordinator>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<Arc<Collection>> {
        let root = self.clone();
        self.decisions
            .run(async move {
                let db_id = root.check_database(&request.db_name).map_err(|_| {
                    Failure::database_not_found(&request.db_name)
                        .context("failed to create collection")
                })?;
                let name = &request.schema.name;
                if root.alias(&request.db_name, name).is_some() {
                    return Err(Failure::with_fields(
                        ErrorCode::AliasCollectionNameConflict,
                        &[("database", &request.db_name), ("alias", name)],
                    ));
                }
                if let Some(existing) = root.find(&request.db_name, name) {
                    return same_or_duplicate(existing, &request);
                }
                root.check_room(&request)?;
                let collection = root.new_collection(request, db_id, create_ts, &ids).await?;
                let saved = root.catalogue.create(&entry_of(&collection)).await;
                saved.map_err(|error| Failure::from(&error))?;
                let manifest = data.begin(collection.id);
                for vchannel in &collection.vchannels {
                    let request = OpenChannel {
                        collection: collection.clone(),
                        vchannel: vchannel.clone(),
                        manifest: manifest.clone(),
                        load: LoadScope::Nothing,
                    };
                    if let Err(failure) = streaming.get()?.open_channel(request).await {
                        let undone = root.remove(&collection).await;
                        undone.map_err(|error| Failure::from(&error))?;
                        data.forget(collection.id);
                        return Err(failure);
                    }
                }
                root.state.write().put(collection.clone());
                tracing::info!(collection = %collection.name, id = %collection.id, "collection created");
                Ok(collection)
            })
            .await
    }

    fn check_room(&self, request: &CreateCollection) -> Result<()> {
        let state = self.state.read();
        let limits = &self.options.limits;
        let too_many = |limit: usize| {
            Failure::with_fields(
                ErrorCode::CollectionNumLimitExceeded,
                &[("dbName", &request.db_name), ("limit", &limit)],
            )
        };
        if state.collections.len() >= limits.collections {
            return Err(too_many(limits.collections));
        }
        let in_db = state.collections.values().filter(|c| c.db_name == request.db_name).count();
        let database = state.databases.iter().find(|database| database.name == request.db_name);
        let own = database.and_then(|database| find(&database.properties, MAX_COLLECTIONS));
        let limit = match own.filter(|own| !own.is_empty()) {
            Some(own) => own.parse::<usize>().map_err(|_| {
                Failure::internal(format!(
                    "parse value of property fail, key:{MAX_COLLECTIONS}, value:{own}"
                ))
            })?,
            None => limits.collections_per_db,
        };
        if in_db >= limit {
            return Err(too_many(limit));
        }
        drop(state);
        self.check_capacity(request.shards_num.max(1) * request.num_partitions.unwrap_or(1))
    }

    /// Shards x partitions over everything, with `more` added.
    pub(super) fn check_capacity(&self, more: usize) -> Result<()> {
        let state = self.state.read();
        let used: usize =
            state.collections.values().map(|c| c.vchannels.len() * c.partitions.len()).sum();
        let (size, capacity) = (used + more, self.options.limits.general_capacity);
        if size > capacity {
            return Err(Failure::with_fields(
                ErrorCode::GeneralCapacityExceeded,
                &[("newGeneralSize", &size), ("generalCapacity", &capacity)],
            ));
        }
        Ok(())
    }

    async fn new_collection(
        &self,
        request: CreateCollection,
        db_id: DatabaseId,
        create_ts: Timestamp,
        ids: &Ids,
    ) -> Result<Arc<Collection>> {
        let count = request.num_partitions.unwrap_or(1).max(1);
        let first = ids.allocate(1 + count as u64).await?;
        let id = CollectionId(first);
        let mut schema = request.schema;
        number_fields(&mut schema);
        let name = |index: usize| match request.num_partitions {
            None => DEFAULT_PARTITION.to_owned(),
            Some(_) => format!("{DEFAULT_PARTITION}_{index}"),
        };
        let partitions = (first + 1..)
            .zip(0..count)
            .map(|(id, index)| Partition { id: PartitionId(id), name: name(index), create_ts })
            .collect();
        let vchannels = self
            .pick_pchannels(request.shards_num.max(1))
            .iter()
            .enumerate()
            .map(|(shard, pchannel)| VChannel::new(pchannel, id, shard))
            .collect();
        Ok(Arc::new(Collection {
            id,
            db_id,
            db_name: request.db_name,
            name: schema.name.clone(),
            schema,
            partitions,
            vchannels,
            consistency_level: request.consistency_level,
            properties: request.properties,
            create_ts,
            update_ts: create_ts,
        }))
    }

    /// The log channels with the fewest shards, a different one for each of `count` shards.
    fn pick_pchannels(&self, count: usize) -> Vec<String> {
        let state = self.state.read();
        let mut used: HashMap<&str, usize> = HashMap::new();
        for collection in state.collections.values() {
            for vchannel in &collection.vchannels {
                *used.entry(vchannel.pchannel()).or_default() += 1;
            }
        }
        let mut channels: Vec<(usize, usize, String)> = (0..self.options.pchannels.max(count))
            .map(|index| format!("{}_{index}", self.options.pchannel_prefix))
            .enumerate()
            .map(|(index, name)| (used.get(name.as_str()).copied().unwrap_or(0), index, name))
            .collect();
        channels.sort();
        channels.into_iter().take(count).map(|(_, _, name)| name).collect()
    }
}

fn same_or_duplicate(
    existing: Arc<Collection>,
    request: &CreateCollection,
) -> Result<Arc<Collection>> {
    let same = without_ids(&existing.schema) == without_ids(&request.schema)
        && existing.vchannels.len() == request.shards_num.max(1)
        && existing.consistency_level == request.consistency_level
        && existing.properties == request.properties;
    if same {
        return Ok(existing);
    }
    Err(Failure::parameter_invalid(format!(
        "create duplicate collection with different parameters, collection: {}",
        existing.name
    )))
}

fn without_ids(schema: &CollectionSchema) -> CollectionSchema {
    let mut schema = schema.clone();
    schema.version = 0;
    for field in &mut schema.fields {
        field.id = FieldId(0);
        field.type_params.sort_by(|a, b| a.key.cmp(&b.key));
    }
    for field in &mut schema.struct_fields {
        field.id = FieldId(0);
    }
    schema
}

/// Gives every field its id: plain fields first, then each struct array before its sub-fields.
fn number_fields(schema: &mut CollectionSchema) {
    let mut next = (FieldId::FIRST_USER.0..).map(FieldId);
    let mut id = || next.next().unwrap_or_default();
    for field in schema.fields.iter_mut().filter(|field| field.struct_name().is_none()) {
        field.id = id();
    }
    for owner in &mut schema.struct_fields {
        owner.id = id();
        let within = |field: &&mut milvus_types::FieldSchema| {
            field.struct_name().is_some_and(|(name, _)| name == owner.name)
        };
        for field in schema.fields.iter_mut().filter(within) {
            field.id = id();
        }
    }
}
