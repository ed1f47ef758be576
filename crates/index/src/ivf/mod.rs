//! IVF: rows in lists around centroids; a search looks through the lists nearest to the query.
//!
//! Centroids are trained on a sample (`kmeans`). What a list holds beside its row numbers is for the
//! family to say (`codes`): nothing, so that the vectors themselves are compared; scalar codes;
//! product codes (`blocks`); or bits of directions (`signs`, `planes`). Rows found by code get exact
//! scores. Rows far from all others are in no list (`strays`), and every search compares them. A search goes
//! on past `nprobe` lists while a filter leaves too little of them, and a range search compares with
//! all.
//!
//! Not here: sections of the container (`file`).

mod blocks;
mod codes;
mod file;
pub(crate) mod kmeans;
mod planes;
mod search;
mod signs;
mod strays;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::short_codes::{Layout, Width};
use milvus_kernel::{Bitset, sq8};
use milvus_types::{DataType, MetricType};

use crate::brute::{range_into, row_number};
use crate::compare::{Comparer, query_of};
use crate::error::BuildError;
use crate::graph::space::zero_bias;
use crate::index_type::IndexType;
use crate::params::{IvfCodes, IvfParams, SearchParams};
use crate::product;
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

/// Hundredths of a build that are training and assigning; the rest is coding.
const TRAINING: usize = 40;
const ASSIGNING: usize = 30;

/// Lists over the rows of one segment.
pub(crate) struct Ivf {
    index_type: IndexType,
    metric: Metric,
    vectors: VectorData,
    centroids: Centroids,
    /// Where each list ends in `rows`.
    ends: Section<u32>,
    /// The rows of each list, list after list, and behind the last those that are in none.
    rows: Section<u32>,
    /// Of the rows, in the order of `rows`.
    codes: Codes,
}

/// Bytes of memory that building takes at its peak, without the vectors: that of training, whose
/// sample is gone afterwards, or of coding, whichever takes more.
pub(crate) fn estimate_bytes(params: &IvfParams, rows: usize, dim: usize) -> u64 {
    let lists = params.nlist.min(rows / ROWS_OF_A_LIST).max(1);
    let sampled = rows.min(lists * kmeans::SAMPLE_OF_A_LIST).min(kmeans::MOST_SAMPLED);
    // Of each row: the sample, and its list; of each list: the sums of its rows.
    let training = sampled * (dim * 4 + 8) + lists * dim * 8;
    let kept = rows * 8 + lists * (dim * 4 + sq8::stride(dim));
    (kept + training.max(coding_bytes(params.codes, rows, dim)) + (1 << 16)) as u64
}

/// Bytes that coding takes at its peak: codes are put together from those of each thread.
fn coding_bytes(codes: IvfCodes, rows: usize, dim: usize) -> usize {
    let scalar = |width| rows * Layout::new(width, dim).stride() * 2;
    match codes {
        // Rows are numbered to find out whether codes are good enough.
        IvfCodes::Vectors => rows * (sq8::stride(dim) * 2 + 4),
        IvfCodes::Scalar(4) => scalar(Width::Four),
        IvfCodes::Scalar(6) => scalar(Width::Six),
        IvfCodes::Scalar(_) => rows * sq8::stride(dim) * 2,
        IvfCodes::Product(params) => {
            let learning = product::sampled(rows) * (dim + dim / params.m.max(1)) * 4;
            learning.max(rows * (params.m * params.stages * 2 + 8))
        }
        IvfCodes::Bits(bits) => {
            let more = u32::from(bits.max(1)) - 1;
            let planes = planes::bytes(signs::padded(dim), more);
            let facts = signs::FACTS + if more > 0 { planes::FACTS } else { 0 };
            rows * (signs::parts(dim) + facts * 4 + planes) * 2
        }
    }
}

/// Builds lists over `vectors` on `threads` threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &IvfParams,
    vectors: VectorData,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<Ivf, BuildError> {
    let rows = vectors.rows();
    let lists = params.nlist.min(rows / ROWS_OF_A_LIST).max(1);
    let strays = strays::strays(metric, &vectors, threads, cancel);
    let trained = |done, of| progress(rows * TRAINING * done / (100 * of), rows);
    let centroids =
        Centroids::train(metric, (&vectors, &strays), lists, (threads, cancel), &trained);
    progress(rows * TRAINING / 100, rows);
    let mut nearest = centroids.assign(metric, &vectors, threads, cancel);
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    progress(rows * (TRAINING + ASSIGNING) / 100, rows);
    let (centroids, lists) = zero_rows_apart(metric, &vectors, centroids, &mut nearest);
    let (order, ends) = ordered(&nearest, lists, &strays);
    let codes = {
        let lists = (&*order, &*nearest, &*ends, &centroids);
        Codes::build(params.codes, metric, &vectors, lists, threads, cancel)
    };
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    Ok(Ivf { index_type, metric, vectors, centroids, ends: ends.into(), rows: order.into(), codes })
}

/// The rows of each list, list after list, then `strays`; and where each list ends.
fn ordered(nearest: &[u32], lists: usize, strays: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut ends = vec![0u32; lists];
    let listed = |row: &u32| strays.binary_search(row).is_err();
    let mut order: Vec<u32> = (0..nearest.len()).map(row_number).filter(listed).collect();
    order.sort_by_key(|&row| nearest[row as usize]);
    order.iter().for_each(|&row| ends[nearest[row as usize] as usize] += 1);
    let mut end = 0;
    for count in &mut ends {
        end += *count;
        *count = end;
    }
    order.extend(strays);
    (order, ends)
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
