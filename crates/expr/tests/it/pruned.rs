//! Pruning by statistics: what is pruned has no match, and what plainly has none is pruned.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use milvus_expr::{Templates, plan};
use milvus_types::{FieldId, FieldStats, ValueRange};
use proptest::prelude::*;

use crate::random::{Row, batch, filter, rendered, row};
use crate::schema::{dynamic_schema, schema, templates};

fn stats<T>(
    id: i64,
    values: &[Option<T>],
    range: impl Fn(&T, &T) -> ValueRange,
    less: impl Fn(&T, &T) -> bool,
) -> FieldStats {
    let present = || values.iter().flatten();
    let min = present().reduce(|a, b| if less(b, a) { b } else { a });
    let max = present().reduce(|a, b| if less(a, b) { b } else { a });
    FieldStats {
        field_id: FieldId(id),
        rows: values.len() as u64,
        nulls: values.iter().filter(|value| value.is_none()).count() as u64,
        range: min.zip(max).map(|(min, max)| range(min, max)),
    }
}

/// The statistics of `rows`, bounds moved outwards by up to `slack`.
fn stats_of(rows: &[Row], slack: i64) -> Vec<FieldStats> {
    let ints = |min: &i64, max: &i64| ValueRange::Int { min: min - slack, max: max + slack };
    let i8s: Vec<_> = rows.iter().map(|row| row.i8.map(i64::from)).collect();
    let i64s: Vec<_> = rows.iter().map(|row| row.i64).collect();
    let f64s: Vec<_> = rows.iter().map(|row| row.f64).collect();
    let names: Vec<_> = rows.iter().map(|row| row.name.clone()).collect();
    let floats = |min: &f64, max: &f64| ValueRange::Float {
        min: min - slack as f64 / 2.0,
        max: max + slack as f64 / 2.0,
    };
    let texts = |min: &String, max: &String| match slack {
        0 => ValueRange::text(min, max),
        1 => ValueRange::Text { min: "".into(), max: Some(format!("{max}\u{1}").into()) },
        _ => ValueRange::Text { min: "".into(), max: None },
    };
    vec![
        stats(102, &i8s, ints, |a, b| a < b),
        stats(105, &i64s, ints, |a, b| a < b),
        stats(107, &f64s, floats, |a, b| a < b),
        stats(108, &names, texts, |a, b| a < b),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]
    #[test]
    fn rows_that_pass_are_never_pruned(
        rows in prop::collection::vec(row(), 0..5),
        filter in filter(),
        slack in 0_i64..3,
        known in prop::collection::vec(any::<bool>(), 4),
    ) {
        let batch = batch(&rows);
        let mut stats = stats_of(&rows, slack);
        let mut known = known.into_iter();
        stats.retain(|_| known.next().unwrap_or(true));
        for text in [rendered(&filter), format!("not ({})", rendered(&filter))] {
            let plan = plan(&text, &dynamic_schema(), &Templates::new()).unwrap();
            let passed = plan.evaluate(&batch).unwrap().count_set_bits();
            let may = plan.may_match(&stats);
            prop_assert!(may || passed == 0, "{} rows pass {} with {:?}", passed, text, stats);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]
    #[test]
    fn bounds_of_long_strings_are_cut_without_losing_any(
        prefix in "[aé]{20,40}",
        ends in prop::collection::vec("[aé\u{d7ff}\u{e000}\u{10ffff}]{0,40}", 1..6),
    ) {
        let names: Vec<_> = ends.iter().map(|end| Some(format!("{prefix}{end}"))).collect();
        let texts = |min: &String, max: &String| ValueRange::text(min, max);
        let stats = [stats(108, &names, texts, |a, b| a < b)];
        for name in names.iter().flatten() {
            let conditions = [
                format!("name == \"{name}\""),
                format!("name like \"{name}%\""),
                format!("name >= \"{name}\""),
                format!("name <= \"{name}\""),
                format!("not (name != \"{name}\")"),
                format!("name in [\"b\", \"{name}\"]"),
            ];
            for text in conditions {
                let plan = plan(&text, &schema(), &templates()).unwrap();
                prop_assert!(plan.may_match(&stats), "{} with {:?}", text, stats);
            }
        }
        let other = plan("name like \"b%\"", &schema(), &templates()).unwrap();
        prop_assert!(!other.may_match(&stats) || prefix.starts_with('é'));
    }
}

/// Ten rows: `flag` true, `i64` in 10..=20 and two nulls, `f32` and `f64` in -1..=1, `name` in b..=d,
/// `i8` null, `at` in the first second of 1970.
fn known() -> Vec<FieldStats> {
    let of = |id, nulls, range| FieldStats { field_id: FieldId(id), rows: 10, nulls, range };
    vec![
        of(100, 0, Some(ValueRange::Int { min: 1, max: 9 })),
        of(101, 0, Some(ValueRange::Int { min: 1, max: 1 })),
        of(102, 10, None),
        of(105, 2, Some(ValueRange::Int { min: 10, max: 20 })),
        of(106, 0, Some(ValueRange::Float { min: -1.0, max: 1.0 })),
        of(107, 0, Some(ValueRange::Float { min: -1.0, max: 1.0 })),
        of(108, 0, Some(ValueRange::Text { min: "bb".into(), max: Some("dd".into()) })),
        of(116, 0, Some(ValueRange::Int { min: 0, max: 1_000_000 })),
    ]
}

#[test]
fn a_filter_that_statistics_rule_out_is_pruned_and_its_neighbour_is_not() {
    let pairs = [
        ("i64 < 10", "i64 <= 10"),
        ("i64 > 20", "i64 >= 20"),
        ("i64 == 9", "i64 == 15"),
        ("not (i64 >= 10)", "not (i64 > 10)"),
        ("not (i64 != 9)", "not (i64 != 10)"),
        ("20 < i64 < 30", "20 <= i64 < 30"),
        ("i64 in [1, 2, 21]", "i64 in [1, 2, 20]"),
        ("not (i64 <= 20)", "not (i64 < 20)"),
        ("id == 10", "id == 9"),
        ("id in [0, 10]", "id in [0, 9]"),
        ("flag == false", "flag == true"),
        ("not (flag == true)", "not (flag == false)"),
        ("i8 > 0", "i8 is null"),
        ("not (i8 > 0)", "not (i64 > 10)"),
        ("i8 is not null", "i64 is null"),
        ("id is null", "id is not null"),
        ("f64 > 1.5", "f64 > 0.5"),
        ("f32 == 2.5", "f32 == 0.1"),
        ("name == \"a\"", "name == \"c\""),
        ("name like \"a%\"", "name like \"b%\""),
        ("name like \"e%x\"", "name like \"d%x\""),
        ("name like \"ba%\"", "name like \"bb%\""),
        ("name > \"dd\"", "name > \"dc\""),
        ("name in [\"a\", \"e\"]", "name in [\"a\", \"d\"]"),
        ("i64 < 10 and name == \"c\"", "i64 <= 10 and name == \"c\""),
        ("i64 < 10 or f64 > 2.0", "i64 < 10 or f64 > 0.5"),
        ("i64 < 10 and json[\"k\"] == 1", "i64 < 10 or json[\"k\"] == 1"),
        ("not (i64 >= 10 or json[\"k\"] == 1)", "not (i64 >= 10 and json[\"k\"] == 1)"),
        ("at > ISO '1970-01-01T00:00:02Z'", "at > ISO '1970-01-01T00:00:00Z'"),
        ("i64 < 10 and i16 == 1", "i16 == 1"),
    ];
    for (pruned, kept) in pairs {
        for (text, want) in [(pruned, false), (kept, true)] {
            let plan = plan(text, &schema(), &templates()).unwrap();
            assert_eq!(plan.may_match(&known()), want, "{text}");
            assert!(plan.may_match(&[]), "{text} without statistics");
        }
    }
}

#[test]
fn a_float_column_is_pruned_as_it_is_compared_in_single_precision() {
    let column: ArrayRef = Arc::new(Float32Array::from(vec![0.1]));
    let batch = RecordBatch::try_from_iter([("f32", column)]).unwrap();
    let value = f64::from(0.1_f32);
    let stats = FieldStats {
        field_id: FieldId(106),
        rows: 1,
        nulls: 0,
        range: Some(ValueRange::Float { min: value, max: value }),
    };
    for text in ["f32 == 0.1", "f32 <= 0.1", "f32 < 0.2", "not (f32 > 0.1)", "f32 in [0.1]"] {
        let plan = plan(text, &schema(), &templates()).unwrap();
        assert_eq!(plan.evaluate(&batch).unwrap().count_set_bits(), 1, "{text}");
        assert!(plan.may_match(std::slice::from_ref(&stats)), "{text}");
    }
}
