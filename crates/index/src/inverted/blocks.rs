//! Blocks of neighbouring rows, the most promising first.
//!
//! For each list and each block of rows that it reaches into, the index keeps where its postings begin
//! and the largest of their values, as a byte: a share of the list's largest, rounded up. A search adds
//! these up for every block, takes blocks by descending bound, sums their postings, and ends where the
//! bound of the next block is below the k-th best score. Bounds are rough, scores are exact: sums are
//! made of the values themselves, in the order of the dimensions, as a comparison row by row would.
//!
//! A query with a weight below 0 takes the list's smallest value for all its blocks.
//!
//! Source: Mallia, Suel, Tonellotto, Faster Learned Sparse Retrieval with Block-Max Pruning (2024).

use std::collections::BinaryHeap;

use milvus_kernel::{Bitset, Scored, TopK, sparse};

use crate::brute::row_number;
use crate::container::{Container, Tag};
use crate::error::OpenError;
use crate::inverted::Inverted;
use crate::section::Section;

const LISTS: Tag = *b"blklists";
const BLOCKS: Tag = *b"blocks  ";
const STARTS: Tag = *b"blkstart";
const MOST: Tag = *b"blkmost ";

/// A list's largest value as a byte.
const WHOLE: f32 = 255.0;
/// The share of all bounds that sums in single precision may be off.
const SLACK: f32 = 1e-5;
/// Rows of a block, at the least and at the most.
const LEAST_ROWS: usize = 16;
const MOST_ROWS: usize = 1 << 16;

/// Where lists reach into blocks, and how much they can add there.
pub(super) struct Blocks {
    /// Rows of a block.
    pub(super) rows: usize,
    /// Where the blocks of each list end in the sections below.
    lists: Section<u32>,
    /// The number of each block, ascending within a list.
    numbers: Section<u32>,
    /// Where the postings of each begin, among all.
    starts: Section<u32>,
    /// The largest value of each, as a share of the list's.
    most: Section<u8>,
}

impl Blocks {
    /// The blocks of `rows` rows each of the lists of `index`.
    pub(super) fn build(index: &Inverted, rows: usize) -> Self {
        let rows = rows.clamp(LEAST_ROWS, MOST_ROWS);
        let (mut lists, mut numbers) = (Vec::new(), Vec::new());
        let (mut starts, mut most) = (Vec::new(), Vec::new());
        let mut start = 0;
        for list in 0..index.dims.as_slice().len() {
            let (members, values) = index.list(list);
            let inverse = WHOLE / index.most.as_slice()[list];
            let mut at = 0;
            for block in members.chunk_by(|&a, &b| a as usize / rows == b as usize / rows) {
                let largest = values[at..][..block.len()].iter().copied().fold(0.0, f32::max);
                numbers.push(block.first().map_or(0, |&row| row_number(row as usize / rows)));
                starts.push(row_number(start + at));
                most.push(rounded_up(largest * inverse));
                at += block.len();
            }
            start += members.len();
            lists.push(row_number(numbers.len()));
        }
        Self {
            rows,
            lists: lists.into(),
            numbers: numbers.into(),
            starts: starts.into(),
            most: most.into(),
        }
    }

    pub(super) fn sections(&self) -> [(Tag, &[u8]); 4] {
        [
            (LISTS, self.lists.as_bytes()),
            (BLOCKS, self.numbers.as_bytes()),
            (STARTS, self.starts.as_bytes()),
            (MOST, self.most.as_bytes()),
        ]
    }

    /// Reads back what [`Self::sections`] says of the lists of `index`.
    pub(super) fn open(
        container: &Container,
        rows: usize,
        index: &Inverted,
    ) -> Result<Self, OpenError> {
        let count = container.count::<u32>(BLOCKS);
        let opened = Self {
            rows,
            lists: container.section(LISTS, index.dims.as_slice().len())?,
            numbers: container.section(BLOCKS, count)?,
            starts: container.section(STARTS, count)?,
            most: container.section(MOST, count)?,
        };
        // What was written is what would be built: anything else could leave rows out.
        let fits = (LEAST_ROWS..=MOST_ROWS).contains(&rows);
        let want = fits.then(|| Self::build(index, rows));
        let same = |want: Self| want.sections() == opened.sections();
        if !want.is_some_and(same) {
            return Err(OpenError::malformed("blocks are not those of their lists"));
        }
        Ok(opened)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lists.bytes() + self.numbers.bytes() + self.starts.bytes() + self.most.bytes()
    }

    /// The blocks of the `list`th list, as a range of the sections.
    fn of_list(&self, list: usize) -> std::ops::Range<usize> {
        let lists = self.lists.as_slice();
        let start = list.checked_sub(1).map_or(0, |before| lists[before] as usize);
        start..lists[list] as usize
    }
}

/// A share of `WHOLE` as a byte that is no smaller.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such casts saturate")]
fn rounded_up(share: f32) -> u8 {
    // A little more, for the rounding of the share itself; what is no number counts as the whole.
    if share.is_nan() { u8::MAX } else { (share * (1.0 + 1e-6)).ceil() as u8 }
}

/// A list of the query.
struct Term<'a> {
    weight: f32,
    rows: &'a [u32],
    values: &'a [f32],
    /// Where its postings begin among all.
    start: usize,
    blocks: std::ops::Range<usize>,
    /// What a byte of a block's largest value is worth.
    step: f32,
    /// What it adds at the most anywhere, where its weight is below 0.
    anywhere: f32,
}

/// The best `k` live rows.
pub(super) fn search(
    index: &Inverted,
    blocks: &Blocks,
    query: &[u8],
    k: usize,
    live: Option<&Bitset>,
) -> TopK {
    let count = index.vectors.rows();
    let terms = terms(index, blocks, query);
    let walk = Walk::new(blocks, &terms, count.div_ceil(blocks.rows));
    let mut top = TopK::new(k.min(count));
    let mut sums = vec![0.0f32; blocks.rows];
    let mut queue: BinaryHeap<(Bound, u32)> = walk
        .bounds
        .iter()
        .zip(0..)
        .filter(|(bound, _)| **bound > 0.0)
        .map(|(&bound, block)| (Bound(bound), block))
        .collect();
    let mut least = 0.0f32;
    while let Some((Bound(bound), block)) = queue.pop() {
        if bound + walk.slack < least {
            break;
        }
        walk.sum(blocks, &terms, block as usize, &mut sums);
        let first = block as usize * blocks.rows;
        for (row, sum) in (first..).zip(&mut sums) {
            let sum = std::mem::take(sum);
            if sum > 0.0
                && sum >= least
                && live.is_none_or(|live| live.get(row))
                && top.push(Scored::new(-sum, row_number(row)))
                && top.is_full()
            {
                least = 0.0 - top.bound().distance();
            }
        }
    }
    top
}

/// The lists of the dimensions that `query` has, in its order.
fn terms<'a>(index: &'a Inverted, blocks: &Blocks, query: &[u8]) -> Vec<Term<'a>> {
    let dims = index.dims.as_slice();
    let (most, least) = (index.most.as_slice(), index.least.as_slice());
    sparse::pairs(query)
        .filter_map(|(dim, weight)| {
            let list = dims.binary_search(&dim).ok()?;
            let (rows, values) = index.list(list);
            let above = weight > 0.0;
            Some(Term {
                weight,
                rows,
                values,
                start: index.start(list),
                blocks: blocks.of_list(list),
                step: if above { (weight * most[list]).max(0.0) / WHOLE } else { 0.0 },
                anywhere: if above { 0.0 } else { (weight * least[list]).max(0.0) },
            })
        })
        .collect()
}

/// The bounds of all blocks, and where each term's postings of each block are.
struct Walk {
    bounds: Vec<f32>,
    /// `[blocks, terms]`: one more than where the term's block is among its list's; 0 if nowhere.
    places: Vec<u32>,
    slack: f32,
}

impl Walk {
    fn new(blocks: &Blocks, terms: &[Term<'_>], count: usize) -> Self {
        let mut bounds = vec![0.0f32; count];
        let mut places = vec![0u32; count * terms.len()];
        let (numbers, most) = (blocks.numbers.as_slice(), blocks.most.as_slice());
        let mut all = 0.0;
        for (n, term) in terms.iter().enumerate() {
            let list = numbers[term.blocks.clone()].iter().zip(&most[term.blocks.clone()]);
            for ((&block, &most), place) in list.zip(1..) {
                let block = block as usize;
                bounds[block] += term.step * f32::from(most) + term.anywhere;
                places[block * terms.len() + n] = place;
            }
            all += term.step * WHOLE + term.anywhere;
        }
        Self { bounds, places, slack: all * SLACK }
    }

    /// Adds the postings of `block` up in `sums`, which are 0.
    fn sum(&self, blocks: &Blocks, terms: &[Term<'_>], block: usize, sums: &mut [f32]) {
        let starts = blocks.starts.as_slice();
        let first = row_number(block * blocks.rows);
        let places = &self.places[block * terms.len()..][..terms.len()];
        for (term, &place) in terms.iter().zip(places).filter(|(_, place)| **place > 0) {
            let at = term.blocks.start + place as usize - 1;
            let start = starts[at] as usize - term.start;
            let last = at + 1 == term.blocks.end;
            let end = if last { term.rows.len() } else { starts[at + 1] as usize - term.start };
            for (&row, value) in term.rows[start..end].iter().zip(&term.values[start..end]) {
                sums[(row - first) as usize] += term.weight * value;
            }
        }
    }
}

/// A bound, ordered.
#[derive(PartialEq)]
struct Bound(f32);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
