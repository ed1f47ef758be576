//! `AlterIndex`: how an index is kept in memory; what was built stays.

use milvus_roles::PropertyChange;
use milvus_types::index_meta::find;
use milvus_types::{ErrorCode, Failure, IndexMeta, KeyValue, Result};

use super::params::{INDEX_TYPE, MMAP, OFFSET_CACHE, check_mmap, check_offset_cache};
use crate::Proxy;
use crate::alter_collection::{both, loaded};
use crate::api::{AlterRequest, Context};
use crate::validate::warmup;

impl Proxy {
    /// Sets parameters of an index, or takes some away. The collection is not loaded.
    pub async fn alter_index(
        &self,
        cx: &Context,
        collection: &str,
        index_name: &str,
        request: AlterRequest,
    ) -> Result<()> {
        check_keys(&request)?;
        let collection = self.collection(cx, collection).await?;
        if index_name.is_empty() {
            return Err(Failure::parameter_invalid("index name is empty"));
        }
        if self.is_in_use(&collection).await? {
            return Err(loaded(
                &collection,
                "can't alter index on loaded collection, please release the collection first",
            ));
        }
        let indexes = self.data().list_indexes(collection.id).await?;
        let Some(index) = indexes.iter().find(|index| index.name == index_name) else {
            return Err(Failure::with_fields(
                ErrorCode::IndexNotFound,
                &[("indexName", &index_name)],
            ));
        };
        check_values(index, &request.set)?;
        let change = PropertyChange { set: request.set, delete: request.delete };
        self.data().alter_index(collection.id, index_name, change).await
    }
}

fn check_keys(request: &AlterRequest) -> Result<()> {
    if !request.set.is_empty() && !request.delete.is_empty() {
        return Err(both());
    }
    let keys = request.set.iter().map(|pair| &pair.key).chain(&request.delete);
    for key in keys {
        if ![MMAP, OFFSET_CACHE, warmup::WARMUP].contains(&key.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "{key} is not a configable index property"
            )));
        }
    }
    warmup::of_index(&request.set)
}

/// The type an index was created as decides; what AUTOINDEX became is not asked.
fn check_values(index: &IndexMeta, set: &[KeyValue]) -> Result<()> {
    let index_type = index.param(INDEX_TYPE).or_else(|| find(&index.user_params, INDEX_TYPE));
    let index_type = index_type.unwrap_or_default();
    check_mmap(index_type, set)?;
    check_offset_cache(index_type, set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_is_not_altered() {
        let set = |key: &str, value: &str| AlterRequest {
            set: vec![KeyValue::new(key, value)],
            delete: Vec::new(),
        };
        assert_eq!(check_keys(&set("mmap.enabled", "true")), Ok(()));
        assert_eq!(
            check_keys(&set("M", "8")).unwrap_err().reason,
            "M is not a configable index property: invalid parameter"
        );
        assert!(check_keys(&set("warmup", "soon")).unwrap_err().reason.contains("invalid warmup"));
        let neither =
            AlterRequest { delete: vec!["mmap.enabled".to_owned()], ..set("mmap.enabled", "true") };
        assert_eq!(
            check_keys(&neither).unwrap_err().reason,
            "cannot provide both DeleteKeys and ExtraParams: invalid parameter"
        );
    }
}
