//! Fields added to a collection and dropped from it.

use milvus_roles::CollectionChange;
use milvus_types::index_meta::find;
use milvus_types::schema::sub_field_name;
use milvus_types::{Collection, Failure, FieldId, FieldSchema, Result};

use crate::Proxy;
use crate::api::{AddFieldRequest, AddStructFieldRequest, Context, FieldName};
use crate::validate::properties::{self, TIME_ZONE};
use crate::validate::{change, default_value, schema};

impl Proxy {
    /// Adds a field; rows that are there have its default, or null.
    pub async fn add_field(&self, cx: &Context, request: AddFieldRequest) -> Result<()> {
        let collection = self.named_collection(cx, &request.collection_name).await?;
        let Some(mut field) = request.field else {
            return Err(unsupported(&request.unsupported));
        };
        change::add_field(&collection.schema, &field, &self.options().limits)?;
        if !request.unsupported.is_empty() {
            return Err(unsupported(&request.unsupported));
        }
        let zone = find(&collection.properties, TIME_ZONE).unwrap_or("UTC");
        default_value::normalize(&mut field, &properties::zone_of(zone)?).map_err(|failure| {
            failure.context(format!("invalid default value of field, name: {}", field.name))
        })?;
        let change = CollectionChange::AddField(field);
        self.root().alter_collection(&cx.db_name, &collection.name, change).await
    }

    /// Adds a struct array; rows that are there have none.
    pub async fn add_struct_field(
        &self,
        cx: &Context,
        request: AddStructFieldRequest,
    ) -> Result<()> {
        let collection = self.named_collection(cx, &request.collection_name).await?;
        change::add_struct(&collection.schema, &request.one, &self.options().limits)?;
        if !request.unsupported.is_empty() {
            return Err(unsupported(&request.unsupported));
        }
        let field = request.one.field;
        let column = |sub: FieldSchema| FieldSchema {
            name: sub_field_name(&field.name, &sub.name),
            nullable: true,
            ..sub
        };
        let sub_fields = request.one.sub_fields.into_iter().map(column).collect();
        let change = CollectionChange::AddStructField { field, sub_fields };
        self.root().alter_collection(&cx.db_name, &collection.name, change).await
    }

    /// Drops a field, or a struct array with its sub-fields, and its indexes.
    pub async fn drop_field(&self, cx: &Context, collection: &str, field: FieldName) -> Result<()> {
        let described = self.named_collection(cx, collection).await?;
        let name = match field {
            FieldName::Name(name) => name,
            FieldName::Id(id) => name_of(&described, FieldId(id))?,
        };
        change::drop_field(&described, &name)?;
        let change = CollectionChange::DropField(name);
        self.root().alter_collection(&cx.db_name, &described.name, change).await
    }
}

fn name_of(collection: &Collection, id: FieldId) -> Result<String> {
    let schema = &collection.schema;
    let of_struct = || schema.struct_fields.iter().find(|one| one.id == id).map(|one| &one.name);
    let name = schema.field_by_id(id).map(|field| &field.name).or_else(of_struct);
    name.cloned()
        .ok_or_else(|| Failure::parameter_invalid(format!("field not found with id: {id}")))
}

fn unsupported(parts: &[String]) -> Failure {
    schema::not_supported(parts.first().map_or("this field", String::as_str))
}
