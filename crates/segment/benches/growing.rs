//! What a search of a growing segment costs beside a plain exact scan of the same vectors, one
//! thread, on-CPU time, with recall: with all rows and with filters that 50, 10 and 1 % of them pass.
//!
//! `cargo bench -p milvus-segment --bench growing -- [BASE.npy QUERIES.npy]`: matrices of float16 or
//! float32, `[rows, dim]`; without them a seeded mixture of clusters. At most 100,000 rows are read.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::unwrap_used, reason = "a bench may fail anywhere")]

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::DataType as ArrowType;
use milvus_expr::{Plan, Templates, plan};
use milvus_index::{Mapped, QueryData, VectorData, exact_search};
use milvus_kernel::Bitset;
use milvus_segment::{GrowingSegment, Queries, SearchSpec, Segment, SegmentSchema};
use milvus_types::columns::vector_element;
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, MetricType, PartitionId, SegmentId,
    Timestamp,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const ROWS: usize = 100_000;
const QUERIES: usize = 100;
const DIM: usize = 384;
/// Rows of an insert.
const INSERT: usize = 1000;
const RUNS: usize = 5;
/// `u` of a row is a number below this, its place in an order that has nothing to do with vectors.
const SHARES: [(&str, i64); 4] = [("all", 100), ("50 %", 50), ("10 %", 10), ("1 %", 1)];

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (base, queries) = match &files[..] {
        [base, queries] => (npy(base, ROWS), npy(queries, QUERIES)),
        _ => clusters(),
    };
    println!("{}", milvus_kernel::cpu());
    let schema = schema(base.dim());
    let segment = GrowingSegment::new(
        SegmentId(1),
        PartitionId(1),
        Arc::new(SegmentSchema::new(&schema).unwrap()),
    );
    let start = now();
    for first in (0..base.rows()).step_by(INSERT) {
        let len = INSERT.min(base.rows() - first);
        segment.insert(Timestamp(1 + first as u64), batch(&segment, &base, first, len)).unwrap();
    }
    let insert = (now() - start) / base.rows() as f64;
    println!(
        "{} rows of {} dimensions, {insert:.2} us per row to insert, {:.1} MB of rows, {:.1} MB held",
        base.rows(),
        base.dim(),
        segment.bytes() as f64 / 1e6,
        segment.memory_bytes() as f64 / 1e6,
    );
    println!(
        "{:>8} {:>6} {:>5} {:>4} {:>8} {:>12} {:>12} {:>6}",
        "metric", "rows", "k", "nq", "recall", "segment us", "plain us", "gain"
    );
    for metric in [MetricType::Cosine, MetricType::Ip, MetricType::L2] {
        for (share, below) in SHARES {
            measure(&segment, &schema, &base, &queries, metric, (share, below), (10, 1));
        }
        for (k, nq) in [(100, 1), (1000, 1), (10, 10), (10, 100)] {
            measure(&segment, &schema, &base, &queries, metric, SHARES[0], (k, nq));
        }
    }
}

/// Searches for all queries, `nq` at once, and prints a line.
fn measure(
    segment: &GrowingSegment,
    schema: &CollectionSchema,
    base: &VectorData,
    queries: &QueryData,
    metric: MetricType,
    (share, below): (&str, i64),
    (k, nq): (usize, usize),
) {
    let filter: Plan = match below {
        100 => plan("", schema, &Templates::default()).unwrap(),
        _ => plan(&format!("u < {below}"), schema, &Templates::default()).unwrap(),
    };
    let live =
        (below < 100).then(|| Bitset::from_bools((0..base.rows()).map(|row| u(row) < below)));
    let groups: Vec<QueryData> = (0..queries.rows())
        .collect::<Vec<_>>()
        .chunks_exact(nq)
        .map(|group| {
            queries.take(&group.iter().map(|&q| u32::try_from(q).unwrap()).collect::<Vec<_>>())
        })
        .collect();
    let specs: Vec<SearchSpec> = groups
        .iter()
        .map(|group| {
            let queries = Arc::new(Queries::new(group.clone()));
            SearchSpec::new("vector", metric, queries, k, filter.clone(), Timestamp::MAX)
        })
        .collect();
    let (mut found, mut wanted) = (0, 0);
    for (group, spec) in groups.iter().zip(&specs) {
        let want = exact_search(metric, group, base, live.as_ref(), k).unwrap();
        for (got, want) in segment.search(spec).unwrap().iter().zip(&want) {
            let worst = want.last().map(|hit| hit.score);
            let good = |score: f32| match metric.larger_is_better() {
                true => worst.is_some_and(|worst| score >= worst),
                false => worst.is_some_and(|worst| score <= worst),
            };
            found += got.iter().filter(|hit| good(hit.score)).count();
            wanted += want.len();
        }
    }
    let asked = (groups.len() * nq) as f64;
    let segment = median(asked, || {
        for spec in &specs {
            black_box(segment.search(black_box(spec)).unwrap());
        }
    });
    let plain = median(asked, || {
        for group in &groups {
            black_box(exact_search(metric, black_box(group), base, live.as_ref(), k).unwrap());
        }
    });
    println!(
        "{metric:>8} {share:>6} {k:>5} {nq:>4} {:>8.4} {segment:>12.1} {plain:>12.1} {:>6.2}",
        found as f64 / wanted as f64,
        plain / segment,
    );
}

/// The median time of `work`, in microseconds for each of `asked`.
fn median(asked: f64, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = now();
            work();
            (now() - start) / asked
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Microseconds this thread has had a CPU, or of the clock where the system does not say.
fn now() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let clock = || START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e6;
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(clock, |ns| ns / 1e3)
}

fn u(row: usize) -> i64 {
    i64::try_from(row * 7919 % 10_007 % 100).unwrap()
}

fn schema(dim: usize) -> CollectionSchema {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        type_params: vec![KeyValue::new("dim", dim.to_string())],
        ..FieldSchema::default()
    };
    let fields = vec![
        FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) },
        field(101, "u", DataType::Int64),
        field(102, "vector", DataType::FloatVector),
    ];
    CollectionSchema { fields, ..CollectionSchema::default() }
}

fn batch(segment: &GrowingSegment, base: &VectorData, first: usize, len: usize) -> RecordBatch {
    let VectorData::Float(floats) = base else { panic!("float vectors") };
    let floats = &floats.as_slice()[first * base.dim()..][..len * base.dim()];
    let vectors = FixedSizeListArray::new(
        vector_element(ArrowType::Float32),
        i32::try_from(base.dim()).unwrap(),
        Arc::new(Float32Array::from(floats.to_vec())),
        None,
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            (first..first + len).map(|row| i64::try_from(row).unwrap()).collect::<Int64Array>(),
        ),
        Arc::new((first..first + len).map(u).collect::<Int64Array>()),
        Arc::new(vectors),
    ];
    RecordBatch::try_new(Arc::clone(segment.schema().arrow()), columns).unwrap()
}

/// Points around 1,000 centres, and queries around them too.
fn clusters() -> (VectorData, VectorData) {
    let mut random = StdRng::seed_from_u64(42);
    let mut normal = move || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
    let centres: Vec<f32> = (0..1000 * DIM).map(|_| normal()).collect();
    let mut around = |count: usize| {
        let centre = |n: usize| n / DIM * 7919 % 1000 * DIM + n % DIM;
        let values = (0..count * DIM).map(|n| centres[centre(n)] + normal());
        VectorData::floats(values.collect(), DIM).unwrap()
    };
    (around(ROWS), around(QUERIES))
}

/// The first rows of a matrix that numpy wrote.
fn npy(path: &str, most: usize) -> VectorData {
    let bytes = fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    let (data_type, width) = match text.contains("<f2") {
        true => (DataType::Float16Vector, 2),
        false => (DataType::FloatVector, 4),
    };
    let mut dims =
        text.split(['(', ',', ')']).map(str::trim).filter_map(|n| n.parse::<usize>().ok());
    let dim = dims.next_back().unwrap();
    let values = &bytes[10 + header..];
    let values = &values[..values.len().min(most * dim * width)];
    let owner: Mapped = Arc::new(values.to_vec());
    let rows = VectorData::dense(data_type, dim, owner).unwrap();
    rows.converted(DataType::FloatVector).unwrap()
}
