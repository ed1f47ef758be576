//! Warm-up policies: whether a field or index is read into memory as it is loaded. They are checked
//! and kept as Milvus does.

use milvus_types::index_meta::find;
use milvus_types::{Failure, KeyValue, Result};

/// The key of one field, struct array or index.
pub(crate) const WARMUP: &str = "warmup";

/// The keys of a collection, for each kind of thing.
const OF_COLLECTION: [&str; 4] =
    ["warmup.scalarField", "warmup.scalarIndex", "warmup.vectorField", "warmup.vectorIndex"];

/// Whether `key` is about warming up.
pub(crate) fn is_key(key: &str) -> bool {
    key == WARMUP || is_collection_key(key)
}

/// Whether `key` is about warming up all fields or indexes of a kind.
pub(crate) fn is_collection_key(key: &str) -> bool {
    OF_COLLECTION.contains(&key)
}

/// A policy that there is.
pub(crate) fn policy(value: &str) -> Result<()> {
    if matches!(value, "disable" | "sync" | "async") {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!(
        "invalid warmup policy: {value}, must be 'disable', 'sync' or 'async'"
    )))
}

/// The policy among the parameters of `kind` (`field`, `struct field`) called `name`.
pub(crate) fn of_field(params: &[KeyValue], kind: &str, name: &str) -> Result<()> {
    find(params, WARMUP).map_or(Ok(()), policy).map_err(|failure| {
        Failure::parameter_invalid(format!(
            "invalid warmup policy for {kind} {name}: {}",
            failure.reason
        ))
    })
}

/// The policies among a collection's properties.
pub(crate) fn of_collection(properties: &[KeyValue]) -> Result<()> {
    for property in properties {
        let key = &property.key;
        if key == WARMUP {
            return Err(Failure::parameter_invalid(format!(
                "warmup key '{key}' is only allowed at field level, use \
                 warmup.scalarField/warmup.scalarIndex/warmup.vectorField/warmup.vectorIndex at \
                 collection level"
            )));
        }
        if is_collection_key(key) {
            policy(&property.value).map_err(|failure| {
                Failure::parameter_invalid(format!(
                    "invalid warmup value for key {key}: {}",
                    failure.reason
                ))
            })?;
        }
    }
    Ok(())
}

/// The policy among an index's parameters.
pub(crate) fn of_index(params: &[KeyValue]) -> Result<()> {
    find(params, WARMUP).map_or(Ok(()), policy).map_err(|failure| {
        Failure::parameter_invalid(format!("invalid warmup params: {}", failure.reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_words() {
        assert_eq!(of_index(&[KeyValue::new("warmup", "async")]), Ok(()));
        assert_eq!(
            of_field(&[KeyValue::new("warmup", "?")], "field", "f").unwrap_err().reason,
            "invalid warmup policy for field f: invalid warmup policy: ?, must be 'disable', \
             'sync' or 'async': invalid parameter: invalid parameter"
        );
        assert_eq!(of_collection(&[KeyValue::new("warmup.vectorIndex", "sync")]), Ok(()));
        for wrong in ["warmup", "warmup.vectorIndex"] {
            assert!(of_collection(&[KeyValue::new(wrong, "?")]).is_err());
        }
    }
}
