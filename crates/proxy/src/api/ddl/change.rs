//! Requests that change what exists: properties, fields, databases.

use milvus_types::{FieldSchema, KeyValue};

use super::StructArray;

/// Properties to set, or keys to take away; never both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterRequest {
    /// Set to these values.
    pub set: Vec<KeyValue>,
    /// Taken away.
    pub delete: Vec<String>,
}

/// `AddCollectionField`, and `AlterCollectionSchema` that adds a field.
#[derive(Clone, Debug, Default)]
pub struct AddFieldRequest {
    /// The collection.
    pub collection_name: String,
    /// The field; `None` if its type is not known.
    pub field: Option<FieldSchema>,
    /// What of it is not served, by kind and name.
    pub unsupported: Vec<String>,
}

/// `AddCollectionStructField`.
#[derive(Clone, Debug, Default)]
pub struct AddStructFieldRequest {
    /// The collection.
    pub collection_name: String,
    /// The struct array.
    pub one: StructArray,
    /// What of it is not served, by kind and name.
    pub unsupported: Vec<String>,
}

/// Which field to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// The one with this name; a struct array goes with all its sub-fields.
    Name(String),
    /// The one with this identity.
    Id(i64),
}
