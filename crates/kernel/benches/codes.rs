//! What one gathered row of codes costs: medians of several runs, in nanoseconds.
//!
//! `MILVUS_SIMD=avx2 cargo bench -p milvus-kernel --bench codes` measures a lower level. The rows
//! of eight bits fit the second-level cache; they are named in a scattered order, as a graph does.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::short_codes::{Layout, Query, Width};
use milvus_kernel::{cpu, sq8};

const ROWS: u32 = 256;
/// Times that each row is gathered in one run.
const PASSES: usize = 16;
const RUNS: usize = 51;

fn main() {
    println!("{}", cpu());
    println!("ns per gathered row, and bytes of a row");
    println!(
        "{:>6} {:>8} {:>5} {:>8} {:>5} {:>8} {:>5}",
        "dim", "8 bits", "", "6 bits", "", "4 bits", ""
    );
    let rows: Vec<u32> = (0..ROWS).map(|n| n * 97 % ROWS).collect();
    for dim in [96, 128, 240, 384, 768, 1536] {
        let vectors: Vec<Vec<f32>> = (0..ROWS as usize)
            .map(|n| (0..dim).map(|i| ((n * 131 + i * 37) % 1013) as f32 - 506.0).collect())
            .collect();
        let mut out = vec![0.0; rows.len()];
        let mut codes = vec![0; sq8::stride(dim) * vectors.len()];
        for (vector, code) in vectors.iter().zip(codes.chunks_exact_mut(sq8::stride(dim))) {
            sq8::encode(vector, code);
        }
        let query = codes[..sq8::stride(dim)].to_vec();
        let eight = median(|| sq8::gather(black_box(&query), &codes, &rows, -2.0, &mut out));
        print!("{dim:>6} {eight:>8.2} {:>5}", sq8::stride(dim));
        for width in [Width::Six, Width::Four] {
            let layout = Layout::new(width, dim);
            let mut codes = vec![0; layout.stride() * vectors.len()];
            for (vector, code) in vectors.iter().zip(codes.chunks_exact_mut(layout.stride())) {
                layout.encode(vector, code);
            }
            let query = Query::new(layout, &vectors[0], 0.0, -2.0);
            let time = median(|| black_box(&query).gather(&codes, &rows, &mut out));
            print!(" {time:>8.2} {:>5}", layout.stride());
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
