//! Random filters over random rows, against an evaluator that is as plain as it is slow.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray};
use milvus_expr::{Templates, plan};
use proptest::prelude::*;
use serde_json::Value;

use crate::schema::dynamic_schema;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) i8: Option<i8>,
    pub(crate) i64: Option<i64>,
    pub(crate) f64: Option<f64>,
    pub(crate) name: Option<String>,
    json: Option<Value>,
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    let name = prop::sample::select(vec!["", "a", "ab", "aé", "b", "é%"]);
    let leaf = prop::sample::select(vec![
        "null",
        "1",
        "2.0",
        "2.5",
        "-1",
        "\"a\"",
        "\"ab\"",
        "true",
        "[1, \"a\"]",
        "[]",
        "{}",
    ]);
    let json = (prop::option::of(leaf.clone()), prop::option::of(leaf)).prop_map(|(x, y)| {
        let members = [("x", x), ("y", y)].into_iter().filter_map(|(key, value)| {
            Some((key.to_owned(), serde_json::from_str::<Value>(value?).ok()?))
        });
        Value::Object(members.collect())
    });
    (
        prop::option::of(-3i8..4),
        prop::option::of(-3i64..4),
        prop::option::of((-6i32..7).prop_map(|half| f64::from(half) / 2.0)),
        prop::option::of(name.prop_map(str::to_owned)),
        prop::option::of(json),
    )
        .prop_map(|(i8, i64, f64, name, json)| Row { i8, i64, f64, name, json })
}

#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Int { field: &'static str, op: &'static str, value: i64 },
    Double { op: &'static str, half: i32 },
    Text { op: &'static str, value: &'static str },
    Range { low: i64, high: i64 },
    IntIn { values: Vec<i64>, negated: bool },
    TextIn { values: Vec<&'static str> },
    Like { pattern: &'static str },
    Modulo { by: i64, value: i64 },
    Fields { op: &'static str },
    Null { field: &'static str },
    Json { key: &'static str, op: &'static str, value: &'static str },
    JsonIn { key: &'static str, values: Vec<&'static str> },
    Contains { key: &'static str, value: &'static str },
    Exists { key: &'static str },
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let op = || prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let text = || prop::sample::select(vec!["", "a", "ab", "b", "é%"]);
    let key = || prop::sample::select(vec!["x", "y"]);
    let json = || prop::sample::select(vec!["1", "2", "2.5", "-1", "\"a\"", "true"]);
    let int_field = prop::sample::select(vec!["i8", "i64"]);
    let any_field = prop::sample::select(vec!["i8", "i64", "f64", "name", "json"]);
    let pattern =
        prop::sample::select(vec!["%", "a%", "%b", "%a%", "a_", "_", "_%_", "é\\\\%", "%%_b"]);
    let leaf = prop_oneof![
        (int_field, op(), -4i64..5).prop_map(|(field, op, value)| Filter::Int { field, op, value }),
        (op(), -7i32..8).prop_map(|(op, half)| Filter::Double { op, half }),
        (op(), text()).prop_map(|(op, value)| Filter::Text { op, value }),
        (-4i64..0, 0i64..5).prop_map(|(low, high)| Filter::Range { low, high }),
        (prop::collection::vec(-40i64..40, 1..20), any::<bool>())
            .prop_map(|(values, negated)| Filter::IntIn { values, negated }),
        prop::collection::vec(text(), 1..4).prop_map(|values| Filter::TextIn { values }),
        pattern.prop_map(|pattern| Filter::Like { pattern }),
        (1i64..4, -3i64..4).prop_map(|(by, value)| Filter::Modulo { by, value }),
        op().prop_map(|op| Filter::Fields { op }),
        any_field.prop_map(|field| Filter::Null { field }),
        (key(), op(), json()).prop_map(|(key, op, value)| Filter::Json { key, op, value }),
        (key(), prop::collection::vec(json(), 1..4))
            .prop_map(|(key, values)| Filter::JsonIn { key, values }),
        (key(), json()).prop_map(|(key, value)| Filter::Contains { key, value }),
        key().prop_map(|key| Filter::Exists { key }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner, 2..4).prop_map(Filter::Or),
        ]
    })
}

pub(crate) fn rendered(filter: &Filter) -> String {
    let joined = |filters: &[Filter], op: &str| {
        filters.iter().map(|f| format!("({})", rendered(f))).collect::<Vec<_>>().join(op)
    };
    match filter {
        Filter::Int { field, op, value } => format!("{field} {op} {value}"),
        Filter::Double { op, half } => format!("f64 {op} {:?}", f64::from(*half) / 2.0),
        Filter::Text { op, value } => format!("name {op} \"{value}\""),
        Filter::Range { low, high } => format!("{low} <= i64 < {high}"),
        Filter::IntIn { values, negated: false } => format!("i64 in {values:?}"),
        Filter::IntIn { values, negated: true } => format!("i64 not in {values:?}"),
        Filter::TextIn { values } => format!("name in {values:?}"),
        Filter::Like { pattern } => format!("name like \"{pattern}\""),
        Filter::Modulo { by, value } => format!("i64 % {by} == {value}"),
        Filter::Fields { op } => format!("i8 {op} f64"),
        Filter::Null { field } => format!("{field} is null"),
        Filter::Json { key, op, value } => format!("json[\"{key}\"] {op} {value}"),
        Filter::JsonIn { key, values } => format!("json[\"{key}\"] in [{}]", values.join(", ")),
        Filter::Contains { key, value } => format!("json_contains(json[\"{key}\"], {value})"),
        Filter::Exists { key } => format!("exists json[\"{key}\"]"),
        Filter::Not(inner) => format!("not ({})", rendered(inner)),
        Filter::And(all) => joined(all, " and "),
        Filter::Or(all) => joined(all, " || "),
    }
}

fn holds<T: PartialOrd>(op: &str, left: T, right: T) -> bool {
    match op {
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "==" => left == right,
        _ => left != right,
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', pattern @ ..], text) => (0..=text.len()).any(|skip| like(pattern, &text[skip..])),
        (['\\', want, pattern @ ..], [got, text @ ..]) => want == got && like(pattern, text),
        (['_', pattern @ ..], [_, text @ ..]) => like(pattern, text),
        ([want, pattern @ ..], [got, text @ ..]) => want == got && like(pattern, text),
        (_, []) => false,
    }
}

/// `None` where the two are of different kinds.
fn json_holds(op: &str, value: &Value, literal: &Value) -> Option<bool> {
    match (value, literal) {
        (Value::Number(l), Value::Number(r)) => Some(holds(op, l.as_f64()?, r.as_f64()?)),
        (Value::String(l), Value::String(r)) => Some(holds(op, l, r)),
        (Value::Bool(l), Value::Bool(r)) => Some(holds(op, l, r)),
        _ => None,
    }
}

fn parsed(literal: &str) -> Value {
    serde_json::from_str(literal).unwrap()
}

fn expected(filter: &Filter, row: &Row) -> Option<bool> {
    let at =
        |key: &str| row.json.as_ref().map(|json| json.get(key).cloned().unwrap_or(Value::Null));
    let equal =
        |value: &Value, literal: &str| json_holds("==", value, &parsed(literal)) == Some(true);
    match filter {
        Filter::Int { field: "i8", op, value } => Some(holds(op, i64::from(row.i8?), *value)),
        Filter::Int { op, value, .. } => Some(holds(op, row.i64?, *value)),
        Filter::Double { op, half } => Some(holds(op, row.f64?, f64::from(*half) / 2.0)),
        Filter::Text { op, value } => Some(holds(op, row.name.as_deref()?, *value)),
        Filter::Range { low, high } => row.i64.map(|value| (*low..*high).contains(&value)),
        Filter::IntIn { values, negated } => {
            row.i64.map(|value| values.contains(&value) != *negated)
        }
        Filter::TextIn { values } => row.name.as_deref().map(|name| values.contains(&name)),
        Filter::Like { pattern } => {
            let pattern: Vec<char> = pattern.replace("\\\\", "\\").chars().collect();
            Some(like(&pattern, &row.name.as_ref()?.chars().collect::<Vec<_>>()))
        }
        Filter::Modulo { by, value } => Some(row.i64? % by == *value),
        Filter::Fields { op } => Some(holds(op, f64::from(row.i8?), row.f64?)),
        Filter::Null { field } => Some(match *field {
            "i8" => row.i8.is_none(),
            "i64" => row.i64.is_none(),
            "f64" => row.f64.is_none(),
            "name" => row.name.is_none(),
            _ => row.json.is_none(),
        }),
        Filter::Json { key, op, value } => {
            Some(json_holds(op, &at(key)?, &parsed(value)).unwrap_or(*op == "!="))
        }
        Filter::JsonIn { key, values } => {
            let found = at(key)?;
            Some(values.iter().any(|value| equal(&found, value)))
        }
        Filter::Contains { key, value } => Some(match at(key)? {
            Value::Array(elements) => elements.iter().any(|element| equal(element, value)),
            _ => false,
        }),
        Filter::Exists { key } => Some(match at(key)? {
            Value::Null => false,
            Value::Array(elements) => !elements.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        }),
        Filter::Not(inner) => expected(inner, row).map(|value| !value),
        Filter::And(all) => fold(all, row, false),
        Filter::Or(all) => fold(all, row, true),
    }
}

/// Kleene's `and` and `or`: `decisive` decides, unknown remains unless something decides.
fn fold(filters: &[Filter], row: &Row, decisive: bool) -> Option<bool> {
    let values: Vec<_> = filters.iter().map(|filter| expected(filter, row)).collect();
    if values.contains(&Some(decisive)) {
        return Some(decisive);
    }
    (!values.contains(&None)).then_some(!decisive)
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 5] = [
        ("i8", Arc::new(rows.iter().map(|row| row.i8).collect::<Int8Array>())),
        ("i64", Arc::new(rows.iter().map(|row| row.i64).collect::<Int64Array>())),
        ("f64", Arc::new(rows.iter().map(|row| row.f64).collect::<Float64Array>())),
        ("name", Arc::new(rows.iter().map(|row| row.name.clone()).collect::<StringArray>())),
        (
            "json",
            Arc::new(
                rows.iter()
                    .map(|row| row.json.as_ref().map(Value::to_string))
                    .collect::<StringArray>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn agrees_with_the_plain_evaluator(
        rows in prop::collection::vec(row(), 1..150),
        filter in filter(),
    ) {
        let text = rendered(&filter);
        let batch = batch(&rows);
        for (text, want) in [(text.clone(), true), (format!("not ({text})"), false)] {
            let plan = plan(&text, &dynamic_schema(), &Templates::new()).unwrap();
            let bits = plan.evaluate(&batch).unwrap();
            prop_assert_eq!(bits.len(), rows.len());
            for (index, row) in rows.iter().enumerate() {
                let got = bits.value(index);
                prop_assert_eq!(got, expected(&filter, row) == Some(want), "{} over {:?}", text, row);
            }
        }
    }
}
