//! The environment: `PROXY_PORT`, `MILVUS_CONF_PROXY_PORT` and the like.
//!
//! As in Milvus, a variable sets the key whose name is the same when case, `_`, `.` and `/` are
//! ignored and a leading `MILVUS_CONF_` (or `milvus.`) is left out. A variable with the prefix was
//! meant for us, so an unknown one is an error; any other is somebody else's.

use super::error::ConfigError;
use super::keys::{self, GROUPS, KEYS, Key};
use super::values::{Origin, Values};

const PREFIX: &str = "milvus_conf_";

/// Short names that images and charts of Milvus use.
const SHORT: &[(&str, &str)] = &[
    ("minioaccesskey", "minio.accessKeyID"),
    ("miniosecretkey", "minio.secretAccessKey"),
    ("miniobucket", "minio.bucketName"),
];

/// The key that a variable sets.
fn key_of(squeezed: &str) -> Option<&'static Key> {
    let short = SHORT.iter().find(|(name, _)| *name == squeezed);
    short
        .and_then(|(_, key)| keys::find(key))
        .or_else(|| KEYS.iter().find(|key| squeeze(key.name) == squeezed))
}

/// Reads the variables into `values`.
pub(super) fn read(variables: &[(String, String)], values: &mut Values) -> Result<(), ConfigError> {
    // A variable with the prefix wins over one without, wherever they stand.
    let (mut ours, mut rest): (Vec<_>, Vec<_>) =
        variables.iter().partition(|(name, _)| name.to_lowercase().starts_with(PREFIX));
    rest.sort();
    ours.sort();
    for (name, text) in rest.into_iter().chain(ours) {
        let lower = name.to_lowercase();
        let is_ours = lower.starts_with(PREFIX);
        let bare = lower.strip_prefix(PREFIX).or_else(|| lower.strip_prefix("milvus."));
        let squeezed = squeeze(bare.unwrap_or(&lower));
        let origin = Origin::Environment(name.clone());
        if let Some(key) = key_of(&squeezed) {
            values.set(key.name, text.clone(), origin)?;
        } else if is_ours {
            let is_of_milvus = GROUPS.iter().any(|group| squeezed.starts_with(&squeeze(group)));
            if !is_of_milvus {
                let suggestion = keys::suggestion(&bare.unwrap_or_default().replace('_', "."));
                return Err(ConfigError::UnknownKey { key: name.clone(), origin, suggestion });
            }
            values.set_unused(name, origin);
        }
    }
    Ok(())
}

fn squeeze(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '_' | '.' | '/'))
        .flat_map(char::to_lowercase)
        .collect()
}
