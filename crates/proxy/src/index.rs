//! Indexes: create, describe, drop.

mod create;

use std::sync::Arc;

use milvus_types::{Collection, ErrorCode, Failure, IndexMeta, Result, Timestamp};

use crate::Proxy;
use crate::api::{Context, DescribedIndex};

impl Proxy {
    /// Forgets an index; an unknown one is a success. A vector field's index is held while the
    /// collection is loaded.
    pub async fn drop_index(
        &self,
        cx: &Context,
        collection: &str,
        field: &str,
        index_name: &str,
    ) -> Result<()> {
        let collection = self.collection(cx, collection).await?;
        self.check_not_in_use(&collection, field, index_name).await?;
        self.data().drop_index(collection.id, field, index_name).await
    }

    async fn check_not_in_use(
        &self,
        collection: &Collection,
        field: &str,
        index_name: &str,
    ) -> Result<()> {
        if self.query_coord().load_status(collection.id).await?.is_none() {
            return Ok(());
        }
        let meant = |index: &Arc<IndexMeta>| {
            (index_name.is_empty() || index.name == index_name)
                && (field.is_empty() || index.field_name == field)
        };
        let of_vector = |index: &Arc<IndexMeta>| {
            let field = collection.schema.field_by_id(index.field_id);
            field.is_some_and(|field| field.data_type.is_vector())
        };
        let indexes = self.data().list_indexes(collection.id).await?;
        if indexes.iter().any(|index| meant(index) && of_vector(index)) {
            return Err(Failure::parameter_invalid(format!(
                "vector index cannot be dropped on loaded collection: {}",
                collection.id
            )));
        }
        Ok(())
    }

    /// The indexes of a collection, or the one called `index_name`, and how far they are over the
    /// segments that began before `timestamp` (0 for all).
    ///
    /// Milvus ignores `field`, and so do we.
    pub async fn describe_index(
        &self,
        cx: &Context,
        collection: &str,
        _field: &str,
        index_name: &str,
        timestamp: u64,
    ) -> Result<Vec<DescribedIndex>> {
        let collection = self.named_collection(cx, collection).await?;
        let before = (timestamp > 0).then_some(Timestamp(timestamp));
        let mut described = Vec::new();
        for index in self.data().list_indexes(collection.id).await? {
            if index_name.is_empty() || index.name == index_name {
                let progress = self.data().index_progress(&index, before).await?;
                described.push(DescribedIndex { index, progress });
            }
        }
        if !described.is_empty() {
            return Ok(described);
        }
        Err(match index_name {
            "" => {
                let name = collection.name.as_str();
                Failure::with_fields(ErrorCode::IndexNotFound, &[("collection", &name)])
            }
            name => Failure::with_fields(ErrorCode::IndexNotFound, &[("indexName", &name)]),
        })
    }
}
