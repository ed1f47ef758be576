//! What one of many queries costs for one row: medians of several runs, in nanoseconds and in
//! billions of multiplications a second.
//!
//! `MILVUS_SIMD=portable cargo bench -p milvus-kernel --bench many` measures a lower level. `row by
//! row` is `distance::ip_rows` for one query after the other.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use half::bf16;
use milvus_kernel::{cpu, distance, many};

const RUNS: usize = 9;

fn main() {
    println!("{}", cpu());
    println!("ns per query and row (1e9 products a second)");
    println!(
        "{:>5} {:>7} {:>6} {:>16} {:>16} {:>16} {:>16}",
        "dim", "queries", "rows", "ip", "l2", "bfloat16 ip", "row by row"
    );
    for (dim, queries, rows) in [
        (128, 100, 16384),
        (384, 2, 8192),
        (384, 4, 8192),
        (384, 8, 8192),
        (384, 100, 8192),
        (768, 100, 4096),
        (128, 8192, 256),
    ] {
        let block: Vec<f32> =
            (0..rows * dim).map(|i| ((i * 37 % 1013) as f32 - 506.0) / 506.0).collect();
        let query: Vec<f32> =
            (0..queries * dim).map(|i| ((i * 31 % 1009) as f32 - 504.0) / 504.0).collect();
        let narrow =
            |wide: &[f32]| -> Vec<bf16> { wide.iter().map(|&x| bf16::from_f32(x)).collect() };
        let (narrow_block, narrow_query) = (narrow(&block), narrow(&query));
        let mut out = vec![0.0; queries * rows];
        let times = [
            median(|| many::ip(black_box(&query), &block, dim, &mut out)),
            median(|| many::l2(black_box(&query), &block, dim, &mut out)),
            median(|| many::bfloat16::ip(black_box(&narrow_query), &narrow_block, dim, &mut out)),
            median(|| {
                for (query, out) in query.chunks_exact(dim).zip(out.chunks_exact_mut(rows)) {
                    distance::ip_rows(black_box(query), &block, out);
                }
            }),
        ];
        print!("{dim:>5} {queries:>7} {rows:>6}");
        for seconds in times {
            let ns = seconds * 1e9 / (queries * rows) as f64;
            print!(" {ns:>8.2} {:>7.1}", dim as f64 / ns);
        }
        println!();
    }
}

/// The median time of `work` in seconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
