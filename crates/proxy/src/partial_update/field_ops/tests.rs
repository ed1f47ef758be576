//! What operations make of arrays, and which are refused.

use arrow::array::{BooleanArray, Float32Array, Int32Array, StringArray};
use milvus_types::KeyValue;

use super::*;
use crate::api::InputArrays;

fn field(name: &str, data_type: DataType, element: DataType) -> FieldSchema {
    FieldSchema {
        name: name.to_owned(),
        data_type,
        element_type: Some(element),
        nullable: true,
        type_params: vec![KeyValue::new("max_capacity", "4")],
        ..FieldSchema::default()
    }
}

/// Lists of the elements in `values`; a negative length is a null row.
fn lists(values: ArrayRef, lengths: &[i32]) -> ListArray {
    let valid: Vec<bool> = lengths.iter().map(|length| *length >= 0).collect();
    let lengths = lengths.iter().map(|length| usize::try_from(*length).unwrap_or(0));
    let nulls = (!valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(valid));
    let element = vector_element(values.data_type().clone());
    ListArray::new(element, OffsetBuffer::from_lengths(lengths), values, nulls)
}

fn given(values: ArrayRef, lengths: &[i32], valid: &[bool]) -> InputColumn {
    let lists: ArrayRef = Arc::new(lists(values, lengths));
    InputColumn {
        name: "a".to_owned(),
        is_dynamic: false,
        data_type: None,
        values: InputValues::Arrays(InputArrays { lists, odd: None }),
        valid: valid.to_vec(),
    }
}

#[test]
fn elements_are_appended_and_removed() {
    let field = field("a", DataType::Array, DataType::Int8);
    let old: ArrayRef =
        Arc::new(lists(Arc::new(arrow::array::Int8Array::from(vec![1, 2, 1, 3])), &[3, -1, 1]));
    let places = [Some(0), Some(1), Some(2), None, Some(0)];
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 7, 8, 9]));
    let given = given(numbers, &[1, 1, 1, 1], &[true, true, false, true, true]);
    let make = |kind| {
        let made = apply(&field, kind, (&old, &places), &given).unwrap().unwrap();
        let made = made.as_list::<i32>().clone();
        let row = |row: usize| {
            made.is_valid(row).then(|| made.value(row).as_primitive::<Int8Type>().values().to_vec())
        };
        (0..made.len()).map(row).collect::<Vec<_>>()
    };
    assert_eq!(
        make(FieldOpKind::ArrayAppend),
        [
            Some(vec![1, 2, 1, 1]),
            Some(vec![7]),
            Some(vec![3]),
            Some(vec![8]),
            Some(vec![1, 2, 1, 9])
        ]
    );
    assert_eq!(
        make(FieldOpKind::ArrayRemove),
        [Some(vec![2]), Some(vec![]), Some(vec![3]), Some(vec![8]), Some(vec![1, 2, 1])]
    );
}

#[test]
fn equal_is_equal_for_every_element_type() {
    let cases: Vec<(DataType, ArrayRef, ArrayRef, usize)> = vec![
        (
            DataType::VarChar,
            Arc::new(StringArray::from(vec!["a", "b"])),
            Arc::new(StringArray::from(vec!["b"])),
            1,
        ),
        (
            DataType::Bool,
            Arc::new(BooleanArray::from(vec![true, false])),
            Arc::new(BooleanArray::from(vec![true])),
            1,
        ),
        (
            DataType::Float,
            Arc::new(Float32Array::from(vec![0.0, f32::NAN])),
            Arc::new(Float32Array::from(vec![-0.0])),
            1,
        ),
        (
            DataType::Float,
            Arc::new(Float32Array::from(vec![0.5, f32::NAN])),
            Arc::new(Float32Array::from(vec![f32::NAN])),
            2,
        ),
    ];
    for (element, old, gone, left) in cases {
        let old: ArrayRef = Arc::new(lists(old, &[2]));
        let given = given(gone, &[1], &[]);
        let field = field("a", DataType::Array, element);
        let made = apply(&field, FieldOpKind::ArrayRemove, (&old, &[Some(0)]), &given);
        assert_eq!(made.unwrap().unwrap().as_list::<i32>().value(0).len(), left, "{element}");
    }
}

#[test]
fn too_many_elements_are_refused() {
    let field = field("a", DataType::Array, DataType::Int64);
    let numbers = |n: i64| -> ArrayRef {
        Arc::new(arrow::array::Int64Array::from((0..n).collect::<Vec<_>>()))
    };
    let old: ArrayRef = Arc::new(lists(numbers(3), &[3]));
    let places = (&old, &[Some(0)][..]);
    let given = given(numbers(2), &[2], &[]);
    let error = apply(&field, FieldOpKind::ArrayAppend, places, &given).unwrap_err();
    assert_eq!(error.reason, "array length 5 exceeds max_capacity 4: invalid parameter");
}

#[test]
fn operations_that_make_no_sense_are_refused() {
    let schema = CollectionSchema {
        fields: vec![
            FieldSchema { is_primary_key: true, ..field("id", DataType::Int64, DataType::Int64) },
            field("name", DataType::VarChar, DataType::VarChar),
            field("tags", DataType::Array, DataType::Int64),
        ],
        ..CollectionSchema::default()
    };
    let op = |name: &str, kind| FieldOp { field_name: name.to_owned(), kind, number: 9 };
    let append = Some(FieldOpKind::ArrayAppend);
    for (ops, reason) in [
        (
            vec![op("name", append)],
            "op ARRAY_APPEND requires Array field, but field \"name\" is VarChar",
        ),
        (
            vec![op("id", append)],
            "field \"id\" is the primary key and cannot carry a partial-update op",
        ),
        (vec![op("no", append)], "field \"no\" not found in collection schema"),
        (
            vec![op("tags", append)],
            "partial-update op targets field \"tags\" not present in fields_data",
        ),
        (vec![op("tags", None)], "unsupported partial update op: 9"),
        (
            vec![op("no", Some(FieldOpKind::Replace)), op("no", append)],
            "duplicate partial-update op for field \"no\"",
        ),
    ] {
        let request = InsertRequest { field_ops: ops, ..InsertRequest::default() };
        let expected = format!("{reason}: invalid parameter");
        assert_eq!(check_ops(&schema, &request).unwrap_err().reason, expected);
    }
}
