//! SPARSE_INVERTED_INDEX: for each dimension the rows that have it, searched exactly.
//!
//! Lists are added up in windows of rows by what each row can score at the most (`windows`), or, where
//! `inverted_index_algo` is one of the block-max names, in blocks of rows by what these can hold
//! (`blocks`). Both find the exact best rows and give them the same scores, to the bit. Weights below 0
//! and files from before there were windows are searched list after list (`taat`).
//! `drop_ratio_search` leaves the smallest values of a query out; scores are then those of what is left
//! of it.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `dims` | u32 × D | dimensions that occur, ascending |
//! | `postends` | u32 × D | where each dimension's rows end in `postrows` |
//! | `postrows`, `postvals` | u32, f32 × N | rows of each dimension, ascending, and their values |
//! | `order` | u32 × rows | where there are blocks: the row that each number in `postrows` stands for |
//! | `most`, `least` | f32 × D | the largest and smallest value of each dimension |
//! | `impacts`, `dense` | u8 × N, u8 × rows × lists | see `windows` |
//! | `blklists` | u32 × D | where each dimension's blocks end in the next three |
//! | `blocks`, `blkstart`, `blkmost` | u32, u32, u8 × B | see `blocks` |
//!
//! Parameters: where there are blocks `algo`, which says so, and `block`, their rows. Files without are
//! searched list after list.

mod blocks;
mod taat;
mod windows;

use std::io;

use milvus_kernel::{Bitset, sparse};
use milvus_types::index_meta::find;
use milvus_types::{DataType, KeyValue, MetricType};

use crate::brute::{range_into, row_number, search_into};
use crate::compare::{Comparer, query_of};
use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::index_type::IndexType;
use crate::params::{SearchParams, SparseAlgo, SparseParams};
use crate::range::Range;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use blocks::Blocks;
use windows::Windows;

const DIMS: Tag = *b"dims    ";
const ENDS: Tag = *b"postends";
const ROWS: Tag = *b"postrows";
const VALUES: Tag = *b"postvals";
const MOST: Tag = *b"most    ";
const LEAST: Tag = *b"least   ";

/// Parameters of files.
const ALGO: &str = "algo";
const BLOCK: &str = "block";

/// The largest impact: a list's largest value as a byte.
const WHOLE: f32 = 255.0;
/// With fewer than one live row in so many, live rows are compared one by one.
const FEW_LIVE: usize = 32;

pub(crate) struct Inverted {
    index_type: IndexType,
    vectors: VectorData,
    dims: Section<u32>,
    ends: Section<u32>,
    rows: Section<u32>,
    values: Section<f32>,
    most: Section<f32>,
    least: Section<f32>,
    search: Search,
}

/// How the lists are searched.
enum Search {
    /// One after another; of files from before there were windows.
    Lists,
    Windows(Windows),
    Blocks(Blocks),
}

/// Bytes of memory that building takes at its peak over rows of `bytes` bytes.
pub(crate) fn estimate_bytes(bytes: u64) -> u64 {
    // A posting while it is sorted, its place in the lists, and room for sorting.
    bytes / sparse::PAIR as u64 * (12 + 8 + 12) + (1 << 20)
}

impl Inverted {
    pub(crate) fn build(index_type: IndexType, params: &SparseParams, vectors: VectorData) -> Self {
        let order = match params.algo {
            SparseAlgo::Blocks => blocks::order(&vectors),
            SparseAlgo::Windows => (0..vectors.rows()).map(row_number).collect(),
        };
        let mut postings: Vec<(u32, u32, f32)> = Vec::with_capacity(vectors.bytes() / sparse::PAIR);
        for (place, &row) in (0..).zip(&order) {
            let pairs = sparse::pairs(vectors.row(row as usize).bytes());
            postings.extend(pairs.map(|(dim, value)| (dim, place, value)));
        }
        // Stable: places stay ascending within a dimension.
        postings.sort_by_key(|&(dim, _, _)| dim);
        let (mut dims, mut ends) = (Vec::new(), Vec::new());
        let (mut most, mut least) = (Vec::new(), Vec::new());
        let mut end = 0;
        for list in postings.chunk_by(|a, b| a.0 == b.0) {
            end += list.len();
            dims.push(list.first().map_or(0, |posting| posting.0));
            ends.push(row_number(end));
            let values = || list.iter().map(|posting| posting.2);
            most.push(values().fold(f32::NEG_INFINITY, f32::max));
            least.push(values().fold(f32::INFINITY, f32::min));
        }
        let mut built = Self {
            index_type,
            vectors,
            dims: dims.into(),
            ends: ends.into(),
            rows: postings.iter().map(|posting| posting.1).collect::<Vec<_>>().into(),
            values: postings.iter().map(|posting| posting.2).collect::<Vec<_>>().into(),
            most: most.into(),
            least: least.into(),
            search: Search::Lists,
        };
        drop(postings);
        if params.algo == SparseAlgo::Windows {
            built.search = Search::Windows(Windows::build(&built));
        } else {
            let rows = blocks::rows_of(params.block);
            built.search = Search::Blocks(Blocks::build(&built, rows, order));
        }
        built
    }

    pub(crate) fn open(
        index_type: IndexType,
        container: &Container,
        vectors: VectorData,
    ) -> Result<Self, OpenError> {
        let dims = container.count::<u32>(DIMS);
        let postings = container.count::<u32>(ROWS);
        let mut opened = Self {
            index_type,
            dims: container.section(DIMS, dims)?,
            ends: container.section(ENDS, dims)?,
            rows: container.section(ROWS, postings)?,
            values: container.section(VALUES, postings)?,
            most: container.section(MOST, dims)?,
            least: container.section(LEAST, dims)?,
            search: Search::Lists,
            vectors,
        };
        opened.check()?;
        match find(&container.header.params, ALGO) {
            None if Windows::are_in(container) => {
                opened.search = Search::Windows(Windows::open(container, &opened)?);
            }
            None => {}
            Some("blocks") => {
                let rows = container.header.number(BLOCK)?;
                opened.search = Search::Blocks(Blocks::open(container, rows, &opened)?);
            }
            Some(other) => return Err(OpenError::malformed(format!("algo is {other}"))),
        }
        Ok(opened)
    }

    /// Whether the lists make sense together.
    fn check(&self) -> Result<(), OpenError> {
        let (dims, ends) = (self.dims.as_slice(), self.ends.as_slice());
        let reach = ends.last().map_or(0, |&end| end as usize);
        if !dims.is_sorted_by(|a, b| a < b)
            || !ends.is_sorted()
            || reach != self.rows.as_slice().len()
        {
            return Err(OpenError::malformed("posting lists make no sense"));
        }
        let rows = self.vectors.rows();
        for list in 0..dims.len() {
            let (list, _) = self.list(list);
            let last = list.last().is_none_or(|&row| (row as usize) < rows);
            if !last || !list.is_sorted_by(|a, b| a < b) {
                return Err(OpenError::malformed(format!(
                    "rows of a posting list are not ascending below {rows}"
                )));
            }
        }
        Ok(())
    }

    /// Where the postings of the `list`th dimension begin.
    fn start(&self, list: usize) -> usize {
        list.checked_sub(1).map_or(0, |before| self.ends.as_slice()[before] as usize)
    }

    /// The rows and values of the `list`th dimension.
    fn list(&self, list: usize) -> (&[u32], &[f32]) {
        let ends = self.ends.as_slice();
        let range = self.start(list)..ends[list] as usize;
        (&self.rows.as_slice()[range.clone()], &self.values.as_slice()[range])
    }

    fn comparer<'a>(&'a self, query: VectorRef<'a>) -> Comparer<'a> {
        query_of(Comparer::new(Metric::Ip, query, self.vectors.view(), &[]))
    }
}

/// What is left of `query` without the given share of its smallest values.
fn dropped(query: &[u8], ratio: f32) -> Vec<u8> {
    let mut sizes: Vec<f32> = sparse::pairs(query).map(|(_, value)| value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is one"
    )]
    let least = sizes.get((sizes.len() as f32 * ratio) as usize).copied().unwrap_or_default();
    let kept = query.as_chunks::<{ sparse::PAIR }>().0.iter().zip(sparse::pairs(query));
    kept.filter(|(_, (_, value))| value.abs() >= least).flat_map(|(bytes, _)| *bytes).collect()
}

impl VectorIndex for Inverted {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let kept;
        let query = if params.drop_ratio > 0.0 {
            kept = dropped(query.bytes(), params.drop_ratio);
            VectorRef::Sparse(&kept)
        } else {
            query
        };
        let comparer = self.comparer(query);
        if live.is_some_and(|live| live.count() * FEW_LIVE < self.rows()) {
            return search_into(&comparer, self.rows(), live, k, out);
        }
        let top = match &self.search {
            Search::Lists => taat::search(self, query.bytes(), k, live),
            Search::Windows(windows) => {
                let query = query.bytes();
                windows::search(self, windows, (query, &comparer), k, live)
                    .unwrap_or_else(|| taat::search(self, query, k, live))
            }
            Search::Blocks(blocks) => blocks::search(self, blocks, query.bytes(), k, live),
        };
        out.clear();
        out.extend(top.into_sorted().into_iter().map(|scored| comparer.metric.hit(scored)));
    }

    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        range_into(&self.comparer(query), self.rows(), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
    }

    fn data_type(&self) -> DataType {
        self.vectors.data_type()
    }

    fn dim(&self) -> usize {
        0
    }

    fn metric(&self) -> MetricType {
        MetricType::Ip
    }

    fn index_type(&self) -> IndexType {
        self.index_type
    }

    fn memory_bytes(&self) -> u64 {
        self.dims.bytes()
            + self.ends.bytes()
            + self.rows.bytes()
            + self.values.bytes()
            + self.most.bytes()
            + self.least.bytes()
            + match &self.search {
                Search::Lists => 0,
                Search::Windows(windows) => windows.bytes(),
                Search::Blocks(blocks) => blocks.bytes(),
            }
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut params = Vec::new();
        let mut sections: Vec<(Tag, &[u8])> = vec![
            (DIMS, self.dims.as_bytes()),
            (ENDS, self.ends.as_bytes()),
            (ROWS, self.rows.as_bytes()),
            (VALUES, self.values.as_bytes()),
            (MOST, self.most.as_bytes()),
            (LEAST, self.least.as_bytes()),
        ];
        match &self.search {
            Search::Lists => {}
            Search::Windows(windows) => sections.extend(windows.sections()),
            Search::Blocks(blocks) => {
                params.push(KeyValue::new(ALGO, "blocks"));
                params.push(KeyValue::new(BLOCK, blocks.rows.to_string()));
                sections.extend(blocks.sections());
            }
        }
        let header = Header {
            index_type: self.index_type.name().to_owned(),
            metric: self.metric(),
            dim: 0,
            rows: self.rows(),
            params,
        };
        container::write(out, &header, &sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_values_of_a_query_are_left_out() {
        let query: Vec<u8> = [(1u32, 0.5f32), (4, -3.0), (5, 2.0), (9, 0.1), (10, 1.0)]
            .iter()
            .flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat())
            .collect();
        let left = |ratio| -> Vec<u32> {
            sparse::pairs(&dropped(&query, ratio)).map(|(dim, _)| dim).collect()
        };
        assert_eq!(left(0.0), [1, 4, 5, 9, 10]);
        assert_eq!(left(0.2), [1, 4, 5, 10]);
        assert_eq!(left(0.4), [4, 5, 10]);
        assert_eq!(left(0.99), [4]);
        assert!(dropped(&[], 0.5).is_empty());
    }
}
