//! What a sieve promises: a row passes whenever the bound is its own exact distance or beyond.

use milvus_index::{VectorData, score_rows};
use milvus_types::DataType;
use proptest::prelude::*;

use super::*;
use crate::codes::widen;

const DIM: usize = 160;
const METRICS: [MetricType; 3] = [MetricType::L2, MetricType::Ip, MetricType::Cosine];

/// The distance of every row from query 0, as exact search has it.
fn distances(metric: MetricType, queries: &VectorData, rows: &VectorData) -> Vec<f32> {
    let all: Vec<u32> = (0u32..).take(rows.rows()).collect();
    let scores = score_rows(metric, queries, 0, rows, &all).unwrap();
    let sign = if metric.larger_is_better() { -1.0 } else { 1.0 };
    scores.into_iter().map(|score| sign * score).collect()
}

/// How many of `rows` pass at the distance of row `at`; fails where one as near does not.
fn passing(metric: MetricType, queries: &VectorData, rows: &VectorData, at: usize) -> usize {
    let codes = Codes::of(rows).unwrap();
    let mut floats = Vec::new();
    let Some(sieve) = Sieve::new(metric, widen(queries.row(0), &mut floats), &codes) else {
        return rows.rows();
    };
    let distances = distances(metric, queries, rows);
    let bound = distances[at];
    let mut count = 0;
    for first in (0..rows.rows()).step_by(TILE) {
        let tile: Vec<u32> =
            (first..rows.rows().min(first + TILE)).map(|row| u32::try_from(row).unwrap()).collect();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        sieve.tile((first, tile.len()), u64::MAX, bound, &mut together);
        sieve.gather(&tile, bound, &mut alone);
        assert_eq!(together, alone, "{metric}: rows in a block and by number");
        count += alone.len();
        for (&row, &distance) in tile.iter().zip(&distances[first..]) {
            match alone.iter().find(|passed| passed.row() == row) {
                Some(passed) => {
                    let lower = passed.distance();
                    assert!(
                        lower <= distance || distance.is_nan(),
                        "{metric}: {distance} is below {lower}"
                    );
                }
                None => assert!(
                    distance > bound || distance.is_nan(),
                    "{metric}: {distance} is within {bound}"
                ),
            }
        }
    }
    count
}

fn floats(values: Vec<f32>) -> VectorData {
    VectorData::floats(values, DIM).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_row_within_the_bound_is_held_back(
        numbers in prop::collection::vec(-1.0f32..1.0, 997),
        spread in prop::sample::select(vec![0.0f32, 1e-6, 1e-3, 1.0]),
        offset in prop::sample::select(vec![0.0f32, 1.0, 300.0]),
        scale in prop::sample::select(vec![1e-25f32, 1e-11, 1.0, 1e12, 1e18, 1e30]),
        spikes in 0usize..3,
        at in 0usize..100,
        kind in prop::sample::select(vec![
            DataType::FloatVector, DataType::Float16Vector, DataType::BFloat16Vector,
        ]),
    ) {
        let value = |n: usize| {
            let spike = if spikes > 0 && n.is_multiple_of(spikes * 71) { 50.0 } else { 1.0 };
            (offset * numbers[n % DIM] + spread * spike * numbers[n % numbers.len()]) * scale
        };
        let rows = floats((0..100 * DIM).map(value).collect()).converted(kind).unwrap();
        let other = |n: usize| value(n * 3 + 7 * DIM);
        for query in [(0..DIM).map(other).collect(), (0..DIM).map(value).collect()] {
            let query = floats(query).converted(kind).unwrap();
            for metric in METRICS {
                passing(metric, &query, &rows, at);
            }
        }
    }
}

#[test]
fn rows_of_any_numbers_pass_where_they_should() {
    let mut values: Vec<f32> = (0..70 * DIM).map(|n| (n as f32 * 0.37).sin()).collect();
    let odd = [0.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1e-20];
    for (row, number) in odd.into_iter().enumerate() {
        values[row * 9 * DIM..][..DIM].fill(number);
    }
    let query = floats(values[DIM..][..DIM].to_vec());
    let rows = floats(values);
    for metric in METRICS {
        for at in 0..70 {
            passing(metric, &query, &rows, at);
        }
    }
}

#[test]
fn nearly_all_other_rows_are_held_back() {
    let values: Vec<f32> =
        (0..640 * DIM).map(|n| (n as f32 * n as f32 * 0.37).sin() + 9.0).collect();
    let query = floats(values[..DIM].iter().map(|x| x + 0.01).collect());
    let rows = floats(values);
    for metric in [MetricType::L2, MetricType::Cosine] {
        let count = passing(metric, &query, &rows, 0);
        assert!(count < 20, "{metric}: {count} of 640 rows as near as the nearest");
    }
    assert!(Sieve::new(MetricType::Hamming, &[0.0; DIM], &Codes::of(&rows).unwrap()).is_none());
}

#[test]
fn a_few_rows_far_out_do_not_blind_the_sieve_to_all_others() {
    let mut values: Vec<f32> = (0..640 * DIM).map(|n| (n as f32 * n as f32 * 0.37).sin()).collect();
    let query = floats(values[..DIM].iter().map(|x| x + 0.01).collect());
    for row in [5, 300, 611] {
        values[row * DIM..][..DIM].iter_mut().for_each(|x| *x = *x * 1e4 + 3e5);
    }
    let rows = floats(values);
    for metric in [MetricType::L2, MetricType::Cosine] {
        let count = passing(metric, &query, &rows, 0);
        assert!(count < 20, "{metric}: {count} of 640 rows as near as the nearest");
    }
}

#[test]
fn vectors_that_are_no_larger_than_codes_and_other_kinds_have_none() {
    let short = VectorData::floats(vec![1.0; 16 * 600], 16).unwrap();
    assert!(Codes::of(&short).is_none());
    let bytes = std::sync::Arc::new(vec![1u8; DIM * 600]);
    let int8 = VectorData::dense(DataType::Int8Vector, DIM, bytes).unwrap();
    assert!(Codes::of(&int8).is_none());
}
