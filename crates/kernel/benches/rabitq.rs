//! What one gathered row of planes costs: medians of several runs, in nanoseconds.
//!
//! `MILVUS_SIMD=avx2 cargo bench -p milvus-kernel --bench rabitq` measures a lower level. The rows
//! fit the second-level cache.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::{cpu, rabitq};

const ROWS: u32 = 512;
/// Times that each row is gathered in one run.
const PASSES: usize = 8;
const RUNS: usize = 51;

fn main() {
    println!("{}", cpu());
    println!("ns per gathered row, by bits of rows x bits of the query");
    println!(
        "{:>6} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "dim", "1 x 4", "1 x 8", "2 x 6", "4 x 6", "8 x 8"
    );
    let rows: Vec<u32> = (0..ROWS).map(|n| n * 97 % ROWS).collect();
    let mut out = vec![0; rows.len()];
    for dim in [128, 384, 768, 1536] {
        print!("{dim:>6}");
        let values: Vec<f32> = (0..dim).map(|i| ((i * 37) % 1013) as f32 - 506.0).collect();
        for (bits, query_bits) in [(1, 4), (1, 8), (2, 6), (4, 6), (8, 8)] {
            let stride = rabitq::code_bytes(dim, bits);
            let codes: Vec<u8> =
                (0..stride * ROWS as usize).map(|i| (i * 151 % 255).to_le_bytes()[0]).collect();
            let query = rabitq::Query::new(&values, query_bits);
            let time = median(|| black_box(&query).gather(&codes, bits, stride, &rows, &mut out));
            print!(" {time:>8.2}");
        }
        println!();
    }
}

/// The median time of `work`, divided by the rows it went over.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..PASSES {
                work();
            }
            start.elapsed().as_secs_f64() * 1e9 / (PASSES as f64 * f64::from(ROWS))
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
