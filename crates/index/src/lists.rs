//! Late interaction: rows that are lists of vectors, compared with queries that are lists too.
//!
//! The score of a list for a query list is the sum, over the query's vectors, of the best score
//! that any vector of the list has: the largest similarity (MAX_SIM, MAX_SIM_COSINE, MAX_SIM_IP) or
//! the smallest distance (MAX_SIM_L2, MAX_SIM_HAMMING, MAX_SIM_JACCARD). Always exact. An empty
//! list is no answer, and an empty query has none.

use std::ops::Range as Rows;

use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::MetricType;

use crate::brute::row_number;
use crate::compare::{Comparer, check};
use crate::error::CompareError;
use crate::range::Range;
use crate::score::Metric;
use crate::vector_index::Hit;
use crate::vectors::{QueryData, VectorData};

/// Vectors of a list that are compared at a time.
const TILE: usize = 64;

/// The metric that vectors of lists are compared with under `metric`, if it is one of lists.
pub fn element_metric(metric: MetricType) -> Option<MetricType> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not of lists")]
    match metric {
        MetricType::MaxSim | MetricType::MaxSimCosine => Some(MetricType::Cosine),
        MetricType::MaxSimIp => Some(MetricType::Ip),
        MetricType::MaxSimL2 => Some(MetricType::L2),
        MetricType::MaxSimHamming => Some(MetricType::Hamming),
        MetricType::MaxSimJaccard => Some(MetricType::Jaccard),
        _ => None,
    }
}

/// Rows that are lists of vectors: list `i` is the elements between `offsets[i]` and
/// `offsets[i + 1]`, as an Arrow list column keeps them.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    elements: &'a VectorData,
    offsets: &'a [i32],
}

impl<'a> Lists<'a> {
    /// The lists that `offsets` cut `elements` into.
    pub fn new(elements: &'a VectorData, offsets: &'a [i32]) -> Result<Self, CompareError> {
        let end = offsets.last().map_or(0, |&end| i64::from(end));
        let fits = usize::try_from(end).is_ok_and(|end| end <= elements.rows());
        let wrong = CompareError::Lists { end, elements: elements.rows() };
        let sound = fits && offsets.is_sorted() && offsets.first().is_none_or(|&first| first >= 0);
        if sound { Ok(Self { elements, offsets }) } else { Err(wrong) }
    }

    /// How many lists there are.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    #[expect(clippy::cast_sign_loss, reason = "checked when the lists were made")]
    fn range(&self, row: usize) -> Rows<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }
}

/// The best `k` live lists of `rows` for the query list that the rows `of` of `queries` are, best
/// first.
pub fn max_sim(
    metric: MetricType,
    queries: &QueryData,
    of: Rows<usize>,
    rows: Lists<'_>,
    live: Option<&Bitset>,
    k: usize,
) -> Result<Vec<Hit>, CompareError> {
    let mut top = TopK::new(k.min(rows.rows()));
    let element = each(metric, queries, of, rows, live, |scored| {
        top.push(scored);
    })?;
    Ok(top.into_sorted().into_iter().map(|scored| element.hit(scored)).collect())
}

/// The best `limit` live lists whose score is within `range`, best first.
pub fn max_sim_range(
    metric: MetricType,
    queries: &QueryData,
    of: Rows<usize>,
    rows: Lists<'_>,
    live: Option<&Bitset>,
    range: &Range,
    limit: usize,
) -> Result<Vec<Hit>, CompareError> {
    let mut top = TopK::new(limit.min(rows.rows()));
    let element = element(metric, queries, rows)?;
    each(metric, queries, of, rows, live, |scored| {
        if range.contains(metric, element.score(scored.distance())) {
            top.push(scored);
        }
    })?;
    Ok(top.into_sorted().into_iter().map(|scored| element.hit(scored)).collect())
}

/// The score of every live list, NaN for lists that are not live or no answer.
pub fn max_sim_all(
    metric: MetricType,
    queries: &QueryData,
    of: Rows<usize>,
    rows: Lists<'_>,
    live: Option<&Bitset>,
) -> Result<Vec<f32>, CompareError> {
    let mut scores = vec![f32::NAN; rows.rows()];
    let element = element(metric, queries, rows)?;
    each(metric, queries, of, rows, live, |scored| {
        scores[scored.row() as usize] = element.score(scored.distance());
    })?;
    Ok(scores)
}

fn element(
    metric: MetricType,
    queries: &QueryData,
    rows: Lists<'_>,
) -> Result<Metric, CompareError> {
    let data_type = rows.elements.data_type();
    let element = element_metric(metric).ok_or(CompareError::Metric { metric, data_type })?;
    check(element, queries, rows.elements)
}

/// Hands the summed distance of every live list on to `found`.
fn each(
    metric: MetricType,
    queries: &QueryData,
    of: Rows<usize>,
    rows: Lists<'_>,
    live: Option<&Bitset>,
    mut found: impl FnMut(Scored),
) -> Result<Metric, CompareError> {
    let element = element(metric, queries, rows)?;
    let view = rows.elements.view();
    let comparers: Vec<Comparer<'_>> =
        of.filter_map(|query| Comparer::new(element, queries.row(query), view, &[])).collect();
    if comparers.is_empty() {
        return Ok(element);
    }
    for row in (0..rows.rows()).filter(|&row| live.is_none_or(|live| live.get(row))) {
        let range = rows.range(row);
        if !range.is_empty() {
            let sum = comparers.iter().map(|comparer| nearest(comparer, range.clone())).sum();
            found(Scored::new(sum, row_number(row)));
        }
    }
    Ok(element)
}

/// The smallest distance among the elements in `range`.
fn nearest(comparer: &Comparer<'_>, range: Rows<usize>) -> f32 {
    let mut best = f32::INFINITY;
    let mut distances = [0.0; TILE];
    for first in range.clone().step_by(TILE) {
        let distances = &mut distances[..(range.end - first).min(TILE)];
        comparer.tile(first, &[], distances);
        best = distances.iter().copied().fold(best, f32::min);
    }
    best
}

#[cfg(test)]
mod tests {
    use milvus_types::DataType;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_list_scores_the_sum_of_its_best_pairs() {
        let elements =
            VectorData::floats(vec![1.0, 0.0, 0.0, 2.0, -1.0, 0.0, 3.0, 4.0, 9.0, 9.0], 2).unwrap();
        let offsets = [0, 2, 2, 3, 5];
        let lists = Lists::new(&elements, &offsets).unwrap();
        let queries = VectorData::floats(vec![7.0, 7.0, 1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let search = |metric, live: Option<&Bitset>| -> Vec<(u32, f32)> {
            let hits = max_sim(metric, &queries, 1..3, lists, live, 9).unwrap();
            hits.iter().map(|hit| (hit.row, hit.score)).collect()
        };
        assert_eq!(search(MetricType::MaxSimIp, None), [(3, 18.0), (0, 3.0), (2, -1.0)]);
        assert_eq!(search(MetricType::MaxSimL2, None), [(0, 1.0), (2, 6.0), (3, 38.0)]);
        let live = Bitset::from_rows([1, 2], 4);
        assert_eq!(search(MetricType::MaxSimL2, Some(&live)), [(2, 6.0)]);
        assert_eq!(search(MetricType::MaxSim, None), search(MetricType::MaxSimCosine, None));
        assert_eq!(search(MetricType::MaxSim, None)[0], (0, 2.0));
        let range = Range { radius: 38.0, range_filter: Some(2.0) };
        let hits =
            max_sim_range(MetricType::MaxSimL2, &queries, 1..3, lists, None, &range, 9).unwrap();
        assert_eq!(hits, [Hit { row: 2, score: 6.0 }]);
        let all = max_sim_all(MetricType::MaxSimL2, &queries, 1..3, lists, None).unwrap();
        assert!(all[1].is_nan() && all[0] == 1.0);
        assert!(max_sim(MetricType::L2, &queries, 1..3, lists, None, 9).is_err());
        assert!(max_sim(MetricType::MaxSimHamming, &queries, 1..3, lists, None, 9).is_err());
        assert!(Lists::new(&elements, &[0, 6]).is_err() && Lists::new(&elements, &[2, 1]).is_err());
    }

    #[test]
    fn bits_in_lists_are_compared_by_their_distances() {
        let binary =
            |bytes: Vec<u8>| VectorData::dense(DataType::BinaryVector, 8, Arc::new(bytes)).unwrap();
        let elements = binary(vec![0b11, 0b1, 0, 0b1111]);
        let lists = Lists::new(&elements, &[0, 2, 4]).unwrap();
        let queries = binary(vec![0b11, 0]);
        let hits = max_sim(MetricType::MaxSimHamming, &queries, 0..2, lists, None, 9).unwrap();
        assert_eq!(hits, [Hit { row: 0, score: 1.0 }, Hit { row: 1, score: 2.0 }]);
        let hits = max_sim(MetricType::MaxSimJaccard, &queries, 0..1, lists, None, 9).unwrap();
        assert_eq!(hits, [Hit { row: 0, score: 0.0 }, Hit { row: 1, score: 0.5 }]);
    }
}
