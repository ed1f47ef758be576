//! Building and searching any index over real vectors: time, memory, recall.
//!
//! `cargo bench -p milvus-index --bench families -- BASE.npy QUERY.npy INDEX [KEY=VALUE ...]` takes
//! two-dimensional float16 or float32 .npy files. `KEY=VALUE` are parameters of the index; also
//! `metric=COSINE`, `rows=N`, `queries=N`, `threads=N`, `file=PATH` (to
//! write the index there and read from it, rather than to have it in memory; with
//! `reuse=yes` the one that is there), and `sweep=SEARCH_KEY:V1,V2,...`. Truth is
//! computed exactly first. Times of queries are CPU time of one thread.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use milvus_index::{
    Depth, Hit, IndexType, SearchParams, VectorIndex, Vectors, brute_force_many, build,
    check_build_params, check_search_params, estimate_build_bytes, open, open_file,
};
use milvus_types::{KeyValue, MetricType};

const K: usize = 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let [base, query, index_type, rest @ ..] = &args[..] else {
        println!("no vectors given: BASE.npy QUERY.npy INDEX [KEY=VALUE ...]");
        return;
    };
    let pairs: Vec<KeyValue> = rest
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| KeyValue::new(k, v))
        .collect();
    let given = |key: &str| pairs.iter().find(|pair| pair.key == key).map(|pair| &*pair.value);
    let number = |key, default| given(key).map_or(default, |text| text.parse().unwrap());
    let metric = MetricType::parse(given("metric").unwrap_or("COSINE")).unwrap();
    let index_type = IndexType::parse(index_type).unwrap();
    let (mut floats, dim) = read_npy(base);
    let (mut queries, _) = read_npy(query);
    floats.truncate(number("rows", usize::MAX / dim) * dim);
    queries.truncate(number("queries", 1000) * dim);
    let vectors = Vectors::from_vec(floats, dim).unwrap();
    println!("{}", milvus_kernel::cpu());
    println!("{index_type} rows {} dim {dim} metric {metric}", vectors.rows());
    let truth = brute_force_many(metric, &queries, dim, vectors.as_slice(), None, K);

    let definition = check_build_params(index_type, metric, dim, &pairs).unwrap();
    let vector_bytes = size_of_val(vectors.as_slice()) as f64;
    if let (Some(path), Some(_)) = (given("file"), given("reuse")) {
        let (start, resident) = (Instant::now(), resident_bytes());
        let index = open_file(Arc::new(File::open(path).unwrap()), vectors).unwrap();
        return sweep(&*index, (start, resident, vector_bytes), &queries, &truth, given("sweep"));
    }
    let threads = number("threads", 2);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let built =
        build(&definition, vectors.clone(), threads, &|_, _| (), &AtomicBool::new(false)).unwrap();
    println!(
        "build: {:.2} s wall, {:.2} s cpu on {threads} threads, {:.1} MB, estimated {:.1} MB",
        start.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        built.index().memory_bytes() as f64 / 1e6,
        estimate_build_bytes(&definition, vectors.rows()) as f64 / 1e6,
    );
    let (start, resident);
    let index = if let Some(path) = given("file") {
        let mut file = BufWriter::new(File::create(path).unwrap());
        built.write(&mut file).unwrap();
        file.flush().unwrap();
        drop((file, built));
        (start, resident) = (Instant::now(), resident_bytes());
        open_file(Arc::new(File::open(path).unwrap()), vectors).unwrap()
    } else {
        let mut file = Vec::new();
        built.write(&mut file).unwrap();
        drop(built);
        (start, resident) = (Instant::now(), resident_bytes());
        open(Arc::new(file), vectors).unwrap()
    };
    sweep(&*index, (start, resident, vector_bytes), &queries, &truth, given("sweep"));
}

/// Searches with each value of a parameter; when the index was opened, and what was resident then.
fn sweep(
    index: &dyn VectorIndex,
    (start, resident, vector_bytes): (Instant, f64, f64),
    queries: &[f32],
    truth: &[Vec<Hit>],
    values: Option<&str>,
) {
    println!("open: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let share = index.memory_bytes() as f64 / vector_bytes * 100.0;
    println!("in memory or mapped: {share:.2} % of the vectors");
    let (key, values) = values.and_then(|text| text.split_once(':')).unwrap_or(("", "0"));
    for value in values.split(',') {
        let pairs = [KeyValue::new(key, value)];
        let depth = Depth::AtOnce(K);
        let params = check_search_params(index.index_type(), depth, &pairs).unwrap();
        let (recall, us) = measure(index, queries, &params, truth);
        println!("{key} {value:>6}  recall@{K} {recall:.4}  {us:>8.1} us/query");
    }
    // Meaningful of an index in a file that was there: the vectors were in memory before.
    let grown = (resident_bytes() - resident) / vector_bytes * 100.0;
    println!("resident since before it was opened: {grown:.2} % of the vectors");
}

/// Recall and the best of three runs' microseconds for each query.
fn measure(
    index: &dyn VectorIndex,
    queries: &[f32],
    params: &SearchParams,
    truth: &[Vec<Hit>],
) -> (f64, f64) {
    let mut best = f64::MAX;
    let mut answers = vec![Vec::with_capacity(K); truth.len()];
    for _ in 0..3 {
        let start = thread_seconds();
        for (query, hits) in queries.chunks_exact(index.dim()).zip(&mut answers) {
            index.search(query.into(), K, params, None, hits);
        }
        best = f64::min(best, thread_seconds() - start);
    }
    let (mut found, mut wanted) = (0, 0);
    for (hits, truth) in answers.iter().zip(truth) {
        let rows: HashSet<u32> = hits.iter().map(|hit| hit.row).collect();
        found += truth.iter().filter(|hit| rows.contains(&hit.row)).count();
        wanted += truth.len();
    }
    (found as f64 / wanted as f64, best * 1e6 / truth.len() as f64)
}

/// Bytes of the process that are in memory, its own and mapped; 0 where the system does not tell.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|text| text.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0
}

/// Seconds of CPU the main thread has used, 0 where the system does not tell.
fn thread_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: Option<f64> = stat.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Seconds of CPU the process has used, 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The floats of a two-dimensional .npy file and their number in a row.
fn read_npy(path: &str) -> (Vec<f32>, usize) {
    let bytes = std::fs::read(path).unwrap();
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..header_end]).into_owned();
    let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let dim: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let data = &bytes[header_end..];
    let floats = if header.contains("<f2") {
        data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
    } else {
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    (floats, dim)
}
