//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use super::values::Origin;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML.
    #[error("{} is not valid YAML: {reason}", path.display())]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Nobody knows the key.
    #[error("unknown key {key} in {origin}{}", did_you_mean(suggestion.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// What it was most likely meant to be.
        suggestion: Option<String>,
    },
    /// The key cannot have the value.
    #[error("wrong value for {key} in {origin}: got {got:?}, expected {expected}")]
    WrongValue {
        /// The key.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The value.
        got: String,
        /// What it may be.
        expected: String,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}
