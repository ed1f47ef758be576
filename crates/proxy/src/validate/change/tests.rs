//! What can be added and dropped, with Milvus's texts.

use milvus_types::{
    CollectionId, ConsistencyLevel, DatabaseId, FieldId, KeyValue, StructField, Timestamp,
};

use super::*;

fn field(name: &str, data_type: DataType) -> FieldSchema {
    let type_params = vec![
        KeyValue::new("dim", "8"),
        KeyValue::new("max_length", "8"),
        KeyValue::new("max_capacity", "8"),
    ];
    FieldSchema {
        id: FieldId(100),
        name: name.into(),
        data_type,
        type_params,
        ..Default::default()
    }
}

fn nullable(name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { nullable: true, ..field(name, data_type) }
}

fn sub(name: &str, element: DataType) -> FieldSchema {
    let data_type = if element.is_vector() { DataType::ArrayOfVector } else { DataType::Array };
    FieldSchema { element_type: Some(element), ..field(name, data_type) }
}

fn collection() -> Collection {
    let fields = vec![
        FieldSchema { is_primary_key: true, ..field("id", DataType::Int64) },
        field("v", DataType::FloatVector),
        FieldSchema { is_partition_key: true, ..field("p", DataType::Int64) },
        FieldSchema { is_clustering_key: true, ..field("k", DataType::Int64) },
        nullable("at", DataType::Timestamptz),
        nullable("n", DataType::Int64),
        FieldSchema { is_dynamic: true, ..field("$meta", DataType::JSON) },
        sub("s[a]", DataType::Int8),
    ];
    let struct_fields = vec![StructField { name: "s".into(), ..StructField::default() }];
    Collection {
        id: CollectionId(1),
        db_id: DatabaseId::DEFAULT,
        db_name: "default".into(),
        name: "c".into(),
        schema: CollectionSchema {
            name: "c".into(),
            fields,
            struct_fields,
            enable_dynamic_field: true,
            ..CollectionSchema::default()
        },
        partitions: Vec::new(),
        vchannels: Vec::new(),
        consistency_level: ConsistencyLevel::Strong,
        properties: vec![KeyValue::new("ttl_field", "at")],
        create_ts: Timestamp(1),
        update_ts: Timestamp(1),
    }
}

fn reason(result: Result<()>) -> String {
    let reason = result.err().map(|failure| failure.reason).unwrap_or_default();
    reason.strip_suffix(": invalid parameter").map(str::to_owned).unwrap_or(reason)
}

#[test]
fn new_fields_are_nullable_and_have_no_role() {
    let schema = collection().schema;
    let check = |new: FieldSchema| reason(add_field(&schema, &new, &Limits::default()));
    for new in [
        nullable("x", DataType::Int64),
        nullable("x", DataType::BinaryVector),
        nullable("x", DataType::Geometry),
    ] {
        assert_eq!(check(new), "");
    }
    for (new, expected) in [
        (
            field("x", DataType::Int64),
            "added field must be nullable, please check it, field name = x",
        ),
        (nullable("n", DataType::Int64), "duplicated field name n"),
        (nullable("s", DataType::Int64), "duplicated field name s"),
        (nullable("RowID", DataType::Int64), "not support to add system field, field name = RowID"),
        (
            FieldSchema { is_primary_key: true, ..nullable("x", DataType::Int64) },
            "not support to add pk field, field name = x",
        ),
        (
            FieldSchema { is_partition_key: true, ..nullable("x", DataType::Int64) },
            "not support to add partition key field, field name  = x",
        ),
        (
            FieldSchema { is_clustering_key: true, ..nullable("x", DataType::Int64) },
            "already has another clustering key field, field name: x",
        ),
        (
            FieldSchema { type_params: vec![], ..nullable("x", DataType::FloatVector) },
            "vector field must have dimension specified, field name = x",
        ),
    ] {
        assert_eq!(check(new), expected);
    }
    let mut full = schema.clone();
    (0..60).for_each(|i| full.fields.push(nullable(&format!("f{i}"), DataType::Int8)));
    let refused = add_field(&full, &nullable("x", DataType::Int8), &Limits::default());
    assert_eq!(reason(refused), "The number of fields has reached the maximum value 64");
}

#[test]
fn new_structs_are_nullable_and_have_new_names() {
    let schema = collection().schema;
    let of = |name: &str, nullable: bool, sub_fields: Vec<FieldSchema>| StructArray {
        field: StructField { name: name.into(), nullable, ..StructField::default() },
        sub_fields,
    };
    let check = |new: StructArray| reason(add_struct(&schema, &new, &Limits::default()));
    let a = || sub("a", DataType::Int8);
    assert_eq!(check(of("t", true, vec![a(), sub("v", DataType::FloatVector)])), "");
    let key = FieldSchema { is_primary_key: true, ..a() };
    for (new, expected) in [
        (
            of("t", false, vec![a()]),
            "added struct field must be nullable, please check it, struct field name = t",
        ),
        (of("s", true, vec![a()]), "duplicated field name s"),
        (of("n", true, vec![a()]), "duplicated field name n"),
        (of("t", true, vec![a(), a()]), "duplicated field name a"),
        (of("t", true, vec![key]), "primary key is not supported for struct field, field name = a"),
        (of("t", true, vec![]), "struct array field t has no sub-fields"),
    ] {
        assert_eq!(check(new), expected);
    }
}

#[test]
fn what_a_collection_needs_is_not_dropped() {
    let collection = collection();
    for (name, expected) in [
        ("n", ""),
        ("s", ""),
        ("", "field name is empty"),
        ("x", "field not found: x"),
        ("id", "cannot drop primary key field: id"),
        ("p", "cannot drop partition key field: p"),
        ("k", "cannot drop clustering key field: k"),
        ("v", "cannot drop the last vector field: v"),
        ("$meta", "cannot drop system field: $meta"),
        ("s[a]", "cannot drop sub-field of struct array field: s.a"),
        (
            "at",
            "cannot drop field at because it is referenced by collection property ttl_field, drop \
             the property first",
        ),
    ] {
        assert_eq!(reason(drop_field(&collection, name)), expected);
    }
}
