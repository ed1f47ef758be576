//! Indexes: create, alter, describe, drop.

mod alter;
mod create;
mod params;
mod vector;

use std::sync::Arc;

use milvus_scalar::{JSON_PATH, parse_json_pointer};
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
        let indexes = self.data().list_indexes(collection.id).await?;
        let meant: Vec<&Arc<IndexMeta>> = indexes
            .iter()
            .filter(|index| index_name.is_empty() || index.name == index_name)
            .filter(|index| field.is_empty() || index_name == index.name || is_on(index, field))
            .collect();
        let [first, others @ ..] = meant.as_slice() else { return Ok(()) };
        let has_vectors = meant.iter().any(|index| is_of_vectors(&collection, index));
        if has_vectors && self.is_in_use(&collection).await? {
            return Err(Failure::parameter_invalid(format!(
                "vector index cannot be dropped on loaded collection: {}",
                collection.id
            )));
        }
        if !others.is_empty() {
            return Err(Failure::with_fields(
                ErrorCode::IndexDuplicate,
                &[("indexName", &index_name)],
            ));
        }
        self.data().drop_index(collection.id, &first.field_name, &first.name).await
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
                let field_name = field_name(&collection, &index);
                described.push(DescribedIndex { index, field_name, progress });
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

fn is_on(index: &IndexMeta, field: &str) -> bool {
    index.field_name == field
}

fn is_of_vectors(collection: &Collection, index: &IndexMeta) -> bool {
    let field = collection.schema.field_by_id(index.field_id);
    field.is_some_and(|field| field.data_type.is_vector())
}

/// The field as users know it: a key of the dynamic field bears its own name.
fn field_name(collection: &Collection, index: &IndexMeta) -> String {
    let field = collection.schema.field_by_id(index.field_id);
    let key = || {
        let path = parse_json_pointer(index.param(JSON_PATH)?)?;
        path.first().map(|key| key.to_string())
    };
    let key = field.filter(|field| field.is_dynamic).and_then(|_| key());
    key.unwrap_or_else(|| index.field_name.clone())
}

#[cfg(test)]
mod tests;
