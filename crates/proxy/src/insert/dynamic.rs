//! The dynamic field's column: one JSON object for each row, with keys that no field has.

use std::collections::HashSet;
use std::fmt;

use arrow::array::{Array as _, AsArray as _};
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{CollectionSchema, Failure, FieldSchema, Result};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::api::{InputColumn, InputValues};

/// Names the dynamic column and checks its rows. A column that was left out stays so; it is filled
/// with empty objects like any default.
///
/// With `over_old` keys may be those of fields: rows from before a field came have such keys.
pub(crate) fn check(
    schema: &CollectionSchema,
    columns: &mut [InputColumn],
    over_old: bool,
) -> Result<()> {
    if !schema.enable_dynamic_field {
        let named = columns.iter().any(|column| column.name == DYNAMIC_FIELD);
        if named {
            return Err(Failure::parameter_invalid(format!(
                "without dynamic schema enabled, the field name cannot be set to {DYNAMIC_FIELD}"
            )));
        }
        return Ok(());
    }
    let Some(column) = columns.iter_mut().find(|column| column.is_dynamic) else {
        return Ok(());
    };
    column.name = DYNAMIC_FIELD.to_owned();
    check_rows(schema, &column.values, over_old)
}

fn check_rows(schema: &CollectionSchema, values: &InputValues, over_old: bool) -> Result<()> {
    let InputValues::Scalars(values) = values else {
        return Ok(());
    };
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Ok(());
    };
    for row in 0..texts.len() {
        let text = texts.value(row);
        if text == "{}" {
            continue;
        }
        let keys = keys(text).map_err(|error| {
            Failure::parameter_invalid(format!(
                "invalid dynamic field data, only json map is supported: {error}"
            ))
        })?;
        if keys.contains(DYNAMIC_FIELD) {
            return Err(Failure::parameter_invalid(format!(
                "cannot set json key to: {DYNAMIC_FIELD}"
            )));
        }
        let is_static = |field: &&FieldSchema| keys.contains(&field.name);
        if !over_old && let Some(field) = schema.fields.iter().find(is_static) {
            return Err(Failure::parameter_invalid(format!(
                "dynamic field name cannot include the static field name: {}",
                field.name
            )));
        }
    }
    Ok(())
}

/// The keys of the JSON object `text`, all of which is checked to be JSON.
fn keys(text: &str) -> Result<HashSet<String>, serde_json::Error> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = HashSet<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = HashSet::new();
            while let Some((key, IgnoredAny)) = map.next_entry()? {
                keys.insert(key);
            }
            Ok(keys)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let keys = reader.deserialize_map(Keys)?;
    reader.end()?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use milvus_types::DataType;

    use super::*;

    fn reason(rows: Vec<&str>) -> String {
        let schema = CollectionSchema {
            enable_dynamic_field: true,
            fields: vec![FieldSchema { name: "id".to_owned(), ..FieldSchema::default() }],
            ..CollectionSchema::default()
        };
        let mut columns = vec![InputColumn {
            name: String::new(),
            is_dynamic: true,
            data_type: Some(DataType::JSON),
            values: InputValues::Scalars(Arc::new(StringArray::from(rows))),
            valid: Vec::new(),
        }];
        let result = check(&schema, &mut columns, false);
        assert_eq!(columns[0].name, "$meta");
        result.err().map(|failure| failure.reason).unwrap_or_default()
    }

    #[test]
    fn rows_are_objects_with_keys_of_their_own() {
        assert_eq!(reason(vec!["{}", r#"{"a": {"id": 1}}"#]), "");
        assert_eq!(
            reason(vec![r#"{"id": 1}"#]),
            "dynamic field name cannot include the static field name: id: invalid parameter"
        );
        assert_eq!(
            reason(vec![r#"{"$meta": 1}"#]),
            "cannot set json key to: $meta: invalid parameter"
        );
        for bad in ["[1]", "1", "{", r#"{"a": }"#, "{} {}"] {
            let reason = reason(vec![bad]);
            let start = "invalid dynamic field data, only json map is supported: ";
            assert!(reason.starts_with(start), "{bad}: {reason}");
        }
    }
}
