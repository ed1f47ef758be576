//! IVF: rows in lists around centroids; a search looks through the lists nearest to the query.
//!
//! Centroids are trained on a sample (`kmeans`). What a list holds beside its row numbers is for the
//! family to say (`codes`): nothing, so that the vectors themselves are compared; 8-bit codes;
//! product codes (`blocks`); or single bits (`signs`). Rows found by code get exact scores. A search goes on past `nprobe` lists until
//! it has seen `k` live rows, and a range search compares with all.
//!
//! Not here: sections of the container (`file`).

mod blocks;
mod codes;
mod file;
pub(crate) mod kmeans;
mod search;
mod signs;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::Bitset;
use milvus_types::{DataType, MetricType};

use crate::brute::{range_into, row_number};
use crate::compare::{Comparer, query_of};
use crate::error::BuildError;
use crate::graph::space::zero_bias;
use crate::index_type::IndexType;
use crate::params::{IvfCodes, IvfParams, SearchParams};
use crate::range::Range;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use codes::Codes;
pub(crate) use file::open;
use kmeans::Centroids;

/// Rows that a list must have on average; fewer lists are made where there are too few rows.
const ROWS_OF_A_LIST: usize = 39;

/// Lists over the rows of one segment.
pub(crate) struct Ivf {
    index_type: IndexType,
    metric: Metric,
    vectors: VectorData,
    centroids: Centroids,
    /// Where each list ends in `rows`.
    ends: Section<u32>,
    /// The rows of each list, list after list.
    rows: Section<u32>,
    /// Of the rows, in the order of `rows`.
    codes: Codes,
}

/// Bytes of memory that building takes at its peak, without the vectors.
pub(crate) fn estimate_bytes(params: &IvfParams, rows: usize, dim: usize) -> u64 {
    let code = match params.codes {
        IvfCodes::Vectors => milvus_kernel::sq8::stride(dim) * 2,
        IvfCodes::Sq8 => milvus_kernel::sq8::stride(dim) * 2,
        IvfCodes::Product(params) => params.m * 3 + 4,
        IvfCodes::Bits => signs::parts(dim) * 2 + signs::parts(dim) / 2 + signs::FACTS * 8,
    };
    let sample = rows.min(params.nlist * kmeans::SAMPLE_OF_A_LIST).min(kmeans::MOST_SAMPLED);
    let (rows, dim) = (rows as u64, dim as u64);
    rows * (code as u64 + 16) + (sample as u64 + params.nlist as u64 * 3) * dim * 4 + (1 << 20)
}

/// Builds lists over `vectors` on `threads` threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &IvfParams,
    vectors: VectorData,
    threads: usize,
    cancel: &AtomicBool,
) -> Result<Ivf, BuildError> {
    let rows = vectors.rows();
    let lists = params.nlist.min(rows / ROWS_OF_A_LIST).max(1);
    let centroids = Centroids::train(metric, &vectors, lists, threads, cancel);
    let mut nearest = centroids.assign(metric, &vectors, threads, cancel);
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    let (centroids, lists) = zero_rows_apart(metric, &vectors, centroids, &mut nearest);
    let mut order: Vec<u32> = (0..rows).map(row_number).collect();
    order.sort_by_key(|&row| nearest[row as usize]);
    let mut ends = vec![0u32; lists];
    nearest.iter().for_each(|&list| ends[list as usize] += 1);
    let mut end = 0;
    for count in &mut ends {
        end += *count;
        *count = end;
    }
    let codes = {
        let lists = (&*order, &*nearest, &*ends, &centroids);
        Codes::build(params.codes, metric, &vectors, lists, threads, cancel)
    };
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    Ok(Ivf { index_type, metric, vectors, centroids, ends: ends.into(), rows: order.into(), codes })
}

/// Gives rows of length 0 a list of their own where the metric is cosine, around a centroid of length
/// 0: they are at right angles to everything, which no code says of them. The number of lists.
fn zero_rows_apart(
    metric: Metric,
    vectors: &VectorData,
    centroids: Centroids,
    nearest: &mut [u32],
) -> (Centroids, usize) {
    let lists = centroids.len();
    let mut floats = Vec::new();
    let mut found = false;
    for (row, list) in nearest.iter_mut().enumerate().filter(|_| metric == Metric::Cosine) {
        kmeans::widen(metric, vectors.row(row), &mut floats);
        if zero_bias(metric, &floats) > 0.0 {
            *list = row_number(lists);
            found = true;
        }
    }
    if found { (centroids.with_zero(), lists + 1) } else { (centroids, lists) }
}

impl VectorIndex for Ivf {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        search::search(self, query, k, params, live, out);
    }

    /// Compares with every live row: lists cannot promise to hold all that are in range.
    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let comparer = query_of(Comparer::new(self.metric, query, self.vectors.view(), &[]));
        range_into(&comparer, self.rows(), live, range, limit, out);
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
        self.centroids.bytes() + self.ends.bytes() + self.rows.bytes() + self.codes.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        file::write(self, out)
    }
}
