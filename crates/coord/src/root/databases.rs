//! Databases: creating, dropping and their properties.

use std::sync::Arc;

use milvus_meta::DatabaseEntry;
use milvus_roles::{Database, PropertyChange};
use milvus_types::{DatabaseId, ErrorCode, Failure, KeyValue, Result, Timestamp};

use super::RootCoordinator;
use crate::ids::Ids;

const DEFAULT: &str = "default";

/// The databases that have entries, and the default one, which needs none.
pub(super) fn all(entries: impl Iterator<Item = DatabaseEntry>) -> Vec<Database> {
    let mut databases: Vec<Database> = entries.map(from_entry).collect();
    if !databases.iter().any(|database| database.id == DatabaseId::DEFAULT) {
        databases.push(Database {
            id: DatabaseId::DEFAULT,
            name: DEFAULT.to_owned(),
            create_ts: Timestamp::ZERO,
            properties: Vec::new(),
        });
    }
    databases.sort_by_key(|database| database.id);
    databases
}

fn from_entry(entry: DatabaseEntry) -> Database {
    let DatabaseEntry { id, name, properties, create_ts } = entry;
    Database { id, name, create_ts, properties }
}

fn entry_of(database: &Database) -> DatabaseEntry {
    let Database { id, name, create_ts, properties } = database.clone();
    DatabaseEntry { id, name, properties, create_ts }
}

/// `properties` with `change` made; order of first mention is kept.
pub(crate) fn apply(properties: &[KeyValue], change: &PropertyChange) -> Vec<KeyValue> {
    let mut changed = properties.to_vec();
    for new in &change.set {
        match changed.iter_mut().find(|pair| pair.key == new.key) {
            Some(pair) => pair.value.clone_from(&new.value),
            None => changed.push(new.clone()),
        }
    }
    changed.retain(|pair| !change.delete.contains(&pair.key));
    changed
}

impl RootCoordinator {
    pub(crate) async fn create_database(
        self: &Arc<Self>,
        name: &str,
        properties: Vec<KeyValue>,
        create_ts: Timestamp,
        ids: Arc<Ids>,
    ) -> Result<()> {
        let (root, name) = (self.clone(), name.to_owned());
        self.decisions
            .run(async move {
                if root.check_database(&name).is_ok() {
                    return Err(Failure::parameter_invalid(format!(
                        "database already exist: {name}"
                    )));
                }
                // The default database does not count.
                let (count, limit) = (root.databases().len(), root.options.limits.databases);
                if count > limit {
                    return Err(Failure::with_fields(
                        ErrorCode::DatabaseNumLimitExceeded,
                        &[("limit", &limit)],
                    ));
                }
                let id = DatabaseId(ids.allocate(1).await?);
                let database = Database { id, name, create_ts, properties };
                let saved = root.catalogue.create(&entry_of(&database)).await;
                saved.map_err(|error| Failure::from(&error))?;
                tracing::info!(database = %database.name, id = %database.id, "database created");
                root.state.write().databases.push(database);
                Ok(())
            })
            .await
    }

    pub(crate) async fn drop_database(self: &Arc<Self>, name: &str) -> Result<()> {
        let (root, name) = (self.clone(), name.to_owned());
        self.decisions
            .run(async move {
                if name == DEFAULT {
                    return Err(Failure::parameter_invalid("can not drop default database"));
                }
                let Ok(id) = root.check_database(&name) else { return Ok(()) };
                if !root.list(&name)?.is_empty() {
                    return Err(Failure::parameter_invalid(format!(
                        "database:{name} not empty, must drop all collections before drop database"
                    )));
                }
                let removed = root.catalogue.remove::<DatabaseEntry>(&id).await;
                removed.map_err(|error| Failure::from(&error))?;
                root.state.write().databases.retain(|database| database.id != id);
                tracing::info!(database = %name, %id, "database dropped");
                Ok(())
            })
            .await
    }

    pub(crate) async fn alter_database(
        self: &Arc<Self>,
        name: &str,
        change: PropertyChange,
    ) -> Result<()> {
        let (root, name) = (self.clone(), name.to_owned());
        self.decisions
            .run(async move {
                let id = root.check_database(&name)?;
                let databases = root.databases();
                let Some(current) = databases.iter().find(|database| database.id == id) else {
                    return Err(Failure::database_not_found(&name));
                };
                let properties = apply(&current.properties, &change);
                let changed = Database { properties, ..current.clone() };
                let saved = root.catalogue.put(&entry_of(&changed)).await;
                saved.map_err(|error| Failure::from(&error))?;
                let mut state = root.state.write();
                if let Some(database) = state.databases.iter_mut().find(|found| found.id == id) {
                    *database = changed;
                }
                Ok(())
            })
            .await
    }
}
