//! A new collection's schema as a whole, checked in Milvus's order.
//!
//! First everything that Milvus would refuse, with its texts; what this version does not serve yet
//! is refused last, by name ([`supported`]).

use std::collections::HashSet;

use milvus_types::columns::arrow_type;
use milvus_types::error::OrFailure as _;
use milvus_types::limits::Limits;
use milvus_types::schema::{DYNAMIC_FIELD, sub_field_name};
use milvus_types::{
    CollectionSchema, ConsistencyLevel, DataType, Failure, FieldSchema, KeyValue, Result,
};

use super::{default_value, field, keys, names, properties, structs, warmup};
use crate::api::StructArray;
use crate::wire_text::{param, parse_bool};

/// What of a create request is checked here.
pub(crate) struct Request<'a> {
    /// The name in the request.
    pub(crate) collection_name: &'a str,
    /// The schema without the hidden dynamic field and without struct arrays.
    pub(crate) schema: &'a CollectionSchema,
    /// The struct arrays.
    pub(crate) structs: &'a [StructArray],
    /// Parts that the schema could not hold.
    pub(crate) unsupported: &'a [String],
    /// As sent.
    pub(crate) shards_num: i32,
    /// As sent.
    pub(crate) consistency_level: i32,
    /// As sent.
    pub(crate) properties: &'a [KeyValue],
    /// As sent.
    pub(crate) num_partitions: i64,
}

/// Everything that Milvus checks before it creates a collection.
pub(crate) fn validate(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let schema = request.schema;
    text_fields(schema)?;
    numbers(request, limits)?;
    counts(request, limits)?;
    names::collection(&schema.name, limits.name_length)?;
    description(&schema.description, limits)?;
    reserved_names(request)?;
    keys::primary_key(schema)?;
    if schema.fields.iter().any(|field| field.is_dynamic) {
        return Err(Failure::parameter_invalid("cannot explicitly set a field as a dynamic field"));
    }
    keys::auto_id(request)?;
    types(request)?;
    keys::partition_key(request, limits)?;
    let has_partition_key = schema.partition_key().is_some();
    properties::isolation(request.collection_name, has_partition_key, request.properties)?;
    properties::validate(request.properties)?;
    warmup::of_collection(request.properties)?;
    keys::clustering_key(request)?;
    for each in &schema.fields {
        field::validate(each, &schema.name, limits)?;
    }
    for each in request.structs {
        structs::validate(each, &schema.name, limits)?;
    }
    duplicates(request)?;
    load_fields(request)?;
    properties::validate_ttl(request.properties, schema)?;
    coordinator_checks(request)
}

/// Large texts have a storage of their own in Milvus, which is off by default and not served here.
pub(crate) fn text_fields(schema: &CollectionSchema) -> Result<()> {
    if schema.fields.iter().any(|field| field.data_type == DataType::Text) {
        return Err(Failure::parameter_invalid(
            "TEXT field requires StorageV3; enable common.storage.useLoonFFI",
        ));
    }
    Ok(())
}

/// Milvus takes a negative number of shards for one and any level for a level; both can only be
/// slips, so both are refused here.
fn numbers(request: &Request<'_>, limits: &Limits) -> Result<()> {
    if request.shards_num > limits.shards {
        return Err(Failure::parameter_invalid(format!(
            "maximum shards's number should be limited to {}",
            limits.shards
        )));
    }
    if request.shards_num < 0 {
        return Err(Failure::parameter_invalid(format!(
            "shards number {} should be in range 1 ~ {}",
            request.shards_num, limits.shards
        )));
    }
    if ConsistencyLevel::from_number(request.consistency_level).is_none() {
        return Err(Failure::parameter_invalid(format!(
            "invalid consistency level {}, should be in range 0 ~ 4",
            request.consistency_level
        )));
    }
    Ok(())
}

/// A struct array counts as one field, and so does each of its sub-fields.
fn counts(request: &Request<'_>, limits: &Limits) -> Result<()> {
    let subs = || request.structs.iter().flat_map(|one| &one.sub_fields);
    let fields = request.schema.fields.len() + request.structs.len() + subs().count();
    let is_vector = |field: &&FieldSchema| field.data_type.is_vector();
    let vectors = request.schema.vector_fields().count() + subs().filter(is_vector).count();
    at_most(fields, vectors, limits)?;
    // A vector may hide in a part that is refused by name later.
    if vectors == 0 && request.unsupported.is_empty() {
        return Err(Failure::parameter_invalid("schema does not contain vector field"));
    }
    Ok(())
}

/// How many fields and vector fields a collection can have.
pub(crate) fn at_most(fields: usize, vectors: usize, limits: &Limits) -> Result<()> {
    if fields > limits.fields {
        return Err(Failure::parameter_invalid(format!(
            "maximum field's number should be limited to {}",
            limits.fields
        )));
    }
    if vectors > limits.vector_fields {
        return Err(Failure::parameter_invalid(format!(
            "maximum vector field's number should be limited to {}",
            limits.vector_fields
        )));
    }
    Ok(())
}

/// A collection's description.
pub(crate) fn description(text: &str, limits: &Limits) -> Result<()> {
    if text.len() <= limits.description_length {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!(
        "the length of a collection description must not exceed {} bytes",
        limits.description_length
    )))
}

fn reserved_names(request: &Request<'_>) -> Result<()> {
    for field in &request.schema.fields {
        names::not_reserved(&field.name)?;
    }
    for one in request.structs {
        names::not_reserved(&one.field.name)?;
        for sub in &one.sub_fields {
            names::not_reserved(&sub.name)?;
        }
    }
    Ok(())
}

fn types(request: &Request<'_>) -> Result<()> {
    for each in &request.schema.fields {
        if each.data_type == DataType::String {
            return Err(Failure::parameter_invalid(
                "string data type not supported yet, please use VarChar type instead",
            ));
        }
        if each.data_type == DataType::Array {
            field::element_type(each)?;
        }
    }
    let subs = request.structs.iter().flat_map(|one| &one.sub_fields);
    for sub in subs {
        if !matches!(sub.data_type, DataType::Array | DataType::ArrayOfVector) {
            return Err(Failure::parameter_invalid(format!(
                "fields in StructArrayField must be Array or ArrayOfVector, field name = {}, field \
                 type = {}",
                sub.name, sub.data_type
            )));
        }
    }
    Ok(())
}

fn duplicates(request: &Request<'_>) -> Result<()> {
    let mut seen = HashSet::new();
    let plain = request.schema.fields.iter().map(|field| field.name.clone());
    let of_structs = request.structs.iter().flat_map(|one| {
        let owner = &one.field.name;
        let subs = one.sub_fields.iter().map(|sub| sub_field_name(owner, &sub.name));
        std::iter::once(owner.clone()).chain(subs)
    });
    for name in plain.chain(of_structs) {
        if seen.contains(&name) {
            return Err(Failure::parameter_invalid(format!("duplicated field name {name} found")));
        }
        seen.insert(name);
    }
    Ok(())
}

/// Whether a field is left out of loads that name no fields.
pub(crate) fn skips_loading(field: &FieldSchema) -> bool {
    param(&field.type_params, "field.skipLoad").and_then(parse_bool).unwrap_or(false)
}

fn load_fields(request: &Request<'_>) -> Result<()> {
    let schema = request.schema;
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
    let subs = request.structs.iter().flat_map(|one| &one.sub_fields);
    let of_structs = subs.filter(|sub| sub.data_type.is_vector());
    let mut vectors = schema.vector_fields().chain(of_structs).peekable();
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
        if each.data_type == DataType::ArrayOfStruct {
            return Err(Failure::parameter_invalid(format!(
                "Invalid field type, type:{}, name:{}",
                each.data_type, each.name
            )));
        }
        default_value::validate(each)?;
        field::no_duplicate_params(each)?;
    }
    request.structs.iter().try_for_each(structs::coordinator_checks)?;
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
    if let Some(part) = request.unsupported.first() {
        return Err(not_supported(part));
    }
    let subs = request.structs.iter().flat_map(|one| &one.sub_fields);
    request.schema.fields.iter().chain(subs).try_for_each(field_supported)?;
    properties::supported(request.properties)
}

/// `what is not supported yet: invalid parameter` (1100).
pub(crate) fn not_supported(what: &str) -> Failure {
    Failure::parameter_invalid(format!("{what} is not supported yet"))
}

/// Refuses by name a field that Milvus would accept and this version does not serve.
pub(crate) fn field_supported(field: &FieldSchema) -> Result<()> {
    arrow_type(field).or_failure().map_err(|failure| Failure::parameter_invalid(failure.reason))?;
    for key in ["enable_analyzer", "enable_match"] {
        if param(&field.type_params, key).and_then(parse_bool) == Some(true) {
            return Err(not_supported(&format!("{key} of field {}", field.name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use milvus_types::StructField;

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
            structs: &[],
            unsupported: &[],
            shards_num,
            consistency_level: 0,
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
                Box::new(|s| s.name = "other".to_owned()),
                "collection name = c, schema.Name=other: invalid parameter[expected=collection \
                 name matches schema name][actual=don't match]",
            ),
            (
                Box::new(|s| s.description = "d".repeat(1025)),
                "the length of a collection description must not exceed 1024 bytes: invalid \
                 parameter",
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
            check_with(&base(), -1, &[], 0),
            "shards number -1 should be in range 1 ~ 16: invalid parameter"
        );
        let isolated = [KeyValue::new("partitionkey.isolation", "true")];
        assert_eq!(
            check_with(&base(), 1, &isolated, 0),
            "partition key isolation mode is enabled but no partition key field is set. Please set \
             the partition key first: illegal collection schema[collection=c]"
        );
    }

    #[test]
    fn every_type_and_every_kind_of_key_is_served() {
        let vector = |name: &str, data_type| FieldSchema {
            data_type,
            nullable: true,
            type_params: vec![KeyValue::new("dim", "8")],
            ..scalar(name)
        };
        let mut schema = base();
        schema.fields.extend([
            vector("b", DataType::BinaryVector),
            vector("h", DataType::Float16Vector),
            vector("g", DataType::BFloat16Vector),
            vector("i", DataType::Int8Vector),
            FieldSchema { data_type: DataType::SparseFloatVector, ..scalar("s") },
            FieldSchema { data_type: DataType::Geometry, ..scalar("geo") },
            FieldSchema { data_type: DataType::Timestamptz, ..scalar("at") },
            FieldSchema { is_partition_key: true, ..scalar("p") },
            FieldSchema { is_clustering_key: true, ..scalar("k") },
        ]);
        assert_eq!(check_with(&schema, 1, &[], 4), "");
        let isolated = [KeyValue::new("partitionkey.isolation", "True")];
        assert_eq!(check_with(&schema, 1, &isolated, 0), "");
    }

    #[test]
    fn fields_of_structs_count_and_their_names_are_their_own() {
        let sub = |name: &str| FieldSchema {
            data_type: DataType::Array,
            element_type: Some(DataType::Int8),
            type_params: vec![KeyValue::new("max_capacity", "4")],
            ..scalar(name)
        };
        let of = |name: &str, count: usize| StructArray {
            field: StructField { name: name.to_owned(), ..StructField::default() },
            sub_fields: (0..count).map(|i| sub(&format!("f{i}"))).collect(),
        };
        let check = |structs: &[StructArray]| {
            let schema = base();
            let request = Request {
                collection_name: "c",
                schema: &schema,
                structs,
                unsupported: &[],
                shards_num: 0,
                consistency_level: 0,
                properties: &[],
                num_partitions: 0,
            };
            let checked = validate(&request, &Limits::default());
            checked.and_then(|()| supported(&request)).err().map(|failure| failure.reason)
        };
        assert_eq!(check(&[of("a", 2), of("b", 2)]), None);
        assert_eq!(
            check(&[of("a", 62)]).as_deref(),
            Some("maximum field's number should be limited to 64: invalid parameter")
        );
        assert_eq!(
            check(&[of("v", 1)]).as_deref(),
            Some("duplicated field name v found: invalid parameter")
        );
    }
}
