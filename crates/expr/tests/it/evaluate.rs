//! Filters over one small batch, row by row as Milvus answers them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int64Array, RecordBatch,
    StringArray,
};
use milvus_expr::{EvaluateError, Templates, plan};

use crate::schema::dynamic_schema;

fn batch() -> RecordBatch {
    let json = [
        Some(r#"{"a": 1, "b": {"c": "x"}, "l": [1, 2.0, "3", [4], true]}"#),
        Some(r#"{"a": 1.0, "b": null, "l": []}"#),
        Some(r#"{"a": "1", "n": 9007199254740993}"#),
        Some(r#"{"a": true, "e": {"f": {}}, "l": [[1, 2], 5]}"#),
        None,
    ];
    let meta = [
        Some(r#"{"color": "red", "size": 3}"#),
        Some(r#"{"color": "blue", "size": 2.5}"#),
        Some("{}"),
        None,
        Some(r#"{"size": "3"}"#),
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), None])),
        ),
        ("i8", Arc::new(Int8Array::from(vec![Some(-7), Some(0), Some(127), None, Some(3)]))),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(0.1), Some(1.5), Some(-2.0), None, Some(3.0)])),
        ),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), Some(1.5), None, Some(4.0), None]))),
        (
            "name",
            Arc::new(StringArray::from(vec![
                Some("apple"),
                Some("añb"),
                Some(""),
                None,
                Some("a%b"),
            ])),
        ),
        ("json", Arc::new(StringArray::from(json.to_vec()))),
        ("$meta", Arc::new(StringArray::from(meta.to_vec()))),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// The ids of the rows that pass.
fn rows(text: &str) -> Vec<usize> {
    let plan = plan(text, &dynamic_schema(), &Templates::new())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let whole = batch();
    let bits = plan.evaluate(&whole).unwrap();
    let ids: Vec<usize> = bits.set_indices().map(|row| row + 1).collect();
    // A slice of the batch answers the same for its rows.
    let tail = plan.evaluate(&whole.slice(2, 3)).unwrap();
    let of_tail: Vec<usize> = tail.set_indices().map(|row| row + 3).collect();
    assert_eq!(of_tail, ids.iter().copied().filter(|id| *id > 2).collect::<Vec<_>>(), "{text}");
    ids
}

#[test]
fn scalars() {
    for (text, want) in [
        ("id > 2", vec![3, 4, 5]),
        ("5 > id >= 2", vec![2, 3, 4]),
        ("i8 < 1000", vec![1, 2, 3, 5]),
        ("i8 > 127", vec![]),
        ("i8 != 0", vec![1, 3, 5]),
        ("not (i8 == 0)", vec![1, 3, 5]),
        ("i8 % 2 == -1", vec![1]),
        ("i8 / 2 == -3", vec![1]),
        ("2 * i8 == 6", vec![5]),
        ("i8 in [-7, 3, 500]", vec![1, 5]),
        ("i8 not in [-7, 3]", vec![2, 3]),
        ("i8 in []", vec![]),
        ("i8 not in []", vec![1, 2, 3, 4, 5]),
        ("f32 == 0.1", vec![1]),
        ("f64 == 0.1", vec![1]),
        ("f32 + 0.5 == 2", vec![2]),
        ("f32 in [0.1, 3]", vec![1, 5]),
        ("-2 <= f32 < 1.5", vec![1, 3]),
        ("flag == true", vec![1, 4]),
        ("flag != true", vec![2]),
        ("flag in [false]", vec![2]),
        ("flag is null", vec![3, 5]),
        ("flag IS NOT NULL", vec![1, 2, 4]),
        ("i8 < f64", vec![1, 2]),
        ("i8 != id", vec![1, 2, 3, 5]),
        ("id == 9223372036854775807 or id > -9223372036854775808", vec![1, 2, 3, 4, 5]),
    ] {
        assert_eq!(rows(text), want, "{text}");
    }
}

#[test]
fn strings() {
    for (text, want) in [
        ("name == ''", vec![3]),
        ("name > 'a'", vec![1, 2, 5]),
        ("'a' < name < 'aq'", vec![1, 5]),
        ("name in ['apple', 'a%b', 'z']", vec![1, 5]),
        ("name like 'a%'", vec![1, 2, 5]),
        ("name like '%b'", vec![2, 5]),
        ("name like '%pp%'", vec![1]),
        ("name like 'a_b'", vec![2, 5]),
        (r"name like 'a\\%b'", vec![5]),
        ("name like '%'", vec![1, 2, 3, 5]),
        ("not name like 'a%'", vec![3]),
        (r#"name =~ "^a.b$""#, vec![2, 5]),
        (r#"name !~ "p+""#, vec![2, 3, 5]),
    ] {
        assert_eq!(rows(text), want, "{text}");
    }
}

#[test]
fn json_paths() {
    for (text, want) in [
        ("json['a'] == 1", vec![1, 2]),
        ("json['a'] == 1.0", vec![1, 2]),
        ("json['a'] == '1'", vec![3]),
        ("json['a'] == true", vec![4]),
        ("json['a'] != 1", vec![3, 4]),
        ("not (json['a'] > 0)", vec![3, 4]),
        ("json['a'] in [1, 2]", vec![1, 2]),
        ("json['a'] in [1, '1', 2.5]", vec![1, 2, 3]),
        ("json['a'] not in [1]", vec![3, 4]),
        ("json['b']['c'] like 'x%'", vec![1]),
        ("json['n'] == 9007199254740993", vec![3]),
        ("json['n'] > 9007199254740992.0", vec![3]),
        ("json['l'][1] == 2", vec![1]),
        ("json['l'][9] != 2", vec![1, 2, 3, 4]),
        ("json['l'] == [[1, 2], 5]", vec![4]),
        // A row without a list is neither equal nor unequal to one.
        ("json['l'] != [[1, 2], 5]", vec![1, 2]),
        ("json['l'] != [7] and json['l'] != [8]", vec![1, 2, 4]),
        ("json['a'] != [1]", vec![]),
        ("0 < json['a'] < 2", vec![1, 2]),
        ("json['a'] + 1 == 2", vec![1, 2]),
        ("json['a'] * 2.0 > 1", vec![1, 2]),
        ("exists json['b']", vec![1]),
        ("exists json['e']", vec![]),
        ("json['b'] is null", vec![2, 3, 4]),
        ("json['b'] is not null", vec![1]),
        ("json is null", vec![5]),
        ("json_contains(json['l'], 1)", vec![1]),
        ("json_contains(json['l'], '3')", vec![1]),
        ("json_contains(json['l'], [4])", vec![1]),
        ("json_contains_any(json['l'], [2, 5])", vec![1, 4]),
        ("json_contains_all(json['l'], [1, 2, true])", vec![1]),
        ("JSON_CONTAINS_ALL(json['l'], [[1, 2]])", vec![4]),
        ("array_length(json['l']) == 5", vec![1]),
        ("array_length(json['l']) == 0", vec![2, 3]),
    ] {
        assert_eq!(rows(text), want, "{text}");
    }
}

#[test]
fn dynamic_keys() {
    for (text, want) in [
        ("color == 'red'", vec![1]),
        ("color != 'red'", vec![2, 3, 4, 5]),
        ("$meta['color'] in ['blue', 'red']", vec![1, 2]),
        ("size > 2", vec![1, 2]),
        ("size > 2 and color like 'b%'", vec![2]),
        ("not (size > 2)", vec![3, 4, 5]),
        ("exists size", vec![1, 2, 5]),
        ("size is null", vec![3, 4]),
        ("i8 > 100 or color == 'red'", vec![1, 3]),
    ] {
        assert_eq!(rows(text), want, "{text}");
    }
}

#[test]
fn unknown_is_neither_true_nor_false() {
    for (text, want) in [
        ("flag == true or i8 == 127", vec![1, 3, 4]),
        ("flag == true and i8 < 0", vec![1]),
        ("not (flag == true and i8 < 0)", vec![2, 3, 5]),
        ("not (flag == true or i8 < 0)", vec![2]),
        ("not not (flag == true)", vec![1, 4]),
    ] {
        assert_eq!(rows(text), want, "{text}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let plan = plan("i8 > 1", &dynamic_schema(), &Templates::new()).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let wrong = RecordBatch::try_from_iter([("i8", Arc::clone(&column))]).unwrap();
    let missing = RecordBatch::try_from_iter([("i9", column)]).unwrap();
    assert!(matches!(plan.evaluate(&wrong), Err(EvaluateError::ColumnType { .. })));
    assert!(matches!(plan.evaluate(&missing), Err(EvaluateError::MissingColumn { .. })));
}
