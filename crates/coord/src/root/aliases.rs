//! Aliases: other names of collections, unique among a database's collections and aliases.

use std::sync::Arc;

use milvus_meta::AliasEntry;
use milvus_roles::Alias;
use milvus_types::{Collection, ErrorCode, Failure, Result};

use super::RootCoordinator;

impl RootCoordinator {
    pub(crate) async fn create_alias(
        self: &Arc<Self>,
        db_name: &str,
        alias: &str,
        collection: &str,
    ) -> Result<()> {
        let (root, db_name) = (self.clone(), db_name.to_owned());
        let (alias, collection) = (alias.to_owned(), collection.to_owned());
        self.decisions
            .run(async move {
                let target = root
                    .alias_target(&db_name, &alias, &collection)?
                    .ok_or_else(|| Failure::collection_not_found(&db_name, &collection))?;
                match root.alias(&db_name, &alias) {
                    Some(owner) if owner.id == target.id => Ok(()),
                    Some(owner) => {
                        let taken = Failure::with_fields(
                            ErrorCode::AliasAlreadyExist,
                            &[("database", &db_name), ("alias", &alias)],
                        );
                        let owner = &owner.name;
                        Err(taken
                            .context(format!("{alias} is alias to another collection: {owner}")))
                    }
                    None => root.point(&alias, &target).await,
                }
            })
            .await
    }

    pub(crate) async fn alter_alias(
        self: &Arc<Self>,
        db_name: &str,
        alias: &str,
        collection: &str,
    ) -> Result<()> {
        let (root, db_name) = (self.clone(), db_name.to_owned());
        let (alias, collection) = (alias.to_owned(), collection.to_owned());
        self.decisions
            .run(async move {
                // Milvus names the collection alone here.
                let target =
                    root.alias_target(&db_name, &alias, &collection)?.ok_or_else(|| {
                        Failure::with_fields(
                            ErrorCode::CollectionNotFound,
                            &[("collection", &collection)],
                        )
                    })?;
                if root.alias(&db_name, &alias).is_none() {
                    return Err(Failure::with_fields(
                        ErrorCode::AliasNotFound,
                        &[("database", &db_name), ("alias", &alias)],
                    ));
                }
                root.point(&alias, &target).await
            })
            .await
    }

    /// The collection an alias shall stand for; the alias must not be the name of a collection.
    fn alias_target(
        &self,
        db_name: &str,
        alias: &str,
        name: &str,
    ) -> Result<Option<Arc<Collection>>> {
        self.check_database(db_name)?;
        if self.find(db_name, alias).is_some() {
            return Err(Failure::with_fields(
                ErrorCode::AliasCollectionNameConflict,
                &[("database", &db_name), ("alias", &alias)],
            ));
        }
        Ok(self.find(db_name, name))
    }

    async fn point(&self, alias: &str, target: &Collection) -> Result<()> {
        let entry =
            AliasEntry { db_id: target.db_id, name: alias.to_owned(), collection_id: target.id };
        let saved = self.catalogue.put(&entry).await;
        saved.map_err(|error| Failure::from(&error))?;
        let key = (target.db_name.clone(), alias.to_owned());
        self.state.write().aliases.insert(key, target.id);
        Ok(())
    }

    pub(crate) async fn drop_alias(self: &Arc<Self>, db_name: &str, alias: &str) -> Result<()> {
        let (root, db_name, alias) = (self.clone(), db_name.to_owned(), alias.to_owned());
        self.decisions
            .run(async move {
                let db_id = root.check_database(&db_name)?;
                let removed = root.catalogue.remove::<AliasEntry>(&(db_id, alias.clone())).await;
                removed.map_err(|error| Failure::from(&error))?;
                root.state.write().aliases.remove(&(db_name, alias));
                Ok(())
            })
            .await
    }

    pub(crate) fn list_aliases(
        &self,
        db_name: &str,
        collection: Option<&str>,
    ) -> Result<Vec<Alias>> {
        self.check_database(db_name)?;
        let of = collection.map(|name| self.by_name(db_name, name)).transpose()?;
        let state = self.state.read();
        let listed = state.aliases.iter().filter(|((db, _), id)| {
            db == db_name && of.as_ref().is_none_or(|collection| collection.id == **id)
        });
        Ok(listed
            .filter_map(|((db, name), id)| {
                let collection = state.collections.get(id)?.name.clone();
                Some(Alias { db_name: db.clone(), name: name.clone(), collection })
            })
            .collect())
    }
}
