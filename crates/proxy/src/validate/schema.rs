//! A new collection's schema as a whole, checked in Milvus's order.
//!
//! First everything that Milvus would refuse, with its texts; what this version does not serve yet
//! is refused last, by name ([`supported`]).

use std::collections::HashSet;

use milvus_types::columns::arrow_type;
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Limits;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{CollectionSchema, DataType, ErrorCode, Failure, FieldSchema, KeyValue, Result};

use super::{field, names, properties};
use crate::wire_text::{param, parse_bool};

/// What of a create request is checked here.
pub(crate) struct Request<'a> {
    /// The name in the request.
    pub(crate) collection_name: &'a str,
    /// The schema without the hidden dynamic field.
    pub(crate) schema: &'a CollectionSchema,
    /// Parts that the schema could not hold.
    pub(crate) unsupported: &'a [String],
    /// As sent.
    pub(crate) shards_num: i32,
    /// As sent.
    pub(crate) properties: &'a [KeyValue],
    /// As sent.
    pub(crate) num_partitions: i64,
}

/// Everything that Milvus checks before it creates a collection.
pub(crate) fn validate(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let schema = request.schema;
    counts(request, limits)?;
    names::collection(&schema.name, limits.name_length)?;
    if schema.description.len() > limits.description_length {
        return Err(Failure::parameter_invalid(format!(
            "the length of collection description must be less than {}, but got {}",
            limits.description_length,
            schema.description.len()
        )));
    }
    for field in &schema.fields {
        names::not_reserved(&field.name)?;
    }
    primary_key(schema)?;
    if schema.fields.iter().any(|field| field.is_dynamic) {
        return Err(Failure::parameter_invalid("cannot explicitly set a field as a dynamic field"));
    }
    auto_id(schema)?;
    types(schema)?;
    partition_key(request, limits)?;
    properties::validate(request.properties)?;
    clustering_key(request)?;
    for each in &schema.fields {
        field::validate(each, &schema.name, limits)?;
    }
    duplicates(schema)?;
    load_fields(schema)?;
    properties::validate_ttl(request.properties, schema)?;
    coordinator_checks(request)
}

fn counts(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let fields = &request.schema.fields;
    if request.shards_num > limits.shards {
        return Err(Failure::parameter_invalid(format!(
            "maximum shards's number should be limited to {}",
            limits.shards
        )));
    }
    if fields.len() > limits.fields {
        return Err(Failure::parameter_invalid(format!(
            "maximum field's number should be limited to {}",
            limits.fields
        )));
    }
    let vectors = request.schema.vector_fields().count();
    if vectors > limits.vector_fields {
        return Err(Failure::parameter_invalid(format!(
            "maximum vector field's number should be limited to {}",
            limits.vector_fields
        )));
    }
    // A vector may hide in a part that is refused by name later.
    if vectors == 0 && request.unsupported.is_empty() {
        return Err(Failure::parameter_invalid("schema does not contain vector field"));
    }
    Ok(())
}

fn primary_key(schema: &CollectionSchema) -> Result<()> {
    let mut keys = schema.fields.iter().filter(|field| field.is_primary_key);
    let Some(first) = keys.next() else {
        return Err(Failure::wrap(ErrorCode::ParameterMissing, "primary key is not specified"));
    };
    primary_key_type(first)?;
    if let Some(second) = keys.next() {
        return Err(Failure::parameter_invalid(format!(
            "there are more than one primary key, field name = {}, {}",
            first.name, second.name
        )));
    }
    Ok(())
}

fn primary_key_type(field: &FieldSchema) -> Result<()> {
    if matches!(field.data_type, DataType::Int64 | DataType::VarChar) {
        return Ok(());
    }
    Err(Failure::parameter_invalid("the data type of primary key should be Int64 or VarChar"))
}

fn auto_id(schema: &CollectionSchema) -> Result<()> {
    let mut first: Option<&FieldSchema> = None;
    for field in schema.fields.iter().filter(|field| field.auto_id) {
        if let Some(first) = first {
            return Err(Failure::parameter_invalid(format!(
                "only one field can speficy AutoID with true, field name = {}, {}",
                first.name, field.name
            )));
        }
        if !field.is_primary_key {
            return Err(Failure::parameter_invalid(format!(
                "only primary field can speficy AutoID with true, field name = {}",
                field.name
            )));
        }
        first = Some(field);
    }
    Ok(())
}

fn types(schema: &CollectionSchema) -> Result<()> {
    for each in &schema.fields {
        if each.data_type == DataType::String {
            return Err(Failure::parameter_invalid(
                "string data type not supported yet, please use VarChar type instead",
            ));
        }
        if each.data_type == DataType::Array {
            field::element_type(each)?;
        }
    }
    Ok(())
}

fn partition_key(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let mut first: Option<&FieldSchema> = None;
    for field in request.schema.fields.iter().filter(|field| field.is_partition_key) {
        if let Some(first) = first {
            return Err(Failure::parameter_invalid(format!(
                "there are more than one partition key, field name = {}, {}",
                first.name, field.name
            )));
        }
        if field.is_primary_key {
            return Err(Failure::parameter_invalid(
                "the partition key field must not be primary field",
            ));
        }
        if field.nullable {
            return Err(Failure::parameter_invalid("partition key field not support nullable"));
        }
        if !matches!(field.data_type, DataType::Int64 | DataType::VarChar) {
            return Err(Failure::parameter_invalid(
                "the data type of partition key should be Int64 or VarChar",
            ));
        }
        if request.num_partitions < 0 {
            return Err(Failure::parameter_invalid(
                "the specified partitions should be greater than 0 if partition key is used",
            ));
        }
        if usize::try_from(request.num_partitions).unwrap_or(usize::MAX) > limits.partitions {
            return Err(Failure::parameter_invalid(format!(
                "partition number ({}) exceeds max configuration ({})",
                request.num_partitions, limits.partitions
            )));
        }
        first = Some(field);
    }
    if first.is_none() && request.num_partitions != 0 {
        return Err(Failure::parameter_invalid(
            "num_partitions should only be specified with partition key field enabled",
        ));
    }
    Ok(())
}

fn clustering_key(request: &Request<'_>) -> Result<()> {
    let illegal = |what: String| {
        Failure::with_fields(
            ErrorCode::CollectionIllegalSchema,
            &[("collection", &request.collection_name)],
        )
        .context(what)
    };
    let mut first: Option<&FieldSchema> = None;
    for field in request.schema.fields.iter().filter(|field| field.is_clustering_key) {
        let data_type = field.data_type;
        if !data_type.is_numeric() && data_type != DataType::VarChar && !data_type.is_vector() {
            return Err(illegal(format!(
                "clustering key field {} has unsupported data type {data_type}",
                field.name
            )));
        }
        if data_type.is_vector() {
            return Err(Failure::with_fields(
                ErrorCode::CollectionVectorClusteringKeyNotAllowed,
                &[("collection", &request.collection_name)],
            ));
        }
        if let Some(first) = first {
            return Err(illegal(format!(
                "there are more than one clustering key, field name = {}, {}",
                first.name, field.name
            )));
        }
        first = Some(field);
    }
    Ok(())
}

fn duplicates(schema: &CollectionSchema) -> Result<()> {
    let mut seen = HashSet::new();
    for field in &schema.fields {
        if !seen.insert(field.name.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated field name {} found",
                field.name
            )));
        }
    }
    Ok(())
}

fn skips_loading(field: &FieldSchema) -> bool {
    param(&field.type_params, "field.skipLoad").and_then(parse_bool).unwrap_or(false)
}

fn load_fields(schema: &CollectionSchema) -> Result<()> {
    for field in schema.fields.iter().filter(|field| skips_loading(field)) {
        let role = if field.is_primary_key {
            "Primary key"
        } else if field.is_partition_key {
            "Partition Key"
        } else if field.is_clustering_key {
            "Clustering Key"
        } else {
            continue;
        };
        return Err(Failure::parameter_invalid(format!(
            "{role} field {} cannot skip loading",
            field.name
        )));
    }
    let mut vectors = schema.vector_fields().peekable();
    if vectors.peek().is_some() && vectors.all(skips_loading) {
        return Err(Failure::parameter_invalid("cannot config all vector field(s) skip loading"));
    }
    Ok(())
}

/// What Milvus leaves to its coordinator.
fn coordinator_checks(request: &Request<'_>) -> Result<()> {
    let schema = request.schema;
    if request.collection_name != schema.name {
        return Err(Failure::parameter_mismatch(
            "collection name matches schema name",
            "don't match",
            format!("collection name = {}, schema.Name={}", request.collection_name, schema.name),
        ));
    }
    for each in &schema.fields {
        field::default_value(each)?;
        let mut seen = HashSet::new();
        for pair in &each.type_params {
            if !seen.insert(pair.key.as_str()) {
                return Err(Failure::parameter_invalid(format!(
                    "duplicated type param key {:?}",
                    pair.key
                )));
            }
        }
    }
    if schema.fields.iter().any(|field| field.name == DYNAMIC_FIELD) {
        return Err(Failure::parameter_mismatch(
            "schema don't contains system field",
            "contains",
            format!("schema contains system field: RowID, Timestamp, {DYNAMIC_FIELD}"),
        ));
    }
    Ok(())
}

/// Refuses by name what Milvus would accept and this version does not serve.
pub(crate) fn supported(request: &Request<'_>) -> Result<()> {
    let refuse = |what: String| Failure::parameter_invalid(format!("{what} is not supported yet"));
    if let Some(part) = request.unsupported.first() {
        return Err(refuse(part.clone()));
    }
    for field in &request.schema.fields {
        let name = &field.name;
        arrow_type(field)
            .or_failure()
            .map_err(|failure| Failure::parameter_invalid(failure.reason))?;
        if field.data_type.is_vector() && field.nullable {
            return Err(refuse(format!("nullable vector field {name}")));
        }
        if field.is_partition_key {
            return Err(refuse(format!("partition key field {name}")));
        }
        if field.is_clustering_key {
            return Err(refuse(format!("clustering key field {name}")));
        }
        for key in ["enable_analyzer", "enable_match"] {
            if param(&field.type_params, key).and_then(parse_bool) == Some(true) {
                return Err(refuse(format!("{key} of field {name}")));
            }
        }
    }
    properties::supported(request.properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> CollectionSchema {
        CollectionSchema {
            name: "c".to_owned(),
            fields: vec![
                FieldSchema {
                    name: "id".to_owned(),
                    is_primary_key: true,
                    ..FieldSchema::default()
                },
                FieldSchema {
                    name: "v".to_owned(),
                    data_type: DataType::FloatVector,
                    type_params: vec![KeyValue::new("dim", "4")],
                    ..FieldSchema::default()
                },
            ],
            ..CollectionSchema::default()
        }
    }

    fn check(schema: &CollectionSchema) -> String {
        check_with(schema, 1, &[], 0)
    }

    fn check_with(
        schema: &CollectionSchema,
        shards_num: i32,
        properties: &[KeyValue],
        num_partitions: i64,
    ) -> String {
        let request = Request {
            collection_name: "c",
            schema,
            unsupported: &[],
            shards_num,
            properties,
            num_partitions,
        };
        validate(&request, &Limits::default())
            .and_then(|()| supported(&request))
            .err()
            .map(|failure| failure.reason)
            .unwrap_or_default()
    }

    fn changed(change: impl FnOnce(&mut CollectionSchema)) -> String {
        let mut schema = base();
        change(&mut schema);
        check(&schema)
    }

    fn scalar(name: &str) -> FieldSchema {
        FieldSchema { name: name.to_owned(), ..FieldSchema::default() }
    }

    #[test]
    fn a_sound_schema_passes() {
        assert_eq!(check(&base()), "");
    }

    #[test]
    fn unsound_schemas_are_refused_with_milvus_texts() {
        type Change = Box<dyn FnOnce(&mut CollectionSchema)>;
        let cases: Vec<(Change, &str)> = vec![
            (
                Box::new(|s| s.fields.truncate(1)),
                "schema does not contain vector field: invalid parameter",
            ),
            (
                Box::new(|s| s.fields[0].is_primary_key = false),
                "primary key is not specified: missing parameter",
            ),
            (
                Box::new(|s| s.fields[0].data_type = DataType::Int32),
                "the data type of primary key should be Int64 or VarChar: invalid parameter",
            ),
            (
                Box::new(|s| {
                    s.fields.push(FieldSchema { is_primary_key: true, ..scalar("b") });
                }),
                "there are more than one primary key, field name = id, b: invalid parameter",
            ),
            (
                Box::new(|s| s.fields.push(scalar("id"))),
                "duplicated field name id found: invalid parameter",
            ),
            (
                Box::new(|s| s.fields.push(FieldSchema { auto_id: true, ..scalar("b") })),
                "only primary field can speficy AutoID with true, field name = b: invalid parameter",
            ),
            (
                Box::new(|s| {
                    s.fields.push(FieldSchema { data_type: DataType::String, ..scalar("b") });
                }),
                "string data type not supported yet, please use VarChar type instead: invalid \
                 parameter",
            ),
            (
                Box::new(|s| (0..63).for_each(|i| s.fields.push(scalar(&format!("f{i}"))))),
                "maximum field's number should be limited to 64: invalid parameter",
            ),
            (
                Box::new(|s| (0..10).for_each(|_| s.fields.push(s.fields[1].clone()))),
                "maximum vector field's number should be limited to 10: invalid parameter",
            ),
            (
                Box::new(|s| s.fields[0].nullable = true),
                "primary field not support null, type:Int64, name:id: invalid parameter",
            ),
            (
                Box::new(|s| {
                    s.fields.push(FieldSchema {
                        is_partition_key: true,
                        nullable: true,
                        ..scalar("p")
                    });
                }),
                "partition key field not support nullable: invalid parameter",
            ),
            (
                Box::new(|s| {
                    s.fields.push(FieldSchema { is_partition_key: true, ..scalar("p") });
                }),
                "partition key field p is not supported yet: invalid parameter",
            ),
            (
                Box::new(|s| {
                    s.fields.push(FieldSchema {
                        data_type: DataType::BinaryVector,
                        type_params: vec![KeyValue::new("dim", "8")],
                        ..scalar("b")
                    });
                }),
                "data type BinaryVector of field b is not supported yet: invalid parameter",
            ),
            (
                Box::new(|s| s.fields[1].nullable = true),
                "nullable vector field v is not supported yet: invalid parameter",
            ),
            (
                Box::new(|s| s.name = "other".to_owned()),
                "collection name = c, schema.Name=other: invalid parameter[expected=collection \
                 name matches schema name][actual=don't match]",
            ),
            (
                Box::new(|s| s.description = "d".repeat(1025)),
                "the length of collection description must be less than 1024, but got 1025: \
                 invalid parameter",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(changed(change), expected);
        }
    }

    #[test]
    fn requests_are_checked_beside_their_schemas() {
        assert_eq!(
            check_with(&base(), 17, &[], 0),
            "maximum shards's number should be limited to 16: invalid parameter"
        );
        assert_eq!(
            check_with(&base(), 1, &[], 3),
            "num_partitions should only be specified with partition key field enabled: invalid \
             parameter"
        );
        assert_eq!(
            check_with(&base(), 1, &[KeyValue::new("timezone", "Mars/Olympus")], 0),
            "unknown or invalid IANA Time Zone ID: Mars/Olympus: invalid parameter"
        );
        assert_eq!(
            check_with(&base(), 1, &[KeyValue::new("collection.ttl.seconds", "10")], 0),
            "property collection.ttl.seconds is not supported yet: invalid parameter"
        );
    }
}
