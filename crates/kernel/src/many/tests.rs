//! Tests of all pairs: every level against double precision, at odd shapes and alignments.

use half::bf16;
use proptest::prelude::*;

use super::*;
use crate::simd::every_table;

fn exact(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let terms = a.iter().zip(b).map(|(&x, &y)| term(f64::from(x), f64::from(y)));
    terms.fold((0.0, 0.0), |(sum, all), t| (sum + t, all + t.abs()))
}

fn check(table: &Kernels, queries: &[f32], rows: &[f32], dim: usize) {
    let count = rows.len() / dim;
    let mut ips = vec![f32::NAN; queries.len() / dim * count];
    let mut l2s = ips.clone();
    ip_with(table, queries, rows, dim, &mut ips);
    l2_with(table, queries, rows, dim, &mut l2s);
    for (i, query) in queries.chunks_exact(dim).enumerate() {
        for (j, row) in rows.chunks_exact(dim).enumerate() {
            let at = i * count + j;
            let (want, all) = exact(query, row, |x, y| x * y);
            assert!((f64::from(ips[at]) - want).abs() <= all * 2e-5 + 1e-30, "{:?}", table.level);
            let (want, all) = exact(query, row, |x, y| (x - y) * (x - y));
            assert!((f64::from(l2s[at]) - want).abs() <= all * 2e-5 + 1e-30, "{:?}", table.level);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_level_agrees_with_double_precision(
        dim in 1usize..70,
        queries in 0usize..40,
        rows in 0usize..90,
        shift in 0usize..3,
        seed in prop::collection::vec(-10.0f32..10.0, 61),
    ) {
        let value = |i: usize| seed[i % seed.len()] * ((i % 7) as f32 - 3.0);
        let data: Vec<f32> = (0..shift + dim * (queries + rows)).map(value).collect();
        let (queries, rows) = data[shift..].split_at(queries * dim);
        for table in every_table() {
            check(table, queries, rows, dim);
        }
    }

    #[test]
    fn bfloat16_stays_within_its_bound(
        dim in 1usize..150,
        queries in 0usize..30,
        rows in 0usize..70,
        seed in prop::collection::vec(-10.0f32..10.0, 61),
        exponent in -60i32..40,
    ) {
        let scale = 2f32.powi(exponent);
        let value = |i: usize| seed[i % seed.len()] * ((i % 7) as f32 - 3.0) * scale;
        let data: Vec<f32> = (0..dim * (queries + rows)).map(value).collect();
        let mut narrow = vec![bf16::ZERO; data.len()];
        let sizes: Vec<_> = data
            .chunks_exact(dim)
            .zip(narrow.chunks_exact_mut(dim))
            .map(|(wide, narrow)| bfloat16::round(wide, narrow))
            .collect();
        let at = queries * dim;
        for table in every_table() {
            let mut out = vec![f32::NAN; queries * rows];
            bfloat16::ip_with(table, &narrow[..at], &narrow[at..], dim, &mut out);
            for i in 0..queries {
                for j in 0..rows {
                    let (want, _) =
                        exact(&data[i * dim..][..dim], &data[at + j * dim..][..dim], |x, y| x * y);
                    let bound = bfloat16::error(dim, sizes[i], sizes[queries + j]);
                    let got = f64::from(out[i * rows + j]);
                    prop_assert!((got - want).abs() <= f64::from(bound), "{} {} {}", got, want, bound);
                }
            }
        }
    }
}

#[test]
fn more_rows_than_a_block_and_the_largest_tiles() {
    let dim = 1536;
    let value = |i: usize| ((i * 37 % 1013) as f32 - 506.0) / 506.0;
    let data: Vec<f32> = (0..dim * 200).map(value).collect();
    let (queries, rows) = data.split_at(25 * dim);
    for table in every_table() {
        check(table, queries, rows, dim);
    }
}

#[test]
fn bits_do_not_depend_on_what_else_is_in_the_call() {
    let dim = 33;
    let data: Vec<f32> = (0..dim * 120).map(|i| (i as f32 * 0.37).sin()).collect();
    let (queries, rows) = data.split_at(50 * dim);
    for table in every_table() {
        let mut all = vec![0.0; 50 * 70];
        ip_with(table, queries, rows, dim, &mut all);
        let mut some = vec![0.0; FEW * 5];
        ip_with(table, &queries[9 * dim..][..FEW * dim], &rows[41 * dim..46 * dim], dim, &mut some);
        for (n, got) in some.chunks_exact(5).enumerate() {
            assert_eq!(got, &all[(9 + n) * 70 + 41..][..5], "{:?}", table.level);
        }
    }
}

#[test]
fn distances_from_inner_products_are_never_negative() {
    let mut out = [2.0, 1.0, 4.1, 0.0];
    l2_of_ip(&[2.0, 4.0], &[2.0, 4.0], &mut out);
    assert_eq!(out, [0.0, 4.0, 0.0, 8.0]);
}

#[test]
#[should_panic(expected = "shape and output disagree")]
fn shapes_are_checked_before_any_kernel_runs() {
    ip(&[1.0; 6], &[1.0; 6], 3, &mut [0.0; 3]);
}
