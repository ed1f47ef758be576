//! Windows of rows, every list of the query added up by what its rows can hold at the most.
//!
//! A value is kept a second time as an impact, a byte: a share of its list's largest, rounded up. Sums of
//! impacts are made window by window, in memory that fits the first-level cache: lists that many rows
//! are in have a byte for every row and are added up whole (`milvus_kernel::impacts`), the others
//! posting by posting. The few rows whose sums come near the k-th largest get exact scores, best first,
//! until no sum left can reach the k-th best score. Bounds are rough, scores are exact.
//!
//! Weights or values below 0 have no such bounds: such queries are searched list after list (`taat`).
//!
//! Sources: quantised impacts (Anh, de Kretser, Moffat, SIGIR 2001); windows of accumulators as in
//! Lucene's boolean scorer and SINDI (arXiv 2509.08395).

use milvus_kernel::{Bitset, Scored, TopK, impacts, sparse};

use crate::brute::row_number;
use crate::compare::Comparer;
use crate::container::{Container, Tag};
use crate::error::OpenError;
use crate::inverted::blocks::rounded_up;
use crate::inverted::{Inverted, WHOLE};
use crate::section::Section;

const IMPACTS: Tag = *b"impacts ";
const DENSE: Tag = *b"dense   ";

/// Rows of a window.
const WINDOW: usize = 4096;
/// A list that one of so many rows is in has an impact for every row.
const MANY: usize = 12;
/// The share of all sums that single precision may be off.
const SLACK: f32 = 1e-5;
/// What an impact of 1 must add for sums to be told apart as they should.
const SMALLEST: f32 = 1e-30;
/// Rows that get exact scores at a time.
const RESCORED: usize = 8;

/// The impacts of all lists.
pub(super) struct Windows {
    /// Of each posting.
    impacts: Section<u8>,
    /// Of each row, for each of the lists that many rows are in.
    dense: Section<u8>,
    /// Which of these each list is; `None` of others.
    dense_at: Vec<Option<usize>>,
}

impl Windows {
    pub(super) fn build(index: &Inverted) -> Self {
        let count = index.vectors.rows();
        let dense_at = dense_at(index);
        let mut impacts = Vec::with_capacity(index.rows.as_slice().len());
        let mut dense = vec![0; dense_at.iter().flatten().count() * count];
        for (list, at) in dense_at.iter().enumerate() {
            let (rows, values) = index.list(list);
            let inverse = WHOLE / index.most.as_slice()[list];
            let first = impacts.len();
            impacts.extend(values.iter().map(|&value| impact(value, inverse)));
            if let Some(at) = at {
                let dense = &mut dense[at * count..][..count];
                for (&row, &impact) in rows.iter().zip(&impacts[first..]) {
                    dense[row as usize] = impact;
                }
            }
        }
        Self { impacts: impacts.into(), dense: dense.into(), dense_at }
    }

    pub(super) fn sections(&self) -> [(Tag, &[u8]); 2] {
        [(IMPACTS, self.impacts.as_bytes()), (DENSE, self.dense.as_bytes())]
    }

    /// Whether `container` has impacts; files from before there were any have none.
    pub(super) fn are_in(container: &Container) -> bool {
        container.count::<u8>(IMPACTS) > 0
    }

    /// Reads back what [`Self::sections`] says of the lists of `index`.
    pub(super) fn open(container: &Container, index: &Inverted) -> Result<Self, OpenError> {
        let dense_at = dense_at(index);
        let dense = dense_at.iter().flatten().count().saturating_mul(index.vectors.rows());
        let opened = Self {
            impacts: container.section(IMPACTS, index.rows.as_slice().len())?,
            dense: container.section(DENSE, dense)?,
            dense_at,
        };
        // An impact that is too small could leave its row out.
        let (impacts, dense) = (opened.impacts.as_slice(), opened.dense.as_slice());
        let count = index.vectors.rows();
        for (list, at) in opened.dense_at.iter().enumerate() {
            let (rows, values) = index.list(list);
            let inverse = WHOLE / index.most.as_slice()[list];
            let impacts = &impacts[index.start(list)..][..values.len()];
            let wrong = values.iter().zip(impacts).any(|(&v, i)| *i != impact(v, inverse));
            let other = at.is_some_and(|at| {
                let dense = &dense[at * count..][..count];
                rows.iter().zip(impacts).any(|(&row, &impact)| dense[row as usize] != impact)
            });
            if wrong || other {
                return Err(OpenError::malformed("impacts are not those of their values"));
            }
        }
        Ok(opened)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.impacts.bytes() + self.dense.bytes() + size_of_val(self.dense_at.as_slice()) as u64
    }
}

/// `value` as an impact; `inverse` is that of what an impact of 1 is worth. However small, it is one.
fn impact(value: f32, inverse: f32) -> u8 {
    rounded_up(value * inverse).max(u8::from(value > 0.0))
}

/// Which lists many rows are in, numbered.
fn dense_at(index: &Inverted) -> Vec<Option<usize>> {
    let mut next = 0;
    let many = |list| index.list(list).0.len() * MANY >= index.vectors.rows();
    let lists = (0..index.dims.as_slice().len()).map(|list| {
        many(list).then(|| {
            next += 1;
            next - 1
        })
    });
    lists.collect()
}

/// A list of the query.
struct Term<'a> {
    /// What an impact of 1 adds.
    step: f32,
    postings: Postings<'a>,
}

enum Postings<'a> {
    /// An impact for every row.
    Dense(&'a [u8]),
    /// Rows and impacts that are still to come, and what each impact adds.
    Few { rows: &'a [u32], impacts: &'a [u8], adds: Box<[f32; 256]> },
}

/// The best `k` live rows; `None` where weights or values below 0 have no bounds.
pub(super) fn search(
    index: &Inverted,
    windows: &Windows,
    (query, comparer): (&[u8], &Comparer<'_>),
    k: usize,
    live: Option<&Bitset>,
) -> Option<TopK> {
    let mut terms = terms(index, windows, query)?;
    let count = index.vectors.rows();
    let most: f32 = terms.iter().map(|term| term.step * WHOLE).sum();
    // An impact is less than 1 too large.
    let error = terms.iter().map(|term| term.step).sum::<f32>() + 2.0 * most * SLACK;
    let mut bounds = TopK::new(k.min(count));
    let mut candidates: Vec<Scored> = Vec::new();
    let mut cutoff = 0.0f32;
    let mut sums = [0.0f32; WINDOW];
    let mut masks = [0u64; WINDOW / impacts::MASK];
    for first in (0..count).step_by(WINDOW) {
        let sums = &mut sums[..WINDOW.min(count - first)];
        sums.fill(0.0);
        terms.iter_mut().for_each(|term| term.add(first, sums));
        let masks = &mut masks[..sums.len().div_ceil(impacts::MASK)];
        impacts::above(sums, cutoff, masks);
        for (word, mask) in masks.iter_mut().enumerate() {
            while *mask != 0 {
                let at = word * impacts::MASK + mask.trailing_zeros() as usize;
                *mask &= *mask - 1;
                if sums[at] <= cutoff || live.is_some_and(|live| !live.get(first + at)) {
                    continue;
                }
                let scored = Scored::new(-sums[at], row_number(first + at));
                candidates.push(scored);
                if bounds.push(scored) && bounds.is_full() {
                    cutoff = cutoff.max(-bounds.bound().distance() - error);
                }
            }
        }
    }
    candidates.retain(|candidate| -candidate.distance() >= cutoff);
    candidates.sort_unstable();
    let mut top = TopK::new(k.min(count));
    let mut distances = [0.0f32; RESCORED];
    for candidates in candidates.chunks(RESCORED) {
        let best = candidates.first().map_or(0.0, |candidate| -candidate.distance());
        if top.is_full() && best + 2.0 * most * SLACK < -top.bound().distance() {
            break;
        }
        let rows: Vec<u32> = candidates.iter().map(|candidate| candidate.row()).collect();
        let distances = &mut distances[..rows.len()];
        comparer.gather(&rows, distances);
        for (&row, &distance) in rows.iter().zip(&*distances) {
            if distance < 0.0 {
                top.push(Scored::new(distance, row));
            }
        }
    }
    Some(top)
}

/// The lists of the dimensions that `query` has.
fn terms<'a>(index: &'a Inverted, windows: &'a Windows, query: &[u8]) -> Option<Vec<Term<'a>>> {
    let (dims, least) = (index.dims.as_slice(), index.least.as_slice());
    let (most, count) = (index.most.as_slice(), index.vectors.rows());
    let (all, dense) = (windows.impacts.as_slice(), windows.dense.as_slice());
    let mut terms = Vec::with_capacity(query.len() / sparse::PAIR);
    for (dim, weight) in sparse::pairs(query) {
        let Ok(list) = dims.binary_search(&dim) else { continue };
        let step = weight * most[list] / WHOLE;
        if weight == 0.0 {
            continue;
        }
        if weight < 0.0 || least[list] < 0.0 || !(SMALLEST..f32::MAX / WHOLE).contains(&step) {
            return None;
        }
        let (rows, _) = index.list(list);
        let postings = match windows.dense_at[list] {
            Some(at) => Postings::Dense(&dense[at * count..][..count]),
            None => {
                let impacts = &all[index.start(list)..][..rows.len()];
                let adds = std::array::from_fn(|impact| step * impact as f32);
                Postings::Few { rows, impacts, adds: Box::new(adds) }
            }
        };
        terms.push(Term { step, postings });
    }
    Some(terms)
}

impl Term<'_> {
    /// Adds what it can hold to the sums of the rows from `first` on, each called once, in order.
    fn add(&mut self, first: usize, sums: &mut [f32]) {
        match &mut self.postings {
            Postings::Dense(dense) => {
                impacts::add(&dense[first..][..sums.len()], self.step, sums);
            }
            Postings::Few { rows, impacts, adds } => {
                let mut done = 0;
                for (&row, &impact) in rows.iter().zip(*impacts) {
                    let Some(sum) = sums.get_mut(row as usize - first) else { break };
                    *sum += adds[usize::from(impact)];
                    done += 1;
                }
                (*rows, *impacts) = (&rows[done..], &impacts[done..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IndexType;
    use crate::compare::query_of;
    use crate::inverted::taat;
    use crate::params::{SparseAlgo, SparseParams};
    use crate::score::Metric;
    use crate::vectors::{SparseRows, VectorData, VectorRef};

    fn row(pairs: &[(u32, f32)]) -> Vec<u8> {
        pairs.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat()).collect()
    }

    /// Rows of which most have the first dimensions and few the last; values repeat, so that rows tie.
    fn index(rows: usize) -> Inverted {
        let mut state = 5u32;
        let mut next = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % most
        };
        let rows: Vec<Vec<u8>> = (0..rows)
            .map(|_| {
                let has: Vec<u32> = (0..60).filter(|&dim| next(dim + 1) == 0).collect();
                let mut pairs: Vec<_> =
                    has.iter().map(|&dim| (dim, (1 + next(40)) as f32 / 8.0)).collect();
                // Of one dimension most values are nothing beside the largest.
                pairs.push((60, if next(1000) == 0 { 1e20 } else { 1e-20 }));
                row(&pairs)
            })
            .collect();
        let rows = SparseRows::from_rows(rows.iter().map(Vec::as_slice)).unwrap();
        let params = SparseParams { algo: SparseAlgo::Windows, block: 128 };
        Inverted::build(IndexType::SparseInvertedIndex, &params, VectorData::Sparse(rows))
    }

    #[test]
    fn windows_find_what_lists_find_with_the_same_bits() {
        let count = 3 * WINDOW + 77;
        let index = index(count);
        let crate::inverted::Search::Windows(windows) = &index.search else {
            panic!("there are no windows");
        };
        assert!(windows.dense_at[0].is_some() && windows.dense_at[59].is_none());
        let live = Bitset::from_bools((0..count).map(|row| row % 3 == 1));
        let queries = [
            row(&[(0, 1.0), (1, 0.5), (20, 2.0), (59, 3.0)]),
            row(&[(58, 0.25)]),
            row(&[(3, 1e-20), (40, 1e-20)]),
            row(&[(60, 1.0)]),
            row(&(0..60).map(|dim| (dim, 1.0 + dim as f32 / 9.0)).collect::<Vec<_>>()),
            row(&[(900, 1.0)]),
        ];
        for query in &queries {
            let view = index.vectors.view();
            let comparer = Comparer::new(Metric::Ip, VectorRef::Sparse(query), view, &[]);
            let comparer = query_of(comparer);
            for (k, live) in [(1, None), (10, Some(&live)), (100, None), (20_000, Some(&live))] {
                let want = taat::search(&index, query, k, live).into_sorted();
                let found = search(&index, windows, (query, &comparer), k, live).unwrap();
                assert_eq!(found.into_sorted(), want, "{k}");
            }
        }
        let below = row(&[(1, -1.0), (2, 1.0)]);
        let comparer =
            Comparer::new(Metric::Ip, VectorRef::Sparse(&below), index.vectors.view(), &[]);
        assert!(search(&index, windows, (&below, &query_of(comparer)), 3, None).is_none());
    }
}
