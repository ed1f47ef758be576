//! Rankings: the hits of one query, best first, as many as somebody asks for.
//!
//! Groups and pages of an iterator do not know beforehand how many hits they need: they take some,
//! and more if those were not enough.

use std::cmp::Ordering;

use milvus_index::{Hit as IndexHit, Range, SearchParams, VectorIndex, vectors::VectorRef};
use milvus_kernel::Bitset;
use milvus_types::MetricType;
use rustc_hash::FxHashSet;

use crate::error::SearchError;

/// A row, or an element of one, and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) score: f32,
    pub(crate) row: u32,
    pub(crate) element: Option<u32>,
}

/// The hits of one query.
pub(crate) trait Ranking {
    /// About `most` hits behind those that were taken before, none when there are no more. Hits of one
    /// score come together, so that they can be put in order of their keys.
    fn next(&mut self, most: usize) -> Result<Vec<Item>, SearchError>;
}

/// The best first, ties by row and element.
pub(crate) fn by_score(metric: MetricType, a: &Item, b: &Item) -> Ordering {
    let scores = if metric.larger_is_better() {
        b.score.total_cmp(&a.score)
    } else {
        a.score.total_cmp(&b.score)
    };
    scores.then_with(|| (a.row, a.element).cmp(&(b.row, b.element)))
}

/// A ranking of items that all are known; what is not asked for is not sorted.
pub(crate) struct Ranked {
    pub(crate) metric: MetricType,
    /// In no order.
    pub(crate) rest: Vec<Item>,
}

impl Ranking for Ranked {
    fn next(&mut self, most: usize) -> Result<Vec<Item>, SearchError> {
        let metric = self.metric;
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut behind = Vec::new();
        if most < self.rest.len() {
            self.rest.select_nth_unstable_by(most - 1, |a, b| by_score(metric, a, b));
            let worst = self.rest[most - 1].score;
            for item in self.rest.split_off(most) {
                let list = if item.score == worst { &mut self.rest } else { &mut behind };
                list.push(item);
            }
        }
        let mut best = std::mem::replace(&mut self.rest, behind);
        best.sort_unstable_by(|a, b| by_score(metric, a, b));
        Ok(best)
    }
}

/// More hits than asked for, so that ties at the end are seen.
const SLACK: usize = 16;

/// A ranking that an index gives: it is asked again for more hits than before.
pub(crate) struct Widening<'a> {
    pub(crate) index: &'a dyn VectorIndex,
    pub(crate) query: VectorRef<'a>,
    pub(crate) params: SearchParams,
    pub(crate) range: Option<Range>,
    pub(crate) live: Option<&'a Bitset>,
    /// Rows that were given.
    pub(crate) given: FxHashSet<u32>,
    pub(crate) exhausted: bool,
}

impl Ranking for Widening<'_> {
    fn next(&mut self, most: usize) -> Result<Vec<Item>, SearchError> {
        let mut wanted = most.max(1);
        while !self.exhausted {
            let fresh = self.wider(wanted);
            if !fresh.is_empty() {
                return Ok(fresh);
            }
            wanted = wanted.saturating_mul(8);
        }
        Ok(Vec::new())
    }
}

impl Widening<'_> {
    /// The hits among the best `wanted` behind those given; of the last score only if all are there.
    fn wider(&mut self, wanted: usize) -> Vec<Item> {
        // A few more mostly show that the last score does not go on.
        let limit = self.given.len().saturating_add(wanted).saturating_add(SLACK);
        let limit = limit.min(self.index.rows());
        let mut found = Vec::new();
        let range = self.range.as_ref();
        find(self.index, self.query, &self.params, range, self.live, limit, &mut found);
        self.exhausted = found.len() < limit || limit >= self.index.rows();
        if let (false, Some(last)) = (self.exhausted, found.last().map(|hit| hit.score)) {
            found.retain(|hit| hit.score != last);
        }
        let fresh = found.into_iter().filter(|hit| self.given.insert(hit.row));
        fresh.map(|hit| Item { score: hit.score, row: hit.row, element: None }).collect()
    }
}

/// The best `limit` live rows that `index` finds, within `range` where there is one.
pub(crate) fn find(
    index: &dyn VectorIndex,
    query: VectorRef<'_>,
    params: &SearchParams,
    range: Option<&Range>,
    live: Option<&Bitset>,
    limit: usize,
    found: &mut Vec<IndexHit>,
) {
    match range {
        None => {
            let params = SearchParams { ef: params.ef.max(limit), ..*params };
            index.search(query, limit, &params, live, found);
        }
        Some(range) => index.range_search(query, range, limit, live, found),
    }
}
