//! DISKANN: a graph whose nodes stay on disk, walked by codes in memory.
//!
//! A node is a row's vector and its links in one place (`nodes`), so each step of a walk is one read
//! of a sector, which brings the exact score of the row and the rows to look at next. Which of those
//! to read is decided by codes that are kept in memory (`codes`), an eighth of the vectors'
//! size unless `pq_code_budget_gb_ratio` says otherwise. The nodes around the entry, which every walk
//! passes, are kept too: `search_cache_budget_gb_ratio` of the vectors' size, but never more than four
//! thousandths, so that an index stays below 15 % of its vectors. The vectors of the segment are read
//! only where few rows are live and in range searches.
//!
//! An index that is opened from a file reads whole sectors at their places in it ([`crate::open_file`]);
//! one that is opened mapped touches them.
//!
//! Parts: `vamana` (building the graph), `pool` (candidates of a walk), `search`, `file`.
//!
//! Source: Subramanya et al., DiskANN (2019); docs/decisions/0007.

mod codes;
mod file;
mod nodes;
mod pool;
mod search;
mod vamana;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::Bitset;
use milvus_types::{DataType, MetricType};
use parking_lot::Mutex;

use crate::brute::range_into;
use crate::compare::{Comparer, query_of};
use crate::error::BuildError;
use crate::index_type::IndexType;
use crate::params::{Build, DiskParams, SearchParams};
use crate::points::{Points, width};
use crate::range::Range;
use crate::score::Metric;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use codes::Codes;
pub(crate) use file::{DEGREE, open};
use nodes::{Layout, Nodes};
use search::Scratch;
use vamana::{Builder, Space};

/// Millionths, in which shares are given.
const MILLION: u64 = 1_000_000;
/// The most of the vectors' size that cached nodes have, in millionths.
const MOST_CACHED: u32 = 4_000;

pub(crate) struct DiskAnn {
    index_type: IndexType,
    metric: Metric,
    params: DiskParams,
    vectors: VectorData,
    layout: Layout,
    /// The row that every walk starts from; `None` where there are no rows.
    entry: Option<u32>,
    codes: Codes,
    nodes: Nodes,
    scratch: Mutex<Vec<Scratch>>,
}

/// Bytes of memory that the code of a row of `vector_bytes` bytes may have.
fn code_budget(params: &DiskParams, vector_bytes: usize) -> usize {
    let bytes = vector_bytes as u64 * u64::from(params.code_share) / MILLION;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Bytes of memory that building takes at its peak, without the vectors.
pub(crate) fn estimate_bytes(params: &DiskParams, build: &Build, rows: usize) -> u64 {
    let number = if build.data_type == DataType::FloatVector { 4 } else { 2 };
    let wide = build.dim + usize::from(build.metric == MetricType::Ip);
    let budget = code_budget(params, build.dim * number);
    // Links, and the codes they are chosen by; those to search by come when these are gone.
    let while_linking = vamana::width(params.degree) * 4 + vamana::space_bytes(wide);
    let row = while_linking.max(params.degree * 4 + codes::row_bytes(build.dim, wide, budget));
    rows as u64 * (row as u64 + 4) + (1 << 18)
}

/// Builds a graph over `vectors` on `threads` threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &DiskParams,
    vectors: VectorData,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<DiskAnn, BuildError> {
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let points = Points::new(metric, &vectors);
    let space = Space::new(points, (rows, width(metric, dim)), threads, cancel);
    let builder =
        Builder { space: &space, rows, degree: params.degree, list: params.list, progress, cancel };
    let links = builder.run(threads)?;
    drop(space);
    let layout = Layout::new(&vectors, params.degree);
    let budget = code_budget(params, vectors.fixed_bytes().map_or(0, |(_, width)| width));
    let codes = Codes::build(metric, (&vectors, points), budget, threads, cancel);
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    Ok(DiskAnn {
        index_type,
        metric,
        params: *params,
        layout,
        entry: links.entry,
        codes,
        nodes: Nodes::Built(links),
        scratch: Mutex::default(),
        vectors,
    })
}

impl DiskAnn {
    /// The rows around the entry whose nodes are kept in memory, the nearest by steps first.
    fn around_entry(&self) -> Vec<u32> {
        let share = u64::from(self.params.cache_share.min(MOST_CACHED));
        let bytes = self.vectors.bytes() as u64 * share / MILLION;
        let most = bytes / self.layout.node_bytes() as u64;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.rows());
        let mut around: Vec<u32> = self.entry.into_iter().take(most).collect();
        let mut seen = Bitset::from_rows(around.iter().copied(), self.rows());
        let (mut node, mut near) = (nodes::Node::default(), Vec::new());
        let mut next = 0;
        while let (Some(&row), true) = (around.get(next), around.len() < most) {
            next += 1;
            near.clear();
            self.nodes.read(&self.layout, &self.vectors, row, &mut node);
            self.layout.links(&node, self.rows(), &mut near);
            for &row in &near {
                if around.len() < most && !seen.get(row as usize) {
                    seen.set(row as usize);
                    around.push(row);
                }
            }
        }
        around
    }
}

impl VectorIndex for DiskAnn {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let scratch = self.scratch.lock().pop();
        let mut scratch = scratch.unwrap_or_else(|| Scratch::new(self.rows()));
        search::search(self, query, k, params, live, &mut scratch, out);
        self.scratch.lock().push(scratch);
    }

    /// Compares with every live row of the segment: a graph cannot promise to have reached all that
    /// are in range.
    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let comparer = Comparer::new(self.metric, query, self.vectors.view(), &[]);
        range_into(&query_of(comparer), self.rows(), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
    }

    fn data_type(&self) -> DataType {
        self.vectors.data_type()
    }

    fn dim(&self) -> usize {
        self.vectors.dim()
    }

    fn metric(&self) -> MetricType {
        self.metric.metric_type()
    }

    fn index_type(&self) -> IndexType {
        self.index_type
    }

    fn memory_bytes(&self) -> u64 {
        self.codes.bytes() + self.nodes.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        file::write(self, out)
    }
}
