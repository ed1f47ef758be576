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
    /// At most `most` hits behind those that were taken before; none when there are no more.
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
        let behind = if most < self.rest.len() {
            self.rest.select_nth_unstable_by(most, |a, b| by_score(metric, a, b));
            self.rest.split_off(most)
        } else {
            Vec::new()
        };
        let mut best = std::mem::replace(&mut self.rest, behind);
        best.sort_unstable_by(|a, b| by_score(metric, a, b));
        Ok(best)
    }
}

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
        if self.exhausted {
            return Ok(Vec::new());
        }
        let limit = self.given.len().saturating_add(most).min(self.index.rows());
        let mut found = Vec::new();
        find(
            self.index,
            self.query,
            &self.params,
            self.range.as_ref(),
            self.live,
            limit,
            &mut found,
        );
        self.exhausted = found.len() < limit || limit >= self.index.rows();
        let fresh = found.into_iter().filter(|hit| self.given.insert(hit.row));
        Ok(fresh.map(|hit| Item { score: hit.score, row: hit.row, element: None }).collect())
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
