//! Databases: create, drop, alter, list, describe.

use milvus_roles::{Database, PropertyChange};
use milvus_types::{Failure, KeyValue, Result};

use crate::Proxy;
use crate::api::AlterRequest;
use crate::validate::{names, properties};

impl Proxy {
    /// Creates a database.
    pub async fn create_database(&self, name: &str, set: Vec<KeyValue>) -> Result<()> {
        names::database(name, self.options().limits.name_length)?;
        properties::validate_of_database(&set)?;
        self.root().create_database(name, set).await
    }

    /// Drops an empty database; an unknown one is a success.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        names::database(name, self.options().limits.name_length)?;
        self.root().drop_database(name).await
    }

    /// Sets properties of a database, or takes some away.
    pub async fn alter_database(&self, name: &str, request: AlterRequest) -> Result<()> {
        let AlterRequest { set, delete } = request;
        properties::validate_of_database(&set)?;
        if set.is_empty() && delete.is_empty() {
            return Err(Failure::parameter_invalid(
                "alter database with empty properties and delete keys, expected to set either \
                 properties or delete keys",
            ));
        }
        if !set.is_empty() && !delete.is_empty() {
            return Err(Failure::parameter_invalid(
                "alter database cannot modify properties and delete keys at the same time",
            ));
        }
        properties::no_cipher(&set, &delete)?;
        self.root().alter_database(name, PropertyChange { set, delete }).await
    }

    /// `database not found` (800) unless `name` is one.
    pub async fn check_database(&self, name: &str) -> Result<()> {
        self.describe_database(name).await.map(drop)
    }

    /// Every database.
    pub async fn list_databases(&self) -> Result<Vec<Database>> {
        self.root().list_databases().await
    }

    /// The database called `name`.
    pub async fn describe_database(&self, name: &str) -> Result<Database> {
        let databases = self.root().list_databases().await?;
        let found = databases.into_iter().find(|database| database.name == name);
        found.ok_or_else(|| Failure::database_not_found(name))
    }
}
