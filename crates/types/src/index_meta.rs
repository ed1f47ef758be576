//! Index definitions: what a user asked for on a field, not one segment's index files.

use crate::ids::{CollectionId, FieldId, IndexId};
use crate::timestamp::Timestamp;

/// One parameter as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyValue {
    /// The parameter's name.
    pub key: String,
    /// Its value; numbers and JSON arrive as text.
    pub value: String,
}

impl KeyValue {
    /// The pair `key`, `value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// The value of `key` among `pairs`.
pub fn find<'a>(pairs: &'a [KeyValue], key: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.key == key).map(|pair| pair.value.as_str())
}

/// The definition of an index on a field.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexMeta {
    /// Its identity.
    pub id: IndexId,
    /// The collection it belongs to.
    pub collection_id: CollectionId,
    /// The indexed field.
    pub field_id: FieldId,
    /// The indexed field's name.
    pub field_name: String,
    /// The name it is described and dropped by.
    pub name: String,
    /// What the client sent, as it is described back.
    pub user_params: Vec<KeyValue>,
    /// What is built: `index_type`, `metric_type` and build parameters, flattened and defaulted.
    pub index_params: Vec<KeyValue>,
    /// When it was created.
    pub create_ts: Timestamp,
}

impl IndexMeta {
    /// The value of build parameter `key`.
    pub fn param(&self, key: &str) -> Option<&str> {
        find(&self.index_params, key)
    }
}

/// The state of an index over all segments; numbers as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexState {
    /// Unknown.
    None = 0,
    /// Not started.
    Unissued = 1,
    /// Building.
    InProgress = 2,
    /// Built.
    Finished = 3,
    /// Could not be built.
    Failed = 4,
    /// To be tried again.
    Retry = 5,
}
