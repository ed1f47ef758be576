//! Collections as a whole: drop, has, describe, list, rename, truncate, count, segments.

use std::collections::HashSet;

use milvus_roles::SegmentStatus;
use milvus_types::{CollectionId, ErrorCode, Failure, Result, SegmentId};

use crate::Proxy;
use crate::api::{Context, DescribedCollection, ListedCollection};
use crate::validate::names;

impl Proxy {
    /// Drops a collection; an unknown one is a success.
    pub async fn drop_collection(&self, cx: &Context, name: &str) -> Result<()> {
        match self.root().drop_collection(&cx.db_name, name).await {
            Err(failure) if is_missing(&failure) => Ok(()),
            result => result,
        }
    }

    /// Whether there is a collection called `name`.
    pub async fn has_collection(&self, cx: &Context, name: &str) -> Result<bool> {
        match self.named_collection(cx, name).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.code == ErrorCode::CollectionNotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// A collection's metadata, by name or, where `name` is empty, by `id`.
    pub async fn describe_collection(
        &self,
        cx: &Context,
        name: &str,
        id: Option<CollectionId>,
    ) -> Result<DescribedCollection> {
        let found = match id {
            Some(id) if name.is_empty() => self.root().describe_collection_by_id(id).await,
            _ => self.named_collection(cx, name).await,
        };
        let collection = found.map_err(|failure| {
            if failure.code != ErrorCode::CollectionNotFound {
                return failure;
            }
            // Clients look for exactly this text.
            Failure::new(
                ErrorCode::CollectionNotFound,
                format!("can't find collection[database={}][collection={name}]", cx.db_name),
            )
        })?;
        let aliases = self.root().list_aliases(&collection.db_name, Some(&collection.name)).await?;
        let aliases = aliases.into_iter().map(|alias| alias.name).collect();
        Ok(DescribedCollection { collection, aliases })
    }

    /// The collections of a database.
    pub async fn show_collections(&self, cx: &Context) -> Result<Vec<ListedCollection>> {
        let collections = self.root().list_collections(&cx.db_name).await?;
        let mut listed = Vec::with_capacity(collections.len());
        for collection in collections {
            let status = self.query_coord().load_status(collection.id).await?;
            let loaded_percent = status.map_or(0, |status| status.progress);
            listed.push(ListedCollection { collection, loaded_percent });
        }
        Ok(listed)
    }

    /// Gives a collection another name, in another database where `new_db` names one.
    pub async fn rename_collection(
        &self,
        cx: &Context,
        old: &str,
        new_db: &str,
        new: &str,
    ) -> Result<()> {
        names::collection(new, self.options().limits.name_length)?;
        let new_db = if new_db.is_empty() { &cx.db_name } else { new_db };
        self.root().rename_collection(&cx.db_name, old, new_db, new).await
    }

    /// Removes every row of a collection; its schema, indexes and load state stay.
    pub async fn truncate_collection(&self, cx: &Context, name: &str) -> Result<()> {
        let collection = self.named_collection(cx, name).await?;
        self.root().truncate_collection(&cx.db_name, &collection.name).await
    }

    /// How many rows a collection has, deleted ones included until compaction.
    pub async fn collection_statistics(&self, cx: &Context, name: &str) -> Result<u64> {
        let collection = self.named_collection(cx, name).await?;
        let segments = self.data().list_segments(collection.id).await?;
        Ok(segments.iter().map(|segment| segment.rows).sum())
    }

    /// The segments of a collection, growing ones included.
    pub async fn list_segments(
        &self,
        cx: &Context,
        name: &str,
    ) -> Result<(CollectionId, Vec<SegmentStatus>)> {
        let collection = self.named_collection(cx, name).await?;
        let segments = self.data().list_segments(collection.id).await?;
        Ok((collection.id, segments))
    }

    /// Those flushed segments of a collection whose rows are in order of keys.
    pub async fn sorted_segments(&self, id: CollectionId) -> Result<HashSet<SegmentId>> {
        self.data().sorted_segments(id).await
    }
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure.code, ErrorCode::CollectionNotFound | ErrorCode::DatabaseNotFound)
}
