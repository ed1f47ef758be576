//! One pass of queries over an index: the answers, and the time they took.

use milvus_index::{Hit, SearchParams, VectorData, VectorIndex};
use milvus_kernel::Bitset;

use crate::gauge::{Spent, median, quantile, timed, wall_seconds};

/// The rows that each query may find: its own, the same for all, or every row.
#[derive(Clone, Copy)]
pub(crate) enum Live<'a> {
    /// Every row.
    All,
    /// These.
    Same(&'a Bitset),
    /// Those of the query's number.
    Each(&'a [Bitset]),
}

impl<'a> Live<'a> {
    /// What query number `query` may find.
    pub(crate) fn of(self, query: usize) -> Option<&'a Bitset> {
        match self {
            Self::All => None,
            Self::Same(live) => Some(live),
            Self::Each(lives) => lives.get(query),
        }
    }
}

/// Answers of one pass.
pub(crate) struct Pass {
    /// For each query, best first.
    pub(crate) answers: Vec<Vec<Hit>>,
    /// For all queries together.
    pub(crate) spent: Spent,
}

impl Pass {
    /// Queries for each second of CPU.
    pub(crate) fn qps_cpu(&self) -> f64 {
        self.answers.len() as f64 / self.spent.cpu_s.max(1e-9)
    }

    /// Queries for each second.
    pub(crate) fn qps(&self) -> f64 {
        self.answers.len() as f64 / self.spent.wall_s.max(1e-9)
    }
}

/// What is asked of an index.
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    /// The index.
    pub(crate) index: &'a dyn VectorIndex,
    /// The queries.
    pub(crate) queries: &'a VectorData,
    /// Rows wanted for each.
    pub(crate) k: usize,
    /// What may be found.
    pub(crate) live: Live<'a>,
}

impl Trial<'_> {
    /// Searches with every query once, on `threads` threads that take an equal share each.
    pub(crate) fn pass(&self, params: &SearchParams, threads: usize) -> Pass {
        let mut answers = vec![Vec::with_capacity(self.k); self.queries.rows()];
        let share = answers.len().div_ceil(threads.max(1)).max(1);
        let ((), spent) = timed(|| {
            if threads <= 1 {
                return self.some(params, 0, &mut answers);
            }
            std::thread::scope(|scope| {
                for (part, hits) in answers.chunks_mut(share).enumerate() {
                    scope.spawn(move || self.some(params, part * share, hits));
                }
            });
        });
        Pass { answers, spent }
    }

    /// Searches with the queries from `first` on, one for each of `answers`.
    fn some(&self, params: &SearchParams, first: usize, answers: &mut [Vec<Hit>]) {
        for (query, hits) in (first..).zip(answers) {
            let live = self.live.of(query);
            self.index.search(self.queries.row(query), self.k, params, live, hits);
        }
    }

    /// Microseconds of single searches: the middle, and what 99 of 100 stay below.
    pub(crate) fn latency_us(&self, params: &SearchParams) -> (f64, f64) {
        let mut hits = Vec::with_capacity(self.k);
        let times: Vec<f64> = (0..self.queries.rows())
            .map(|query| {
                let (vector, live) = (self.queries.row(query), self.live.of(query));
                let search = || self.index.search(vector, self.k, params, live, &mut hits);
                wall_seconds(search) * 1e6
            })
            .collect();
        (median(times.clone()), quantile(times, 0.99))
    }
}
