//! Arbitrary rows of every type that takes an index, and filters over them.
#![expect(clippy::cast_possible_truncation, reason = "values are made up to fit")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the schema has no other types")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use milvus_scalar::{ScalarIndexType, check_params};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema, KeyValue};
use milvus_values::geometry::from_wkt;

/// A stream of numbers that its seed decides.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn schema() -> CollectionSchema {
    let field = |id: i64, name: &str, data_type: DataType| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable: true,
        ..FieldSchema::default()
    };
    let array = |id, name: &str, element| FieldSchema {
        element_type: Some(element),
        ..field(id, name, DataType::Array)
    };
    CollectionSchema {
        name: "c".to_owned(),
        fields: vec![
            FieldSchema {
                is_primary_key: true,
                nullable: false,
                ..field(100, "id", DataType::Int64)
            },
            field(101, "bool", DataType::Bool),
            field(102, "int8", DataType::Int8),
            field(103, "int64", DataType::Int64),
            field(104, "float", DataType::Float),
            field(105, "double", DataType::Double),
            field(106, "text", DataType::VarChar),
            field(107, "time", DataType::Timestamptz),
            array(108, "ints", DataType::Int16),
            array(109, "floats", DataType::Float),
            array(110, "texts", DataType::VarChar),
            array(111, "bools", DataType::Bool),
            field(112, "json", DataType::JSON),
            field(113, "geo", DataType::Geometry),
            FieldSchema { is_dynamic: true, ..field(114, "$meta", DataType::JSON) },
        ],
        enable_dynamic_field: true,
        ..CollectionSchema::default()
    }
}

/// Parameters of an index.
pub(crate) type Params<'a> = &'a [(&'a str, &'a str)];

/// An index: field, type, parameters.
pub(crate) type Index = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// Every index that some field of [`schema`] takes.
pub(crate) fn indexes() -> Vec<Index> {
    let mut all = Vec::new();
    for (field, types) in [
        ("id", &["INVERTED", "STL_SORT", "HYBRID"][..]),
        ("bool", &["INVERTED", "BITMAP"]),
        ("int8", &["INVERTED", "STL_SORT", "BITMAP", "HYBRID"]),
        ("int64", &["INVERTED", "STL_SORT", "BITMAP", "HYBRID"]),
        ("float", &["INVERTED", "STL_SORT", "HYBRID"]),
        ("double", &["INVERTED", "STL_SORT", "HYBRID"]),
        ("text", &["INVERTED", "STL_SORT", "BITMAP", "HYBRID", "TRIE"]),
        ("time", &["STL_SORT"]),
        ("ints", &["INVERTED", "BITMAP", "HYBRID"]),
        ("floats", &["INVERTED", "HYBRID"]),
        ("texts", &["INVERTED", "BITMAP", "HYBRID"]),
        ("bools", &["INVERTED", "BITMAP"]),
        ("geo", &["RTREE"]),
    ] {
        all.extend(types.iter().map(|index_type| (field, *index_type, vec![])));
    }
    all.push(("int64", "HYBRID", vec![("bitmap_cardinality_limit", "1")]));
    all.push(("text", "NGRAM", vec![("min_gram", "2"), ("max_gram", "3")]));
    all.push(("text", "NGRAM", vec![("min_gram", "1"), ("max_gram", "1")]));
    for field in ["json", "$meta"] {
        for path in ["/a", "/b/c", "/l", ""] {
            let at = ("json_path", path);
            for cast in
                ["BOOL", "DOUBLE", "VARCHAR", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR", "JSON"]
            {
                all.push((field, "INVERTED", vec![at, ("json_cast_type", cast)]));
            }
            all.push((field, "BITMAP", vec![at, ("json_cast_type", "VARCHAR")]));
            all.push((field, "STL_SORT", vec![at, ("json_cast_type", "DOUBLE")]));
            let grams = [("min_gram", "1"), ("max_gram", "2")];
            let mut params = vec![at, ("json_cast_type", "VARCHAR")];
            params.extend(grams);
            all.push((field, "NGRAM", params));
            let double = ("json_cast_type", "DOUBLE");
            let function = ("json_cast_function", "STRING_TO_DOUBLE");
            all.push((field, "INVERTED", vec![at, double, function]));
        }
    }
    all
}

/// The bytes of an index over the column of `batch`, in chunks.
pub(crate) fn built(
    batch: &RecordBatch,
    (field, index_type, params): (&str, &str, Params<'_>),
) -> Vec<u8> {
    let schema = schema();
    let field = schema.field(field).unwrap();
    let params: Vec<_> = params.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
    let index_type = ScalarIndexType::parse(index_type).unwrap();
    let spec = check_params(index_type, field, &params).unwrap();
    let column = batch.column_by_name(&field.name).unwrap();
    let half = column.len() / 2;
    let chunks = [column.slice(0, half), column.slice(half, column.len() - half)];
    let built = milvus_scalar::build(&spec, &chunks).unwrap();
    let mut bytes = Vec::new();
    built.write(&mut bytes).unwrap();
    assert!(built.memory_bytes() <= bytes.len() as u64);
    bytes
}

const INTS: [i64; 9] = [-128, -3, -1, 0, 1, 2, 3, 50, 127];
const DOUBLES: [f64; 9] = [-1.5, -0.0, 0.0, 0.1, 0.3, 1.0, 2.5, 1e300, f64::NAN];
const TEXTS: [&str; 12] =
    ["", "a", "ab", "abc", "b", "ba", "cab", "aé", "é", "a%b", "a_b", "zz/top/abc"];
const JSON_NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "1.0",
    "0.1",
    "2.5",
    "7",
    "9007199254740993",
    "9007199254740992",
    "9223372036854775807",
    "18446744073709551615",
    "-0.0",
];

pub(crate) fn batch(random: &mut Random, rows: usize) -> RecordBatch {
    let schema = schema();
    let columns = schema.fields.iter().map(|field| column(random, field, rows)).collect();
    RecordBatch::try_new(arrow_schema(&schema).unwrap(), columns).unwrap()
}

fn column(random: &mut Random, field: &FieldSchema, rows: usize) -> ArrayRef {
    // Some columns without nulls, some with many.
    let odds = *random.pick(&[0, 3, 10]);
    let nullable = field.nullable && odds > 0;
    let some = |random: &mut Random| !(nullable && random.one_in(odds));
    macro_rules! values {
        ($array:ty, $value:expr) => {{
            let values: Vec<_> =
                (0..rows).map(|_| if some(random) { Some($value(random)) } else { None }).collect();
            Arc::new(<$array>::from(values)) as ArrayRef
        }};
    }
    match field.data_type {
        DataType::Bool => values!(BooleanArray, |r: &mut Random| r.one_in(2)),
        DataType::Int8 => values!(Int8Array, |r: &mut Random| int(r) as i8),
        DataType::Int64 if field.is_primary_key => {
            Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| row * 7 % 101)))
        }
        DataType::Int64 => values!(Int64Array, int),
        DataType::Float => values!(Float32Array, |r: &mut Random| *r.pick(&DOUBLES) as f32),
        DataType::Double => values!(Float64Array, |r: &mut Random| *r.pick(&DOUBLES)),
        DataType::VarChar => values!(StringArray, |r: &mut Random| *r.pick(&TEXTS)),
        DataType::JSON => values!(StringArray, object),
        DataType::Timestamptz => {
            let values: Vec<_> = (0..rows)
                .map(|_| some(random).then(|| random.below(5) as i64 * 3_600_000_000))
                .collect();
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        }
        DataType::Geometry => {
            let mut builder = BinaryBuilder::new();
            for _ in 0..rows {
                builder.append_option(some(random).then(|| from_wkt(&shape(random)).unwrap()));
            }
            Arc::new(builder.finish())
        }
        DataType::Array => {
            lists(random, field.element_type.unwrap(), rows, nullable.then_some(odds))
        }
        other => panic!("no rows of {other}"),
    }
}

fn lists(random: &mut Random, element: DataType, rows: usize, odds: Option<usize>) -> ArrayRef {
    let lengths: Vec<usize> = (0..rows).map(|_| random.below(4)).collect();
    let valid: Vec<bool> =
        (0..rows).map(|_| !odds.is_some_and(|odds| random.one_in(odds))).collect();
    let count = lengths.iter().sum::<usize>();
    let values: ArrayRef = match element {
        DataType::Bool => {
            Arc::new(BooleanArray::from((0..count).map(|_| random.one_in(2)).collect::<Vec<_>>()))
        }
        DataType::Int16 => {
            Arc::new(Int16Array::from_iter_values((0..count).map(|_| int(random) as i16)))
        }
        DataType::Float => Arc::new(Float32Array::from_iter_values(
            (0..count).map(|_| *random.pick(&DOUBLES) as f32),
        )),
        _ => Arc::new(StringArray::from_iter_values((0..count).map(|_| *random.pick(&TEXTS)))),
    };
    let nulls = odds.map(|_| NullBuffer::from(valid));
    let field = vector_element(values.data_type().clone());
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, nulls))
}

fn int(random: &mut Random) -> i64 {
    *random.pick(&INTS)
}

fn shape(random: &mut Random) -> String {
    let mut at = || random.below(20);
    let (x, y) = (at(), at());
    match at() % 5 {
        0 => format!("LINESTRING ({x} {y}, {} {})", at(), at()),
        1 => {
            let (w, h) = (x + 1 + at() % 4, y + 1 + at() % 4);
            format!("POLYGON (({x} {y}, {w} {y}, {w} {h}, {x} {h}, {x} {y}))")
        }
        2 if at() == 0 => "POINT EMPTY".to_owned(),
        _ => format!("POINT ({x} {y})"),
    }
}

fn scalar(random: &mut Random) -> String {
    match random.below(7) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "false".to_owned(),
        3 | 4 => (*random.pick(&JSON_NUMBERS)).to_owned(),
        _ => format!("{:?}", random.pick(&TEXTS)),
    }
}

fn value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0..5 => scalar(random),
        5 | 6 => {
            let elements: Vec<_> = (0..random.below(4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}]", elements.join(", "))
        }
        _ => object_of(random, depth - 1),
    }
}

fn object(random: &mut Random) -> String {
    if random.one_in(8) { value(random, 1) } else { object_of(random, 2) }
}

fn object_of(random: &mut Random, depth: usize) -> String {
    let mut members = Vec::new();
    for key in ["a", "b", "c", "l", "0"] {
        match key {
            _ if random.one_in(3) => {}
            "b" => members.push(format!("\"b\": {{\"c\": {}}}", value(random, 0))),
            "l" => {
                let elements: Vec<_> = (0..random.below(4)).map(|_| scalar(random)).collect();
                members.push(format!("\"l\":[{}]", elements.join(",")));
            }
            key => members.push(format!("{key:?}: {}", value(random, depth.min(1)))),
        }
    }
    format!("{{{}}}", members.join(", "))
}

/// An arbitrary filter over `field` alone.
pub(crate) fn filter(random: &mut Random, field: &str, depth: usize) -> String {
    if depth > 0 {
        let inner = |random: &mut Random| filter(random, field, depth - 1);
        match random.below(4) {
            0 => return format!("not ({})", inner(random)),
            1 => return format!("({}) and ({})", inner(random), inner(random)),
            2 => return format!("({}) or ({})", inner(random), inner(random)),
            _ => {}
        }
    }
    if random.one_in(12) && !matches!(field, "$meta" | "id") {
        return format!("{field} is {}null", random.pick(&["", "not "]));
    }
    match field {
        "bool" => {
            format!("bool {} {}", random.pick(&["==", "!="]), random.pick(&["true", "false"]))
        }
        "id" | "int8" | "int64" => ordered(random, field, int_text),
        "float" | "double" => ordered(random, field, double_text),
        "text" => strings(random, field),
        "time" => {
            let hour = random.below(6);
            format!("time {} ISO '1970-01-01T0{hour}:00:00Z'", comparison(random))
        }
        "ints" => array(random, field, int_text),
        "floats" => array(random, field, double_text),
        "texts" => array(random, field, quoted),
        "bools" => array(random, field, |random| (*random.pick(&["true", "false"])).to_owned()),
        "geo" => spatial(random),
        json => paths(random, json),
    }
}

fn comparison(random: &mut Random) -> &'static str {
    const ALL: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
    ALL[random.below(ALL.len())]
}

fn int_text(random: &mut Random) -> String {
    (int(random) + random.below(2) as i64).to_string()
}

fn double_text(random: &mut Random) -> String {
    (*random.pick(&["-1.5", "0.0", "-0.0", "0.1", "0.2", "1.0", "1", "2.5", "1e300", "1e40"]))
        .to_owned()
}

fn quoted(random: &mut Random) -> String {
    format!("{:?}", random.pick(&TEXTS))
}

fn list(random: &mut Random, one: fn(&mut Random) -> String) -> String {
    let all: Vec<_> = (0..1 + random.below(4)).map(|_| one(random)).collect();
    format!("[{}]", all.join(", "))
}

fn ordered(random: &mut Random, field: &str, one: fn(&mut Random) -> String) -> String {
    match random.below(4) {
        0 => format!("{field} in {}", list(random, one)),
        1 => format!("{field} not in {}", list(random, one)),
        2 => {
            let (low, high) = (one(random), one(random));
            let mut ends = [low, high];
            ends.sort_by(|a, b| a.parse::<f64>().unwrap().total_cmp(&b.parse().unwrap()));
            if ends[0].parse::<f64>() == ends[1].parse() {
                return format!("{field} == {}", ends[0]);
            }
            let op = |random: &mut Random| *random.pick(&["<", "<="]);
            format!("{} {} {field} {} {}", ends[0], op(random), op(random), ends[1])
        }
        _ => format!("{field} {} {}", comparison(random), one(random)),
    }
}

fn strings(random: &mut Random, field: &str) -> String {
    let patterns = [
        "a%", "%b", "%ab%", "a_c", "%a%b%", "ab", "%", "", "_", "é%", "a\\\\%b", "zz/%", "%top%abc",
    ];
    let regexes = ["^a", "ab+", "b$", "[aé]b?", "^ab$", "top/a.c", "(ab|ba)", "x*"];
    match random.below(6) {
        0 => format!("{field} like \"{}\"", random.pick(&patterns)),
        1 => format!("{field} =~ \"{}\"", random.pick(&regexes)),
        2 => format!("{field} !~ \"{}\"", random.pick(&regexes)),
        3 => format!("{field} in {}", list(random, quoted)),
        4 => format!("{field} not in {}", list(random, quoted)),
        _ => format!("{field} {} {}", comparison(random), quoted(random)),
    }
}

fn array(random: &mut Random, field: &str, one: fn(&mut Random) -> String) -> String {
    let name = if random.one_in(2) { "array_contains" } else { "json_contains" };
    match random.below(5) {
        0 => format!("{name}({field}, {})", one(random)),
        1 => format!("{name}_all({field}, {})", list(random, one)),
        2 => format!("{name}_any({field}, {})", list(random, one)),
        3 => format!("{field}[{}] in {}", random.below(3), list(random, one)),
        _ => {
            let op = if field == "bools" { "==" } else { comparison(random) };
            format!("{field}[{}] {op} {}", random.below(3), one(random))
        }
    }
}

fn spatial(random: &mut Random) -> String {
    let (x, y) = (random.below(16), random.below(16));
    let (w, h) = (x + 1 + random.below(6), y + 1 + random.below(6));
    let around = format!("POLYGON (({x} {y}, {w} {y}, {w} {h}, {x} {h}, {x} {y}))");
    match random.below(5) {
        4 => "st_isvalid(geo)".to_owned(),
        0 => format!("st_dwithin(geo, \"POINT ({x} {y})\", {})", random.below(300_000)),
        1 => format!("st_equals(geo, \"POINT ({x} {y})\")"),
        2 => format!("st_within(geo, \"{around}\")"),
        _ => format!("st_intersects(geo, \"{around}\")"),
    }
}

fn paths(random: &mut Random, field: &str) -> String {
    let number = |random: &mut Random| (*random.pick(&JSON_NUMBERS[..10])).to_owned();
    let any = |random: &mut Random| match random.below(3) {
        0 => quoted(random),
        1 => (*random.pick(&["true", "false"])).to_owned(),
        _ => (*random.pick(&JSON_NUMBERS[..10])).to_owned(),
    };
    let subscripts =
        ["['a']", "['b']['c']", "['l']", "['l'][0]", "['a']['0']", "['c']['a']", "['a'][1]"];
    // The dynamic field as a whole is no operand.
    let whole = field == "json" && random.one_in(8);
    let path =
        if whole { field.to_owned() } else { format!("{field}{}", random.pick(&subscripts)) };
    match random.below(11) {
        0 => format!("exists {field}{}", random.pick(&subscripts)),
        1 => format!("{path} in {}", list(random, number)),
        2 => format!("{path} not in {}", list(random, quoted)),
        3 => format!("{path} in {}", list(random, any)),
        4 => format!("json_contains({path}, {})", any(random)),
        5 => format!("json_contains_all({path}, {})", list(random, any)),
        6 => format!("json_contains_any({path}, {})", list(random, number)),
        7 => format!("{path} like \"{}\"", random.pick(&["a%", "%b%", "ab", "%é"])),
        8 => format!("{path} {} {}", comparison(random), quoted(random)),
        9 => format!("{path} {} {}", random.pick(&["==", "!="]), random.pick(&["true", "false"])),
        _ => format!("{path} {} {}", comparison(random), number(random)),
    }
}
