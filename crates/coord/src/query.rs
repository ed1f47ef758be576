//! Query coordination: what is loaded.
//!
//! A load is in the catalogue as soon as it is asked for, so a restart in the middle of it goes on
//! with it. It is `Loading` until every shard answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{clock, task};
use milvus_meta::{Catalogue, LoadEntry, LoadType};
use milvus_roles::{LoadRequest, LoadScope, LoadState, LoadStatus};
use milvus_types::{CollectionId, ErrorCode, Failure, FieldId, PartitionId, Result};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::data::DataCoordinator;
use crate::mix::StreamingSlot;
use crate::root::RootCoordinator;
use crate::serial::Serial;

/// How long a question for the state of a load that goes on after a restart may take.
const RESUME_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct QueryCoordinator {
    catalogue: Catalogue,
    root: Arc<RootCoordinator>,
    data: Arc<DataCoordinator>,
    streaming: Arc<StreamingSlot>,
    loads: RwLock<HashMap<CollectionId, Load>>,
    decisions: Serial,
    /// A load ended, well or not.
    finished: Notify,
}

/// What was asked for.
#[derive(Clone, PartialEq)]
struct Wanted {
    /// `None` for the whole collection, partitions to come included.
    partitions: Option<Vec<PartitionId>>,
    replica_number: i32,
    load_fields: Vec<FieldId>,
}

impl Wanted {
    fn of(entry: &LoadEntry) -> Self {
        let partitions = match entry.load_type {
            LoadType::Collection => None,
            LoadType::Partitions => Some(entry.partition_ids.clone()),
        };
        Self {
            partitions,
            replica_number: entry.replica_number,
            load_fields: entry.load_fields.clone(),
        }
    }

    fn renewed(mut self, renewed: &[(PartitionId, PartitionId)]) -> Self {
        for partition in self.partitions.iter_mut().flatten() {
            if let Some((_, new)) = renewed.iter().find(|(old, _)| old == partition) {
                *partition = *new;
            }
        }
        self
    }

    fn entry(&self, collection_id: CollectionId) -> LoadEntry {
        let load_type = match &self.partitions {
            None => LoadType::Collection,
            Some(_) => LoadType::Partitions,
        };
        LoadEntry {
            collection_id,
            load_type,
            partition_ids: self.partitions.clone().unwrap_or_default(),
            replica_number: self.replica_number,
            load_fields: self.load_fields.clone(),
        }
    }
}

#[derive(Clone)]
struct Load {
    wanted: Wanted,
    state: LoadState,
    /// Whether it was loaded before a restart: to users it is, from the first moment on.
    resumed: bool,
    /// Why the last attempt failed.
    failure: Option<Failure>,
    /// Counts changes, so that the end of an overtaken load is not taken for that of a newer one.
    change: u64,
}

impl QueryCoordinator {
    pub(crate) async fn open(
        catalogue: Catalogue,
        root: Arc<RootCoordinator>,
        data: Arc<DataCoordinator>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<Arc<Self>> {
        let entries = catalogue.list_loads().await.map_err(|error| Failure::from(&error))?;
        let loads = entries
            .iter()
            .map(|entry| {
                let wanted = Wanted::of(entry);
                let load = Load {
                    wanted,
                    state: LoadState::Loading,
                    resumed: true,
                    failure: None,
                    change: 0,
                };
                (entry.collection_id, load)
            })
            .collect();
        let decisions = Serial::new("query-coord");
        let loads = RwLock::new(loads);
        let finished = Notify::new();
        Ok(Arc::new(Self { catalogue, root, data, streaming, loads, decisions, finished }))
    }

    /// Every shard has begun to load what its scope says: follows until they have.
    pub(crate) fn resume(self: &Arc<Self>) {
        let loads: Vec<_> =
            self.loads.read().iter().map(|(id, load)| (*id, load.wanted.clone())).collect();
        for (id, wanted) in loads {
            self.carry_out(id, wanted, false, true);
        }
    }

    /// What answers reads of a collection.
    pub(crate) fn scope(&self, id: CollectionId) -> LoadScope {
        match self.loads.read().get(&id).map(|load| &load.wanted.partitions) {
            None => LoadScope::Nothing,
            Some(None) => LoadScope::Collection,
            Some(Some(partitions)) => LoadScope::Partitions(partitions.clone()),
        }
    }

    pub(crate) fn is_loaded(&self, id: CollectionId) -> bool {
        self.loads.read().contains_key(&id)
    }

    pub(crate) fn forget(&self, id: CollectionId) {
        self.loads.write().remove(&id);
    }

    pub(crate) async fn load(self: &Arc<Self>, request: LoadRequest) -> Result<()> {
        let query = self.clone();
        self.decisions.run(async move { query.decide_load(request).await }).await
    }

    async fn decide_load(self: Arc<Self>, request: LoadRequest) -> Result<()> {
        let id = request.collection_id;
        let collection = self.root.by_id(id)?;
        let indexed = self.data.indexes(id);
        let loaded_field =
            |name: &String| request.load_fields.is_empty() || request.load_fields.contains(name);
        let unindexed: Vec<&str> = collection
            .schema
            .vector_fields()
            .filter(|field| loaded_field(&field.name))
            .filter(|field| !indexed.iter().any(|index| index.field_id == field.id))
            .map(|field| field.name.as_str())
            .collect();
        if !unindexed.is_empty() {
            return Err(Failure::parameter_invalid(format!(
                "there is no vector index on field: [{}], please create index firstly",
                unindexed.join(" ")
            )));
        }
        let replica_number = request.replica_number.max(1);
        if replica_number > 1 {
            return Err(Failure::with_fields(
                ErrorCode::ResourceGroupNodeNotEnough,
                &[("replicas", &replica_number), ("query nodes", &1)],
            ));
        }
        let before = self.loads.read().get(&id).cloned();
        let partitions =
            match (before.as_ref().map(|load| &load.wanted.partitions), request.partitions) {
                (Some(None), _) | (_, None) => None,
                (Some(Some(old)), Some(new)) => {
                    let mut all = old.clone();
                    all.extend(new);
                    all.sort();
                    all.dedup();
                    Some(all)
                }
                (None, Some(new)) => Some(new),
            };
        let named = |name: &String| collection.schema.field(name).map(|field| field.id);
        let load_fields = request.load_fields.iter().filter_map(named).collect();
        let wanted = Wanted { partitions, replica_number, load_fields };
        let unchanged = before.as_ref().is_some_and(|load| {
            load.wanted.partitions == wanted.partitions && load.failure.is_none()
        });
        if unchanged && !request.refresh {
            return Ok(());
        }
        let saved = self.catalogue.put(&wanted.entry(id)).await;
        saved.map_err(|error| Failure::from(&error))?;
        let widening = before.is_some_and(|load| load.state == LoadState::Loaded);
        self.carry_out(id, wanted, widening, false);
        Ok(())
    }

    /// Takes `wanted` over and has the shards follow; `widening` loads stay searchable meanwhile.
    fn carry_out(
        self: &Arc<Self>,
        id: CollectionId,
        wanted: Wanted,
        widening: bool,
        resumed: bool,
    ) {
        let change = {
            let mut loads = self.loads.write();
            let change = loads.get(&id).map_or(1, |load| load.change + 1);
            let state = if widening { LoadState::Loaded } else { LoadState::Loading };
            loads.insert(id, Load { wanted, state, resumed, failure: None, change });
            change
        };
        let query = self.clone();
        task::spawn("load", async move {
            let result = query.follow(id).await;
            let mut loads = query.loads.write();
            let Some(load) = loads.get_mut(&id).filter(|load| load.change == change) else {
                return;
            };
            match result {
                Ok(()) => load.state = LoadState::Loaded,
                Err(failure) => {
                    tracing::error!(collection = %id, %failure, "load failed");
                    load.failure = Some(failure);
                }
            }
            drop(loads);
            query.finished.notify_waiters();
        });
    }

    /// The stored load of a collection once partitions have new identities (old, new); `None` where
    /// nothing changes.
    pub(crate) fn renewed(
        &self,
        id: CollectionId,
        renewed: &[(PartitionId, PartitionId)],
    ) -> Option<LoadEntry> {
        let wanted = self.loads.read().get(&id)?.wanted.clone();
        wanted.partitions.is_some().then(|| wanted.renewed(renewed).entry(id))
    }

    /// Takes over what [`Self::renewed`] said, once it is stored.
    pub(crate) fn renew(&self, id: CollectionId, renewed: &[(PartitionId, PartitionId)]) {
        if let Some(load) = self.loads.write().get_mut(&id) {
            load.wanted = load.wanted.clone().renewed(renewed);
        }
    }

    /// Fields were added: a collection of which only some fields are loaded has these, too.
    pub(crate) async fn fields_added(&self, id: CollectionId, added: Vec<FieldId>) -> Result<()> {
        let entry = {
            let mut loads = self.loads.write();
            let Some(load) = loads.get_mut(&id) else { return Ok(()) };
            if load.wanted.load_fields.is_empty() || added.is_empty() {
                return Ok(());
            }
            load.wanted.load_fields.extend(added);
            load.wanted.entry(id)
        };
        self.catalogue.put(&entry).await.map_err(|error| Failure::from(&error))
    }

    /// Has the shards follow what is decided, until nothing newer was decided meanwhile.
    pub(crate) async fn follow(&self, id: CollectionId) -> Result<()> {
        loop {
            let scope = self.scope(id);
            self.streaming.get()?.set_load(id, scope.clone()).await?;
            if self.scope(id) == scope {
                return Ok(());
            }
        }
    }

    pub(crate) async fn release(
        self: &Arc<Self>,
        id: CollectionId,
        partitions: Option<Vec<PartitionId>>,
    ) -> Result<()> {
        let query = self.clone();
        self.decisions
            .run(async move {
                let Some(load) = query.loads.read().get(&id).cloned() else {
                    return Ok(());
                };
                let left = match partitions {
                    None => Vec::new(),
                    Some(released) => {
                        let loaded = match load.wanted.partitions.clone() {
                            Some(partitions) => partitions,
                            None => {
                                let collection = query.root.by_id(id)?;
                                collection.partitions.iter().map(|partition| partition.id).collect()
                            }
                        };
                        loaded.into_iter().filter(|id| !released.contains(id)).collect()
                    }
                };
                let wanted = Wanted { partitions: Some(left), ..load.wanted.clone() };
                let nothing = wanted.partitions.as_ref().is_some_and(Vec::is_empty);
                let saved = if nothing {
                    query.catalogue.remove::<LoadEntry>(&id).await
                } else {
                    query.catalogue.put(&wanted.entry(id)).await
                };
                saved.map_err(|error| Failure::from(&error))?;
                {
                    let mut loads = query.loads.write();
                    if nothing {
                        loads.remove(&id);
                    } else {
                        let change = load.change + 1;
                        loads.insert(id, Load { wanted, change, ..load });
                    }
                }
                // Released when the call returns: nothing of it answers any more.
                query.follow(id).await?;
                // What is left of a load that was under way is there now, too.
                if let Some(load) = query.loads.write().get_mut(&id) {
                    load.state = LoadState::Loaded;
                    load.failure = None;
                }
                query.finished.notify_waiters();
                Ok(())
            })
            .await
    }

    /// The load of a collection. One that goes on after a restart is waited for, some seconds.
    async fn settled(&self, id: CollectionId) -> Option<Load> {
        let give_up = clock::sleep(RESUME_WAIT);
        tokio::pin!(give_up);
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            let load = self.loads.read().get(&id).cloned()?;
            if !load.resumed || load.state == LoadState::Loaded || load.failure.is_some() {
                return Some(load);
            }
            tokio::select! {
                () = &mut finished => {}
                () = &mut give_up => return Some(load),
            }
        }
    }

    pub(crate) async fn status(&self, id: CollectionId) -> Result<Option<LoadStatus>> {
        let Some(load) = self.settled(id).await else { return Ok(None) };
        if let Some(failure) = load.failure {
            return Err(failure);
        }
        let progress = match load.state {
            LoadState::Loaded => 100,
            LoadState::Loading | LoadState::NotLoad => {
                self.streaming.get()?.load_progress(id).await?.min(99)
            }
        };
        let collection = self.root.by_id(id)?;
        let fields = load.wanted.load_fields.iter();
        let load_fields = fields
            .filter_map(|field| collection.schema.field_by_id(*field))
            .map(|field| field.name.clone())
            .collect();
        Ok(Some(LoadStatus {
            state: load.state,
            progress,
            partitions: load.wanted.partitions,
            load_fields,
            replica_number: load.wanted.replica_number,
        }))
    }
}
