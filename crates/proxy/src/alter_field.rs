//! `AlterCollectionField`: parameters and description of one field.

use milvus_roles::{CollectionChange, PropertyChange};
use milvus_types::limits::Limits;
use milvus_types::{CollectionSchema, DataType, Failure, KeyValue, Result};

use crate::Proxy;
use crate::alter_collection::loaded;
use crate::api::{AlterRequest, Context};
use crate::validate::warmup;

const MMAP: &str = "mmap.enabled";
/// What clients may call [`MMAP`].
const MMAP_ALIAS: &str = "mmap_enabled";
const MAX_LENGTH: &str = "max_length";
const MAX_CAPACITY: &str = "max_capacity";
const DESCRIPTION: &str = "field.description";

impl Proxy {
    /// Sets parameters of a field, or takes some away.
    pub async fn alter_collection_field(
        &self,
        cx: &Context,
        collection: &str,
        field: &str,
        request: AlterRequest,
    ) -> Result<()> {
        let described = self.collection(cx, collection).await?;
        let change = renamed(request);
        let is_loaded = self.is_in_use(&described).await?;
        for pair in &change.set {
            if !may_be_set(&pair.key) {
                return Err(Failure::parameter_invalid(format!(
                    "{} does not allow update in collection field param",
                    pair.key
                )));
            }
            if is_loaded && pair.key == MMAP {
                let what = "can not alter collection field properties if collection loaded";
                return Err(loaded(&described, what));
            }
            if is_loaded && pair.key == warmup::WARMUP {
                return Err(loaded(&described, "can not alter warmup if collection loaded"));
            }
            check_value(&described.schema, field, pair, &self.options().limits)?;
        }
        for key in &change.delete {
            if key != MMAP && !warmup::is_key(key) {
                return Err(Failure::parameter_invalid(format!(
                    "{key} is not allowed to drop in collection field param"
                )));
            }
            if is_loaded && (key == MMAP || key == warmup::WARMUP) {
                let what = "can not drop collection field properties if collection loaded";
                return Err(loaded(&described, what));
            }
        }
        let change = CollectionChange::Field { name: field.to_owned(), params: change };
        self.root().alter_collection(&cx.db_name, &described.name, change).await
    }
}

fn renamed(request: AlterRequest) -> PropertyChange {
    let rename = |key: &mut String| {
        if key == MMAP_ALIAS {
            MMAP.clone_into(key);
        }
    };
    let AlterRequest { mut set, mut delete } = request;
    set.iter_mut().for_each(|pair| rename(&mut pair.key));
    delete.iter_mut().for_each(rename);
    PropertyChange { set, delete }
}

fn may_be_set(key: &str) -> bool {
    matches!(key, MAX_LENGTH | MMAP | MAX_CAPACITY | DESCRIPTION) || warmup::is_key(key)
}

fn check_value(
    schema: &CollectionSchema,
    name: &str,
    pair: &KeyValue,
    limits: &Limits,
) -> Result<()> {
    let found = schema.field(name);
    let is_array = found.is_some_and(|field| field.data_type == DataType::Array);
    let holds_text = found.is_some_and(|field| {
        field.data_type.is_string()
            || (is_array && field.element_type.is_some_and(DataType::is_string))
    });
    let value = &pair.value;
    let refusal = match pair.key.as_str() {
        warmup::WARMUP => return warmup::policy(value),
        MAX_LENGTH if !holds_text => {
            " can not modify the maxlength for non-string types".to_owned()
        }
        MAX_LENGTH => match value.parse::<i64>() {
            Err(_) => format!("{MAX_LENGTH} should be an integer, but got string"),
            Ok(length) if length > limits.varchar_length => {
                format!("{value} exceeds the maximum allowed value {}", limits.varchar_length)
            }
            // Milvus takes these and then can insert nothing.
            Ok(length) if length <= 0 => format!(
                "the maximum length specified for the field({name}) should be in (0, {}], but got \
                 {length} instead",
                limits.varchar_length
            ),
            Ok(_) => return Ok(()),
        },
        MAX_CAPACITY if !is_array => {
            " can not modify the maxcapacity for non-array types".to_owned()
        }
        MAX_CAPACITY => match value.parse::<i64>() {
            Err(_) => format!("the value for {MAX_CAPACITY} of field {name} must be an integer"),
            Ok(capacity) if capacity > limits.array_capacity || capacity <= 0 => format!(
                "the maximum capacity specified for a Array should be in (0, {}]",
                limits.array_capacity
            ),
            Ok(_) => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(Failure::parameter_invalid(refusal))
}

#[cfg(test)]
mod tests {
    use milvus_types::FieldSchema;

    use super::*;

    #[test]
    fn sizes_are_those_of_their_type() {
        let schema = CollectionSchema {
            fields: vec![
                FieldSchema {
                    name: "t".into(),
                    data_type: DataType::VarChar,
                    ..Default::default()
                },
                FieldSchema {
                    name: "a".into(),
                    data_type: DataType::Array,
                    element_type: Some(DataType::Int8),
                    ..Default::default()
                },
            ],
            ..CollectionSchema::default()
        };
        let check = |field: &str, key: &str, value: &str| {
            let pair = KeyValue::new(key, value);
            let result = check_value(&schema, field, &pair, &Limits::default());
            result.err().map(|failure| failure.reason).unwrap_or_default()
        };
        for (field, key, value, reason) in [
            ("t", "max_length", "10", ""),
            ("t", "max_length", "65536", "65536 exceeds the maximum allowed value 65535"),
            ("a", "max_length", "10", " can not modify the maxlength for non-string types"),
            ("a", "max_capacity", "4096", ""),
            (
                "a",
                "max_capacity",
                "0",
                "the maximum capacity specified for a Array should be in (0, 4096]",
            ),
            ("a", "max_capacity", "x", "the value for max_capacity of field a must be an integer"),
            ("t", "max_capacity", "1", " can not modify the maxcapacity for non-array types"),
            ("t", "field.description", "words", ""),
        ] {
            let reason = match reason {
                "" => String::new(),
                reason => format!("{reason}: invalid parameter"),
            };
            assert_eq!(check(field, key, value), reason);
        }
    }
}
