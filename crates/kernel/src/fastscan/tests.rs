//! Tests of scans: every level against sums of lookups, and the bound of rounded tables.

use proptest::prelude::*;

use super::*;
use crate::simd::every_table;

/// Codes or table entries from a few numbers.
fn bytes(seed: &[u8], count: usize, most: u8) -> Vec<u8> {
    (0..count).map(|i| seed[(i * 7 + i / 13) % seed.len()] % most.max(1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_level_sums_what_codes_choose(
        parts in 1usize..40,
        rows in 0usize..200,
        seed in prop::collection::vec(any::<u8>(), 97),
    ) {
        let codes = bytes(&seed, rows * parts, 16);
        let mut tables = bytes(&seed[3..], parts * ENTRIES, 255);
        let want = |row: usize| -> u16 {
            let chosen = |part| tables[part * ENTRIES + usize::from(codes[row * parts + part])];
            (0..parts).map(|part| u16::from(chosen(part))).sum()
        };
        let want: Vec<u16> = (0..rows).map(want).collect();
        tables.resize(table_bytes(parts), 0);
        let mut blocks = vec![9; rows.div_ceil(BLOCK) * block_bytes(parts)];
        pack(&codes, parts, &mut blocks);
        let mut row_codes = vec![0; parts];
        for (row, codes) in codes.chunks_exact(parts).enumerate() {
            get(&blocks, row, &mut row_codes);
            prop_assert_eq!(&row_codes, codes);
        }
        for table in every_table() {
            let mut out = vec![7; rows.div_ceil(BLOCK) * BLOCK];
            scan_with(table, &tables, &blocks, &mut out);
            prop_assert_eq!(&out[..rows], &want, "{:?}", table.level);
            for bound in [0, out.get(5).copied().unwrap_or(9), 32768, u16::MAX] {
                let mut masks = vec![7; out.len() / BLOCK];
                within_with(table, &out, bound, &mut masks);
                for (row, &sum) in out.iter().enumerate() {
                    let bit = masks[row / BLOCK] >> (row % BLOCK) & 1 == 1;
                    prop_assert_eq!(bit, sum <= bound, "{:?} row {}", table.level, row);
                }
            }
        }
    }

    #[test]
    fn every_level_sums_what_wide_codes_choose(
        parts in 1usize..20,
        rows in 0usize..300,
        seed in prop::collection::vec(any::<u8>(), 97),
    ) {
        let codes: Vec<u8> = bytes(&seed, rows * parts, 255)
            .iter()
            .enumerate()
            .map(|(i, code)| code.wrapping_add(u8::from(i % 5 == 0)))
            .collect();
        let tables = bytes(&seed[3..], parts * wide::ENTRIES, 255);
        let mut blocks = vec![9; rows.div_ceil(wide::BLOCK) * wide::block_bytes(parts)];
        wide::pack(&codes, parts, &mut blocks);
        let mut row_codes = vec![0; parts];
        for table in every_table() {
            let mut out = vec![7; rows.div_ceil(wide::BLOCK) * wide::BLOCK];
            wide::scan_with(table, &tables, &blocks, &mut out);
            for (row, codes) in codes.chunks_exact(parts).enumerate() {
                let entry = |(part, &code): (usize, &u8)| {
                    u16::from(tables[part * wide::ENTRIES + usize::from(code)])
                };
                let want: u16 = codes.iter().enumerate().map(entry).sum();
                prop_assert_eq!(out[row], want, "{:?} row {}", table.level, row);
                wide::get(&blocks, row, &mut row_codes);
                prop_assert_eq!(&row_codes, codes);
            }
        }
    }

    #[test]
    fn rounded_tables_keep_their_bound_and_never_overflow(
        parts in 1usize..600,
        exponent in -30i32..30,
        seed in prop::collection::vec(-1.0f32..1.0, 61),
        shift in -4.0f32..4.0,
    ) {
        let unit = 2f32.powi(exponent);
        let value = |i: usize| (seed[(i * 5 + i / 11) % seed.len()] + shift) * unit;
        let tables: Vec<f32> = (0..parts * ENTRIES).map(value).collect();
        let mut bytes = vec![1; table_bytes(parts)];
        let scale = quantise_tables(&tables, ENTRIES, &mut bytes);
        for table in every_table() {
            let mut again = vec![1; bytes.len()];
            let got = tables::quantise_with(table, &tables, ENTRIES, &mut again);
            prop_assert_eq!((got, &again), (scale, &bytes), "{:?}", table.level);
        }
        let worst: usize =
            bytes.chunks_exact(ENTRIES).filter_map(|t| t.iter().max()).map(|&x| usize::from(x)).sum();
        prop_assert!(worst <= usize::from(u16::MAX));
        for code in 0..ENTRIES {
            let chosen = |part: usize| part * ENTRIES + (code * 3 + part) % ENTRIES;
            let want: f64 = (0..parts).map(|part| f64::from(tables[chosen(part)])).sum();
            let sum: u16 = (0..parts).map(|part| u16::from(bytes[chosen(part)])).sum();
            let got = f64::from(scale.value(sum));
            let saturated = (0..parts).any(|part| bytes[chosen(part)] == 255);
            let off = if saturated { got - want } else { (got - want).abs() };
            prop_assert!(off <= f64::from(scale.error), "{} {} {:?}", got, want, scale);
            #[expect(clippy::cast_possible_truncation, reason = "a bound of single precision")]
            let bound = scale.bound(want as f32 + unit * 1e-3);
            prop_assert!(bound.is_some_and(|bound| sum <= bound), "{:?} {} {:?}", bound, sum, scale);
        }
    }
}

#[test]
fn a_table_far_wider_than_the_others_does_not_blur_them() {
    let parts = 64;
    let mut tables: Vec<f32> = (0..parts * ENTRIES).map(|i| (i * 7 % 16) as f32).collect();
    tables[5 * ENTRIES + 3] = 1e12;
    let mut bytes = vec![0; table_bytes(parts)];
    let scale = quantise_tables(&tables, ENTRIES, &mut bytes);
    assert!(scale.step < 1.0, "{scale:?}");
    for (table, bytes) in tables.chunks_exact(ENTRIES).zip(bytes.chunks_exact(ENTRIES)) {
        for (&entry, &byte) in table.iter().zip(bytes) {
            let off = (f32::from(byte) * scale.step - entry).abs();
            assert!(off <= scale.step * 0.501 || (byte == 255 && entry == 1e12), "{entry} {byte}");
        }
    }
    // The sum of a row that has it still counts as too large wherever the real one is.
    let far: f64 = tables.chunks_exact(ENTRIES).map(|table| f64::from(table[3])).sum();
    let sum: u16 = bytes.chunks_exact(ENTRIES).map(|table| u16::from(table[3])).sum();
    assert!(f64::from(scale.value(sum)) <= far + f64::from(scale.error));
    for table in every_table() {
        let mut again = vec![1; bytes.len()];
        let got = tables::quantise_with(table, &tables, ENTRIES, &mut again);
        assert_eq!((got, &again), (scale, &bytes), "{:?}", table.level);
    }
}

#[test]
fn the_largest_sums_do_not_wrap() {
    let parts = 256;
    let tables = vec![255; parts * ENTRIES];
    let blocks = vec![0x3f; block_bytes(parts)];
    let wide_tables = vec![255; parts * wide::ENTRIES];
    let wide_blocks = vec![0xc1; wide::block_bytes(parts)];
    for table in every_table() {
        let mut out = [0; BLOCK];
        scan_with(table, &tables, &blocks, &mut out);
        assert_eq!(out, [65280; BLOCK], "{:?}", table.level);
        let mut out = [0; wide::BLOCK];
        wide::scan_with(table, &wide_tables, &wide_blocks, &mut out);
        assert_eq!(out, [65280; wide::BLOCK], "{:?}", table.level);
    }
}

#[test]
fn flat_and_unsound_tables_give_no_sums() {
    for value in [0.0, 3.0, f32::NAN, f32::INFINITY] {
        let mut bytes = [1; 2 * ENTRIES];
        let scale = quantise_tables(&[value; 2 * ENTRIES], ENTRIES, &mut bytes);
        assert_eq!(bytes, [0; 2 * ENTRIES]);
        assert_eq!(scale.value(0), if value.is_finite() { 2.0 * value } else { 0.0 });
    }
    let scale = Scale { step: 1.0, bias: 10.0, error: 1.0 };
    assert_eq!(
        (scale.bound(8.0), scale.bound(9.5), scale.bound(1e9)),
        (None, Some(0), Some(65535))
    );
}
