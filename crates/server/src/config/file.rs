//! `milvus.yaml`: nested maps, whose dotted paths are the keys.

use std::path::Path;

use serde_json::Value as Yaml;

use super::error::ConfigError;
use super::keys;
use super::values::{Origin, Values};

/// Reads the file at `path` into `values`.
pub(super) fn read(path: &Path, values: &mut Values) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let not_yaml = |reason: String| ConfigError::NotYaml { path: path.to_owned(), reason };
    let has_content = text.lines().any(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    });
    if !has_content {
        return Ok(());
    }
    let yaml: Yaml = serde_saphyr::from_str(&text).map_err(|error| not_yaml(error.to_string()))?;
    if !yaml.is_object() {
        return Err(not_yaml("expected keys and values at the top".to_owned()));
    }
    let mut pairs = Vec::new();
    flatten("", &yaml, &mut pairs);
    for (key, text) in pairs {
        let origin = Origin::File(path.to_owned());
        if keys::find(&key).is_some() {
            values.set(&key, text, origin)?;
        } else if let Some(meant) = keys::slip_of(&key) {
            let suggestion = Some(meant.to_owned());
            return Err(ConfigError::UnknownKey { key, origin, suggestion });
        } else if keys::is_of_milvus(&key) {
            values.set_unused(&key, origin);
        } else if let Some(group) = keys::group(&key) {
            let expected = format!("keys below it, such as {}", keys::example_of(group));
            return Err(ConfigError::WrongValue { key, origin, got: text, expected });
        } else {
            let suggestion = keys::suggestion(&key);
            return Err(ConfigError::UnknownKey { key, origin, suggestion });
        }
    }
    Ok(())
}

/// The leaves of `yaml` by dotted path; keys without a value are left out.
fn flatten(prefix: &str, yaml: &Yaml, pairs: &mut Vec<(String, String)>) {
    match yaml {
        Yaml::Object(entries) => {
            for (name, entry) in entries {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{name}"), entry, pairs);
            }
        }
        Yaml::Null => {}
        Yaml::String(text) => pairs.push((prefix.to_owned(), text.clone())),
        Yaml::Array(items) => {
            let texts: Vec<String> = items.iter().map(leaf).collect();
            pairs.push((prefix.to_owned(), texts.join(",")));
        }
        Yaml::Bool(_) | Yaml::Number(_) => pairs.push((prefix.to_owned(), yaml.to_string())),
    }
}

fn leaf(yaml: &Yaml) -> String {
    yaml.as_str().map_or_else(|| yaml.to_string(), str::to_owned)
}
