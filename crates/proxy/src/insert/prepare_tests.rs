//! Inserts and upserts from columns to writes, and the complaints on the way.

use arrow::array::{
    Array as _, BooleanArray, Float32Array, Int8Array, Int32Array, Int64Array, StringArray,
};
use milvus_roles::WriteKind;
use milvus_types::collection::Partition;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    CollectionId, ConsistencyLevel, DataType, DatabaseId, FieldId, KeyValue, PartitionId,
    Timestamp, VChannel, Value,
};

use super::*;

fn field(id: i64, name: &str, data_type: DataType) -> FieldSchema {
    FieldSchema { id: FieldId(id), name: name.to_owned(), data_type, ..FieldSchema::default() }
}

fn collection(fields: Vec<FieldSchema>, dynamic: bool, shards: usize) -> Arc<Collection> {
    let mut all = vec![
        FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
        FieldSchema {
            type_params: vec![KeyValue::new("dim", "2")],
            ..field(101, "v", DataType::FloatVector)
        },
    ];
    all.extend(fields);
    if dynamic {
        all.push(FieldSchema {
            is_dynamic: true,
            nullable: true,
            default_value: Some(Value::Bytes(b"{}".to_vec())),
            ..field(199, DYNAMIC_FIELD, DataType::JSON)
        });
    }
    Arc::new(Collection {
        id: CollectionId(1),
        db_id: DatabaseId::DEFAULT,
        db_name: "default".to_owned(),
        name: "c".to_owned(),
        schema: CollectionSchema {
            name: "c".to_owned(),
            fields: all,
            enable_dynamic_field: dynamic,
            ..CollectionSchema::default()
        },
        partitions: vec![Partition {
            id: PartitionId(7),
            name: DEFAULT_PARTITION.to_owned(),
            create_ts: Timestamp::ZERO,
        }],
        vchannels: (0..shards).map(|i| VChannel::new("p", CollectionId(1), i)).collect(),
        consistency_level: ConsistencyLevel::Strong,
        properties: vec![],
        create_ts: Timestamp::ZERO,
        update_ts: Timestamp::ZERO,
    })
}

fn scalars(name: &str, values: impl arrow::array::Array + 'static, valid: &[bool]) -> InputColumn {
    InputColumn {
        name: name.to_owned(),
        is_dynamic: false,
        data_type: None,
        values: InputValues::Scalars(Arc::new(values)),
        valid: valid.to_vec(),
    }
}

fn ids(ids: &[i64]) -> InputColumn {
    scalars("id", Int64Array::from(ids.to_vec()), &[])
}

fn vectors(dim: i64, values: &[f32]) -> InputColumn {
    InputColumn {
        values: InputValues::FloatVectors {
            dim,
            values: Arc::new(Float32Array::from(values.to_vec())),
        },
        ..scalars("v", Int64Array::from(vec![0]), &[])
    }
}

fn request(columns: Vec<InputColumn>, num_rows: u32) -> InsertRequest {
    InsertRequest { columns, num_rows, ..InsertRequest::default() }
}

fn insert(collection: &Arc<Collection>, request: InsertRequest) -> Result<Prepared> {
    prepare(collection, request, Operation::Insert, Some(500), &Limits::default())
}

fn reason(result: Result<Prepared>) -> String {
    result.err().map(|failure| failure.reason).unwrap_or_default()
}

/// The rows of a write that has some.
fn rows(write: &Write) -> &RecordBatch {
    match &write.kind {
        WriteKind::Insert { rows, .. } | WriteKind::Upsert { rows, .. } => rows,
        WriteKind::Delete { .. } => panic!("a delete has no rows"),
    }
}

#[test]
fn with_one_shard_vectors_are_not_copied() {
    let column = vectors(2, &[1.0, 2.0, 3.0, 4.0]);
    let InputValues::FloatVectors { values, .. } = &column.values else { panic!("vectors") };
    let before = values.to_data().buffers()[0].as_ptr();
    let prepared =
        insert(&collection(vec![], true, 1), request(vec![column, ids(&[1, 2])], 2)).unwrap();
    let [write] = prepared.writes.as_slice() else { panic!("one write") };
    let batch = rows(write);
    let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "v", "$meta"]);
    let list = batch.column(1).as_fixed_size_list();
    assert_eq!(list.values().to_data().buffers()[0].as_ptr(), before);
    assert_eq!(batch.column(2).as_string::<i32>().value(1), "{}");
    assert_eq!(prepared.keys, PrimaryKeys::Int64(Int64Array::from(vec![1, 2])));
    assert!(matches!(write.kind, WriteKind::Insert { fresh_keys: false, .. }));
}

#[test]
fn rows_go_to_the_shard_of_their_key() {
    let keys: Vec<i64> = (0..100).collect();
    let floats: Vec<f32> = (0..200_u8).map(f32::from).collect();
    let prepared =
        insert(&collection(vec![], false, 3), request(vec![ids(&keys), vectors(2, &floats)], 100))
            .unwrap();
    assert_eq!(prepared.writes.len(), 3);
    let mut seen = Vec::new();
    for (shard, write) in prepared.writes.iter().enumerate() {
        assert!(write.vchannel.as_str().ends_with(&format!("v{shard}")));
        let batch = rows(write);
        let lists = batch.column(1).as_fixed_size_list();
        for row in 0..batch.num_rows() {
            let key = batch.column(0).as_primitive::<Int64Type>().value(row);
            assert_eq!(usize::try_from(split::hash_int64(key)).unwrap() % 3, shard);
            let first = lists.value(row).as_primitive::<arrow::datatypes::Float32Type>().value(0);
            assert_eq!(first, f32::from(u8::try_from(key).unwrap() * 2));
            seen.push(key);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, keys);
}

#[test]
fn nulls_and_defaults_fill_the_gaps() {
    let nullable = FieldSchema { nullable: true, ..field(102, "n", DataType::Int8) };
    let default = FieldSchema {
        default_value: Some(Value::VarChar("d".to_owned())),
        nullable: true,
        type_params: vec![KeyValue::new("max_length", "5")],
        ..field(103, "s", DataType::VarChar)
    };
    let absent = FieldSchema { nullable: true, ..field(104, "b", DataType::Bool) };
    let absent_default =
        FieldSchema { default_value: Some(Value::Double(1.5)), ..field(105, "f", DataType::Float) };
    let collection = collection(vec![nullable, default, absent, absent_default], false, 1);
    let columns = vec![
        ids(&[1, 2, 3]),
        vectors(2, &[0.0; 6]),
        scalars("n", Int32Array::from(vec![5, -6]), &[true, false, true]),
        scalars("s", StringArray::from(vec!["x"]), &[false, true, false]),
    ];
    let prepared = insert(&collection, request(columns, 3)).unwrap();
    let batch = rows(&prepared.writes[0]);
    assert_eq!(
        batch.column(2).as_ref(),
        &Int8Array::from(vec![Some(5), None, Some(-6)]) as &dyn arrow::array::Array
    );
    let strings: Vec<_> = batch.column(3).as_string::<i32>().iter().flatten().collect();
    assert_eq!(strings, ["d", "x", "d"]);
    assert_eq!(
        batch.column(4).as_ref(),
        &BooleanArray::from(vec![None; 3]) as &dyn arrow::array::Array
    );
    assert_eq!(
        batch.column(5).as_ref(),
        &Float32Array::from(vec![1.5; 3]) as &dyn arrow::array::Array
    );
}

#[test]
fn keys_are_made_where_the_server_makes_them() {
    let mut made = Arc::unwrap_or_clone(collection(vec![], false, 1));
    made.schema.fields[0].auto_id = true;
    made.schema.fields[0].data_type = DataType::VarChar;
    let made = Arc::new(made);
    let prepared = insert(&made, request(vec![vectors(2, &[0.0; 4])], 2)).unwrap();
    assert_eq!(prepared.keys, PrimaryKeys::VarChar(StringArray::from(vec!["500", "501"])));
    let fresh = matches!(prepared.writes[0].kind, WriteKind::Insert { fresh_keys: true, .. });
    assert!(fresh);

    let given = scalars("id", StringArray::from(vec!["a"]), &[]);
    let columns = vec![given, vectors(2, &[0.0; 2])];
    assert_eq!(
        reason(insert(&made, request(columns.clone(), 1))),
        "more fieldData has pass in: invalid parameter[expected=2][actual=3]"
    );
    let mut allowed = Arc::unwrap_or_clone(made);
    allowed.properties = vec![KeyValue::new("allow_insert_auto_id", "true")];
    let allowed = Arc::new(allowed);
    let prepared = insert(&allowed, request(columns.clone(), 1)).unwrap();
    assert_eq!(prepared.keys, PrimaryKeys::VarChar(StringArray::from(vec!["a"])));

    let prepared =
        prepare(&allowed, request(columns, 1), Operation::Upsert, Some(9), &Limits::default())
            .unwrap();
    assert_eq!(prepared.keys, PrimaryKeys::VarChar(StringArray::from(vec!["9"])));
    let WriteKind::Upsert { replaced, .. } = &prepared.writes[0].kind else { panic!("upsert") };
    assert_eq!(*replaced, PrimaryKeys::VarChar(StringArray::from(vec!["a"])));
}

#[test]
fn upserts_name_each_key_once() {
    let collection = collection(vec![], false, 1);
    let upsert = |columns, rows| {
        let request = request(columns, rows);
        reason(prepare(&collection, request, Operation::Upsert, None, &Limits::default()))
    };
    assert_eq!(
        upsert(vec![ids(&[1, 1]), vectors(2, &[0.0; 4])], 2),
        "duplicate primary keys are not allowed in the same batch: invalid parameter"
    );
    assert_eq!(
        upsert(vec![vectors(2, &[0.0; 2])], 1),
        "must assign pk when upsert, primary field: id: invalid parameter"
    );
    assert_eq!(upsert(vec![ids(&[1]), vectors(2, &[0.0; 2])], 1), "");
}

#[test]
fn unsound_columns_are_refused_with_milvus_texts() {
    let extra = vec![
        field(102, "i8", DataType::Int8),
        FieldSchema {
            type_params: vec![KeyValue::new("max_length", "3")],
            ..field(103, "s", DataType::VarChar)
        },
        field(104, "j", DataType::JSON),
    ];
    let collection = collection(extra, false, 1);
    let sound = || {
        vec![
            ids(&[1, 2]),
            vectors(2, &[0.0; 4]),
            scalars("i8", Int32Array::from(vec![1, 2]), &[]),
            scalars("s", StringArray::from(vec!["a", "b"]), &[]),
            scalars("j", StringArray::from(vec!["{}", "[1]"]), &[]),
        ]
    };
    assert_eq!(reason(insert(&collection, request(sound(), 2))), "");
    type Change = Box<dyn FnOnce(&mut Vec<InputColumn>)>;
    let set = |at: usize, column: InputColumn| -> Change { Box::new(move |c| c[at] = column) };
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(|c| drop(c.remove(3))),
            "fieldSchema(s) has no corresponding fieldData pass in: invalid parameter",
        ),
        (
            Box::new(|c| c.push(scalars("x", Int64Array::from(vec![1, 2]), &[]))),
            "more fieldData has pass in: invalid parameter[expected=5][actual=6]",
        ),
        (Box::new(|c| c.push(ids(&[1, 2]))), "duplicated field id found: invalid parameter"),
        (
            set(2, scalars("i8", Int32Array::from(vec![1, 128]), &[])),
            "the 1th element (128) out of range: [-128, 127]: invalid parameter[expected=integer \
             doesn't overflow][actual=out of range]",
        ),
        (
            set(3, scalars("s", StringArray::from(vec!["a", "long"]), &[])),
            "length of varchar field s exceeds max length, row number: 1, length: 4, max length: \
             3: invalid parameter",
        ),
        (
            set(1, vectors(2, &[0.0, f32::NAN, 0.0, 0.0])),
            "value 'NaN' is not a number or infinity: invalid parameter",
        ),
        (
            set(1, vectors(2, &[0.0, 0.0, f32::INFINITY, 0.0])),
            "value '+Inf' is not a number or infinity: invalid parameter",
        ),
        (
            set(1, vectors(3, &[0.0; 6])),
            "the dim (3) of field data(v) is not equal to schema dim (2): invalid \
             parameter[expected=2][actual=3]",
        ),
        (
            set(1, vectors(2, &[0.0; 3])),
            "the length(3) of float data should divide the dim(2): invalid parameter",
        ),
        (
            set(1, vectors(2, &[0.0; 2])),
            "the num_rows (1) of field (v) is not equal to passed num_rows (2): invalid \
             parameter[expected=2][actual=1]",
        ),
        (
            set(2, scalars("i8", Int64Array::from(vec![1, 2]), &[])),
            "field 'i8' is illegal, array type mismatch: invalid parameter[expected=need int \
             array][actual=got nil]",
        ),
        (
            set(3, scalars("s", StringArray::from(vec!["a"]), &[true, false])),
            "the length of valid_data of field(s) is wrong: invalid \
             parameter[expected=0][actual=2]",
        ),
        (
            set(4, scalars("j", StringArray::from(vec!["{}", "{"]), &[])),
            "invalid json in field j, row number: 1: EOF while parsing an object at line 1 column \
             1: invalid parameter",
        ),
    ];
    for (change, expected) in cases {
        let mut columns = sound();
        change(&mut columns);
        assert_eq!(reason(insert(&collection, request(columns, 2))), expected);
    }
    assert_eq!(
        reason(insert(&collection, request(sound(), 0))),
        "num_rows should be greater than 0: invalid parameter[expected=invalid \
         num_rows][actual=0]"
    );
    let elsewhere =
        |name: &str| InsertRequest { partition_name: name.to_owned(), ..request(sound(), 2) };
    assert_eq!(reason(insert(&collection, elsewhere("p"))), "partition not found[partition=p]");
    assert_eq!(
        reason(insert(&collection, elsewhere("(p"))),
        "Invalid partition name: (p. The first character of a partition name must be an underscore \
         or letter.: invalid parameter"
    );
}
