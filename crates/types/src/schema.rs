//! Schemas: the fields of a collection and their parameters.
//!
//! Validation lives in `proxy`; a `CollectionSchema` here has already passed it, but decoding one
//! from disk promises nothing more than that the parts are there.

use crate::data_type::DataType;
use crate::ids::FieldId;
use crate::index_meta::{KeyValue, find};
use crate::primary_key::PkType;

/// The name of the hidden JSON field that keeps dynamic keys.
pub const DYNAMIC_FIELD: &str = "$meta";

/// The fields of a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionSchema {
    /// The collection's name when the schema was made.
    pub name: String,
    /// A user's words.
    pub description: String,
    /// Fields in order. The sub-fields of struct arrays are among them, called `struct[sub]`, of
    /// type `Array` or `ArrayOfVector`. Fields added later come behind the dynamic field.
    pub fields: Vec<FieldSchema>,
    /// The struct array fields themselves; they have no column.
    pub struct_fields: Vec<StructField>,
    /// Whether unknown keys go to the dynamic field.
    pub enable_dynamic_field: bool,
    /// Schema-level properties.
    pub properties: Vec<KeyValue>,
    /// Grows by one with each change of the schema.
    pub version: i32,
}

impl CollectionSchema {
    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field with identity `id`.
    pub fn field_by_id(&self, id: FieldId) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The primary key field. Every stored schema has one.
    pub fn primary_key(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.is_primary_key)
    }

    /// The type of the primary key, `Int64` if the schema lacks one.
    pub fn pk_type(&self) -> PkType {
        match self.primary_key().map(|field| field.data_type) {
            Some(DataType::VarChar) => PkType::VarChar,
            _ => PkType::Int64,
        }
    }

    /// The hidden field of dynamic keys.
    pub fn dynamic_field(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.is_dynamic)
    }

    /// The vector fields in order, those within struct arrays included.
    pub fn vector_fields(&self) -> impl Iterator<Item = &FieldSchema> {
        self.fields.iter().filter(|field| field.data_type.is_vector())
    }

    /// The field that routes rows to partitions.
    pub fn partition_key(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.is_partition_key)
    }

    /// The struct array field called `name`.
    pub fn struct_field(&self, name: &str) -> Option<&StructField> {
        self.struct_fields.iter().find(|field| field.name == name)
    }

    /// The sub-fields of struct array `name`, in order.
    pub fn sub_fields<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s FieldSchema> {
        let within =
            move |field: &&FieldSchema| field.struct_name().is_some_and(|(owner, _)| owner == name);
        self.fields.iter().filter(within)
    }
}

/// A struct array field: its sub-fields' columns have equally many elements in each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StructField {
    /// Its identity within the collection, never reused.
    pub id: FieldId,
    /// Its name.
    pub name: String,
    /// A user's words.
    pub description: String,
    /// Whether a row may be without it; its sub-fields are nullable then.
    pub nullable: bool,
    /// `mmap.enabled`, `warmup`, ... as given.
    pub type_params: Vec<KeyValue>,
}

/// The column name of sub-field `sub` of struct array `owner`.
pub fn sub_field_name(owner: &str, sub: &str) -> String {
    format!("{owner}[{sub}]")
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSchema {
    /// Its identity within the collection, never reused.
    pub id: FieldId,
    /// Its name.
    pub name: String,
    /// A user's words.
    pub description: String,
    /// The type of its values.
    pub data_type: DataType,
    /// The type of an array's elements.
    pub element_type: Option<DataType>,
    /// Whether it is the primary key.
    pub is_primary_key: bool,
    /// Whether the server makes the keys.
    pub auto_id: bool,
    /// Whether it is the hidden field of dynamic keys.
    pub is_dynamic: bool,
    /// Whether rows are routed to partitions by it.
    pub is_partition_key: bool,
    /// Whether compaction clusters by it.
    pub is_clustering_key: bool,
    /// Whether values may be null.
    pub nullable: bool,
    /// The value of rows that give none.
    pub default_value: Option<Value>,
    /// `dim`, `max_length`, `max_capacity`, `mmap.enabled`, ... as given.
    pub type_params: Vec<KeyValue>,
}

impl Default for FieldSchema {
    fn default() -> Self {
        Self {
            id: FieldId(0),
            name: String::new(),
            description: String::new(),
            data_type: DataType::Int64,
            element_type: None,
            is_primary_key: false,
            auto_id: false,
            is_dynamic: false,
            is_partition_key: false,
            is_clustering_key: false,
            nullable: false,
            default_value: None,
            type_params: Vec::new(),
        }
    }
}

impl FieldSchema {
    /// The value of type parameter `key`.
    pub fn type_param(&self, key: &str) -> Option<&str> {
        find(&self.type_params, key)
    }

    /// The dimension of a vector field, if it has a sound one.
    pub fn dim(&self) -> Option<usize> {
        self.type_param("dim")?.parse().ok()
    }

    /// The most bytes a string may have.
    pub fn max_length(&self) -> Option<usize> {
        self.type_param("max_length")?.parse().ok()
    }

    /// The struct array and the sub-field's own name, if this is a sub-field `struct[sub]`.
    pub fn struct_name(&self) -> Option<(&str, &str)> {
        if !matches!(self.data_type, DataType::Array | DataType::ArrayOfVector) {
            return None;
        }
        self.name.strip_suffix(']')?.split_once('[')
    }

    /// The most elements an array may have.
    pub fn max_capacity(&self) -> Option<usize> {
        self.type_param("max_capacity")?.parse().ok()
    }
}

/// A scalar value: a field's default, a literal of a filter, a template's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// true or false
    Bool(bool),
    /// An integer of up to 32 bits: how the wire gives defaults of `Int8`, `Int16` and `Int32`.
    Int32(i32),
    /// Any signed integer.
    Int64(i64),
    /// A single: how the wire gives defaults of `Float`.
    Float(f32),
    /// Any floating number.
    Double(f64),
    /// A string.
    VarChar(String),
    /// JSON text or other raw bytes.
    Bytes(Vec<u8>),
    /// A list of values.
    Array(Vec<Value>),
}
