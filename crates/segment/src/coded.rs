//! Exact search helped by codes: a scan of codes says which vectors are worth reading.
//!
//! The answer is that of reading every vector, to the bit: [`Sieve`] holds back only rows that
//! cannot be among the best. Cost: reads a quarter of the bytes, and the vectors of a few dozen
//! rows. Where rows lie so close to each other that codes cannot tell them apart, vectors are read
//! after all.

use milvus_index::{Hit as IndexHit, QueryData, Range, VectorData, score_rows};
use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::MetricType;

use crate::codes::{Codes, widen};
use crate::error::SearchError;
use crate::sieve::{Sieve, TILE};

/// With at most this many live rows of a tile, only their codes are read.
const SPARSE: u32 = 20;
/// Vectors that are read at once.
const BATCH: usize = 16;
/// After so many rows a sieve that lets one of `OPEN` through is no longer asked.
const TRIAL: usize = 1024;
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
    /// Rows that passed and whose vectors were not read yet.
    passed: Vec<u32>,
    seen: usize,
    read: usize,
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
                    search.tile(first, len, live)?;
                }
                continue;
            }
            if few.len() + live.count_ones() as usize > TILE {
                searches.iter_mut().try_for_each(|search| search.few(&few))?;
                few.clear();
            }
            few.extend(ones(live).map(|n| row_number(first) + n));
        }
        searches.iter_mut().try_for_each(|search| search.few(&few))?;
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
            passed: Vec::with_capacity(TILE + BATCH),
            seen: 0,
            read: 0,
        }
    }

    /// Looks at the `live` ones among `len` rows from `first` on.
    fn tile(&mut self, first: usize, len: usize, live: u64) -> Result<(), SearchError> {
        let passed = match self.sieve() {
            Some(sieve) => live & sieve.tile(first, len, self.bound()),
            None => live,
        };
        self.seen += live.count_ones() as usize;
        self.passed.extend(ones(passed).map(|n| row_number(first) + n));
        if self.passed.len() >= BATCH { self.read() } else { Ok(()) }
    }

    /// Looks at `rows`, at most [`TILE`].
    fn few(&mut self, rows: &[u32]) -> Result<(), SearchError> {
        let passed = match self.sieve() {
            Some(sieve) => sieve.gather(rows, self.bound()),
            None => u64::MAX,
        };
        self.seen += rows.len();
        let passed = rows.iter().enumerate().filter(|(n, _)| passed >> n & 1 == 1);
        self.passed.extend(passed.map(|(_, row)| row));
        if self.passed.len() >= BATCH { self.read() } else { Ok(()) }
    }

    /// The sieve, unless it turned out to hold little back.
    fn sieve(&self) -> Option<&Sieve<'a>> {
        let useless = self.seen >= TRIAL && self.read * OPEN > self.seen;
        self.sieve.as_ref().filter(|_| !useless)
    }

    /// No row beyond this distance is wanted.
    fn bound(&self) -> f32 {
        if self.top.is_full() { self.limit.min(self.top.bound().distance()) } else { self.limit }
    }

    /// Reads the vectors of the rows that passed.
    fn read(&mut self) -> Result<(), SearchError> {
        let Coded { metric, queries, vectors, range, .. } = *self.of;
        let scores = score_rows(metric, queries, self.query, vectors, &self.passed)?;
        for (&row, score) in self.passed.iter().zip(scores) {
            if range.is_none_or(|range| range.contains(metric, score)) {
                self.top.push(Scored::new(self.of.distance(score), row));
            }
        }
        self.read += self.passed.len();
        self.passed.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<IndexHit>, SearchError> {
        self.read()?;
        let best = self.top.into_sorted().into_iter();
        // A score is to its distance as the distance is to the score.
        let hit = |s: Scored| IndexHit { row: s.row(), score: self.of.distance(s.distance()) };
        Ok(best.map(hit).collect())
    }
}

/// The positions of the bits of `word` that are 1.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let n = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(n)
    })
}

/// A row of a chunk as a row number.
#[expect(clippy::cast_possible_truncation, reason = "chunks have fewer rows than 2^32")]
fn row_number(row: usize) -> u32 {
    row as u32
}
