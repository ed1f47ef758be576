//! Schemas survive the way in and out; what is not served is named.

use milvus_types::schema::sub_field_name;
use milvus_types::{DataType, KeyValue, Value};

use super::*;

fn field(name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { id: FieldId(100), name: name.into(), data_type, ..Default::default() }
}

fn visible_fields() -> Vec<FieldSchema> {
    let with_default = |data_type, value| FieldSchema {
        default_value: Some(value),
        nullable: true,
        ..field("d", data_type)
    };
    vec![
        FieldSchema { is_primary_key: true, auto_id: true, ..field("id", DataType::Int64) },
        FieldSchema {
            type_params: vec![KeyValue::new("dim", "8")],
            ..field("v", DataType::FloatVector)
        },
        FieldSchema { element_type: Some(DataType::Int8), ..field("a", DataType::Array) },
        with_default(DataType::Int8, Value::Int32(-1)),
        with_default(DataType::Int64, Value::Int64(1 << 40)),
        with_default(DataType::Float, Value::Float(0.5)),
        with_default(DataType::Double, Value::Double(0.1)),
        with_default(DataType::VarChar, Value::VarChar("x".into())),
        with_default(DataType::Bool, Value::Bool(true)),
    ]
}

#[test]
fn a_schema_comes_back_as_it_was_without_the_hidden_field() {
    let visible = visible_fields();
    let owner = StructField { id: FieldId(120), name: "s".into(), ..StructField::default() };
    let sub = FieldSchema { element_type: Some(DataType::Int8), ..field("n", DataType::Array) };
    let mut schema = CollectionSchema {
        name: "c".into(),
        description: "words".into(),
        fields: visible.clone(),
        struct_fields: vec![owner.clone()],
        enable_dynamic_field: true,
        properties: vec![KeyValue::new("k", "v")],
        version: 3,
    };
    schema.fields.push(FieldSchema { is_dynamic: true, ..field("$meta", DataType::JSON) });
    schema.fields.push(FieldSchema { name: sub_field_name("s", "n"), ..sub.clone() });
    let decoded = from_wire(to_wire(&schema, &Zone::utc())).unwrap();
    schema.fields = visible;
    schema.struct_fields.clear();
    let structs = vec![StructArray { field: owner, sub_fields: vec![sub] }];
    assert_eq!(decoded, Decoded { part: (schema, structs), unsupported: vec![] });
}

#[test]
fn a_default_point_in_time_is_told_in_the_zone_of_the_collection() {
    let zone = Zone::parse("Asia/Shanghai").unwrap();
    let described = default_value::to_wire(DataType::Timestamptz, &Value::Int64(0), &zone);
    let text = "1970-01-01T08:00:00+08:00".to_owned();
    assert_eq!(described, Some(pb::value_field::Data::StringData(text)));
}

#[test]
fn what_is_not_served_is_named() {
    let wire = pb::CollectionSchema {
        functions: vec![pb::FunctionSchema { name: "bm25".into(), ..Default::default() }],
        fields: vec![pb::FieldSchema {
            name: "m".into(),
            data_type: pb::DataType::Mol as i32,
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(from_wire(wire).unwrap().unsupported, ["function bm25", "data type Mol of field m"]);
    let none =
        pb::CollectionSchema { fields: vec![pb::FieldSchema::default()], ..Default::default() };
    let error = from_wire(none).unwrap_err();
    assert_eq!(error.reason, "data type None is not valid: invalid parameter");
}
