//! Changes of a collection that keep its identity: properties, field parameters, fields.
//!
//! A change of the schema moves its version and the collection's `update_ts`, so that a client with
//! an older view is told. Field ids are never reused: the highest one ever given is kept among the
//! schema's properties once a field was dropped.

use std::sync::Arc;

use milvus_roles::{CollectionChange, PropertyChange};
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    Collection, CollectionSchema, ConsistencyLevel, DataType, Failure, FieldId, FieldSchema,
    KeyValue, Result, StructField, Timestamp, Value,
};

use super::databases::apply;
use super::{Others, RootCoordinator};

/// The schema property that keeps the highest field id ever given; clients do not see it.
const MAX_FIELD_ID: &str = "max_field_id";
const DESCRIPTION: &str = "collection.description";
const CONSISTENCY_LEVEL: &str = "consistency_level";
const DYNAMIC_FIELD_ENABLED: &str = "dynamicfield.enabled";
const FIELD_DESCRIPTION: &str = "field.description";
const TIME_ZONE: &str = "timezone";
const UTC: &str = "UTC";

impl RootCoordinator {
    pub(crate) async fn alter_collection(
        self: &Arc<Self>,
        db_name: &str,
        name: &str,
        change: CollectionChange,
        update_ts: Timestamp,
        others: Others,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), name.to_owned());
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                let mut changed = (*current).clone();
                alter(&mut changed, change)?;
                let schema_changed = changed.schema != current.schema;
                if !schema_changed && changed == *current {
                    return Ok(());
                }
                if schema_changed {
                    root.check_field_limit(&changed.schema)?;
                    changed.schema.version = current.schema.version + 1;
                    changed.update_ts = update_ts;
                }
                let gone = missing_fields(&current.schema, &changed.schema);
                let added = missing_fields(&changed.schema, &current.schema);
                root.change(&current, changed, &others.streaming).await?;
                others.data.properties_changed(current.id);
                if !gone.is_empty() {
                    others.data.drop_indexes_of_fields(current.id, gone).await?;
                }
                others.query.fields_added(current.id, added).await
            })
            .await
    }

    fn check_field_limit(&self, schema: &CollectionSchema) -> Result<()> {
        let limits = &self.options.limits;
        let user = schema.fields.iter().filter(|field| !field.is_dynamic).count();
        if user + schema.struct_fields.len() > limits.fields {
            return Err(Failure::parameter_invalid(format!(
                "maximum field's number should be limited to {}",
                limits.fields
            )));
        }
        if schema.vector_fields().count() > limits.vector_fields {
            return Err(Failure::parameter_invalid(format!(
                "maximum vector field's number should be limited to {}",
                limits.vector_fields
            )));
        }
        Ok(())
    }
}

/// The ids of the fields of `of` that `schema` has not.
fn missing_fields(of: &CollectionSchema, schema: &CollectionSchema) -> Vec<FieldId> {
    let ids = of.fields.iter().map(|field| field.id);
    ids.filter(|id| schema.field_by_id(*id).is_none()).collect()
}

fn alter(collection: &mut Collection, change: CollectionChange) -> Result<()> {
    match change {
        CollectionChange::Properties(change) => alter_properties(collection, &change),
        CollectionChange::Field { name, params } => alter_field(collection, &name, &params),
        CollectionChange::AddField(field) => {
            check_new_name(&collection.schema, &field.name)?;
            add_field(&mut collection.schema, field);
            Ok(())
        }
        CollectionChange::AddStructField { field, sub_fields } => {
            check_new_name(&collection.schema, &field.name)?;
            let id = next_id(&collection.schema);
            collection.schema.struct_fields.push(StructField { id, ..field });
            for sub in sub_fields {
                add_field(&mut collection.schema, sub);
            }
            Ok(())
        }
        CollectionChange::DropField(name) => drop_field(collection, &name),
    }
}

/// Sets and takes away properties. A collection always has a time zone, UTC where its own is taken
/// away; which field ids were given is nothing that a client may change.
fn alter_properties(collection: &mut Collection, change: &PropertyChange) -> Result<()> {
    let mut left = change.clone();
    left.set.retain(|pair| pair.key != MAX_FIELD_ID);
    left.delete.retain(|key| key != MAX_FIELD_ID);
    for pair in &change.set {
        match pair.key.as_str() {
            DESCRIPTION => collection.schema.description.clone_from(&pair.value),
            CONSISTENCY_LEVEL => {
                if let Some(level) = level_called(&pair.value) {
                    collection.consistency_level = level;
                }
            }
            DYNAMIC_FIELD_ENABLED => {
                set_dynamic(collection, pair.value.eq_ignore_ascii_case("true"))?;
            }
            _ => continue,
        }
        left.set.retain(|other| other.key != pair.key);
    }
    collection.properties = apply(&collection.properties, &left);
    if left.delete.iter().any(|key| key == TIME_ZONE) {
        collection.properties.push(KeyValue::new(TIME_ZONE, UTC));
    }
    Ok(())
}

/// A level by the wire's number or its name.
fn level_called(text: &str) -> Option<ConsistencyLevel> {
    if let Ok(number) = text.parse::<i32>() {
        return ConsistencyLevel::from_number(number);
    }
    (0..=4).filter_map(ConsistencyLevel::from_number).find(|level| format!("{level:?}") == text)
}

fn set_dynamic(collection: &mut Collection, enable: bool) -> Result<()> {
    let schema = &mut collection.schema;
    if schema.enable_dynamic_field == enable {
        return Ok(());
    }
    schema.enable_dynamic_field = enable;
    if enable {
        add_field(schema, dynamic_field());
        return Ok(());
    }
    keep_max_field_id(schema);
    schema.fields.retain(|field| !field.is_dynamic);
    Ok(())
}

/// The hidden field that keeps dynamic keys; rows from before have none.
fn dynamic_field() -> FieldSchema {
    FieldSchema {
        name: DYNAMIC_FIELD.to_owned(),
        description: "dynamic schema".to_owned(),
        data_type: DataType::JSON,
        is_dynamic: true,
        nullable: true,
        default_value: Some(Value::Bytes(b"{}".to_vec())),
        ..FieldSchema::default()
    }
}

fn alter_field(collection: &mut Collection, name: &str, params: &PropertyChange) -> Result<()> {
    let schema = &mut collection.schema;
    let mut left = params.clone();
    let description = params.set.iter().find(|pair| pair.key == FIELD_DESCRIPTION).cloned();
    left.set.retain(|pair| pair.key != FIELD_DESCRIPTION);
    if let Some(owner) = schema.struct_fields.iter_mut().find(|field| field.name == name) {
        owner.type_params = apply(&owner.type_params, &left);
        if let Some(description) = description {
            owner.description = description.value;
        }
        return Ok(());
    }
    let Some(field) = schema.fields.iter_mut().find(|field| field.name == name) else {
        return Err(Failure::parameter_invalid(format!(
            "field {name} does not exist in collection"
        )));
    };
    field.type_params = apply(&field.type_params, &left);
    if let Some(description) = description {
        field.description = description.value;
    }
    Ok(())
}

fn check_new_name(schema: &CollectionSchema, name: &str) -> Result<()> {
    if schema.field(name).is_none() && schema.struct_field(name).is_none() {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("duplicate field name: {name}")))
}

fn add_field(schema: &mut CollectionSchema, field: FieldSchema) {
    let id = next_id(schema);
    schema.fields.push(FieldSchema { id, ..field });
}

/// The id that the next new field gets.
fn next_id(schema: &CollectionSchema) -> FieldId {
    FieldId(max_id(schema) + 1)
}

fn max_id(schema: &CollectionSchema) -> i64 {
    let kept = milvus_types::index_meta::find(&schema.properties, MAX_FIELD_ID);
    let kept = kept.and_then(|text| text.parse().ok()).unwrap_or(FieldId::FIRST_USER.0 - 1);
    let fields = schema.fields.iter().map(|field| field.id.0);
    let structs = schema.struct_fields.iter().map(|field| field.id.0);
    fields.chain(structs).fold(kept, i64::max)
}

fn keep_max_field_id(schema: &mut CollectionSchema) {
    let set = vec![KeyValue::new(MAX_FIELD_ID, max_id(schema).to_string())];
    let change = PropertyChange { set, delete: Vec::new() };
    schema.properties = apply(&schema.properties, &change);
}

fn drop_field(collection: &mut Collection, name: &str) -> Result<()> {
    let schema = &mut collection.schema;
    keep_max_field_id(schema);
    if schema.struct_field(name).is_some() {
        schema.struct_fields.retain(|field| field.name != name);
        schema.fields.retain(|field| field.struct_name().is_none_or(|(owner, _)| owner != name));
        return Ok(());
    }
    if schema.field(name).is_none() {
        return Err(Failure::parameter_invalid(format!("field not found: {name}")));
    }
    schema.fields.retain(|field| field.name != name);
    Ok(())
}

#[cfg(test)]
mod tests;
