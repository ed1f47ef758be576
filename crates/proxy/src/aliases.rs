//! Aliases: other names of collections.

use milvus_roles::Alias;
use milvus_types::{ErrorCode, Failure, Result};

use crate::Proxy;
use crate::api::Context;
use crate::validate::names;

impl Proxy {
    /// Gives a collection another name; again on the same collection is a success.
    pub async fn create_alias(&self, cx: &Context, alias: &str, collection: &str) -> Result<()> {
        let name = self.aliased(cx, alias, collection).await?;
        self.root().create_alias(&cx.db_name, alias, &name).await
    }

    /// Points an alias to another collection.
    pub async fn alter_alias(&self, cx: &Context, alias: &str, collection: &str) -> Result<()> {
        let name = self.aliased(cx, alias, collection).await?;
        self.root().alter_alias(&cx.db_name, alias, &name).await
    }

    /// Takes an alias away; an unknown one is a success.
    pub async fn drop_alias(&self, cx: &Context, alias: &str) -> Result<()> {
        self.root().drop_alias(&cx.db_name, alias).await
    }

    /// The alias called `alias`, or `alias not found` (1600).
    pub async fn describe_alias(&self, cx: &Context, alias: &str) -> Result<Alias> {
        names::alias(alias, self.options().limits.name_length)?;
        let aliases = self.root().list_aliases(&cx.db_name, None).await?;
        aliases.into_iter().find(|known| known.name == alias).ok_or_else(|| {
            Failure::with_fields(
                ErrorCode::AliasNotFound,
                &[("database", &cx.db_name), ("alias", &alias)],
            )
        })
    }

    /// The aliases of a database, or of one collection where `collection` is not empty.
    pub async fn list_aliases(&self, cx: &Context, collection: &str) -> Result<Vec<Alias>> {
        if collection.is_empty() {
            return self.root().list_aliases(&cx.db_name, None).await;
        }
        let collection = self.named_collection(cx, collection).await?;
        self.root().list_aliases(&cx.db_name, Some(&collection.name)).await
    }

    /// Both names checked; the collection's own name where `collection` is an alias itself.
    async fn aliased(&self, cx: &Context, alias: &str, collection: &str) -> Result<String> {
        let max_length = self.options().limits.name_length;
        names::alias(alias, max_length)?;
        names::collection(collection, max_length)?;
        match self.collection(cx, collection).await {
            Ok(found) => Ok(found.name.clone()),
            // The coordinator says what is missing, in its own order.
            Err(_) => Ok(collection.to_owned()),
        }
    }
}
