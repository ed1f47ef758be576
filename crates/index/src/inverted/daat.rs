//! Document at a time with MaxScore: rows in ascending order, lists that cannot matter skipped.
//!
//! Lists are ordered by the most that each can add to a score. Those at the front that together
//! cannot lift a row above the k-th best so far are only looked into for rows that others have
//! brought up. What passes is scored exactly, so answers have the bits of a full scan.

use milvus_kernel::{Bitset, Scored, TopK, sparse};

use crate::compare::Comparer;
use crate::inverted::Inverted;

/// The share of all bounds that sums in single precision may be off.
const SLACK: f32 = 1e-5;

/// One list of the query, and how far it has been read.
struct Cursor<'a> {
    rows: &'a [u32],
    values: &'a [f32],
    at: usize,
    weight: f32,
    /// The most it adds to any row's score.
    bound: f32,
}

impl Cursor<'_> {
    #[inline]
    fn row(&self) -> u32 {
        self.rows.get(self.at).copied().unwrap_or(u32::MAX)
    }

    /// What it adds to `row`, moving there; it has not been read beyond.
    #[inline]
    fn seek(&mut self, row: u32) -> f32 {
        let mut step = 1;
        while self.rows.get(self.at + step).is_some_and(|&at| at < row) {
            self.at += step;
            step *= 2;
        }
        let ahead = &self.rows[self.at..self.rows.len().min(self.at + step + 1)];
        self.at += ahead.partition_point(|&at| at < row);
        if self.row() == row { self.weight * self.values[self.at] } else { 0.0 }
    }
}

/// The lists of the dimensions that `query` has, by ascending bound.
fn cursors<'a>(index: &'a Inverted, query: &[u8]) -> Vec<Cursor<'a>> {
    let dims = index.dims.as_slice();
    let (most, least) = (index.most.as_slice(), index.least.as_slice());
    let mut cursors: Vec<Cursor<'a>> = sparse::pairs(query)
        .filter_map(|(dim, weight)| {
            let list = dims.binary_search(&dim).ok()?;
            let (rows, values) = index.list(list);
            let bound = (weight * most[list]).max(weight * least[list]).max(0.0);
            Some(Cursor { rows, values, at: 0, weight, bound })
        })
        .collect();
    cursors.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    cursors
}

/// The best `k` live rows.
pub(super) fn search(
    index: &Inverted,
    query: &[u8],
    comparer: &Comparer<'_>,
    k: usize,
    live: Option<&Bitset>,
) -> TopK {
    let mut cursors = cursors(index, query);
    // The most that the first lists together add, ending with all of them.
    let reach: Vec<f32> = cursors
        .iter()
        .scan(0.0, |sum, cursor| {
            *sum += cursor.bound;
            Some(*sum)
        })
        .collect();
    let slack = reach.last().copied().unwrap_or_default() * SLACK;
    let mut top = TopK::new(k.min(index.vectors.rows()));
    let (mut least, mut first) = (0.0f32, 0);
    while first < cursors.len() {
        let row = cursors[first..].iter().map(Cursor::row).min().unwrap_or(u32::MAX);
        if row == u32::MAX {
            break;
        }
        let mut score = 0.0;
        for cursor in cursors[first..].iter_mut().filter(|cursor| cursor.row() == row) {
            score += cursor.weight * cursor.values[cursor.at];
            cursor.at += 1;
        }
        if live.is_some_and(|live| !live.get(row as usize)) {
            continue;
        }
        for n in (0..first).rev() {
            if score + reach[n] + slack < least {
                break;
            }
            score += cursors[n].seek(row);
        }
        if score + slack < least {
            continue;
        }
        let mut distance = [0.0];
        comparer.gather(&[row], &mut distance);
        if comparer.is_answer(distance[0]) && top.push(Scored::new(distance[0], row)) {
            if top.is_full() {
                least = 0.0 - top.bound().distance();
            }
            while first < cursors.len() && reach[first] + slack < least {
                first += 1;
            }
        }
    }
    top
}
