//! Filters over a million rows with each index, beside evaluation of the column in the same run.
//!
//! `cargo bench -p milvus-scalar [-- ROWS]`. Columns are made up and the same in every run. Times
//! are medians on one thread; with the index they include asking it and making the result.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType as ArrowType;
use milvus_expr::{Templates, plan};
use milvus_scalar::{ScalarIndexSet, ScalarIndexType, build, check_params, open};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, KeyValue};
use milvus_values::geometry::from_wkt;

/// Field, index type, parameters, filter.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const CASES: &[Case] = &[
    ("unique", "INVERTED", &[], "unique == 123456"),
    ("unique", "STL_SORT", &[], "1000 <= unique < 2000"),
    ("unique", "STL_SORT", &[], "unique > 500000"),
    ("hundred", "BITMAP", &[], "hundred == 42"),
    ("hundred", "BITMAP", &[], "hundred in [1, 5, 42, 77, 99]"),
    ("ten", "BITMAP", &[], "ten != 4"),
    ("flag", "BITMAP", &[], "flag == true"),
    ("hundred", "HYBRID", &[], "hundred >= 90"),
    ("double", "STL_SORT", &[], "0.25 < double < 0.26"),
    ("word", "INVERTED", &[], "word == \"word 00042\""),
    ("word", "BITMAP", &[], "word in [\"word 00042\", \"word 00099\"]"),
    ("word", "INVERTED", &[], "word like \"%7_7\""),
    ("path", "TRIE", &[], "path like \"/site/17/page/123%\""),
    ("path", "INVERTED", &[], "path =~ \"page/4242[0-9]$\""),
    ("path", "NGRAM", &[("min_gram", "3"), ("max_gram", "5")], "path like \"%/42424%\""),
    ("tags", "INVERTED", &[], "array_contains(tags, 777)"),
    ("tags", "INVERTED", &[], "array_contains_all(tags, [7, 8])"),
    (
        "json",
        "INVERTED",
        &[("json_path", "/a/n"), ("json_cast_type", "DOUBLE")],
        "json['a']['n'] < 10",
    ),
    (
        "json",
        "BITMAP",
        &[("json_path", "/color"), ("json_cast_type", "VARCHAR")],
        "json['color'] == \"color 3\"",
    ),
    ("json", "INVERTED", &[("json_path", ""), ("json_cast_type", "JSON")], "json['a']['n'] == 777"),
    (
        "json",
        "INVERTED",
        &[("json_path", "/l"), ("json_cast_type", "ARRAY_DOUBLE")],
        "json_contains(json['l'], 500)",
    ),
    ("geo", "RTREE", &[], "st_within(geo, \"POLYGON ((10 10, 20 10, 20 20, 10 20, 10 10))\")"),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let rows = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let schema = schema();
    let columns = schema.fields.iter().map(|field| column(&field.name, rows)).collect();
    let batch = RecordBatch::try_new(arrow_schema(&schema).unwrap(), columns).unwrap();
    println!("{rows} rows, one thread, microseconds (median)");
    println!(
        "{:<9} {:>8} {:>8} {:>9} {:>10} {:>10} {:>7}  filter",
        "index", "build ms", "MB", "rows", "without", "with", "times"
    );
    for case in CASES {
        run(case, &schema, &batch);
    }
}

fn run((field, index_type, params, text): &Case, schema: &CollectionSchema, batch: &RecordBatch) {
    let params: Vec<_> = params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
    let index_type = ScalarIndexType::parse(index_type).unwrap();
    let spec = check_params(index_type, schema.field(field).unwrap(), &params).unwrap();
    let start = Instant::now();
    let built = build(&spec, &[Arc::clone(batch.column_by_name(field).unwrap())]).unwrap();
    let build_ms = start.elapsed().as_millis();
    let mut bytes = Vec::new();
    built.write(&mut bytes).unwrap();
    let index = open(Arc::new(bytes)).unwrap();
    let megabytes = index.memory_bytes() as f64 / 1e6;
    let set = ScalarIndexSet::new(vec![Arc::from(index)]);
    let plan = plan(text, schema, &Templates::default()).unwrap();
    // An index leaves to the column what a pass over it answers sooner.
    let by = if plan.bind(&set).is_indexed() { "" } else { " (by the column)" };
    let want = plan.evaluate(batch).unwrap();
    assert_eq!(plan.bind(&set).evaluate(batch, 0).unwrap(), want, "{text}");
    let without = median(|| plan.evaluate(batch).unwrap().len());
    let with = median(|| plan.bind(&set).evaluate(batch, 0).unwrap().len());
    println!(
        "{:<9} {build_ms:>8} {megabytes:>8.1} {:>9} {without:>10.0} {with:>10.0} {:>7.1}  {text}{by}",
        index_type.name(),
        want.count_set_bits(),
        without / with,
    );
}

/// The median time of `work` in microseconds, over up to 21 runs or about half a second.
fn median(mut work: impl FnMut() -> usize) -> f64 {
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 3 || (times.len() < 21 && begin.elapsed().as_millis() < 500) {
        let start = Instant::now();
        std::hint::black_box(work());
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn schema() -> CollectionSchema {
    let fields = [
        ("unique", DataType::Int64),
        ("hundred", DataType::Int64),
        ("ten", DataType::Int64),
        ("flag", DataType::Bool),
        ("double", DataType::Double),
        ("word", DataType::VarChar),
        ("path", DataType::VarChar),
        ("tags", DataType::Array),
        ("json", DataType::JSON),
        ("geo", DataType::Geometry),
    ];
    let field = |(id, (name, data_type)): (i64, (&str, DataType))| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        element_type: (data_type == DataType::Array).then_some(DataType::Int64),
        ..FieldSchema::default()
    };
    CollectionSchema {
        name: "bench".to_owned(),
        fields: (100..).zip(fields).map(field).collect(),
        ..CollectionSchema::default()
    }
}

/// A number below 2^53 that only `row` and `salt` decide.
fn mixed(row: usize, salt: u64) -> u64 {
    let mut x = (row as u64).wrapping_add(salt << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) >> 11
}

fn column(name: &str, rows: usize) -> ArrayRef {
    let ints = |salt, limit: u64| {
        (0..rows).map(move |row| (mixed(row, salt) % limit).cast_signed()).collect::<Vec<_>>()
    };
    match name {
        // A permutation, where the number of rows is a power of ten.
        "unique" => Arc::new(Int64Array::from_iter_values(
            (0..rows as u64).map(|row| (row * 7_919 % rows as u64).cast_signed()),
        )),
        "hundred" => Arc::new(Int64Array::from(ints(1, 100))),
        "ten" => Arc::new(Int64Array::from(ints(2, 10))),
        "flag" => {
            let flags: Vec<bool> = ints(3, 4).into_iter().map(|flag| flag == 0).collect();
            Arc::new(BooleanArray::from(flags))
        }
        "double" => Arc::new(Float64Array::from_iter_values(
            (0..rows).map(|row| mixed(row, 4) as f64 / (1u64 << 53) as f64),
        )),
        "word" => Arc::new(StringArray::from_iter_values(
            ints(5, 1000).into_iter().map(|word| format!("word {word:05}")),
        )),
        "path" => Arc::new(StringArray::from_iter_values(
            (0..rows).map(|row| format!("/site/{}/page/{row}", row % 100)),
        )),
        "tags" => {
            let values = Arc::new(Int64Array::from_iter_values(
                (0..rows * 5).map(|at| (mixed(at, 6) % 1000).cast_signed()),
            ));
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(5, rows));
            Arc::new(ListArray::new(vector_element(ArrowType::Int64), offsets, values, None))
        }
        "json" => Arc::new(StringArray::from_iter_values((0..rows).map(|row| {
            let (n, color) = (mixed(row, 7) % 1000, mixed(row, 8) % 10);
            format!(
                r#"{{"color": "color {color}", "a": {{"m": "x", "n": {n}}}, "l": [{}, {}]}}"#,
                row % 1000,
                n / 2
            )
        }))),
        _ => {
            let places = (0..rows).map(|row| {
                let at = |salt| (mixed(row, salt) % 180_000) as f64 / 1000.0;
                from_wkt(&format!("POINT ({} {})", at(9), at(10))).unwrap()
            });
            Arc::new(BinaryArray::from_iter_values(places))
        }
    }
}
