//! Root coordination: databases, collections, partitions.
//!
//! A change is in the catalogue before anybody sees it, and in memory before the call returns.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_meta::{Catalogue, CollectionEntry, CollectionState, CommitError};
use milvus_roles::{CreateCollection, Database, LoadScope, OpenChannel};
use milvus_types::collection::DEFAULT_PARTITION;
use milvus_types::{
    Collection, CollectionId, CollectionSchema, DatabaseId, ErrorCode, Failure, FieldId, Partition,
    PartitionId, Result, Timestamp, VChannel,
};
use parking_lot::RwLock;

use crate::data::DataCoordinator;
use crate::ids::Ids;
use crate::mix::{CoordOptions, StreamingSlot};
use crate::query::QueryCoordinator;
use crate::serial::Serial;

const DEFAULT_DATABASE: &str = "default";

pub(crate) struct RootCoordinator {
    options: CoordOptions,
    catalogue: Catalogue,
    state: RwLock<State>,
    decisions: Serial,
}

#[derive(Default)]
struct State {
    databases: Vec<Database>,
    collections: HashMap<CollectionId, Arc<Collection>>,
    by_name: HashMap<(String, String), CollectionId>,
}

impl State {
    fn put(&mut self, collection: Arc<Collection>) {
        if let Some(old) = self.collections.get(&collection.id) {
            self.by_name.remove(&(old.db_name.clone(), old.name.clone()));
        }
        let name = (collection.db_name.clone(), collection.name.clone());
        self.by_name.insert(name, collection.id);
        self.collections.insert(collection.id, collection);
    }

    fn remove(&mut self, id: CollectionId) {
        if let Some(old) = self.collections.remove(&id) {
            self.by_name.remove(&(old.db_name.clone(), old.name.clone()));
        }
    }
}

impl RootCoordinator {
    pub(crate) async fn open(options: CoordOptions, catalogue: Catalogue) -> Result<Arc<Self>> {
        let collections =
            catalogue.list_collections().await.map_err(|error| Failure::from(&error))?;
        let mut state = State::default();
        state.databases.push(Database {
            id: DatabaseId::DEFAULT,
            name: DEFAULT_DATABASE.to_owned(),
            create_ts: Timestamp::ZERO,
            properties: Vec::new(),
        });
        for collection in collections {
            state.put(Arc::new(collection.entry.collection));
        }
        let state = RwLock::new(state);
        Ok(Arc::new(Self { options, catalogue, state, decisions: Serial::new("root-coord") }))
    }

    pub(crate) fn databases(&self) -> Vec<Database> {
        self.state.read().databases.clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Collection>> {
        self.state.read().collections.values().cloned().collect()
    }

    fn check_database(&self, db_name: &str) -> Result<DatabaseId> {
        let state = self.state.read();
        let found = state.databases.iter().find(|database| database.name == db_name);
        found.map(|database| database.id).ok_or_else(|| Failure::database_not_found(db_name))
    }

    pub(crate) fn by_name(&self, db_name: &str, name: &str) -> Result<Arc<Collection>> {
        self.check_database(db_name)?;
        self.find(db_name, name).ok_or_else(|| Failure::collection_not_found(db_name, name))
    }

    fn find(&self, db_name: &str, name: &str) -> Option<Arc<Collection>> {
        let state = self.state.read();
        let id = state.by_name.get(&(db_name.to_owned(), name.to_owned()))?;
        state.collections.get(id).cloned()
    }

    pub(crate) fn by_id(&self, id: CollectionId) -> Result<Arc<Collection>> {
        let found = self.state.read().collections.get(&id).cloned();
        found.ok_or_else(|| {
            Failure::with_fields(ErrorCode::CollectionNotFound, &[("collection", &id)])
        })
    }

    pub(crate) fn list(&self, db_name: &str) -> Result<Vec<Arc<Collection>>> {
        self.check_database(db_name)?;
        let state = self.state.read();
        let mut found: Vec<_> = state
            .collections
            .values()
            .filter(|collection| collection.db_name == db_name)
            .cloned()
            .collect();
        found.sort_by_key(|collection| collection.id);
        Ok(found)
    }

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
                if let Some(existing) = root.find(&request.db_name, &request.schema.name) {
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
        if in_db >= limits.collections_per_db {
            return Err(too_many(limits.collections_per_db));
        }
        drop(state);
        self.check_capacity(request.shards_num)
    }

    /// Shards x partitions over everything, with `more` added.
    fn check_capacity(&self, more: usize) -> Result<()> {
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
        let first = ids.allocate(2).await?;
        let id = CollectionId(first);
        let mut schema = request.schema;
        for (field_id, field) in (FieldId::FIRST_USER.0..).zip(&mut schema.fields) {
            field.id = FieldId(field_id);
        }
        let partition =
            Partition { id: PartitionId(first + 1), name: DEFAULT_PARTITION.to_owned(), create_ts };
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
            partitions: vec![partition],
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

    pub(crate) async fn drop_collection(
        self: &Arc<Self>,
        db_name: &str,
        name: &str,
        data: Arc<DataCoordinator>,
        query: Arc<QueryCoordinator>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let (root, db_name, name) = (self.clone(), db_name.to_owned(), name.to_owned());
        self.decisions
            .run(async move {
                let Some(collection) = root.find(&db_name, &name) else { return Ok(()) };
                let dropped = root.remove(&collection).await;
                dropped.map_err(|error| Failure::from(&error))?;
                root.state.write().remove(collection.id);
                query.forget(collection.id);
                for vchannel in &collection.vchannels {
                    streaming.get()?.drop_channel(vchannel).await?;
                }
                data.forget(collection.id);
                tracing::info!(collection = %collection.name, id = %collection.id, "collection dropped");
                Ok(())
            })
            .await
    }

    pub(crate) async fn rename_collection(
        self: &Arc<Self>,
        db_name: &str,
        name: &str,
        new_db_name: &str,
        new_name: &str,
        update_ts: Timestamp,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), name.to_owned());
        let (new_db_name, new_name) = (new_db_name.to_owned(), new_name.to_owned());
        self.decisions
            .run(async move {
                if db_name == new_db_name && name == new_name {
                    return Err(Failure::parameter_invalid(
                        "collection name or database name should be different",
                    ));
                }
                let new_db_id = root.check_database(&new_db_name)?;
                let current = root.by_name(&db_name, &name)?;
                if root.find(&new_db_name, &new_name).is_some() {
                    return Err(Failure::parameter_invalid(format!(
                        "duplicated new collection name {new_db_name}:{new_name} with other \
                         collection name or alias"
                    )));
                }
                let mut renamed = (*current).clone();
                renamed.db_id = new_db_id;
                renamed.db_name = new_db_name;
                renamed.schema.name.clone_from(&new_name);
                renamed.name = new_name;
                renamed.update_ts = update_ts;
                root.change(&current, renamed, &streaming).await
            })
            .await
    }

    pub(crate) async fn create_partition(
        self: &Arc<Self>,
        db_name: &str,
        collection: &str,
        partition: &str,
        create_ts: Timestamp,
        ids: Arc<Ids>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), collection.to_owned());
        let partition = partition.to_owned();
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                if current.partition(&partition).is_some() {
                    return Ok(());
                }
                let (count, limit) = (current.partitions.len(), root.options.limits.partitions);
                if count >= limit {
                    return Err(Failure::parameter_invalid(format!(
                        "partition number ({count}) exceeds max configuration ({limit}), \
                         collection: {name}"
                    )));
                }
                root.check_capacity(current.vchannels.len())?;
                let id = PartitionId(ids.allocate(1).await?);
                let mut changed = (*current).clone();
                changed.partitions.push(Partition { id, name: partition, create_ts });
                root.change(&current, changed, &streaming).await
            })
            .await
    }

    pub(crate) async fn drop_partition(
        self: &Arc<Self>,
        db_name: &str,
        collection: &str,
        partition: &str,
        data: Arc<DataCoordinator>,
        query: Arc<QueryCoordinator>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), collection.to_owned());
        let partition = partition.to_owned();
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                if partition == DEFAULT_PARTITION {
                    return Err(Failure::parameter_invalid("default partition cannot be deleted"));
                }
                let Some(id) = current.partition(&partition).map(|found| found.id) else {
                    return Ok(());
                };
                if query.scope(current.id).covers(id) {
                    return Err(Failure::parameter_invalid(
                        "partition cannot be dropped, partition is loaded, please release it first",
                    ));
                }
                let mut changed = (*current).clone();
                changed.partitions.retain(|partition| partition.id != id);
                // Once this is saved the partition is gone, whatever happens next: manifests are
                // purged of unknown partitions when they are opened.
                root.change(&current, changed, &streaming).await?;
                data.drop_partition(current.id, id).await
            })
            .await
    }

    /// Takes a collection, its indexes, load and manifest out of the catalogue, all at once.
    async fn remove(&self, collection: &Collection) -> std::result::Result<(), CommitError> {
        let (db, id) = (collection.db_id, collection.id);
        self.catalogue.transaction().remove_collection(db, id).commit().await
    }

    async fn replace(&self, current: &Collection, changed: &Collection) -> Result<()> {
        let id = (current.db_id, current.id);
        let stored = self.catalogue.get::<CollectionEntry>(&id).await;
        let stored = stored.map_err(|error| Failure::from(&error))?;
        let stored =
            stored.ok_or_else(|| Failure::collection_not_found(&current.db_name, &current.name))?;
        let replaced = self.catalogue.replace(&stored, &entry_of(changed)).await;
        replaced.map_err(|error| Failure::from(&error))
    }

    async fn change(
        &self,
        current: &Arc<Collection>,
        changed: Collection,
        streaming: &StreamingSlot,
    ) -> Result<()> {
        let changed = Arc::new(changed);
        self.replace(current, &changed).await?;
        self.state.write().put(changed.clone());
        streaming.get()?.collection_changed(changed).await
    }
}

fn entry_of(collection: &Collection) -> CollectionEntry {
    CollectionEntry { collection: collection.clone(), state: CollectionState::Created }
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
    schema
}
