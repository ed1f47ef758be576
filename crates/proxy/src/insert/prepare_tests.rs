//! Inserts and upserts from columns to writes, and the complaints on the way.

use arrow::array::{
    Array as _, AsArray as _, BinaryArray, BooleanArray, Float32Array, Int8Array, Int32Array,
    Int64Array, ListArray, StringArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{Float16Type, Int64Type};
use milvus_roles::WriteKind;
use milvus_types::collection::Partition;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    CollectionId, ConsistencyLevel, DataType, DatabaseId, FieldId, KeyValue, PartitionId,
    Timestamp, VChannel, Value,
};

use super::*;
use crate::api::{InputArrays, PackedVectors};

fn prepare(
    collection: &Arc<Collection>,
    request: InsertRequest,
    operation: Operation,
    first_id: Option<i64>,
    limits: &Limits,
) -> Result<Prepared> {
    check(collection, request, operation, limits)?.prepare(first_id)
}

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
        values: packed(DataType::FloatVector, dim, Buffer::from_slice_ref(values)),
        ..scalars("v", Int64Array::from(vec![0]), &[])
    }
}

fn packed(kind: DataType, dim: i64, bytes: Buffer) -> InputValues {
    InputValues::Vectors(PackedVectors { kind, dim, bytes })
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
    let InputValues::Vectors(given) = &column.values else { panic!("vectors") };
    let before = given.bytes.as_ptr();
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
            "fieldName x not exist in collection schema, fieldType None, fieldId 0: invalid parameter",
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

/// One more column `f` of `field` beside key and vector, filled with `values`.
fn with_column(field: FieldSchema, values: InputValues, valid: &[bool]) -> Result<ArrayRef> {
    let rows = if valid.is_empty() { 2 } else { valid.len() };
    let collection = collection(vec![field], false, 1);
    let keys: Vec<i64> = (0..).take(rows).collect();
    let column = InputColumn { values, ..scalars("f", Int64Array::from(vec![0]), valid) };
    let columns = vec![ids(&keys), vectors(2, &vec![0.0; rows * 2]), column];
    let prepared = insert(&collection, request(columns, u32::try_from(rows).unwrap()))?;
    let batch = rows_of(&prepared);
    Ok(Arc::clone(batch.column(2)))
}

fn rows_of(prepared: &Prepared) -> &RecordBatch {
    rows(&prepared.writes[0])
}

fn typed(data_type: DataType, params: &[(&str, &str)]) -> FieldSchema {
    let type_params = params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
    FieldSchema { type_params, ..field(102, "f", data_type) }
}

fn texts(texts: &[&str]) -> InputValues {
    InputValues::Scalars(Arc::new(StringArray::from(texts.to_vec())))
}

fn numbers(rows: &[&[i64]], odd: Option<&str>) -> InputValues {
    let rows = rows.iter().map(|row| Some(row.iter().map(|number| Some(*number))));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows));
    InputValues::Arrays(InputArrays { lists, odd: odd.map(str::to_owned) })
}

#[test]
fn every_kind_of_value_finds_its_layout() {
    let halves = typed(DataType::Float16Vector, &[("dim", "2")]);
    let given =
        || packed(DataType::FloatVector, 2, Buffer::from_slice_ref([1.0_f32, 0.5, 2.0, 4.0]));
    let column = with_column(halves, given(), &[]).unwrap();
    let halves = column.as_fixed_size_list().values().as_primitive::<Float16Type>().values();
    assert_eq!(halves.iter().map(|half| half.to_f32()).collect::<Vec<_>>(), [1.0, 0.5, 2.0, 4.0]);

    let brains = FieldSchema { nullable: true, ..typed(DataType::BFloat16Vector, &[("dim", "2")]) };
    let column = with_column(brains, given(), &[true, false, true]).unwrap();
    let brains = column.as_fixed_size_binary();
    assert!(brains.is_null(1));
    assert_eq!(brains.value(2), [0x00, 0x40, 0x80, 0x40]);
    assert_eq!(brains.values().as_slice()[4..8], [0; 4]);

    let bits = typed(DataType::BinaryVector, &[("dim", "16")]);
    let given = packed(DataType::BinaryVector, 16, Buffer::from_slice_ref([1_u8, 2, 3, 4]));
    assert_eq!(with_column(bits, given, &[]).unwrap().as_fixed_size_binary().value(1), [3, 4]);

    let sparse = FieldSchema { nullable: true, ..typed(DataType::SparseFloatVector, &[]) };
    let row = milvus_values::sparse::encode([(3, 0.5)]);
    let given = InputValues::SparseVectors(Arc::new(BinaryArray::from(vec![&row[..]])));
    let column = with_column(sparse, given, &[false, true]).unwrap();
    assert_eq!((column.is_null(0), column.as_binary::<i32>().value(1)), (true, &row[..]));

    let array = FieldSchema {
        element_type: Some(DataType::Int64),
        nullable: true,
        ..typed(DataType::Array, &[("max_capacity", "2")])
    };
    let column = with_column(array, numbers(&[&[], &[1, 2]], None), &[true, false, true]).unwrap();
    let lists = column.as_list::<i32>();
    assert_eq!((lists.is_null(1), lists.value(0).len(), lists.value(2).len()), (true, 0, 2));

    let point = FieldSchema {
        default_value: Some(Value::VarChar("POINT (1 2)".to_owned())),
        ..typed(DataType::Geometry, &[])
    };
    let column = with_column(point, texts(&["POINT(3 4)"]), &[true, false]).unwrap();
    let shapes: Vec<String> = column
        .as_binary::<i32>()
        .iter()
        .map(|shape| milvus_values::geometry::to_wkt(shape.unwrap()).unwrap())
        .collect();
    assert_eq!(shapes, ["POINT (3 4)", "POINT (1 2)"]);

    let time = typed(DataType::Timestamptz, &[]);
    let given = texts(&["1970-01-01T00:00:01Z", "1970-01-01T08:00:00+08:00"]);
    let column = with_column(time, given, &[]).unwrap();
    let micros = column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(micros.values(), &[1_000_000, 0]);
}

#[test]
fn unsound_vectors_arrays_and_texts_are_refused_with_milvus_texts() {
    let dense = |kind, bytes: &[u8], dim| packed(kind, dim, Buffer::from_slice_ref(bytes));
    let array = |element| FieldSchema {
        element_type: Some(element),
        ..typed(DataType::Array, &[("max_capacity", "2"), ("max_length", "1")])
    };
    let strings = |rows: &[&[&str]]| {
        let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        for row in rows {
            lists.append_value(row.iter().map(|text| Some(*text)));
        }
        InputValues::Arrays(InputArrays { lists: Arc::new(lists.finish()), odd: None })
    };
    let sparse = |rows: Vec<&[u8]>| InputValues::SparseVectors(Arc::new(BinaryArray::from(rows)));
    let cases: Vec<(FieldSchema, InputValues, &str)> = vec![
        (
            typed(DataType::BinaryVector, &[("dim", "8")]),
            dense(DataType::BinaryVector, &[0; 2], 16),
            "the dim (16) of field data(f) is not equal to schema dim (8)",
        ),
        (
            typed(DataType::BinaryVector, &[("dim", "16")]),
            dense(DataType::BinaryVector, &[0; 3], 16),
            "the num(24) of all bits should divide the dim(16)",
        ),
        (
            typed(DataType::Float16Vector, &[("dim", "2")]),
            dense(DataType::Float16Vector, &[0, 0, 0, 0x7c, 0, 0, 0, 0], 2),
            "float16 vector contain nan or infinity value.",
        ),
        (
            typed(DataType::BFloat16Vector, &[("dim", "2")]),
            dense(DataType::BFloat16Vector, &[0; 6], 2),
            "the length(6) of bfloat data should divide the row width(4)",
        ),
        (
            typed(DataType::Int8Vector, &[("dim", "2")]),
            dense(DataType::FloatVector, &[0; 16], 2),
            "int8 vector field 'f' is illegal, array type mismatch",
        ),
        (
            typed(DataType::SparseFloatVector, &[]),
            sparse(vec![&[0; 8], &[0; 16]]),
            "unsorted or same indices in sparse float vector",
        ),
        (
            typed(DataType::SparseFloatVector, &[]),
            sparse(vec![&[0; 8]]),
            "the num_rows (1) of field (f) is not equal to passed num_rows (2)",
        ),
        (
            array(DataType::Int64),
            numbers(&[&[1], &[1, 2, 3]], None),
            "the length (3) of 1th array exceeds max capacity (2)",
        ),
        (
            array(DataType::Int64),
            numbers(&[&[1]], Some("nil")),
            "insert data does not match: invalid parameter[expected=int64 array][actual=nil array]",
        ),
        (
            array(DataType::Double),
            numbers(&[&[1], &[]], None),
            "insert data does not match: invalid parameter[expected=double \
             array][actual=*schemapb.ScalarField_LongData array]",
        ),
        (
            array(DataType::VarChar),
            strings(&[&["a"], &["b", "cd"]]),
            "length of Array array field \"f\" exceeds max length, row number: 1, array index: 1, \
             length: 2, max length: 1",
        ),
        (
            typed(DataType::Geometry, &[]),
            texts(&["POINT (1 2)", "POINT (1"]),
            "invalid Geometry data, transform to wkb failed: ",
        ),
        (
            typed(DataType::Timestamptz, &[]),
            texts(&["noon", ""]),
            "got invalid timestamptz string 'noon': invalid timezone name; must be a valid IANA \
             Time Zone ID (e.g., 'Asia/Shanghai' or 'UTC')",
        ),
        (
            typed(DataType::Timestamptz, &[]),
            InputValues::Scalars(Arc::new(Int64Array::from(vec![1, 2]))),
            "timestamptz field data must be a string array",
        ),
    ];
    for (field, values, expected) in cases {
        let kind = field.data_type;
        let reason = with_column(field, values, &[]).unwrap_err().reason;
        assert!(reason.starts_with(expected), "{kind}: {reason}");
    }
}

#[test]
fn row_counts_are_compared_before_anything_is_filled() {
    let absent = FieldSchema { nullable: true, ..field(102, "n", DataType::Int64) };
    let collection = collection(vec![absent], true, 1);
    let claimed = u32::try_from(MAX_ROWS).unwrap();
    let few = request(vec![ids(&[1]), vectors(2, &[0.0; 2])], claimed);
    let reason = check(&collection, few, Operation::Insert, &Limits::default());
    assert!(reason.unwrap_err().reason.starts_with("the num_rows (1) of field (id) is not equal"));
    let none = check(&collection, request(vec![], 5), Operation::Insert, &Limits::default());
    assert!(none.unwrap_err().reason.starts_with("fieldSchema(id) has no corresponding"));
    let sound = request(vec![ids(&[1, 2]), vectors(2, &[0.0; 4])], 2);
    let sound = check(&collection, sound, Operation::Insert, &Limits::default()).unwrap();
    assert!(sound.bytes_to_fill() > 0 && sound.keys_to_make().is_none());
}

#[test]
fn partition_keys_choose_partitions_and_upserts_replace_everywhere() {
    let key = FieldSchema { is_partition_key: true, ..field(102, "p", DataType::Int64) };
    let mut collection = Arc::unwrap_or_clone(collection(vec![key], false, 2));
    let partition = |number: i64| Partition {
        id: PartitionId(number),
        name: format!("_default_{number}"),
        create_ts: Timestamp::ZERO,
    };
    collection.partitions = (0..4).map(partition).collect();
    let collection = Arc::new(collection);
    let keys: Vec<i64> = (0..50).collect();
    let columns = || {
        vec![
            ids(&keys),
            vectors(2, &[0.0; 100]),
            scalars("p", Int64Array::from(keys.iter().map(|key| key % 7).collect::<Vec<_>>()), &[]),
        ]
    };
    let upsert = request(columns(), 50);
    let prepared =
        prepare(&collection, upsert, Operation::Upsert, None, &Limits::default()).unwrap();
    let mut seen = 0;
    for write in &prepared.writes {
        let WriteKind::Upsert { partition_id, rows, replaced, everywhere } = &write.kind else {
            panic!("upserts")
        };
        assert!(*everywhere);
        assert_eq!(replaced.len(), rows.num_rows());
        for key in rows.column(2).as_primitive::<Int64Type>().values() {
            let number = i64::from(split::hash_int64(*key)) % 4;
            assert_eq!(*partition_id, PartitionId(number));
            seen += 1;
        }
    }
    assert_eq!(seen, 50);
    let named = InsertRequest { partition_name: "_default_0".to_owned(), ..request(columns(), 50) };
    assert!(reason(insert(&collection, named)).starts_with("not support manually specifying"));
}
