//! Exact search helped by codes: a scan of codes says which vectors are worth reading.
//!
//! The answer is that of reading every vector, to the bit: [`Sieve`] holds back only rows that
//! cannot be among the best, and of the others those are read first that promise most. Cost: reads an
//! eighth of the bytes, and the vectors of a few dozen rows. Where rows lie so close to each other
//! that codes cannot tell them apart, vectors are read after all.

use milvus_index::{Hit as IndexHit, QueryData, Range, VectorData, score_rows};
use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::MetricType;

use crate::codes::{Codes, widen};
use crate::error::SearchError;
use crate::sieve::{Sieve, TILE, ones, row_number};

/// With at most this many live rows of a tile, only their codes are read.
const SPARSE: u32 = 20;
/// Vectors that are read at once.
const BATCH: usize = 16;
/// So many rows that passed are reason to read some of their vectors, for a nearer bound.
const MANY: usize = 512;
/// Where more than one row in so many passes, vectors are read in the order in which they lie.
const OPEN: usize = 4;

/// The vectors of a chunk, their codes, and what is asked of them.
pub(crate) struct Coded<'a> {
    pub(crate) metric: MetricType,
    pub(crate) queries: &'a QueryData,
    pub(crate) vectors: &'a VectorData,
    pub(crate) codes: &'a Codes,
    pub(crate) live: Option<&'a Bitset>,
    pub(crate) range: Option<&'a Range>,
    /// Hits of a query, at most.
    pub(crate) k: usize,
}

/// The search of one query.
struct Search<'a> {
    of: &'a Coded<'a>,
    query: usize,
    sieve: Option<Sieve<'a>>,
    top: TopK,
    /// Rows of other chunks leave no room for rows beyond this distance.
    limit: f32,
    /// Rows that passed, each with a distance that it cannot be below.
    passed: Vec<Scored>,
    /// When so many have passed, some are read.
    many: usize,
}

impl Coded<'_> {
    /// The best `k` rows for each query, best first; those with scores beyond `worst` of the query
    /// may be left out.
    pub(crate) fn top(&self, worst: &[Option<f32>]) -> Result<Vec<Vec<IndexHit>>, SearchError> {
        let mut searches: Vec<Search<'_>> = worst
            .iter()
            .enumerate()
            .map(|(query, worst)| Search::new(self, query, *worst))
            .collect();
        let mut few = Vec::with_capacity(TILE);
        for first in (0..self.vectors.rows()).step_by(TILE) {
            let len = TILE.min(self.vectors.rows() - first);
            let live = self.live_of(first, len);
            if live.count_ones() > SPARSE {
                for search in &mut searches {
                    search.tile((first, len), live)?;
                }
                continue;
            }
            if few.len() + live.count_ones() as usize > TILE {
                for search in &mut searches {
                    search.few(&few)?;
                }
                few.clear();
            }
            few.extend(ones(live).map(|n| row_number(first) + n));
        }
        for search in &mut searches {
            search.few(&few)?;
        }
        searches.into_iter().map(Search::finish).collect()
    }

    /// The live ones among `len` rows from `first` on.
    fn live_of(&self, first: usize, len: usize) -> u64 {
        let all = u64::MAX >> (TILE - len);
        match self.live {
            None => all,
            Some(live) => all & live.words().get(first / TILE).copied().unwrap_or(0),
        }
    }

    /// Smaller for better scores.
    fn distance(&self, score: f32) -> f32 {
        if self.metric.larger_is_better() { 0.0 - score } else { score }
    }
}

impl<'a> Search<'a> {
    fn new(of: &'a Coded<'a>, query: usize, worst: Option<f32>) -> Self {
        let mut floats = Vec::new();
        let vector = widen(of.queries.row(query), &mut floats);
        let limit = |score: Option<f32>| score.map_or(f32::INFINITY, |score| of.distance(score));
        Self {
            of,
            query,
            sieve: Sieve::new(of.metric, vector, of.codes),
            top: TopK::new(of.k.min(of.vectors.rows())),
            limit: limit(worst).min(limit(of.range.map(|range| range.radius))),
            passed: Vec::new(),
            many: MANY.max(of.k.saturating_mul(OPEN)),
        }
    }

    /// Looks at the codes of the `live` ones among `len` rows from `first` on.
    fn tile(&mut self, (first, len): (usize, usize), live: u64) -> Result<(), SearchError> {
        let bound = self.bound();
        match &self.sieve {
            Some(sieve) => sieve.tile((first, len), live, bound, &mut self.passed),
            None => self.passed.extend(ones(live).map(|n| unjudged(row_number(first) + n))),
        }
        self.narrow()
    }

    /// Looks at the codes of `rows`, at most [`TILE`].
    fn few(&mut self, rows: &[u32]) -> Result<(), SearchError> {
        let bound = self.bound();
        match &self.sieve {
            Some(sieve) => sieve.gather(rows, bound, &mut self.passed),
            None => self.passed.extend(rows.iter().copied().map(unjudged)),
        }
        self.narrow()
    }

    /// Where many rows have passed, reads some of their vectors, so that fewer pass.
    fn narrow(&mut self) -> Result<(), SearchError> {
        if self.passed.len() < self.many || self.sieve.is_none() {
            return Ok(());
        }
        self.read_first()?;
        self.many = self.many.max(self.passed.len() + MANY);
        Ok(())
    }

    /// Reads the vectors of the rows that promise most, and forgets those that then promise nothing.
    fn read_first(&mut self) -> Result<(), SearchError> {
        let mut passed = std::mem::take(&mut self.passed);
        let first = self.of.k.max(BATCH).min(passed.len() - 1);
        passed.select_nth_unstable(first);
        self.read(&passed[..first])?;
        let bound = self.bound();
        passed.drain(..first);
        passed.retain(|scored| may_be_within(*scored, bound));
        self.passed = passed;
        Ok(())
    }

    /// Reads the vectors of the rows that passed, the most promising first, as long as they promise
    /// anything.
    fn finish(mut self) -> Result<Vec<IndexHit>, SearchError> {
        if self.bound() == f32::INFINITY && self.passed.len() > self.of.k.max(BATCH) {
            self.read_first()?;
        }
        let mut passed = std::mem::take(&mut self.passed);
        if let Some(sieve) = &self.sieve {
            sieve.refine(&mut passed);
        }
        if passed.len() * OPEN > self.of.vectors.rows() {
            passed.sort_unstable_by_key(|scored| scored.row());
        } else {
            passed.sort_unstable();
        }
        for batch in passed.chunks(BATCH) {
            let bound = self.bound();
            let batch: Vec<Scored> =
                batch.iter().copied().filter(|scored| may_be_within(*scored, bound)).collect();
            self.read(&batch)?;
        }
        let best = self.top.into_sorted().into_iter();
        // A score is to its distance as the distance is to the score.
        let hit = |s: Scored| IndexHit { row: s.row(), score: self.of.distance(s.distance()) };
        Ok(best.map(hit).collect())
    }

    /// No row beyond this distance is wanted.
    fn bound(&self) -> f32 {
        if self.top.is_full() { self.limit.min(self.top.bound().distance()) } else { self.limit }
    }

    /// Reads the vectors of `passed`.
    fn read(&mut self, passed: &[Scored]) -> Result<(), SearchError> {
        if passed.is_empty() {
            return Ok(());
        }
        let Coded { metric, queries, vectors, range, .. } = *self.of;
        let rows: Vec<u32> = passed.iter().map(|scored| scored.row()).collect();
        let scores = score_rows(metric, queries, self.query, vectors, &rows)?;
        for (row, score) in rows.into_iter().zip(scores) {
            if range.is_none_or(|range| range.contains(metric, score)) {
                self.top.push(Scored::new(self.of.distance(score), row));
            }
        }
        Ok(())
    }
}

/// `row`, of whose distance nothing is known.
fn unjudged(row: u32) -> Scored {
    Scored::new(f32::NEG_INFINITY, row)
}

/// Whether the row that passed may be at `bound` or nearer.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is no reason to hold a row back")]
fn may_be_within(passed: Scored, bound: f32) -> bool {
    !(passed.distance() > bound)
}
