//! The schema that all these tests plan against.

use milvus_expr::{TemplateValue, Templates};
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, StructField};

pub(crate) fn field(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable: true,
        ..FieldSchema::default()
    }
}

/// Every kind of field, without a dynamic one.
pub(crate) fn schema() -> CollectionSchema {
    let mut fields = vec![
        FieldSchema { is_primary_key: true, nullable: false, ..field(100, "id", DataType::Int64) },
        field(101, "flag", DataType::Bool),
        field(102, "i8", DataType::Int8),
        field(103, "i16", DataType::Int16),
        field(104, "i32", DataType::Int32),
        field(105, "i64", DataType::Int64),
        field(106, "f32", DataType::Float),
        field(107, "f64", DataType::Double),
        field(108, "name", DataType::VarChar),
        field(109, "json", DataType::JSON),
        field(110, "vector", DataType::FloatVector),
        field(111, "list", DataType::Array),
        field(112, "words", DataType::Array),
        field(113, "body", DataType::VarChar),
        field(114, "text", DataType::Text),
        field(115, "place", DataType::Geometry),
        field(116, "at", DataType::Timestamptz),
        field(117, "clips[score]", DataType::Array),
    ];
    for (at, element) in [(11, DataType::Int32), (12, DataType::VarChar), (17, DataType::Int64)] {
        fields[at].element_type = Some(element);
    }
    fields[13].type_params = vec![KeyValue::new("enable_match", "true")];
    let clips = StructField { name: "clips".to_owned(), ..StructField::default() };
    CollectionSchema {
        name: "c".to_owned(),
        fields,
        struct_fields: vec![clips],
        ..CollectionSchema::default()
    }
}

/// The same with a dynamic field.
pub(crate) fn dynamic_schema() -> CollectionSchema {
    let mut schema = schema();
    schema.enable_dynamic_field = true;
    schema.fields.push(FieldSchema { is_dynamic: true, ..field(118, "$meta", DataType::JSON) });
    schema
}

/// One variable of every kind.
pub(crate) fn templates() -> Templates {
    let integers = TemplateValue::Array(vec![TemplateValue::Int64(1), TemplateValue::Int64(2)]);
    [
        ("one", TemplateValue::Int64(1)),
        ("zero", TemplateValue::Int64(0)),
        ("half", TemplateValue::Double(0.5)),
        ("yes", TemplateValue::Bool(true)),
        ("word", TemplateValue::VarChar("a%".to_owned())),
        ("ints", integers.clone()),
        ("nested", TemplateValue::Array(vec![integers])),
        ("parsed", TemplateValue::Bytes(br#"[1, "x", 2.5]"#.to_vec())),
        ("object", TemplateValue::Bytes(br#"{"a": 1}"#.to_vec())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
