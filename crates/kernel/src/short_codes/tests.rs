//! Tests of short codes: every level against decoded rows, rows against rows, sizes.

use proptest::prelude::*;

use super::*;
use crate::simd::every_table;

const WIDTHS: [Width; 2] = [Width::Four, Width::Six];

fn coded(layout: Layout, rows: &[Vec<f32>]) -> Vec<u8> {
    let mut codes = vec![0; layout.stride() * rows.len()];
    for (row, code) in rows.iter().zip(codes.chunks_exact_mut(layout.stride())) {
        let norm = layout.encode(row, code);
        layout.set_bias(code, norm);
    }
    codes
}

fn wave(dim: usize, step: f32) -> Vec<f32> {
    (0..dim).map(|i| (i as f32 * step).sin() + 0.3 * (i as f32 * step * 3.7).cos()).collect()
}

#[test]
fn rows_are_no_larger_than_they_need_be() {
    let bytes = |width, dim| Layout::new(width, dim).stride();
    assert_eq!([128, 240, 384, 768].map(|dim| bytes(Width::Four, dim)), [72, 128, 200, 392]);
    assert_eq!([128, 384, 752, 768].map(|dim| bytes(Width::Six, dim)), [104, 320, 576, 640]);
}

#[test]
fn distances_are_near_those_of_the_vectors() {
    for width in WIDTHS {
        let layout = Layout::new(width, 387);
        let vectors = [wave(387, 0.7), wave(387, 0.31), wave(387, 1.3)];
        let codes = coded(layout, &vectors);
        let norm: f32 = vectors[0].iter().map(|x| x * x).sum();
        let query = Query::new(layout, &vectors[0], norm, -2.0);
        let slack = if width == Width::Four { 0.03 } else { 0.003 };
        let mut decoded = vec![0.0; 387];
        for (vector, code) in vectors.iter().zip(codes.chunks_exact(layout.stride())) {
            let l2 = |a: &[f32], b: &[f32]| -> f32 {
                a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
            };
            let want = l2(&vectors[0], vector);
            let got = query.distance(code);
            assert!((got - want).abs() < slack * norm, "{width:?} {got} {want}");
            let of_row = Query::of_row(layout, &codes[..layout.stride()], -2.0);
            assert!((of_row.distance(code) - want).abs() < 2.0 * slack * norm, "{width:?}");
            layout.decode(code, &mut decoded);
            assert!(l2(&decoded, vector) < slack * norm, "{width:?}");
        }
    }
}

#[test]
fn zero_and_unsound_vectors_are_at_the_biases_distance() {
    for width in WIDTHS {
        let layout = Layout::new(width, 9);
        for x in [0.0, f32::NAN, f32::INFINITY] {
            let codes = coded(layout, &[vec![x; 9], wave(9, 0.4)]);
            let (zero, other) = codes.split_at(layout.stride());
            let query = Query::new(layout, &wave(9, 0.2), 3.0, -2.0);
            assert_eq!(query.distance(zero), 3.0);
            let query = Query::new(layout, &[x; 9], 3.0, -2.0);
            assert_eq!(query.distance(other), 3.0 + layout::bias(other));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_level_gives_the_same_bits(
        dim in 1usize..600,
        count in 1usize..11,
        shift in 0usize..3,
        numbers in prop::collection::vec(-1.0f32..1.0, 97),
        wide in any::<bool>(),
    ) {
        let layout = Layout::new(WIDTHS[usize::from(wide)], dim);
        let rows: Vec<Vec<f32>> = (0..count)
            .map(|n| (0..dim).map(|i| numbers[(n * 31 + i * 7) % numbers.len()]).collect())
            .collect();
        let mut bytes = vec![0; shift];
        bytes.extend(coded(layout, &rows));
        let codes = &bytes[shift..];
        let stride = layout.stride();
        let mut levels = vec![0; dim];
        for query in [Query::new(layout, &rows[0], 0.5, -2.0), Query::of_row(layout, &codes[..stride], -1.0)] {
            let want: Vec<f32> = codes
                .chunks_exact(stride)
                .map(|row| query.distance_with(crate::simd::kernels_of(crate::Level::Portable), row))
                .collect();
            let ids: Vec<u32> = (0u32..).take(count).collect();
            for table in every_table() {
                let mut got = vec![0.0; count];
                query.gather_with(table, codes, &ids, &mut got);
                prop_assert_eq!(&got, &want, "{:?}", table.level);
                query.block_with(table, codes, &mut got);
                prop_assert_eq!(&got, &want, "{:?}", table.level);
            }
        }
        // The product of a row with itself, by its levels.
        layout.levels(&codes[..stride], &mut levels);
        let squares: i32 = levels.iter().map(|&x| i32::from(x).pow(2)).sum();
        let scale = layout::scale(codes.get(..stride).unwrap_or_default());
        let own = Query::of_row(layout, &codes[..stride], 1.0).distance(&codes[..stride]);
        let want = 2.0 * layout::bias(&codes[..stride]) + scale * scale * squares as f32;
        prop_assert!((own - want).abs() <= want.abs() * 1e-5, "{} {}", own, want);
    }
}

#[test]
fn the_largest_dimension_does_not_overflow() {
    for width in WIDTHS {
        let layout = Layout::new(width, 32768);
        let codes = coded(layout, &[vec![1.0; 32768], vec![-1.0; 32768]]);
        for x in [1.0, -1.0] {
            let query = Query::new(layout, &vec![x; 32768], 32768.0, -2.0);
            for (n, row) in codes.chunks_exact(layout.stride()).enumerate() {
                let want = if (n == 0) == (x > 0.0) { 0.0 } else { 4.0 * 32768.0 };
                for table in every_table() {
                    let got = query.distance_with(table, row);
                    assert!((got - want).abs() < 1.0, "{:?} {got} {want}", table.level);
                }
            }
        }
    }
}
