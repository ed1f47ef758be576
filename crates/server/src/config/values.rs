//! Values by key, each with where it came from, and typed reading of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::error::ConfigError;
use super::keys::{self, KEYS, Key, Kind};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag(name) => write!(f, "the flag {name}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    origin: Origin,
}

/// What was set, by lower-case key. Setting a key again replaces it.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    set: BTreeMap<String, Value>,
    unused: BTreeMap<String, Origin>,
}

impl Values {
    /// Sets a key of the table, even where another source will set it again: a value that cannot be
    /// right is wrong wherever it stands.
    pub(super) fn set(
        &mut self,
        key: &str,
        text: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let accepted = keys::find(key).is_none_or(|key| key.accepts(&text));
        self.set.insert(key.to_lowercase(), Value { text, origin });
        if accepted { Ok(()) } else { Err(self.wrong(key)) }
    }

    /// Notes a key of Milvus that has no effect here.
    pub(super) fn set_unused(&mut self, key: &str, origin: Origin) {
        self.unused.insert(key.to_owned(), origin);
    }

    /// Whether somebody set `key`.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(&key.to_lowercase())
    }

    /// One note for each source with keys that have no effect.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut by_origin: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (key, origin) in &self.unused {
            by_origin.entry(origin.to_string()).or_default().push(key);
        }
        let note = |(origin, keys): (String, Vec<&str>)| {
            let shown = keys.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            let more = if keys.len() > 10 { ", ..." } else { "" };
            format!("{} keys of {origin} are not used yet: {shown}{more}", keys.len())
        };
        by_origin.into_iter().map(note).collect()
    }

    /// The text of `key`, its default if nobody set it.
    pub(super) fn text(&self, key: &str) -> String {
        match self.set.get(&key.to_lowercase()) {
            Some(value) => value.text.trim().to_owned(),
            None => keys::find(key).map_or("", |key| key.default).to_owned(),
        }
    }

    /// `true` or `false`, in any of the forms that YAML and shells know.
    pub(super) fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        match self.text(key).to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.wrong(key)),
        }
    }

    /// A whole number within the key's range.
    pub(super) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Result<T, ConfigError> {
        let number: i64 = self.text(key).parse().map_err(|_| self.wrong(key))?;
        let is_within = match keys::find(key).map(|key| key.kind) {
            Some(Kind::Integer(from, to)) => (from..=to).contains(&number),
            _ => true,
        };
        T::try_from(number).ok().filter(|_| is_within).ok_or_else(|| self.wrong(key))
    }

    /// A number within the key's range.
    pub(super) fn number(&self, key: &str) -> Result<f64, ConfigError> {
        let number: f64 = self.text(key).parse().map_err(|_| self.wrong(key))?;
        let is_within = match keys::find(key).map(|key| key.kind) {
            Some(Kind::Number(from, to)) => (from..=to).contains(&number),
            _ => true,
        };
        if is_within { Ok(number) } else { Err(self.wrong(key)) }
    }

    /// Fails for a key whose value is none of its words.
    pub(super) fn check_choices(&self) -> Result<(), ConfigError> {
        for key in KEYS {
            if let Kind::OneOf(words, _) = key.kind {
                let text = self.text(key.name);
                if !words.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
                    return Err(self.wrong(key.name));
                }
            }
        }
        Ok(())
    }

    /// The error of a value that `key` cannot have.
    pub(super) fn wrong(&self, key: &str) -> ConfigError {
        let known = keys::find(key);
        let origin = self.set.get(&key.to_lowercase()).map(|value| value.origin.clone());
        ConfigError::WrongValue {
            key: known.map_or(key, |known| known.name).to_owned(),
            origin: origin.unwrap_or(Origin::Default),
            got: self.text(key),
            expected: known.map(Key::expected).unwrap_or_default(),
        }
    }
}
