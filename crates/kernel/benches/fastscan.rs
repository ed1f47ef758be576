//! What a scan of packed codes costs a row: medians of several runs, in nanoseconds, and in
//! gigabytes of codes a second.
//!
//! `MILVUS_SIMD=portable cargo bench -p milvus-kernel --bench fastscan` measures a lower level.
//! The rows of a list fit the second-level cache.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::cpu;
use milvus_kernel::fastscan::{self, wide};

const ROWS: usize = 4096;
const RUNS: usize = 101;

fn main() {
    println!("{}", cpu());
    println!(
        "{:>6} {:>14} {:>8} {:>14} {:>8}",
        "parts", "4 bit ns/row", "GB/s", "8 bit ns/row", "GB/s"
    );
    for parts in [16, 32, 64, 96, 192] {
        let bytes = |count: usize| -> Vec<u8> {
            (0..count).map(|i| (i * 37 % 251).to_le_bytes()[0]).collect()
        };
        let tables = bytes(fastscan::table_bytes(parts));
        let blocks = bytes(ROWS / fastscan::BLOCK * fastscan::block_bytes(parts));
        let wide_tables = bytes(parts * wide::ENTRIES);
        let wide_blocks = bytes(ROWS / wide::BLOCK * wide::block_bytes(parts));
        let mut out = vec![0; ROWS];
        let narrow = median(|| fastscan::scan(black_box(&tables), &blocks, &mut out));
        let broad = median(|| wide::scan(black_box(&wide_tables), &wide_blocks, &mut out));
        println!(
            "{parts:>6} {narrow:>14.2} {:>8.1} {broad:>14.2} {:>8.1}",
            parts as f64 / 2.0 / narrow,
            parts as f64 / broad
        );
    }
}

/// The median time of `work`, divided by the rows it went over.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e9 / ROWS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
