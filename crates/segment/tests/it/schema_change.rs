//! A segment answers by the collection's current schema, whatever columns its rows came with.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Int32Type, Int64Type};
use milvus_expr::{Templates, plan};
use milvus_format::{open_segment, write_segment};
use milvus_segment::{
    Expiry, GrowingSegment, Queries, SealedParts, SealedSegment, SearchSpec, Segment, SegmentSchema,
};
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, MetricType, Timestamp, Value,
};

use crate::model::{ID, PARTITION};

fn field(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { id: FieldId(id), name: name.to_owned(), data_type, ..FieldSchema::default() }
}

fn schema(version: i32, more: Vec<FieldSchema>) -> CollectionSchema {
    let key = FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) };
    let mut fields = vec![key];
    fields.extend(more);
    CollectionSchema { version, fields, ..CollectionSchema::default() }
}

fn first() -> CollectionSchema {
    schema(0, vec![field(101, "x", DataType::Int64)])
}

/// `x` was dropped and came again as another field; `n` has a default, `v` is a vector.
fn second() -> CollectionSchema {
    schema(
        1,
        vec![
            FieldSchema { nullable: true, ..field(102, "x", DataType::Int64) },
            FieldSchema {
                default_value: Some(Value::Int32(7)),
                ..field(103, "n", DataType::Int32)
            },
            FieldSchema {
                nullable: true,
                type_params: vec![KeyValue::new("dim", "2")],
                ..field(104, "v", DataType::FloatVector)
            },
        ],
    )
}

fn rows(schema: &CollectionSchema, keys: &[i64]) -> RecordBatch {
    let schema = SegmentSchema::new(schema).unwrap();
    let columns = [keys.to_vec(), keys.iter().map(|key| key * 10).collect()];
    let columns = columns.map(|column| Arc::new(Int64Array::from(column)) as _);
    let narrow = schema.arrow().project(&[0, 1]).unwrap();
    RecordBatch::try_new(Arc::new(narrow), columns.to_vec()).unwrap()
}

fn assert_answers(segment: &dyn Segment) {
    let all = Expiry::default();
    let count = |text: &str| {
        let filter = plan(text, &second(), &Templates::default()).unwrap();
        segment.count(&filter, Timestamp(100), &all).unwrap()
    };
    assert_eq!(count(""), 5);
    assert_eq!(count("x is null"), 3, "the old x is another field");
    assert_eq!(count("x >= 0"), 2);
    assert_eq!(count("n == 7"), 5);
    let columns = ["id", "x", "n", "v"].map(str::to_owned);
    let batch = segment.fetch(&[4, 0, 2], &columns).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[5, 1, 3]);
    let x: Vec<_> = batch.column(1).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(x, [Some(50), None, None]);
    assert_eq!(batch.column(2).as_primitive::<Int32Type>().values(), &[7, 7, 7]);
    assert_eq!(batch.column(3).null_count(), 3);
    let queries = Arc::new(Queries::floats(vec![0.0, 0.0], 2).unwrap());
    let filter = plan("", &second(), &Templates::default()).unwrap();
    let spec = SearchSpec::new("v", MetricType::L2, queries, 10, filter, Timestamp(100));
    assert_eq!(segment.search(&spec).unwrap(), [vec![]], "no row has a vector");
}

#[test]
fn rows_of_every_version_answer_by_the_current_one() {
    let (old, new) = (first(), second());
    let schema = |schema: &CollectionSchema| Arc::new(SegmentSchema::new(schema).unwrap());
    let growing = GrowingSegment::new(ID, PARTITION, schema(&old));
    growing.insert(Timestamp(1), rows(&old, &[1, 2])).unwrap();
    growing.set_schema(schema(&new));
    // Planned under the old schema, arrived under the new one.
    growing.insert(Timestamp(2), rows(&old, &[3])).unwrap();
    growing.insert(Timestamp(3), rows(&new, &[4, 5])).unwrap();
    assert_answers(&growing);

    let mut bytes = Vec::new();
    let (file_schema, chunks) = growing.chunks().unwrap();
    let info = write_segment(&mut bytes, &file_schema, &chunks).unwrap();
    let open = |bytes: Vec<u8>, info: milvus_format::SegmentFileInfo, at| {
        SealedSegment::open(SealedParts {
            id: ID,
            partition_id: PARTITION,
            schema: at,
            file: open_segment(&Buffer::from(bytes), &info.at("columns.arrow")).unwrap(),
            deletes: Vec::new(),
            indexes: Vec::new(),
            scalar_indexes: Vec::new(),
            key_index: None,
            stats: info.stats,
        })
        .unwrap()
    };
    assert_answers(&open(bytes, info, schema(&new)));

    // A file of the old schema, served on while the schema changes.
    let old_rows = GrowingSegment::new(ID, PARTITION, schema(&old));
    old_rows.insert(Timestamp(1), rows(&old, &[1, 2, 3])).unwrap();
    let mut bytes = Vec::new();
    let (file_schema, chunks) = old_rows.chunks().unwrap();
    let info = write_segment(&mut bytes, &file_schema, &chunks).unwrap();
    let sealed = open(bytes, info, schema(&old));
    let x = |segment: &SealedSegment| {
        let batch = segment.fetch(&[1], &["x".to_owned()]).unwrap();
        batch.column(0).as_primitive::<Int64Type>().iter().next().unwrap()
    };
    assert_eq!(x(&sealed), Some(20));
    sealed.set_schema(schema(&new));
    assert_eq!(x(&sealed), None);
}
