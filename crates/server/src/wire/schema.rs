//! Schemas: as clients send them and as they are described back.
//!
//! Struct arrays come beside the fields; they are checked as they came and only then flattened
//! (`proxy`), and described back as they were sent. Parts of a schema that this version does not
//! serve are collected by name instead of dropped, so that `proxy` can refuse them where Milvus
//! would have accepted them.

mod default_value;
mod field;

use milvus_proto::schema as pb;
use milvus_proxy::api::StructArray;
use milvus_types::{CollectionSchema, FieldId, FieldSchema, Result, StructField};
use milvus_values::timestamptz::Zone;

use super::key_values;

/// A schema, or a part of one, out of a request.
#[derive(Debug, PartialEq)]
pub struct Decoded<T> {
    /// What is served.
    pub part: T,
    /// What is not, by kind and name: `function bm25`.
    pub unsupported: Vec<String>,
}

/// The schema of a `CreateCollection` and its struct arrays.
pub fn from_wire(
    schema: pb::CollectionSchema,
) -> Result<Decoded<(CollectionSchema, Vec<StructArray>)>> {
    let mut unsupported = unsupported_parts(&schema);
    let mut fields = Vec::with_capacity(schema.fields.len());
    for field in schema.fields {
        fields.extend(field::from_wire(field, &mut unsupported)?);
    }
    let mut structs = Vec::with_capacity(schema.struct_array_fields.len());
    for one in schema.struct_array_fields {
        structs.push(struct_array(one, &mut unsupported)?);
    }
    let schema = CollectionSchema {
        name: schema.name,
        description: schema.description,
        fields,
        enable_dynamic_field: schema.enable_dynamic_field,
        properties: key_values::from_wire(schema.properties),
        version: schema.version,
        ..CollectionSchema::default()
    };
    Ok(Decoded { part: (schema, structs), unsupported })
}

/// A field to add; `None` if its type has no name here.
pub fn field_from_wire(field: pb::FieldSchema) -> Result<Decoded<Option<FieldSchema>>> {
    let mut unsupported = Vec::new();
    let part = field::from_wire(field, &mut unsupported)?;
    Ok(Decoded { part, unsupported })
}

/// A struct array to add.
pub fn struct_from_wire(wire: pb::StructArrayFieldSchema) -> Result<Decoded<StructArray>> {
    let mut unsupported = Vec::new();
    let part = struct_array(wire, &mut unsupported)?;
    Ok(Decoded { part, unsupported })
}

fn struct_array(
    wire: pb::StructArrayFieldSchema,
    unsupported: &mut Vec<String>,
) -> Result<StructArray> {
    let mut sub_fields = Vec::with_capacity(wire.fields.len());
    for field in wire.fields {
        sub_fields.extend(field::from_wire(field, unsupported)?);
    }
    Ok(StructArray {
        field: StructField {
            id: FieldId(wire.field_id),
            name: wire.name,
            description: wire.description,
            nullable: wire.nullable,
            type_params: key_values::from_wire(wire.type_params),
        },
        sub_fields,
    })
}

fn unsupported_parts(schema: &pb::CollectionSchema) -> Vec<String> {
    let functions = schema.functions.iter().map(|function| format!("function {}", function.name));
    let external = (!schema.external_source.is_empty() || !schema.external_spec.is_empty())
        .then(|| format!("external source {}", schema.external_source));
    let namespace = schema.enable_namespace.then(|| "namespace".to_owned());
    functions.chain(external).chain(namespace).collect()
}

/// The schema as it is described to clients: without the hidden field of dynamic keys, struct
/// arrays whole, points in time as texts of `zone`.
#[expect(deprecated, reason = "the collection-level auto_id must be written to fill the message")]
pub fn to_wire(schema: &CollectionSchema, zone: &Zone) -> pb::CollectionSchema {
    let is_plain = |field: &&FieldSchema| !field.is_dynamic && owner_of(schema, field).is_none();
    pb::CollectionSchema {
        name: schema.name.clone(),
        description: schema.description.clone(),
        auto_id: false,
        fields: schema
            .fields
            .iter()
            .filter(is_plain)
            .map(|one| field::to_wire(one, zone))
            .collect(),
        struct_array_fields: schema
            .struct_fields
            .iter()
            .map(|one| struct_to_wire(schema, one, zone))
            .collect(),
        enable_dynamic_field: schema.enable_dynamic_field,
        properties: key_values::to_wire(&schema.properties),
        version: schema.version,
        ..Default::default()
    }
}

/// The struct array that `field` is part of.
fn owner_of<'s>(schema: &'s CollectionSchema, field: &FieldSchema) -> Option<&'s StructField> {
    field.struct_name().and_then(|(owner, _)| schema.struct_field(owner))
}

fn struct_to_wire(
    schema: &CollectionSchema,
    one: &StructField,
    zone: &Zone,
) -> pb::StructArrayFieldSchema {
    let sub_field = |field: &FieldSchema| {
        let mut wire = field::to_wire(field, zone);
        if let Some((_, name)) = field.struct_name() {
            name.clone_into(&mut wire.name);
        }
        wire
    };
    pb::StructArrayFieldSchema {
        field_id: one.id.0,
        name: one.name.clone(),
        description: one.description.clone(),
        fields: schema.sub_fields(&one.name).map(sub_field).collect(),
        type_params: key_values::to_wire(&one.type_params),
        nullable: one.nullable,
    }
}

#[cfg(test)]
mod tests;
