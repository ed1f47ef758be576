//! What one gathered row of codes costs: medians of several runs, in nanoseconds.
//!
//! `MILVUS_SIMD=avx2 cargo bench -p milvus-kernel --bench codes` measures a lower level. Rows are
//! named in a scattered order, as a graph does, other ones in every run.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::short_codes::{Layout, Query, Width};
use milvus_kernel::{cpu, sq8};

/// Rows that are coded; blocks repeat them.
const CODED: usize = 256;
/// Bytes of rows that no cache holds.
const COLD_BYTES: usize = 192 << 20;
/// Rows of a call, about the neighbours of a graph's node.
const CALL: usize = 32;
/// Calls of a run.
const CALLS: usize = 256;
const RUNS: usize = 31;

fn main() {
    println!("{}", cpu());
    println!("ns per gathered row from a warm cache and from memory, and bytes of a row");
    println!("{:>6} {:>22} {:>22} {:>22}", "dim", "8 bits", "6 bits", "4 bits");
    for dim in [96, 128, 240, 384, 768, 1536] {
        let vectors: Vec<Vec<f32>> = (0..CODED)
            .map(|n| (0..dim).map(|i| ((n * 131 + i * 37) % 1013) as f32 - 506.0).collect())
            .collect();
        let stride = sq8::stride(dim);
        let mut codes = vec![0; stride * CODED];
        for (vector, code) in vectors.iter().zip(codes.chunks_exact_mut(stride)) {
            sq8::encode(vector, code);
        }
        let query = codes[..stride].to_vec();
        print!("{dim:>6}");
        measure(&codes, stride, |codes, rows, out| {
            sq8::gather(black_box(&query), codes, rows, -2.0, out);
        });
        for width in [Width::Six, Width::Four] {
            let layout = Layout::new(width, dim);
            let mut codes = vec![0; layout.stride() * CODED];
            for (vector, code) in vectors.iter().zip(codes.chunks_exact_mut(layout.stride())) {
                layout.encode(vector, code);
            }
            let query = Query::new(layout, &vectors[0], 0.0, -2.0);
            measure(&codes, layout.stride(), |codes, rows, out| {
                black_box(&query).gather(codes, rows, out);
            });
        }
        println!();
    }
}

/// Prints what `gather` costs for rows of `coded` and for rows of a block that no cache holds.
fn measure(coded: &[u8], stride: usize, gather: impl Fn(&[u8], &[u32], &mut [f32])) {
    let cold: Vec<u8> = coded.iter().copied().cycle().take(COLD_BYTES / stride * stride).collect();
    for codes in [coded, &cold] {
        let rows = scattered(codes.len() / stride);
        let mut runs = rows.chunks_exact(CALL * CALLS);
        let mut out = [0.0; CALL];
        let ns = median(|| {
            let rows = runs.next().unwrap_or_default();
            rows.chunks_exact(CALL).for_each(|rows| gather(codes, rows, &mut out));
        });
        print!(" {ns:>8.2}");
    }
    print!(" {stride:>4}");
}

/// Rows below `count` in a scattered order.
fn scattered(count: usize) -> Vec<u32> {
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state % count as u64).unwrap_or(0)
    };
    (0..CALL * CALLS * RUNS).map(|_| next()).collect()
}

/// The median time of `work`, divided by the rows it went over.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e9 / (CALL * CALLS) as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
