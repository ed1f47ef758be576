//! Rows of the dynamic field: cut to the keys a client asked for, or overlaid with new ones. Values
//! stay byte for byte.

use std::fmt::{self, Write as _};

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The object `text` with only `keys`; a text that is no object gives an empty one.
pub(crate) fn cut(text: &str, keys: &[String]) -> String {
    let mut entries = entries(text).unwrap_or_default();
    entries.retain(|(key, _)| keys.contains(key));
    object(entries)
}

/// The object `old` with the keys of the object `new` over its own.
pub(crate) fn overlay(old: &str, new: &str) -> String {
    // What is no object is refused by the checks of the new row.
    let (Ok(mut merged), Ok(new)) = (entries(old), entries(new)) else {
        return new.to_owned();
    };
    for (key, value) in new {
        match merged.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => merged.push((key, value)),
        }
    }
    // A merged object has its keys in order, as Milvus writes it.
    merged.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    object(merged)
}

type Entry<'t> = (String, &'t RawValue);

fn entries(text: &str) -> Result<Vec<Entry<'_>>, serde_json::Error> {
    serde_json::Deserializer::from_str(text).deserialize_map(Entries)
}

fn object(entries: Vec<Entry<'_>>) -> String {
    let mut text = String::from("{");
    for (key, value) in entries {
        let comma = if text.len() > 1 { "," } else { "" };
        let key = serde_json::Value::String(key);
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{key}:{value}");
    }
    text.push('}');
    text
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Entry<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_asked_for_stay_and_stay_as_they_are() {
        let keys = ["a".to_owned(), "q\"".to_owned()];
        let text = r#"{"b": 1, "a": {"x": [1.50, null]}, "q\"": 12345678901234567890}"#;
        assert_eq!(cut(text, &keys), r#"{"a":{"x": [1.50, null]},"q\"":12345678901234567890}"#);
        assert_eq!(cut("{}", &keys), "{}");
        assert_eq!(cut("[1]", &keys), "{}");
    }

    #[test]
    fn new_keys_lie_over_old_ones() {
        assert_eq!(
            overlay(r#"{"a": 1, "b": [2]}"#, r#"{"b":3,"c":1.0}"#),
            r#"{"a":1,"b":3,"c":1.0}"#
        );
        assert_eq!(overlay("{}", "{}"), "{}");
        assert_eq!(overlay("{}", "[1]"), "[1]");
    }
}
