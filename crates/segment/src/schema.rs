//! The schema by which a segment answers: the collection's current one.
//!
//! Rows keep the columns that they came with. A column is found by its field's identity, never by
//! name: a field that was dropped and added again under its name is another one. Where a chunk has
//! no column of a field, its rows have the field's default value, or null.

use arrow::datatypes::SchemaRef;

use milvus_types::columns::arrow_schema;
use milvus_types::{CollectionSchema, FieldId, FieldSchema, PkType};

use crate::error::SchemaError;

/// The fields of a segment's collection, as columns.
#[derive(Debug)]
pub struct SegmentSchema {
    arrow: SchemaRef,
    fields: Vec<FieldSchema>,
    primary_key: usize,
    pk_type: PkType,
}

impl SegmentSchema {
    /// The columns of `schema`.
    pub fn new(schema: &CollectionSchema) -> Result<Self, SchemaError> {
        let primary_key = schema.fields.iter().position(|field| field.is_primary_key);
        Ok(Self {
            arrow: arrow_schema(schema)?,
            fields: schema.fields.clone(),
            primary_key: primary_key.ok_or(SchemaError::NoPrimaryKey)?,
            pk_type: schema.pk_type(),
        })
    }

    /// The Arrow schema, fields in their order.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }

    /// The fields in their order.
    pub fn fields(&self) -> &[FieldSchema] {
        &self.fields
    }

    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field with identity `id`.
    pub fn field_by_id(&self, id: FieldId) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The primary key field.
    pub fn primary_key(&self) -> &FieldSchema {
        &self.fields[self.primary_key]
    }

    /// The type of keys.
    pub fn pk_type(&self) -> PkType {
        self.pk_type
    }
}
