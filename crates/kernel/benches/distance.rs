//! What one distance costs at each instruction set: medians of several runs, in nanoseconds.
//!
//! `MILVUS_SIMD=avx2 cargo bench -p milvus-kernel` measures a lower level. Reads 4,096 rows that
//! fit the second-level cache only at small dimensions; a row is read in order.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::{cpu, distance, sq8};

const ROWS: usize = 4096;
const RUNS: usize = 15;

fn main() {
    println!("{}", cpu());
    println!("{:>6} {:>10} {:>10} {:>10} {:>10}  ns per row", "dim", "l2", "ip", "ip+norm", "sq8");
    for dim in [32, 128, 384, 768, 1536] {
        let block: Vec<f32> =
            (0..ROWS * dim).map(|i| ((i * 37 % 1013) as f32 - 506.0) / 506.0).collect();
        let query = block[..dim].to_vec();
        let mut codes = vec![0u8; ROWS * sq8::stride(dim)];
        for (row, code) in block.chunks_exact(dim).zip(codes.chunks_exact_mut(sq8::stride(dim))) {
            let norm = sq8::encode(row, code);
            sq8::set_bias(code, norm);
        }
        let coded = codes[..sq8::stride(dim)].to_vec();
        let (mut out, mut norms) = (vec![0.0; ROWS], vec![0.0; ROWS]);
        let l2 = median(|| distance::l2_rows(black_box(&query), &block, &mut out));
        let ip = median(|| distance::ip_rows(black_box(&query), &block, &mut out));
        let both =
            median(|| distance::ip_norm_rows(black_box(&query), &block, &mut out, &mut norms));
        let sq8 = median(|| sq8::block(black_box(&coded), &codes, -2.0, &mut out));
        black_box((&out, &norms));
        println!("{dim:>6} {l2:>10.1} {ip:>10.1} {both:>10.1} {sq8:>10.1}");
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
