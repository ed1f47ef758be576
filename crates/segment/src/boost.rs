//! Boosts: changes of the scores of the hits found.
//!
//! A boost is of a score that is better the larger it is, so a distance counts with its sign turned:
//! adding to it brings a row nearer.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use milvus_types::MetricType;

use crate::chunk::Rows;
use crate::error::SearchError;
use crate::fetch;
use crate::search::sort;
use crate::segment::evaluate;
use crate::spec::{Boost, BoostMode, Boosts, Hit, RandomScore};

/// Gives each hit its boosted score and puts the hits in their new order.
pub(crate) fn apply(
    rows: &Rows,
    boosts: &Boosts,
    metric: MetricType,
    queries: &mut [Vec<Hit>],
) -> Result<(), SearchError> {
    let sign = if metric.larger_is_better() { 1.0 } else { -1.0 };
    for hits in queries {
        let wanted: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
        let mut results: Vec<Option<f32>> = vec![None; hits.len()];
        for boost in &boosts.functions {
            for (result, number) in results.iter_mut().zip(numbers(rows, boost, &wanted)?) {
                *result = match (*result, number) {
                    (Some(before), Some(number)) => {
                        Some(combine(boosts.function_mode, before, number))
                    }
                    (before, number) => before.or(number),
                };
            }
        }
        for (hit, result) in hits.iter_mut().zip(results) {
            if let Some(result) = result {
                hit.score = sign * combine(boosts.boost_mode, sign * hit.score, result);
            }
        }
        sort(hits, metric);
    }
    Ok(())
}

fn combine(mode: BoostMode, a: f32, b: f32) -> f32 {
    match mode {
        BoostMode::Multiply => a * b,
        BoostMode::Sum => a + b,
    }
}

/// What `boost` brings in for each of `wanted`; nothing for rows it is not for.
fn numbers(rows: &Rows, boost: &Boost, wanted: &[u32]) -> Result<Vec<Option<f32>>, SearchError> {
    let passes = match &boost.filter {
        None => None,
        Some(filter) => Some(evaluate(rows, filter, wanted)?),
    };
    let random = match &boost.random {
        None => None,
        Some(random) => Some(shares(rows, random, wanted)?),
    };
    Ok((0..wanted.len())
        .map(|at| {
            let applies = passes.as_ref().is_none_or(|passes| passes.value(at));
            let share = random.as_ref().map_or(1.0, |shares| shares[at]);
            applies.then_some(boost.weight * share)
        })
        .collect())
}

/// A number from 0 to 1 for each row, the same whenever seed and value are.
fn shares(rows: &Rows, random: &RandomScore, wanted: &[u32]) -> Result<Vec<f32>, SearchError> {
    let place = |row: &u32| rows.segment_id.0.wrapping_add(i64::from(*row));
    let values: Vec<i64> = match &random.column {
        None => wanted.iter().map(place).collect(),
        Some(name) => {
            let column = fetch::column(rows, name, wanted)?;
            match column.as_primitive_opt::<Int64Type>() {
                Some(values) => values.iter().map(Option::unwrap_or_default).collect(),
                None => wanted.iter().map(place).collect(),
            }
        }
    };
    let share = |value: i64| {
        let mixed = mix(random.seed.cast_unsigned() ^ mix(value.cast_unsigned()));
        (mixed >> 40) as f32 / (1_u64 << 24) as f32
    };
    Ok(values.into_iter().map(share).collect())
}

/// Spreads the bits of `x` (the finaliser of splitmix64).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
