//! Random filters over rows of every type, four ways that must agree: a plain model that takes one row
//! at a time, the plan, the plan without rewrites, and the plan bound to indexes that answer some of
//! its conditions, exactly or with rows too many.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use milvus_expr::{
    Answer, CompareOp, Condition, ContainsOp, Leaf, Literal, PlanOptions, ScalarIndexes, Templates,
    plan_with,
};
use milvus_types::{CollectionSchema, DataType, FieldSchema, StructField};
use proptest::prelude::*;

use crate::kinds::lists;
use crate::schema::field;

const DAY: i64 = 86_400_000_000;

#[derive(Clone, Debug)]
struct Row {
    flag: Option<bool>,
    i8: Option<i8>,
    f64: Option<f64>,
    name: Option<String>,
    day: Option<i64>,
    ints: Option<Vec<i32>>,
    words: Option<Vec<String>>,
    clips: Option<Vec<(i8, String)>>,
    json: Option<(Option<i64>, Option<String>)>,
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "ab", "abcdefghij", "abcdefghik", "b", "é"])
        .prop_map(str::to_owned)
}

fn row() -> impl Strategy<Value = Row> {
    let few = || 0usize..4;
    (
        prop::option::of(any::<bool>()),
        prop::option::of(-3i8..4),
        prop::option::of((-6i32..7).prop_map(|half| f64::from(half) / 2.0)),
        prop::option::of(word()),
        prop::option::of(-3i64..4),
        prop::option::of(prop::collection::vec(-3i32..4, few())),
        prop::option::of(prop::collection::vec(word(), few())),
        prop::option::of(prop::collection::vec((-3i8..4, word()), few())),
        prop::option::of((prop::option::of(-3i64..4), prop::option::of(word()))),
    )
        .prop_map(|(flag, i8, f64, name, day, ints, words, clips, json)| Row {
            flag,
            i8,
            f64,
            name,
            day,
            ints,
            words,
            clips,
            json,
        })
}

fn schema() -> CollectionSchema {
    let array = |id, name: &str, element| FieldSchema {
        element_type: Some(element),
        ..field(id, name, DataType::Array)
    };
    let fields = vec![
        FieldSchema { is_primary_key: true, nullable: false, ..field(100, "id", DataType::Int64) },
        field(101, "flag", DataType::Bool),
        field(102, "i8", DataType::Int8),
        field(103, "f64", DataType::Double),
        field(104, "name", DataType::VarChar),
        field(105, "at", DataType::Timestamptz),
        array(106, "ints", DataType::Int32),
        array(107, "words", DataType::VarChar),
        array(108, "clips[score]", DataType::Int8),
        array(109, "clips[tag]", DataType::VarChar),
        field(110, "json", DataType::JSON),
    ];
    let clips = StructField { name: "clips".to_owned(), nullable: true, ..StructField::default() };
    CollectionSchema { fields, struct_fields: vec![clips], ..CollectionSchema::default() }
}

fn json_text((number, text): &(Option<i64>, Option<String>)) -> String {
    let number = number.map(|number| ("n".to_owned(), serde_json::Value::from(number)));
    let text = text.clone().map(|text| ("t".to_owned(), serde_json::Value::from(text)));
    serde_json::Value::Object(number.into_iter().chain(text).collect()).to_string()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let lengths =
        |length: &dyn Fn(&Row) -> Option<usize>| rows.iter().map(length).collect::<Vec<_>>();
    let clips = lengths(&|row| row.clips.as_ref().map(Vec::len));
    let ints: Int32Array =
        rows.iter().flat_map(|row| row.ints.clone().unwrap_or_default()).collect::<Vec<_>>().into();
    let words: Vec<String> =
        rows.iter().flat_map(|row| row.words.clone().unwrap_or_default()).collect();
    let parts: Vec<(i8, String)> =
        rows.iter().flat_map(|row| row.clips.clone().unwrap_or_default()).collect();
    let scores: Vec<i8> = parts.iter().map(|(score, _)| *score).collect();
    let tags: Vec<String> = parts.into_iter().map(|(_, tag)| tag).collect();
    let times: TimestampMicrosecondArray =
        rows.iter().map(|row| row.day.map(|day| day * DAY)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
        ("flag", Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>())),
        ("i8", Arc::new(rows.iter().map(|row| row.i8).collect::<Int8Array>())),
        ("f64", Arc::new(rows.iter().map(|row| row.f64).collect::<Float64Array>())),
        ("name", Arc::new(rows.iter().map(|row| row.name.clone()).collect::<StringArray>())),
        ("at", Arc::new(times.with_timezone("UTC"))),
        ("ints", lists(Arc::new(ints), &lengths(&|row| row.ints.as_ref().map(Vec::len)))),
        (
            "words",
            lists(
                Arc::new(StringArray::from(words)),
                &lengths(&|row| row.words.as_ref().map(Vec::len)),
            ),
        ),
        ("clips[score]", lists(Arc::new(Int8Array::from(scores)), &clips)),
        ("clips[tag]", lists(Arc::new(StringArray::from(tags)), &clips)),
        (
            "json",
            Arc::new(
                rows.iter().map(|row| row.json.as_ref().map(json_text)).collect::<StringArray>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// A value of the model.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Val {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What a condition's subject is in one row.
enum Subject {
    /// Unknown, whatever is asked.
    Null,
    /// Nothing that could satisfy a condition; `true` if `!=` does all the same.
    Absent(bool),
    Value(Val),
    List(Vec<Val>),
}

fn number(value: impl Into<f64>) -> Val {
    Val::Number(value.into())
}

/// The subject `name`, or its element or key `path`, in `row`.
fn subject(row: &Row, name: &str, path: Option<&str>) -> Subject {
    let of = |value: Option<Val>| value.map_or(Subject::Null, Subject::Value);
    let list = match name {
        "flag" => return of(row.flag.map(Val::Bool)),
        "i8" => return of(row.i8.map(number)),
        "f64" => return of(row.f64.map(number)),
        "name" => return of(row.name.clone().map(Val::Text)),
        "at" => return of(row.day.map(|day| number((day * DAY) as f64))),
        "json" => {
            let Some((n, t)) = &row.json else { return Subject::Null };
            let value = match path {
                Some("n") => n.map(|n| number(n as f64)),
                Some("t") => t.clone().map(Val::Text),
                _ => None,
            };
            return value.map_or(Subject::Absent(true), Subject::Value);
        }
        "ints" => row.ints.as_ref().map(|ints| ints.iter().map(|int| number(*int)).collect()),
        "words" => row.words.as_ref().map(|words| words.iter().cloned().map(Val::Text).collect()),
        "clips[score]" => {
            row.clips.as_ref().map(|clips| clips.iter().map(|(score, _)| number(*score)).collect())
        }
        _ => row
            .clips
            .as_ref()
            .map(|clips| clips.iter().map(|(_, tag)| Val::Text(tag.clone())).collect()),
    };
    let list: Option<Vec<Val>> = list;
    match (list, path) {
        (None, _) => Subject::Null,
        (Some(list), None) => Subject::List(list),
        (Some(list), Some(path)) => {
            let value = list.get(path.parse::<usize>().unwrap()).cloned();
            value.map_or(Subject::Absent(false), Subject::Value)
        }
    }
}

#[derive(Clone, Debug)]
enum Test {
    Compare(CompareOp, Val),
    Range(Val, Val),
    In(Vec<Val>),
    Prefix(String),
    Contains(ContainsOp, Vec<Val>),
    Length(CompareOp, i64),
    IsNull,
}

#[derive(Clone, Debug)]
enum Filter {
    Leaf { name: &'static str, path: Option<&'static str>, test: Test },
    MatchAny(Box<Filter>),
    MatchLeast(Box<Filter>, usize),
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

fn compare_op() -> impl Strategy<Value = CompareOp> {
    use CompareOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    prop::sample::select(vec![Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual])
}

fn contains_op() -> impl Strategy<Value = ContainsOp> {
    prop::sample::select(vec![ContainsOp::One, ContainsOp::All, ContainsOp::Any])
}

fn numbers() -> BoxedStrategy<Val> {
    (-4i32..5).prop_map(number).boxed()
}

fn texts() -> BoxedStrategy<Val> {
    word().prop_map(Val::Text).boxed()
}

/// Tests of one value.
fn tests(values: BoxedStrategy<Val>, ranges: bool) -> BoxedStrategy<Test> {
    let list = prop::collection::vec(values.clone(), 1..12).prop_map(Test::In);
    if !ranges {
        // Booleans have an order, but no ranges.
        let compare = (compare_op(), values).prop_map(|(op, value)| Test::Compare(op, value));
        return prop_oneof![compare, list].boxed();
    }
    let within = (values.clone(), values.clone())
        .prop_filter("some range", |(low, high)| low < high)
        .prop_map(|(low, high)| Test::Range(low, high));
    let compare = (compare_op(), values).prop_map(|(op, value)| Test::Compare(op, value));
    prop_oneof![3 => compare, 1 => list, 1 => within].boxed()
}

fn contains(values: BoxedStrategy<Val>) -> impl Strategy<Value = Test> {
    (contains_op(), prop::collection::vec(values, 1..4)).prop_map(|(op, mut elements)| {
        if op == ContainsOp::One {
            elements.truncate(1);
        }
        Test::Contains(op, elements)
    })
}

fn leaf() -> impl Strategy<Value = Filter> {
    let of = |name: &'static str, path: Option<&'static str>, tests: BoxedStrategy<Test>| {
        tests.prop_map(move |test| Filter::Leaf { name, path, test }).boxed()
    };
    let bools = any::<bool>().prop_map(Val::Bool).boxed();
    let days = (-4i64..5).prop_map(|day| number((day * DAY) as f64)).boxed();
    let day_tests = (compare_op(), days).prop_map(|(op, value)| Test::Compare(op, value)).boxed();
    let prefixes = word().prop_map(Test::Prefix).boxed();
    let lengths = (compare_op(), 0i64..4).prop_map(|(op, want)| Test::Length(op, want)).boxed();
    let nulls = prop::sample::select(vec!["flag", "i8", "name", "at", "ints", "json"])
        .prop_map(|name| Filter::Leaf { name, path: None, test: Test::IsNull });
    prop_oneof![
        of("flag", None, tests(bools, false)),
        of("i8", None, tests(numbers(), true)),
        of("i8", None, tests(numbers(), true)),
        of("f64", None, tests(numbers(), true)),
        of("name", None, tests(texts(), true)),
        of("name", None, prefixes.clone()),
        of("at", None, day_tests),
        of("ints", Some("1"), tests(numbers(), true)),
        of("words", Some("0"), tests(texts(), true)),
        of("words", Some("0"), prefixes),
        of("ints", None, contains(numbers()).boxed()),
        of("words", None, contains(texts()).boxed()),
        of("words", None, lengths),
        of("json", Some("n"), tests(numbers(), true)),
        of("json", Some("t"), tests(texts(), true)),
        nulls,
    ]
}

fn elements() -> impl Strategy<Value = Filter> {
    let scores = tests(numbers(), true).prop_map(|test| Filter::Leaf {
        name: "clips[score]",
        path: None,
        test,
    });
    let tags =
        tests(texts(), true).prop_map(|test| Filter::Leaf { name: "clips[tag]", path: None, test });
    let one = prop_oneof![scores, tags];
    one.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            prop::collection::vec(inner.clone(), 2..3).prop_map(Filter::And),
            prop::collection::vec(inner, 2..3).prop_map(Filter::Or),
        ]
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let any = elements().prop_map(|element| Filter::MatchAny(Box::new(element)));
    let least = (elements(), 1usize..3)
        .prop_map(|(element, least)| Filter::MatchLeast(Box::new(element), least));
    prop_oneof![8 => leaf(), 1 => any, 1 => least].prop_recursive(3, 14, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            prop::collection::vec(inner.clone(), 2..5).prop_map(Filter::And),
            prop::collection::vec(inner, 2..5).prop_map(Filter::Or),
        ]
    })
}

fn symbol(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Less => "<",
        CompareOp::LessEqual => "<=",
        CompareOp::Greater => ">",
        CompareOp::GreaterEqual => ">=",
        CompareOp::Equal => "==",
        CompareOp::NotEqual => "!=",
    }
}

fn text_of(value: &Val) -> String {
    match value {
        Val::Bool(value) => value.to_string(),
        Val::Number(value) => format!("{value:.0}"),
        Val::Text(value) => format!("{value:?}"),
    }
}

fn text_of_list(values: &[Val]) -> String {
    format!("[{}]", values.iter().map(text_of).collect::<Vec<_>>().join(", "))
}

/// The filter's text; `inside` that of a condition on elements.
fn rendered(filter: &Filter, inside: bool) -> String {
    let joined = |filters: &[Filter], op: &str| {
        let parts: Vec<_> = filters.iter().map(|f| format!("({})", rendered(f, inside))).collect();
        parts.join(op)
    };
    match filter {
        Filter::Leaf { name, path, test } => {
            let column = match path {
                Some(path) if *name == "json" => format!("json[\"{path}\"]"),
                Some(path) => format!("{name}[{path}]"),
                None if inside => name.replace("clips", "$"),
                None => (*name).to_owned(),
            };
            match test {
                Test::Compare(op, Val::Number(micros)) if *name == "at" => {
                    let micros: i64 = format!("{micros:.0}").parse().unwrap();
                    let time = milvus_values::timestamptz::format(micros, &Default::default());
                    format!("at {} ISO '{time}'", symbol(*op))
                }
                Test::Compare(op, value) => format!("{column} {} {}", symbol(*op), text_of(value)),
                Test::Range(low, high) => {
                    format!("{} <= {column} < {}", text_of(low), text_of(high))
                }
                Test::In(values) => format!("{column} in {}", text_of_list(values)),
                Test::Prefix(prefix) => format!("{column} like \"{prefix}%\""),
                Test::Contains(ContainsOp::One, values) => {
                    format!("array_contains({column}, {})", text_of(&values[0]))
                }
                Test::Contains(ContainsOp::All, values) => {
                    format!("array_contains_all({column}, {})", text_of_list(values))
                }
                Test::Contains(ContainsOp::Any, values) => {
                    format!("array_contains_any({column}, {})", text_of_list(values))
                }
                Test::Length(op, want) => format!("array_length({column}) {} {want}", symbol(*op)),
                Test::IsNull => format!("{column} is null"),
            }
        }
        Filter::MatchAny(element) => format!("match_any(clips, {})", rendered(element, true)),
        Filter::MatchLeast(element, least) => {
            format!("match_least(clips, {}, threshold={least})", rendered(element, true))
        }
        Filter::Not(inner) => format!("not ({})", rendered(inner, inside)),
        Filter::And(all) => joined(all, " and "),
        Filter::Or(all) => joined(all, " or "),
    }
}

fn asked(test: &Test, subject: &Subject) -> Option<bool> {
    let value = match subject {
        Subject::Null => return matches!(test, Test::IsNull).then_some(true),
        _ if matches!(test, Test::IsNull) => return Some(false),
        Subject::Absent(differs) => {
            return Some(*differs && matches!(test, Test::Compare(CompareOp::NotEqual, _)));
        }
        Subject::List(list) => {
            return Some(match test {
                Test::Contains(ContainsOp::All, values) => {
                    values.iter().all(|value| list.contains(value))
                }
                Test::Contains(_, values) => values.iter().any(|value| list.contains(value)),
                Test::Length(op, want) => op.holds((list.len() as i64).partial_cmp(want)),
                _ => false,
            });
        }
        Subject::Value(value) => value,
    };
    Some(match test {
        Test::Compare(op, want) => op.holds(value.partial_cmp(want)),
        Test::Range(low, high) => value >= low && value < high,
        Test::In(values) => values.contains(value),
        Test::Prefix(prefix) => matches!(value, Val::Text(text) if text.starts_with(prefix)),
        Test::Contains(..) | Test::Length(..) | Test::IsNull => false,
    })
}

/// What `filter` is in `row`; in its element `at`, if that is given.
fn expected(filter: &Filter, row: &Row, at: Option<usize>) -> Option<bool> {
    let hits = |element: &Filter| {
        let count = row.clips.as_ref().map_or(0, Vec::len);
        (0..count).filter(|at| expected(element, row, Some(*at)) == Some(true)).count()
    };
    match filter {
        Filter::Leaf { name, path, test } => {
            let at = at.map(|at| at.to_string());
            asked(test, &subject(row, name, at.as_deref().or(*path)))
        }
        Filter::MatchAny(element) => Some(hits(element) > 0),
        Filter::MatchLeast(element, least) => Some(hits(element) >= *least),
        Filter::Not(inner) => expected(inner, row, at).map(|value| !value),
        Filter::And(all) => fold(all, row, at, false),
        Filter::Or(all) => fold(all, row, at, true),
    }
}

fn fold(filters: &[Filter], row: &Row, at: Option<usize>, decisive: bool) -> Option<bool> {
    let values: Vec<_> = filters.iter().map(|filter| expected(filter, row, at)).collect();
    if values.contains(&Some(decisive)) {
        return Some(decisive);
    }
    (!values.contains(&None)).then_some(!decisive)
}

/// Indexes that take one row after the other: what a leaf means, by its documentation.
struct Indexes<'r> {
    rows: &'r [Row],
    /// Which leaves are answered, and how: nought not at all, one exactly, else with rows too many.
    moods: Vec<u8>,
}

impl ScalarIndexes for Indexes<'_> {
    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer> {
        let schema = schema();
        let name = schema.field_by_id(leaf.field).unwrap().name.clone();
        let mood = self.moods[usize::try_from(leaf.field.0 - 100).unwrap() % self.moods.len()];
        if mood == 0 {
            return None;
        }
        let path = leaf.path.first().map(|step| &**step);
        let test = test_of(&leaf.condition)?;
        let truths: Vec<Option<bool>> =
            self.rows.iter().map(|row| asked(&test, &subject(row, &name, path))).collect();
        let exact = mood == 1;
        // Rows too many: every third.
        let yes = truths.iter().enumerate().map(|(row, truth)| {
            *truth == Some(true) || (!exact && truth.is_some() && row % 3 == 0)
        });
        let unknown: BooleanBuffer = truths.iter().map(Option::is_none).collect();
        let unknown = (unknown.count_set_bits() > 0).then_some(unknown);
        Some(Answer { yes: yes.collect(), unknown, exact })
    }
}

fn val(literal: &Literal) -> Val {
    match literal {
        Literal::Bool(value) => Val::Bool(*value),
        Literal::Int64(value) => Val::Number(*value as f64),
        Literal::Double(value) => Val::Number(*value),
        Literal::VarChar(value) => Val::Text(value.to_string()),
        Literal::Array(_) => unreachable!("no filter here has one"),
    }
}

fn test_of(condition: &Condition<'_>) -> Option<Test> {
    Some(match condition {
        Condition::Compare { op, value } => Test::Compare(*op, val(value)),
        Condition::Range { lower, upper } if lower.inclusive && !upper.inclusive => {
            Test::Range(val(&lower.value), val(&upper.value))
        }
        Condition::In(values) => Test::In(values.iter().map(val).collect()),
        Condition::Match(matcher) if matcher.is_prefix() => {
            Test::Prefix(matcher.prefix().to_owned())
        }
        Condition::Contains { op, elements } => {
            Test::Contains(*op, elements.iter().map(val).collect())
        }
        Condition::IsNull => Test::IsNull,
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn every_way_of_evaluating_agrees(
        rows in prop::collection::vec(row(), 1..140),
        filter in filter(),
        moods in prop::collection::vec(0u8..3, 11),
        split in 0usize..140,
    ) {
        let text = rendered(&filter, false);
        let batch = batch(&rows);
        let want: Vec<bool> =
            rows.iter().map(|row| expected(&filter, row, None) == Some(true)).collect();
        let bits = |bits: &BooleanBuffer| bits.iter().collect::<Vec<bool>>();
        for rewrite in [true, false] {
            let options = PlanOptions { rewrite, ..PlanOptions::default() };
            let plan = plan_with(&text, &schema(), &Templates::new(), &options).unwrap();
            prop_assert_eq!(bits(&plan.evaluate(&batch).unwrap()), want.clone(), "{} as {}", text, plan);
            let bound = plan.bind(&Indexes { rows: &rows, moods: moods.clone() });
            let got = bound.evaluate(&batch, 0).unwrap();
            prop_assert_eq!(bits(&got), want.clone(), "{} as {} with {:?}", text, plan, moods);
            // The same in two batches of one segment.
            let split = split.min(rows.len());
            let head = bound.evaluate(&batch.slice(0, split), 0).unwrap();
            let tail = batch.slice(split, rows.len() - split);
            let tail = bound.evaluate(&tail, u32::try_from(split).unwrap()).unwrap();
            let both: Vec<bool> = head.iter().chain(tail.iter()).collect();
            prop_assert_eq!(both, want.clone(), "{} in two batches", text);
        }
    }
}
