//! Tests of RaBitQ: planes at every level against sums of numbers, estimates against exact products.

use proptest::prelude::*;

use super::*;
use crate::fastscan;
use crate::levels;
use crate::simd::every_table;

/// Numbers that look like the elements of a rotated vector, of mean 0 and deviation 1.
fn normal(dim: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..dim).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_level_counts_products_of_codes(
        dim in 1usize..1200,
        bits in 1u32..9,
        query_bits in 1u32..9,
        rows in 1usize..10,
        gap in 0usize..9,
        seed in any::<u64>(),
    ) {
        let rotated = normal(dim, seed);
        let query = Query::new(&rotated, query_bits);
        // The whole numbers of the query, read back from its products with unit codes.
        let bytes = code_bytes(dim, bits);
        let stride = bytes + gap;
        let mut numbers = vec![0; dim];
        let mut codes = vec![0u8; dim];
        let mut unit = vec![0; code_bytes(dim, 1)];
        for i in 0..dim {
            codes[i] = 1;
            pack(&codes, 1, &mut unit);
            numbers[i] = query.dot_with(crate::simd::kernels_of(crate::Level::Portable), &unit);
            codes[i] = 0;
            let near = query.low + query.step * numbers[i] as f32;
            prop_assert!((near - rotated[i]).abs() <= query.step * 0.501 + 1e-5);
        }
        prop_assert_eq!(numbers.iter().sum::<u32>(), query.sum);
        let mut all = vec![0xaa; stride * rows];
        let mut want = Vec::new();
        for (n, row) in all.chunks_exact_mut(stride).enumerate() {
            let most = u64::from((1u32 << bits) - 1);
            for (i, code) in codes.iter_mut().enumerate() {
                *code = ((seed >> (i % 40)).wrapping_mul((i + n) as u64 | 1) >> 3 & most).to_le_bytes()[0];
            }
            pack(&codes, bits, &mut row[..bytes]);
            let mut back = vec![9; dim];
            unpack(&row[..bytes], bits, &mut back);
            prop_assert_eq!(&back, &codes);
            want.push(codes.iter().zip(&numbers).map(|(&u, &k)| u32::from(u) * k).sum::<u32>());
        }
        let ids: Vec<u32> = (0u32..).take(rows).collect();
        for table in every_table() {
            let mut got = vec![7; rows];
            query.gather_with(table, &all, bits, stride, &ids, &mut got);
            prop_assert_eq!(&got, &want, "{:?}", table.level);
        }
    }
}

#[test]
fn estimates_are_within_their_error_as_often_as_promised() {
    let dim = 384;
    for bits in [1, 2, 4, 7] {
        let mut outside = 0;
        for seed in 0..400 {
            let (row, query) = (normal(dim, seed), normal(dim, seed + 10_000));
            let length = dot(&query, &query).sqrt();
            let mut codes = vec![0; dim];
            let levels = levels::encode(&row, bits, &mut codes);
            let mut planes = vec![0; code_bytes(dim, bits)];
            pack(&codes, bits, &mut planes);
            let query_planes = Query::new(&query, 8);
            let product = query_planes.product(query_planes.dot(&planes), levels.code_sum, bits);
            let estimate = levels.scale() * product;
            // Beside the rows' error that of a query of eight bits.
            let bound = length * (error(&levels, dim, 1.9) + dot(&row, &row).sqrt() * 0.001);
            outside += usize::from((estimate - dot(&row, &query)).abs() > bound);
        }
        assert!(outside <= 40, "{bits} bits: {outside} of 400 outside");
    }
}

#[test]
fn the_first_plane_is_the_code_of_one_bit() {
    let row = normal(100, 3);
    let (mut one, mut four) = (vec![0; 100], vec![0; 100]);
    levels::encode(&row, 1, &mut one);
    levels::encode(&row, 4, &mut four);
    let (mut short, mut long) = (vec![0; code_bytes(100, 1)], vec![0; code_bytes(100, 4)]);
    pack(&one, 1, &mut short);
    pack(&four, 4, &mut long);
    assert_eq!(short, long[..short.len()]);
}

#[test]
fn scans_of_signs_add_up_to_products() {
    for dim in [1, 4, 63, 384, 1000] {
        let query = normal(dim, 5);
        let parts = signs::parts(dim);
        let mut wide = vec![0.0; parts * fastscan::ENTRIES];
        signs::tables(&query, &mut wide);
        let mut tables = vec![0; fastscan::table_bytes(parts)];
        let scale = fastscan::quantise_tables(&wide, fastscan::ENTRIES, &mut tables);
        let mut blocks = vec![0; fastscan::block_bytes(parts)];
        let rows: Vec<Vec<f32>> =
            (0..fastscan::BLOCK as u64).map(|n| normal(dim, 50 + n)).collect();
        let mut want = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            let (mut codes, mut planes) = (vec![0; dim], vec![0; code_bytes(dim, 1)]);
            levels::encode(row, 1, &mut codes);
            pack(&codes, 1, &mut planes);
            let mut nibbles = vec![0; parts];
            signs::codes(&planes, &mut nibbles);
            fastscan::set(&mut blocks, n, &nibbles);
            let sign = |x: &f32| if *x < 0.0 { -1.0 } else { 1.0 };
            want.push(row.iter().zip(&query).map(|(x, q)| sign(x) * q).sum::<f32>());
        }
        let mut sums = [0; fastscan::BLOCK];
        fastscan::scan(&tables, &blocks, &mut sums);
        for (sum, want) in sums.into_iter().zip(want) {
            assert!((scale.value(sum) - want).abs() <= scale.error + 1e-3, "{dim} {want}");
        }
    }
}

#[test]
fn the_largest_dimension_does_not_overflow_and_unsound_queries_count_as_zero() {
    let dim = 32768;
    let mut rotated = vec![1.0; dim];
    rotated[0] = 0.0;
    let query = Query::new(&rotated, 8);
    let mut planes = vec![0; code_bytes(dim, 8)];
    pack(&vec![255; dim], 8, &mut planes);
    for table in every_table() {
        assert_eq!(query.dot_with(table, &planes), 255 * 255 * 32767, "{:?}", table.level);
    }
    let query = Query::new(&[f32::NAN, 1.0, f32::INFINITY], 4);
    assert_eq!(query.product(query.dot(&[7, 0, 0, 0, 0, 0, 0, 0]), 3, 1), 0.0);
    assert_eq!(Query::new(&[], 4).dot(&[]), 0);
}
