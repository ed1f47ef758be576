//! Root coordination: databases, collections, partitions.
//!
//! A change is in the catalogue before anybody sees it, and in memory before the call returns.
//! One file for each kind of change.

mod aliases;
mod alter;
mod create;
mod databases;
mod partitions;

pub(crate) use databases::apply;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milvus_meta::{Catalogue, CatalogueTransaction, CollectionEntry, CollectionState, CommitError};
use milvus_roles::Database;
use milvus_types::{Collection, CollectionId, DatabaseId, ErrorCode, Failure, Result, Timestamp};
use parking_lot::RwLock;

use crate::data::DataCoordinator;
use crate::ids::Ids;
use crate::mix::{CoordOptions, StreamingSlot};
use crate::query::QueryCoordinator;
use crate::serial::Serial;

/// The rest of the coordinators, as far as changes of what exists concern them.
#[derive(Clone)]
pub(crate) struct Others {
    pub(crate) ids: Arc<Ids>,
    pub(crate) data: Arc<DataCoordinator>,
    pub(crate) query: Arc<QueryCoordinator>,
    pub(crate) streaming: Arc<StreamingSlot>,
}

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
    /// By database and alias.
    aliases: BTreeMap<(String, String), CollectionId>,
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
        let databases = catalogue.list_databases().await.map_err(|error| Failure::from(&error))?;
        let aliases = catalogue.list_aliases().await.map_err(|error| Failure::from(&error))?;
        let databases = databases::all(databases.into_iter().map(|stored| stored.entry));
        let mut state = State { databases, ..State::default() };
        for collection in collections {
            state.put(Arc::new(collection.entry.collection));
        }
        for alias in aliases.into_iter().map(|stored| stored.entry) {
            if let Some(collection) = state.collections.get(&alias.collection_id) {
                let key = (collection.db_name.clone(), alias.name);
                state.aliases.insert(key, alias.collection_id);
            }
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
        let found = self.find(db_name, name).or_else(|| self.alias(db_name, name));
        found.ok_or_else(|| Failure::collection_not_found(db_name, name))
    }

    /// The collection that alias `name` stands for.
    fn alias(&self, db_name: &str, name: &str) -> Option<Arc<Collection>> {
        let state = self.state.read();
        let id = state.aliases.get(&(db_name.to_owned(), name.to_owned()))?;
        state.collections.get(id).cloned()
    }

    /// The aliases of a collection, in order.
    fn aliases_of(&self, id: CollectionId) -> Vec<String> {
        let state = self.state.read();
        let own = state.aliases.iter().filter(|(_, collection)| **collection == id);
        own.map(|((_, name), _)| name.clone()).collect()
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
                if root.alias(&db_name, &name).is_some() {
                    return Err(Failure::parameter_invalid(format!(
                        "cannot drop the collection via alias = {name}"
                    )));
                }
                let Some(collection) = root.find(&db_name, &name) else { return Ok(()) };
                let aliases = root.aliases_of(collection.id);
                if !aliases.is_empty() {
                    return Err(Failure::parameter_invalid(format!(
                        "unable to drop the collection [{name}] because it has associated aliases \
                         [{}], please remove all aliases before dropping the collection",
                        aliases.join(" ")
                    )));
                }
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
                if root.alias(&db_name, &name).is_some() {
                    return Err(Failure::parameter_invalid(format!(
                        "unsupported use an alias to rename collection, alias:{name}"
                    )));
                }
                if root.alias(&new_db_name, &new_name).is_some() {
                    return Err(Failure::with_fields(
                        ErrorCode::AliasCollectionNameConflict,
                        &[("database", &new_db_name), ("alias", &new_name)],
                    ));
                }
                let current = root.by_name(&db_name, &name)?;
                if root.find(&new_db_name, &new_name).is_some() {
                    return Err(Failure::parameter_invalid(format!(
                        "duplicated new collection name {new_db_name}:{new_name} with other \
                         collection name or alias"
                    )));
                }
                if current.db_id != new_db_id && !root.aliases_of(current.id).is_empty() {
                    return Err(Failure::parameter_invalid(
                        "fail to rename db name, must drop all aliases of this collection before \
                         rename",
                    ));
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

    /// Takes a collection, its indexes, load and manifest out of the catalogue, all at once.
    async fn remove(&self, collection: &Collection) -> std::result::Result<(), CommitError> {
        let (db, id) = (collection.db_id, collection.id);
        self.catalogue.transaction().remove_collection(db, id).commit().await
    }

    async fn replace(&self, current: &Collection, changed: &Collection) -> Result<()> {
        self.replace_with(current, changed, |transaction| transaction).await
    }

    /// Writes `changed` over `current`, and what `also` adds to the same transaction.
    async fn replace_with(
        &self,
        current: &Collection,
        changed: &Collection,
        also: impl FnOnce(CatalogueTransaction) -> CatalogueTransaction,
    ) -> Result<()> {
        let id = (current.db_id, current.id);
        let stored = self.catalogue.get::<CollectionEntry>(&id).await;
        let stored = stored.map_err(|error| Failure::from(&error))?;
        let stored =
            stored.ok_or_else(|| Failure::collection_not_found(&current.db_name, &current.name))?;
        let transaction = self.catalogue.transaction().replace(&stored, &entry_of(changed));
        let replaced = also(transaction).commit().await;
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
