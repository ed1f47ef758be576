//! Times filters over the rows of an Arrow IPC file, one thread, medians of repeated runs.
//!
//! `cargo bench -p milvus-expr --bench filter -- FILE REPEATS`: FILE has one record batch with the
//! columns of `schema` below; `bench/filter.py` writes it and puts the figures beside other engines'.
//! Prints one line for each filter: name, matching rows, nanoseconds.
#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::fs::File;
use std::time::Instant;

use arrow::ipc::reader::FileReader;
use milvus_expr::{Templates, plan};
use milvus_types::{CollectionSchema, DataType, FieldId, FieldSchema};

/// Filters by the names under which `bench/filter.py` has their likes.
const FILTERS: &[(&str, &str)] = &[
    ("int compare", "i64 < 500000"),
    ("int32 equality", "i32 == 77"),
    ("int range and", "i64 > 250000 and i64 < 750000 and i32 < 500"),
    ("float range", "0.25 < f64 < 0.75"),
    ("varchar equality", "name == 'user-000777'"),
    ("varchar prefix", "name like 'user-0007%'"),
    ("varchar contains", "name like '%777%'"),
    ("in of 100", ""),
    ("varchar in of 100", ""),
    ("json compare", "json['price'] < 250"),
    ("json text equality", "json['colour'] == 'red'"),
    ("array contains", "array_contains(tags, 7)"),
    ("nulls and or", "i32 < 100 or f64 > 0.9 or name is null"),
];

fn text(name: &str, text: &str) -> String {
    let hundred = |item: &dyn Fn(u32) -> String| {
        (0..100u32).map(|n| item(n * 9973 % 1_000_000)).collect::<Vec<_>>().join(", ")
    };
    match name {
        "in of 100" => format!("i64 in [{}]", hundred(&|n| n.to_string())),
        "varchar in of 100" => {
            format!("name in [{}]", hundred(&|n| format!("'user-{:06}'", n % 10_000)))
        }
        _ => text.to_owned(),
    }
}

fn schema() -> CollectionSchema {
    let field = |id, name: &str, data_type, element_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        element_type,
        nullable: true,
        ..FieldSchema::default()
    };
    let fields = vec![
        field(100, "i64", DataType::Int64, None),
        field(101, "i32", DataType::Int32, None),
        field(102, "f64", DataType::Double, None),
        field(103, "name", DataType::VarChar, None),
        field(104, "json", DataType::JSON, None),
        field(105, "tags", DataType::Array, Some(DataType::Int32)),
    ];
    CollectionSchema { fields, ..CollectionSchema::default() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let (Some(path), repeats) = (args.next(), args.next()) else {
        println!("usage: filter FILE [REPEATS]");
        return Ok(());
    };
    let repeats: usize = repeats.map_or(Ok(31), |repeats| repeats.parse())?;
    let batch = FileReader::try_new(File::open(path)?, None)?.next().ok_or("no batch")??;
    let schema = schema();
    for (name, filter) in FILTERS {
        let plan = plan(&text(name, filter), &schema, &Templates::new())?;
        let mut rows = 0;
        let mut times = Vec::with_capacity(repeats);
        for _ in 0..repeats {
            let start = Instant::now();
            let bits = plan.evaluate(&batch)?;
            times.push(start.elapsed().as_nanos());
            rows = bits.count_set_bits();
        }
        times.sort_unstable();
        let median = times.get(repeats / 2).copied().unwrap_or_default();
        println!("{name}\t{rows}\t{median}");
    }
    Ok(())
}
