//! What comparing two bit strings costs: medians of several runs, in nanoseconds.
//!
//! `MILVUS_SIMD=avx2 cargo bench -p milvus-kernel --bench binary` measures a lower level. The rows
//! fit the second-level cache and are read in order.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::{binary, cpu};

const ROWS: usize = 512;
const RUNS: usize = 101;

fn main() {
    println!("{}", cpu());
    println!("ns per row; `equal n`: hashes of n bytes that are the same");
    println!(
        "{:>6} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "bytes", "hamming", "jaccard", "equal 1", "equal 8", "equal 32"
    );
    for bytes in [32, 128, 512, 1024] {
        let rows: Vec<u8> = (0..ROWS * bytes).map(|i| (i * 151 % 255).to_le_bytes()[0]).collect();
        let query = rows[..bytes].to_vec();
        let each = |of: &dyn Fn(&[u8], &[u8]) -> f32| {
            median(|| rows.chunks_exact(bytes).map(|row| of(black_box(&query), row)).sum())
        };
        print!("{bytes:>6} {:>9.2}", each(&|a, b| binary::hamming(a, b) as f32));
        print!(" {:>9.2}", each(&binary::jaccard));
        for width in [1, 8, 32] {
            print!(" {:>9.2}", each(&|a, b| binary::equal_elements(a, b, width) as f32));
        }
        println!();
    }
}

/// The median time of `work`, divided by the rows it went over.
fn median(mut work: impl FnMut() -> f32) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64() * 1e9 / ROWS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
