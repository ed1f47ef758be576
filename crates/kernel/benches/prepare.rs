//! What coding a vector and preparing a query cost: medians of several runs, in microseconds.
//!
//! A list of an index whose rows are centred by the list's own centre prepares a query anew, so
//! these are paid once for each list that is looked at.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use milvus_kernel::fastscan::{self, ENTRIES};
use milvus_kernel::short_codes::{self, Layout, Width};
use milvus_kernel::{cpu, levels, rabitq, sq8};

const RUNS: usize = 301;

fn main() {
    println!("{}", cpu());
    println!("us a vector: codes of rows | queries");
    println!(
        "{:>6} {:>7} {:>7} {:>7} {:>7} {:>9} | {:>7} {:>9} {:>9} {:>9}",
        "dim",
        "sq8",
        "6 bits",
        "4 bits",
        "1 bit",
        "planes x4",
        "4 bits",
        "planes x4",
        "signs",
        "to bytes"
    );
    for dim in [128, 384, 768] {
        let vector: Vec<f32> =
            (0..dim).map(|i| (i as f32 * 0.7).sin() + (i as f32 * 1.3).cos()).collect();
        let mut code = vec![0; sq8::stride(dim)];
        let mut plain = vec![0; dim];
        let mut planes = vec![0; rabitq::code_bytes(dim, 4)];
        let six = Layout::new(Width::Six, dim);
        let four = Layout::new(Width::Four, dim);
        let (mut six_row, mut four_row) = (vec![0; six.stride()], vec![0; four.stride()]);
        let parts = rabitq::signs::parts(dim);
        let mut tables = vec![0.0; parts * ENTRIES];
        let mut bytes = vec![0; fastscan::table_bytes(parts)];
        let times = [
            median(|| sq8::encode(black_box(&vector), &mut code)),
            median(|| six.encode(black_box(&vector), &mut six_row)),
            median(|| four.encode(black_box(&vector), &mut four_row)),
            median(|| levels::encode(black_box(&vector), 1, &mut plain)),
            median(|| rabitq::pack(black_box(&plain), 4, &mut planes)),
            median(|| short_codes::Query::new(four, black_box(&vector), 0.0, 1.0)),
            median(|| rabitq::Query::new(black_box(&vector), 4)),
            median(|| rabitq::signs::tables(black_box(&vector), &mut tables)),
            median(|| fastscan::quantise_tables(black_box(&tables), ENTRIES, &mut bytes)),
        ];
        print!("{dim:>6}");
        for (n, time) in times.into_iter().enumerate() {
            let width = if [4, 6, 7, 8].contains(&n) { 9 } else { 7 };
            print!("{}{time:>width$.2}", if n == 5 { " | " } else { " " });
        }
        println!();
    }
}

/// The median time of `work` in microseconds.
fn median<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
