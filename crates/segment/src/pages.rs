//! Pages of iterators: one scan of a segment answers many of them.
//!
//! An iterator gives every row once, in order, whatever index there is, so no page of it can be an
//! approximate search: a row that one page overlooks lies before the end of that page and never comes
//! again. The next hits are therefore found by comparing with every live row, many more than a page
//! of them, and those that are left over are kept for the pages that follow.
//!
//! What is kept is known by all that it depends on: field, metric, query, range and live rows. A page
//! at another snapshot, or with another filter, that has the same live rows finds it; after a delete
//! that the snapshot sees nothing kept is found. What is kept is bounded ([`PAGE_BYTES_PER_ROW`]), the
//! oldest goes first, and a page of which nothing is kept costs a scan.
//!
//! Not here: where a page ends ([`crate::search`]), snapshots and tokens of iterators (`proxy`).

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use milvus_index::{Comparison, Hit as IndexHit, QueryData, Range};
use milvus_types::{FieldId, MetricType};
use parking_lot::Mutex;

use crate::error::SearchError;
use crate::live::Live;
use crate::ranking::{Item, Ranking};

/// Bytes that a segment keeps for pages to come, at most, for each of its rows; and [`LEAST_BYTES`]
/// besides.
pub const PAGE_BYTES_PER_ROW: u64 = 4;
/// Bytes that a segment may keep however few rows it has.
const LEAST_BYTES: u64 = 32 << 10;
/// Of so many rows one is found ahead of its page.
const AHEAD_SHARE: usize = 16;
/// Hits found at once: of a small and of a large segment.
const AHEAD: std::ops::RangeInclusive<usize> = 1024..=16_384;
/// More hits than asked for, so that ties at the end are seen.
const SLACK: usize = 16;
/// How many more hits are asked for when all that came tie.
const WIDER: usize = 8;

/// What a list of hits depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) field: FieldId,
    pub(crate) comparison: Comparison,
    /// One vector.
    pub(crate) query: QueryData,
    pub(crate) range: Option<Range>,
    pub(crate) live: Live,
}

impl Asked {
    fn bytes(&self) -> usize {
        let live = match &self.live {
            Live::All(_) => 0,
            Live::Some(rows) => rows.len().div_ceil(8),
        };
        let query: usize = self.query.iter().map(|row| row.bytes().len()).sum();
        size_of::<Self>() + live + query
    }
}

/// Hits side by side in the order of all, those of one score all together.
#[derive(Debug)]
struct List {
    /// No hit of a better score is in it; `None` where it begins with the best.
    from: Option<f32>,
    hits: Vec<IndexHit>,
    /// Whether nothing is behind them.
    complete: bool,
}

impl List {
    /// Whether the hits at `from` and next behind it are among its own.
    fn covers(&self, metric: MetricType, from: Option<f32>) -> bool {
        let begins = match (self.from, from) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(from)) => order(metric, own, from).is_le(),
        };
        let last = self.hits.last().map(|hit| hit.score);
        let goes_on = match (last, from) {
            (Some(last), Some(from)) => order(metric, from, last).is_lt(),
            (last, None) => last.is_some(),
            (None, _) => false,
        };
        begins && (goes_on || self.complete)
    }
}

/// Better scores first.
fn order(metric: MetricType, a: f32, b: f32) -> Ordering {
    if metric.larger_is_better() { b.total_cmp(&a) } else { a.total_cmp(&b) }
}

/// The best score that is worse than `score`.
fn next_behind(metric: MetricType, score: f32) -> f32 {
    if metric.larger_is_better() { score.next_down() } else { score.next_up() }
}

/// The lists of the iterators of a segment that were used last, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pages(Mutex<VecDeque<(Asked, Arc<List>)>>);

impl Pages {
    /// Bytes of memory it holds.
    pub(crate) fn bytes(&self) -> u64 {
        bytes(&self.0.lock())
    }

    fn find(&self, asked: &Asked, from: Option<f32>) -> Option<Arc<List>> {
        let mut lists = self.0.lock();
        let at = lists
            .iter()
            .position(|(of, list)| list.covers(asked.comparison.metric, from) && of == asked)?;
        let found = lists.remove(at)?;
        let list = Arc::clone(&found.1);
        lists.push_back(found);
        Some(list)
    }

    /// Keeps `list` in the place of an earlier one, as long as a segment of `rows` rows has room.
    fn keep(&self, asked: &Asked, list: &Arc<List>, rows: usize) {
        let most = LEAST_BYTES + PAGE_BYTES_PER_ROW * rows as u64;
        let mut lists = self.0.lock();
        lists.retain(|(of, _)| of != asked);
        lists.push_back((asked.clone(), Arc::clone(list)));
        while bytes(&lists) > most {
            lists.pop_front();
        }
    }
}

fn bytes(lists: &VecDeque<(Asked, Arc<List>)>) -> u64 {
    let one = |(asked, list): &(Asked, Arc<List>)| {
        asked.bytes() + size_of::<List>() + size_of_val::<[IndexHit]>(&list.hits)
    };
    lists.iter().map(one).sum::<usize>() as u64
}

/// Where hits come from: all live rows, compared one by one.
pub(crate) trait Complete {
    /// The best `limit` rows of one query at or behind score `from`, best first. None is left out but
    /// where `limit` better ones were found.
    fn complete(&self, from: Option<f32>, limit: usize) -> Result<Vec<IndexHit>, SearchError>;
}

/// The ranking of an iterator, from where its last page ended.
pub(crate) struct Paged<'a, C> {
    source: C,
    pages: &'a Pages,
    asked: Asked,
    /// Rows of the segment.
    rows: usize,
    from: Option<f32>,
    /// The list that is being given, and how much of it was.
    current: Option<(Arc<List>, usize)>,
}

impl<'a, C: Complete> Paged<'a, C> {
    /// The hits of `source` at or behind score `from`, in a segment of so many `rows`.
    pub(crate) fn new(
        source: C,
        pages: &'a Pages,
        asked: Asked,
        rows: usize,
        from: Option<f32>,
    ) -> Self {
        Self { source, pages, asked, rows, from, current: None }
    }

    /// The list that holds the hits at `self.from` and next behind it, at least `most` where there are
    /// as many.
    fn list(&mut self, most: usize) -> Result<(Arc<List>, usize), SearchError> {
        let (metric, from) = (self.asked.comparison.metric, self.from);
        let list = match self.pages.find(&self.asked, from) {
            Some(list) => list,
            None => {
                let list = Arc::new(self.fill(most)?);
                self.pages.keep(&self.asked, &list, self.rows);
                list
            }
        };
        let better =
            |hit: &IndexHit| from.is_some_and(|from| order(metric, hit.score, from).is_lt());
        let start = list.hits.partition_point(better);
        Ok((list, start))
    }

    fn fill(&self, most: usize) -> Result<List, SearchError> {
        let ahead = (self.rows / AHEAD_SHARE).clamp(*AHEAD.start(), *AHEAD.end());
        let mut limit = most.max(ahead).saturating_add(SLACK);
        loop {
            let mut hits = self.source.complete(self.from, limit)?;
            let complete = hits.len() < limit;
            let last = hits.last().map(|hit| hit.score);
            let whole = hits.partition_point(|hit| Some(hit.score) != last);
            if complete || whole > 0 {
                hits.truncate(if complete { hits.len() } else { whole });
                hits.shrink_to_fit();
                return Ok(List { from: self.from, hits, complete });
            }
            limit = limit.saturating_mul(WIDER);
        }
    }
}

impl<C: Complete> Ranking for Paged<'_, C> {
    fn next(&mut self, most: usize) -> Result<Vec<Item>, SearchError> {
        let most = most.max(1);
        loop {
            let (list, start) = match self.current.take() {
                Some(current) => current,
                None => self.list(most)?,
            };
            let rest = list.hits.get(start..).unwrap_or_default();
            if rest.is_empty() {
                let last = list.hits.last().filter(|_| !list.complete);
                let Some(last) = last.map(|hit| hit.score) else { return Ok(Vec::new()) };
                self.from = Some(next_behind(self.asked.comparison.metric, last));
                continue;
            }
            let end = rest.get(most - 1).map_or(rest.len(), |worst| {
                most + rest[most..].iter().take_while(|hit| hit.score == worst.score).count()
            });
            let item = |hit: &IndexHit| Item { score: hit.score, row: hit.row, element: None };
            let items = rest[..end].iter().map(item).collect();
            self.current = Some((Arc::clone(&list), start + end));
            return Ok(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use milvus_index::VectorData;
    use proptest::prelude::*;

    use super::*;

    /// Scores of rows, and how often they were all compared.
    struct Rows<'a>(MetricType, &'a [f32], &'a Cell<usize>);

    impl Complete for Rows<'_> {
        fn complete(&self, from: Option<f32>, limit: usize) -> Result<Vec<IndexHit>, SearchError> {
            self.2.set(self.2.get() + 1);
            let behind = |score: f32| from.is_none_or(|from| order(self.0, from, score).is_le());
            let rows = (0..).zip(self.1).filter(|(_, score)| behind(**score));
            let mut hits: Vec<_> = rows.map(|(row, &score)| IndexHit { row, score }).collect();
            hits.sort_by(|a, b| order(self.0, a.score, b.score).then(a.row.cmp(&b.row)));
            hits.truncate(limit);
            Ok(hits)
        }
    }

    fn asked(metric: MetricType, query: f32, live: u32) -> Asked {
        let query = VectorData::floats(vec![query], 1).unwrap();
        let comparison = metric.into();
        Asked { field: FieldId(1), comparison, query, range: None, live: Live::All(live) }
    }

    /// Every page of an iterator, each from the score at which the one before ended.
    fn iterate(
        metric: MetricType,
        scores: &[f32],
        page: usize,
        pages: &Pages,
    ) -> (Vec<u32>, usize) {
        let (scans, mut rows, mut from) = (Cell::new(0), Vec::new(), None);
        loop {
            let asked = asked(metric, 0.5, 3);
            let source = Rows(metric, scores, &scans);
            let mut ranking = Paged::new(source, pages, asked, scores.len(), from);
            let hits = ranking.next(page).unwrap();
            let Some(last) = hits.last() else { return (rows, scans.get()) };
            from = Some(next_behind(metric, last.score));
            rows.extend(hits.iter().map(|hit| hit.row));
        }
    }

    proptest! {
        #[test]
        fn every_row_comes_once_in_order(
            scores in prop::collection::vec(prop_oneof![-3i16..3, -4000i16..4000], 0..6000),
            page in 1usize..3000,
            similar in any::<bool>(),
        ) {
            let metric = if similar { MetricType::Ip } else { MetricType::L2 };
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let pages = Pages::default();
            let (rows, scans) = iterate(metric, &scores, page, &pages);
            let counting = Cell::new(0);
            let want = Rows(metric, &scores, &counting).complete(None, usize::MAX).unwrap();
            prop_assert_eq!(rows, want.iter().map(|hit| hit.row).collect::<Vec<_>>());
            prop_assert!(pages.bytes() <= LEAST_BYTES + 4 * scores.len() as u64);
            // Sorted anew for each thousand hits and not for each page, but for long runs of ties.
            let ties = scores.iter().filter(|score| score.abs() <= 3.0).count();
            if ties < AHEAD.start() / 2 {
                prop_assert!(scans <= 2 + scores.len() / (AHEAD.start() / 2), "{} scans", scans);
            }
        }
    }

    #[test]
    fn lists_of_other_queries_and_of_other_live_rows_are_not_mistaken() {
        let (pages, scans) = (Pages::default(), Cell::new(0));
        let scores: Vec<f32> = (0..100_u8).map(f32::from).collect();
        let ask = |query, live| {
            let (asked, source) =
                (asked(MetricType::L2, query, live), Rows(MetricType::L2, &scores, &scans));
            Paged::new(source, &pages, asked, 100, Some(7.0)).next(3).unwrap();
            scans.get()
        };
        assert_eq!(ask(0.5, 100), 1);
        assert_eq!(ask(0.5, 100), 1, "what was found is kept");
        assert_eq!(ask(0.6, 100), 2, "of another query");
        assert_eq!(ask(0.5, 99), 3, "of other live rows");
        assert_eq!((ask(0.5, 100), ask(0.6, 100)), (3, 3), "and of the first ones still");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (pages, scans) = (Pages::default(), Cell::new(0));
        let scores: Vec<f32> = (0..20_000_u16).map(f32::from).collect();
        for live in 0..50 {
            let source = Rows(MetricType::L2, &scores, &scans);
            let asked = asked(MetricType::L2, 0.5, live);
            Paged::new(source, &pages, asked, scores.len(), None).next(10).unwrap();
            assert!(pages.bytes() <= LEAST_BYTES + PAGE_BYTES_PER_ROW * 20_000);
        }
        assert_eq!(scans.get(), 50);
        let source = Rows(MetricType::L2, &scores, &scans);
        let whole =
            Paged::new(source, &pages, asked(MetricType::L2, 0.5, 99), 20_000, None).next(20_000);
        assert_eq!(whole.unwrap().len(), 20_000);
    }
}
