//! Filters: any text is parsed or refused, in bounded time; a plan evaluates over rows of every type
//! without a panic, and to the same rows whether or not it is rewritten.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Int8Array, Int64Array,
    ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use libfuzzer_sys::fuzz_target;
use milvus_expr::{PlanOptions, Templates, plan_with};
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, StructField};

fn schema() -> CollectionSchema {
    let fields = [
        ("id", DataType::Int64, None),
        ("flag", DataType::Bool, None),
        ("i8", DataType::Int8, None),
        ("f", DataType::Float, None),
        ("name", DataType::VarChar, None),
        ("json", DataType::JSON, None),
        ("list", DataType::Array, Some(DataType::Int32)),
        ("s[x]", DataType::Array, Some(DataType::Int32)),
        ("place", DataType::Geometry, None),
        ("at", DataType::Timestamptz, None),
        ("$meta", DataType::JSON, None),
    ];
    let fields = (100..).zip(fields).map(|(id, (name, data_type, element_type))| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        element_type,
        is_primary_key: name == "id",
        is_dynamic: name == "$meta",
        nullable: true,
        ..FieldSchema::default()
    });
    CollectionSchema {
        fields: fields.collect(),
        struct_fields: vec![StructField { name: "s".to_owned(), ..StructField::default() }],
        enable_dynamic_field: true,
        ..CollectionSchema::default()
    }
}

fn batch() -> RecordBatch {
    let lists = || {
        let rows = [Some(vec![Some(1), Some(2)]), Some(vec![]), None];
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows)) as ArrayRef
    };
    // The point (0, 0).
    let mut point = vec![1, 1, 0, 0, 0];
    point.resize(21, 0);
    let json = StringArray::from(vec![Some(r#"{"a": [1, "x"], "b": 2.5}"#), Some("[]"), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-1), Some(7), None]))),
        ("f", Arc::new(Float32Array::from(vec![Some(0.5), Some(f32::MAX), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("abc"), Some(""), None]))),
        ("json", Arc::new(json.clone())),
        ("list", lists()),
        ("s[x]", lists()),
        ("place", Arc::new(BinaryArray::from_iter([Some(point), None, None]))),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MAX), None])
                    .with_timezone("UTC"),
            ),
        ),
        ("$meta", Arc::new(json)),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .expect("columns of one length")
}

static SCHEMA: LazyLock<CollectionSchema> = LazyLock::new(schema);
static BATCH: LazyLock<RecordBatch> = LazyLock::new(batch);

fuzz_target!(|text: &str| {
    let first = milvus_expr::parse(text).ok();
    let second = milvus_expr::parse(text).ok();
    assert_eq!(first, second, "the same text parses the same way");
    let evaluated = [true, false].map(|rewrite| {
        let options = PlanOptions { rewrite, ..PlanOptions::default() };
        let plan = plan_with(text, &SCHEMA, &Templates::new(), &options).ok()?;
        Some(plan.evaluate(&BATCH).expect("the batch has every column"))
    });
    let [rewritten, plain] = evaluated;
    assert_eq!(rewritten, plain, "rewriting changes no result");
});
