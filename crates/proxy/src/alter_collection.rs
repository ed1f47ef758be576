//! `AlterCollection`: properties that are set or taken away, checked in Milvus's order.

use milvus_roles::{CollectionChange, PropertyChange};
use milvus_types::index_meta::find;
use milvus_types::{Collection, ErrorCode, Failure, KeyValue, Result};

use crate::Proxy;
use crate::api::{AlterRequest, Context};
use crate::validate::properties::{self, ISOLATION, QUERY_MODE, TTL_FIELD, TTL_SECONDS};
use crate::validate::{schema, warmup};
use crate::wire_text::{param, parse_bool};

const DESCRIPTION: &str = "collection.description";
const DYNAMIC_FIELD: &str = "dynamicfield.enabled";
const MMAP: &str = "mmap.enabled";
const ALLOW_INSERT_AUTO_ID: &str = "allow_insert_auto_id";

impl Proxy {
    /// Sets properties of a collection, or takes some away.
    pub async fn alter_collection(
        &self,
        cx: &Context,
        name: &str,
        request: AlterRequest,
    ) -> Result<()> {
        let AlterRequest { set, delete } = request;
        if !set.is_empty() && !delete.is_empty() {
            return Err(both());
        }
        properties::namespace_sharding_is_not_altered(&set, &delete)?;
        let collection = self.collection(cx, name).await?;
        self.check_in_use(&collection, &set, &delete).await?;
        self.check_values(&collection, &set)?;
        self.check_modes(&collection, &set, &delete).await?;
        coordinator_checks(&set, &delete)?;
        properties::supported(&set)?;
        let change = CollectionChange::Properties(PropertyChange { set, delete });
        self.root().alter_collection(&cx.db_name, &collection.name, change).await
    }

    /// How rows are kept in memory is not changed while they are.
    async fn check_in_use(
        &self,
        collection: &Collection,
        set: &[KeyValue],
        delete: &[String],
    ) -> Result<()> {
        let is_held = |key: &&str| *key == MMAP || warmup::is_key(key);
        let keys = || set.iter().map(|pair| pair.key.as_str());
        let refusal = if keys().any(|key| key == MMAP) {
            "can not alter mmap properties if collection loaded".to_owned()
        } else if keys().any(|key| is_held(&key)) {
            "can not alter warmup properties if collection loaded".to_owned()
        } else {
            match delete.iter().map(String::as_str).find(is_held) {
                None => return Ok(()),
                Some(MMAP) => "can not delete mmap properties if collection loaded".to_owned(),
                Some(key) => format!("can not delete {key} properties if collection loaded"),
            }
        };
        if self.is_in_use(collection).await? {
            return Err(loaded(collection, &refusal));
        }
        Ok(())
    }

    /// Whether anything of the collection is loaded or on its way.
    pub(crate) async fn is_in_use(&self, collection: &Collection) -> Result<bool> {
        Ok(self.query_coord().load_status(collection.id).await?.is_some())
    }

    fn check_values(&self, collection: &Collection, set: &[KeyValue]) -> Result<()> {
        if let Some(text) = find(set, DESCRIPTION)
            && text != collection.schema.description
        {
            schema::description(text, &self.options().limits)?;
        }
        let has_auto_id = collection.schema.primary_key().is_some_and(|key| key.auto_id);
        if !has_auto_id && find(set, ALLOW_INSERT_AUTO_ID).and_then(parse_bool) == Some(true) {
            return Err(Failure::parameter_invalid(format!(
                "the value for {ALLOW_INSERT_AUTO_ID} must be false when autoID is false"
            )));
        }
        if let Some(zone) = find(set, properties::TIME_ZONE) {
            properties::time_zone(zone)?;
        }
        properties::validate_ttl(set, &collection.schema)?;
        if param(set, TTL_SECONDS).is_some() && collection.property(TTL_FIELD).is_some() {
            return Err(Failure::parameter_invalid(
                "ttl field is already exists, cannot be set collection TTL",
            ));
        }
        if param(set, TTL_FIELD).is_some() && collection.property(TTL_SECONDS).is_some() {
            return Err(Failure::parameter_invalid(
                "collection TTL is already set, cannot be set ttl field",
            ));
        }
        warmup::of_collection(set)
    }

    /// Indexes are built for a collection whose keys are isolated, or for one whose keys are not; and
    /// for its `query_mode`.
    async fn check_modes(
        &self,
        collection: &Collection,
        set: &[KeyValue],
        delete: &[String],
    ) -> Result<()> {
        let has_key = collection.schema.partition_key().is_some();
        let before = properties::isolation(&collection.name, has_key, &collection.properties)?;
        let after = if find(set, ISOLATION).is_some() {
            properties::isolation(&collection.name, has_key, set)?
        } else {
            before && !delete.iter().any(|key| key == ISOLATION)
        };
        properties::query_mode(set)?;
        let mode = collection.property(QUERY_MODE).unwrap_or_default();
        let new_mode = match find(set, QUERY_MODE) {
            Some(new) => new,
            None if delete.iter().any(|key| key == QUERY_MODE) => "",
            None => mode,
        };
        let what = match (before == after, mode == new_mode) {
            (true, true) => return Ok(()),
            (false, _) => "partition key isolation mode",
            (true, false) => QUERY_MODE,
        };
        for index in self.data().list_indexes(collection.id).await? {
            let field = collection.schema.field_by_id(index.field_id);
            if let Some(field) = field.filter(|field| field.data_type.is_vector()) {
                let duplicate =
                    Failure::with_fields(ErrorCode::IndexDuplicate, &[("indexName", &field.name)]);
                return Err(duplicate.context(format!(
                    "can not alter {what} if the collection already has a vector index. Please \
                     drop the index first"
                )));
            }
        }
        Ok(())
    }
}

/// `cannot provide both DeleteKeys and ExtraParams` (1100).
pub(crate) fn both() -> Failure {
    Failure::parameter_invalid("cannot provide both DeleteKeys and ExtraParams")
}

/// `what: collection already loaded[collection=..]` (104).
pub(crate) fn loaded(collection: &Collection, what: &str) -> Failure {
    let name = &collection.name;
    Failure::with_fields(ErrorCode::CollectionLoaded, &[("collection", name)]).context(what)
}

/// What Milvus leaves to its coordinator.
fn coordinator_checks(set: &[KeyValue], delete: &[String]) -> Result<()> {
    if set.is_empty() && delete.is_empty() {
        return Err(Failure::parameter_invalid("no properties or delete keys provided"));
    }
    properties::no_cipher(set, delete)?;
    if delete.iter().any(|key| key == DYNAMIC_FIELD) {
        return Err(Failure::parameter_invalid(format!(
            "cannot delete key {DYNAMIC_FIELD}, dynamic field schema could support set to \
             true/false"
        )));
    }
    let Some(value) = find(set, DYNAMIC_FIELD) else { return Ok(()) };
    if parse_bool(value).is_none() {
        return Err(Failure::parameter_invalid(format!(
            "invalid dynamic schema property value: {value}"
        )));
    }
    if set.len() != 1 {
        return Err(Failure::parameter_invalid(
            "cannot alter dynamic schema with other properties at the same time",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dynamic_field_is_switched_alone() {
        let on = KeyValue::new(DYNAMIC_FIELD, "True");
        assert_eq!(coordinator_checks(std::slice::from_ref(&on), &[]), Ok(()));
        let mut cases = vec![(vec![], vec![], "no properties or delete keys provided")];
        cases.push((
            vec![on, KeyValue::new("k", "v")],
            vec![],
            "cannot alter dynamic schema with other properties at the same time",
        ));
        cases.push((
            vec![],
            vec![DYNAMIC_FIELD.to_owned()],
            "cannot delete key dynamicfield.enabled, dynamic field schema could support set to \
             true/false",
        ));
        cases.push((
            vec![KeyValue::new(DYNAMIC_FIELD, "maybe")],
            vec![],
            "invalid dynamic schema property value: maybe",
        ));
        cases.push((
            vec![KeyValue::new("cipher.key", "x")],
            vec![],
            "can not alter cipher related properties",
        ));
        for (set, delete, reason) in cases {
            let refused = coordinator_checks(&set, &delete).unwrap_err();
            assert_eq!(refused.reason, format!("{reason}: invalid parameter"));
        }
    }
}
