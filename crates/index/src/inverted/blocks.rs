//! Blocks of neighbouring rows, the most promising first.
//!
//! For each list and each block of rows that it reaches into, the index keeps where its postings begin
//! and the largest of their values, as a byte: a share of the list's largest, rounded up. A search adds
//! these up for every block, takes blocks by descending bound, sums their postings, and ends where the
//! bound of the next block is below the k-th best score. Bounds are rough, scores are exact: sums are
//! made of the values themselves, in the order of the dimensions, as a comparison row by row would.
//!
//! Rows are numbered anew, so that those with the same largest values lie together: then few blocks
//! hold what a query asks for, and the bounds of the others are low.
//!
//! A query with a weight below 0 takes the list's smallest value for all its blocks.
//!
//! Source: Mallia, Suel, Tonellotto, Faster Learned Sparse Retrieval with Block-Max Pruning (2024).

use std::collections::BinaryHeap;
use std::ops::Range;

use milvus_kernel::{Bitset, Scored, TopK, prefetch, sparse};

use crate::brute::row_number;
use crate::container::{Container, Tag};
use crate::error::OpenError;
use crate::inverted::{Inverted, WHOLE};
use crate::section::Section;
use crate::vectors::VectorData;

const LISTS: Tag = *b"blklists";
const BLOCKS: Tag = *b"blocks  ";
const STARTS: Tag = *b"blkstart";
const MOST: Tag = *b"blkmost ";
const ORDER: Tag = *b"order   ";

/// A list that reaches into one of so many blocks has an entry for every block.
const DENSE: usize = 3;
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
    /// The row that each place in the lists stands for.
    order: Section<u32>,
}

/// Rows of a block where `wanted` postings are asked for: half as many, since rows that lie together have
/// dimensions in common.
pub(super) fn rows_of(wanted: usize) -> usize {
    (wanted / 2).clamp(LEAST_ROWS, MOST_ROWS)
}

/// All rows, those with the same largest values together.
pub(super) fn order(vectors: &VectorData) -> Vec<u32> {
    let mut order: Vec<u32> = (0..vectors.rows()).map(row_number).collect();
    order.sort_by_cached_key(|&row| {
        let (mut first, mut second) = ((f32::NEG_INFINITY, 0), (f32::NEG_INFINITY, 0));
        for (dim, value) in sparse::pairs(vectors.row(row as usize).bytes()) {
            if value > first.0 {
                (first, second) = ((value, dim), first);
            } else if value > second.0 {
                second = (value, dim);
            }
        }
        (first.1, second.1, row)
    });
    order
}

impl Blocks {
    /// The blocks of `rows` rows each of the lists of `index`.
    pub(super) fn build(index: &Inverted, rows: usize, order: Vec<u32>) -> Self {
        let (mut lists, mut numbers) = (Vec::new(), Vec::new());
        let (mut starts, mut most) = (Vec::new(), Vec::new());
        let count = index.vectors.rows().div_ceil(rows);
        let mut start = 0;
        for list in 0..index.dims.as_slice().len() {
            let (members, values) = index.list(list);
            let inverse = WHOLE / index.most.as_slice()[list];
            let same = |a: &u32, b: &u32| *a as usize / rows == *b as usize / rows;
            let whole = members.chunk_by(same).count() * DENSE >= count;
            let first = numbers.len();
            let mut at = 0;
            for block in members.chunk_by(same) {
                let largest = values[at..][..block.len()].iter().copied().fold(0.0, f32::max);
                let number = block.first().map_or(0, |&row| row as usize / rows);
                // In a list that is in most blocks, every block is there, to be found by its number.
                while whole && numbers.len() - first < number {
                    numbers.push(row_number(numbers.len() - first));
                    starts.push(row_number(start + at));
                    most.push(0);
                }
                numbers.push(row_number(number));
                starts.push(row_number(start + at));
                most.push(rounded_up(largest * inverse));
                at += block.len();
            }
            while whole && numbers.len() - first < count {
                numbers.push(row_number(numbers.len() - first));
                starts.push(row_number(start + at));
                most.push(0);
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
            order: order.into(),
        }
    }

    pub(super) fn sections(&self) -> [(Tag, &[u8]); 5] {
        [
            (LISTS, self.lists.as_bytes()),
            (BLOCKS, self.numbers.as_bytes()),
            (STARTS, self.starts.as_bytes()),
            (MOST, self.most.as_bytes()),
            (ORDER, self.order.as_bytes()),
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
            order: container.section(ORDER, index.vectors.rows())?,
        };
        let order = opened.order.as_slice();
        let mut seen = Bitset::zeros(order.len());
        let places = order.iter().filter(|row| (**row as usize) < order.len());
        places.for_each(|&row| seen.set(row as usize));
        if seen.count() != order.len() {
            return Err(OpenError::malformed("the order of rows leaves some out"));
        }
        // What was written is what would be built: anything else could leave rows out.
        let fits = (LEAST_ROWS..=MOST_ROWS).contains(&rows);
        let want = fits.then(|| Self::build(index, rows, order.to_vec()));
        let same = |want: Self| want.sections() == opened.sections();
        if !want.is_some_and(same) {
            return Err(OpenError::malformed("blocks are not those of their lists"));
        }
        Ok(opened)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lists.bytes()
            + self.numbers.bytes()
            + self.starts.bytes()
            + self.most.bytes()
            + self.order.bytes()
    }

    /// The blocks of the `list`th list, as a range of the sections.
    fn of_list(&self, list: usize) -> Range<usize> {
        let lists = self.lists.as_slice();
        let start = list.checked_sub(1).map_or(0, |before| lists[before] as usize);
        start..lists[list] as usize
    }
}

/// A share of `WHOLE` as a byte that is no smaller.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such casts saturate")]
pub(super) fn rounded_up(share: f32) -> u8 {
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
    blocks: Range<usize>,
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
        .filter(|(bound, _)| **bound > 0.0 || bound.is_nan())
        .map(|(&bound, block)| (Bound(bound), block))
        .collect();
    let order = blocks.order.as_slice();
    let mut least = 0.0f32;
    // One block ahead, so that its postings arrive while another is summed.
    let (mut found, mut ahead) = (Vec::new(), Vec::new());
    let mut next = queue.pop();
    if let Some((_, block)) = next {
        walk.find(blocks, &terms, block as usize, &mut ahead);
    }
    while let Some((Bound(bound), block)) = next {
        if bound + walk.slack < least {
            break;
        }
        std::mem::swap(&mut found, &mut ahead);
        next = queue.pop();
        if let Some((_, block)) = next {
            walk.find(blocks, &terms, block as usize, &mut ahead);
        }
        let first = block as usize * blocks.rows;
        sum(&terms, &found, row_number(first), &mut sums);
        for (place, sum) in (first..).zip(&mut sums) {
            let sum = std::mem::take(sum);
            if sum <= 0.0 || sum < least {
                continue;
            }
            let row = order[place];
            if live.is_none_or(|live| live.get(row as usize))
                && top.push(Scored::new(-sum, row))
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
    /// For each term that is not in every block, where its entries are in `places`.
    tables: Vec<Option<usize>>,
    /// Tables of a number for each block: one more than which of the term's it is; 0 if none.
    places: Vec<u32>,
    slack: f32,
}

impl Walk {
    fn new(blocks: &Blocks, terms: &[Term<'_>], count: usize) -> Self {
        let mut tables = Vec::with_capacity(terms.len());
        let mut partial = 0;
        for term in terms {
            let whole = term.blocks.len() == count;
            tables.push((!whole).then_some(partial * count));
            partial += usize::from(!whole);
        }
        let mut bounds = vec![0.0f32; count];
        let mut places = vec![0u32; count * partial];
        let (numbers, most) = (blocks.numbers.as_slice(), blocks.most.as_slice());
        let mut all = 0.0;
        for (term, table) in terms.iter().zip(&tables) {
            let most = &most[term.blocks.clone()];
            if let Some(table) = table {
                let places = &mut places[*table..][..count];
                for ((&block, &most), place) in
                    numbers[term.blocks.clone()].iter().zip(most).zip(1..)
                {
                    bounds[block as usize] += term.step * f32::from(most) + term.anywhere;
                    places[block as usize] = place;
                }
            } else {
                for (bound, &most) in bounds.iter_mut().zip(most) {
                    *bound += term.step * f32::from(most) + term.anywhere;
                }
            }
            all += term.step * WHOLE + term.anywhere;
        }
        Self { bounds, tables, places, slack: all * SLACK }
    }

    /// Finds each term's postings of `block` and asks for them to be brought near.
    fn find(&self, blocks: &Blocks, terms: &[Term<'_>], block: usize, out: &mut Vec<Range<usize>>) {
        let starts = blocks.starts.as_slice();
        out.clear();
        for (term, table) in terms.iter().zip(&self.tables) {
            let place =
                table.map_or(block, |table| (self.places[table + block] as usize).wrapping_sub(1));
            if place >= term.blocks.len() {
                out.push(0..0);
                continue;
            }
            let at = term.blocks.start + place;
            let start = starts[at] as usize - term.start;
            let last = at + 1 == term.blocks.end;
            let end = if last { term.rows.len() } else { starts[at + 1] as usize - term.start };
            prefetch(&term.rows[start..end]);
            prefetch(&term.values[start..end]);
            out.push(start..end);
        }
    }
}

/// Adds the postings in `found` of each term up in `sums`, which are 0; the first is that of row
/// `first`.
fn sum(terms: &[Term<'_>], found: &[Range<usize>], first: u32, sums: &mut [f32]) {
    for (term, found) in terms.iter().zip(found) {
        let postings = term.rows[found.clone()].iter().zip(&term.values[found.clone()]);
        for (&row, value) in postings {
            sums[(row - first) as usize] += term.weight * value;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_never_less_than_its_share() {
        for share in [0.0, 1e-9, 0.999, 1.0, 1.000_001, 254.3, 255.0] {
            let byte = f32::from(rounded_up(share));
            assert!(byte >= share && byte <= share.ceil() + 1.0, "{share}");
        }
        assert_eq!((rounded_up(f32::NAN), rounded_up(-3.0)), (255, 0));
    }
}
