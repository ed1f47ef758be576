//! Building and searching a graph over real vectors: time, recall, queries per second.
//!
//! `cargo bench -p milvus-index --bench hnsw -- BASE.npy QUERY.npy [ROWS] [M] [EFC] [THREADS] [METRIC]`
//! takes two-dimensional float16 or float32 .npy files. Truth is computed exactly first. Times of
//! queries are on one thread.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use milvus_index::{
    Hit, IndexType, SearchParams, VectorIndex, Vectors, brute_force_many, build,
    check_build_params, open,
};
use milvus_kernel::Bitset;
use milvus_types::{KeyValue, MetricType};

const K: usize = 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let (Some(base), Some(query)) = (args.first(), args.get(1)) else {
        println!("no vectors given: BASE.npy QUERY.npy [ROWS] [M] [EFC] [THREADS] [METRIC]");
        return;
    };
    let number = |at: usize, default: usize| {
        args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default)
    };
    let metric = args.get(6).map_or(MetricType::Cosine, |name| MetricType::parse(name).unwrap());
    let (mut floats, dim) = read_npy(base);
    let (queries, _) = read_npy(query);
    floats.truncate(number(2, usize::MAX / dim) * dim);
    let vectors = Vectors::from_vec(floats, dim).unwrap();
    println!("{}", milvus_kernel::cpu());
    println!("rows {} dim {dim} metric {metric} queries {}", vectors.rows(), queries.len() / dim);

    let start = Instant::now();
    let truth = brute_force_many(metric, &queries, dim, vectors.as_slice(), None, K);
    let us = start.elapsed().as_secs_f64() * 1e6 / truth.len() as f64;
    println!("exact: {us:.0} us/query");

    let params = [
        KeyValue::new("M", number(3, 18).to_string()),
        KeyValue::new("efConstruction", number(4, 240).to_string()),
    ];
    let definition = check_build_params(IndexType::Hnsw, metric, dim, &params).unwrap();
    let threads = number(5, 2);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let built =
        build(&definition, vectors.clone(), threads, &|_, _| (), &AtomicBool::new(false)).unwrap();
    println!(
        "build: {:.2} s wall, {:.2} s cpu on {threads} threads, {:.1} MB",
        start.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        built.index().memory_bytes() as f64 / 1e6
    );
    let mut file = Vec::new();
    built.write(&mut file).unwrap();
    let start = Instant::now();
    let index = open(Arc::new(file), vectors.clone()).unwrap();
    println!("open: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    for ef in [10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 200, 400] {
        let (recall, us) = measure(&*index, &queries, ef, None, &truth);
        println!("ef {ef:>4}  recall@10 {recall:.4}  {us:>8.1} us/query  {:>8.0} qps", 1e6 / us);
    }
    for percent in [90, 70, 50, 30, 20, 10, 5, 2, 1] {
        let live = Bitset::from_bools(
            (0..vectors.rows())
                .map(|row| row.wrapping_mul(2_654_435_761) >> 7 & 0xffff < 65536 * percent / 100),
        );
        let some = &queries[..200 * dim];
        let truth = brute_force_many(metric, some, dim, vectors.as_slice(), Some(&live), K);
        for ef in [32, 64] {
            let (recall, us) = measure(&*index, some, ef, Some(&live), &truth);
            println!("live {percent:>3} %  ef {ef:>4}  recall@10 {recall:.4}  {us:>8.1} us/query");
        }
    }
}

/// Recall and the best of three runs' microseconds for each query.
fn measure(
    index: &dyn VectorIndex,
    queries: &[f32],
    ef: usize,
    live: Option<&Bitset>,
    truth: &[Vec<Hit>],
) -> (f64, f64) {
    let params = SearchParams { ef, ..SearchParams::for_k(K) };
    let mut best = f64::MAX;
    let mut answers = vec![Vec::with_capacity(K); truth.len()];
    for _ in 0..3 {
        let start = thread_seconds();
        for (query, hits) in queries.chunks_exact(index.dim()).zip(&mut answers) {
            index.search(query.into(), K, &params, live, hits);
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
