//! A query beside the rows it is compared with, whatever kind both are of.
//!
//! Distances are smaller for better rows; [`Metric::score`] turns them into scores. A distance of
//! infinity under a metric that only some rows meet (substructure, superstructure, sparse inner
//! product) says that a row is no answer at all, see [`Comparer::is_answer`].

use half::{bf16, f16};
use milvus_kernel::narrow::Narrow;
use milvus_kernel::prefetch::prefetch_lines;
use milvus_kernel::{binary, distance, sparse};

use crate::comparison::Comparison;
use crate::error::CompareError;
use crate::score::{Metric, Query};
use crate::sparse_rows::SparseView;
use crate::vectors::{VectorData, VectorRef, View};

/// Cache lines of a row that are prefetched; hardware follows from there.
const LINES: usize = 16;

/// A query ready to be compared with rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparer<'a> {
    pub(crate) metric: Metric,
    pair: Pair<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Pair<'a> {
    Float { query: Query<'a>, block: &'a [f32], norms: &'a [f32] },
    Float16(Numbers<'a, f16>),
    BFloat16(Numbers<'a, bf16>),
    Int8(Numbers<'a, i8>),
    Binary { query: &'a [u8], block: &'a [u8] },
    Sparse { query: &'a [u8], rows: SparseView<'a> },
}

/// A query and rows of narrow numbers.
#[derive(Clone, Copy, Debug)]
struct Numbers<'a, T> {
    query: &'a [T],
    inverse_norm: f32,
    block: &'a [T],
    norms: &'a [f32],
}

impl<'a, T: Narrow> Numbers<'a, T> {
    fn new(metric: Metric, query: &'a [T], block: &'a [T], norms: &'a [f32]) -> Self {
        let inverse_norm = if metric == Metric::Cosine { inverse_norm(query) } else { 1.0 };
        Self { query, inverse_norm, block, norms }
    }

    #[inline]
    fn row(&self, row: usize) -> &'a [T] {
        &self.block[row * self.query.len()..][..self.query.len()]
    }

    #[inline]
    fn distance(&self, metric: Metric, row: usize) -> f32 {
        let vector = self.row(row);
        if metric == Metric::L2 {
            return T::l2(self.query, vector);
        }
        let ip = T::ip(self.query, vector);
        if metric == Metric::Ip {
            return -ip;
        }
        let inverse = self.norms.get(row).copied().unwrap_or_else(|| inverse_norm(vector));
        -(ip * self.inverse_norm * inverse).clamp(-1.0, 1.0)
    }
}

fn inverse_norm<T: Narrow>(vector: &[T]) -> f32 {
    distance::inverse_norm(T::ip(vector, vector))
}

/// The metric that `comparison` is between queries and rows, which must fit each other.
pub(crate) fn check(
    comparison: impl Into<Comparison>,
    queries: &VectorData,
    rows: &VectorData,
) -> Result<Metric, CompareError> {
    check_shape(queries.view(), rows.view())?;
    let comparison = comparison.into();
    let (metric, data_type) = (comparison.metric, rows.data_type());
    comparison.of(data_type).ok_or(CompareError::Metric { metric, data_type })
}

fn check_shape(query: View<'_>, rows: View<'_>) -> Result<(), CompareError> {
    if query.data_type() != rows.data_type() {
        return Err(CompareError::Kind { got: query.data_type(), want: rows.data_type() });
    }
    if query.dim() != rows.dim() {
        return Err(CompareError::Dimension { got: query.dim(), want: rows.dim() });
    }
    Ok(())
}

/// The comparer of an index, whose callers promise queries of its kind and dimension.
pub(crate) fn query_of(comparer: Option<Comparer<'_>>) -> Comparer<'_> {
    match comparer {
        Some(comparer) => comparer,
        None => panic!("query and index are of different kinds or dimensions"),
    }
}

impl<'a> Comparer<'a> {
    /// `query` beside `rows`; `norms` are the rows' inverse norms, or empty. `None` where they are
    /// of different kinds or dimensions.
    pub(crate) fn new(
        metric: Metric,
        query: VectorRef<'a>,
        rows: View<'a>,
        norms: &'a [f32],
    ) -> Option<Self> {
        if query.dim() != rows.dim() {
            return None;
        }
        let pair = match (query, rows) {
            (VectorRef::Float(query), View::Float { block, .. }) => {
                Pair::Float { query: Query::new(metric, query), block, norms }
            }
            (VectorRef::Float16(query), View::Float16 { block, .. }) => {
                Pair::Float16(Numbers::new(metric, query, block, norms))
            }
            (VectorRef::BFloat16(query), View::BFloat16 { block, .. }) => {
                Pair::BFloat16(Numbers::new(metric, query, block, norms))
            }
            (VectorRef::Int8(query), View::Int8 { block, .. }) => {
                Pair::Int8(Numbers::new(metric, query, block, norms))
            }
            (VectorRef::Binary(query), View::Binary { block, .. }) => Pair::Binary { query, block },
            (VectorRef::Sparse(query), View::Sparse(rows)) => Pair::Sparse { query, rows },
            _ => return None,
        };
        Some(Self { metric, pair })
    }

    /// One for each of `queries`, which have been checked against `rows`.
    pub(crate) fn all(
        metric: Metric,
        queries: &'a VectorData,
        rows: View<'a>,
        norms: &'a [f32],
    ) -> Vec<Self> {
        queries.iter().filter_map(|query| Self::new(metric, query, rows, norms)).collect()
    }

    /// The query, where it is of floats.
    pub(crate) fn float_query(&self) -> Option<Query<'a>> {
        if let Pair::Float { query, .. } = self.pair { Some(query) } else { None }
    }

    /// All rows, where they are floats.
    pub(crate) fn float_block(&self) -> Option<&'a [f32]> {
        if let Pair::Float { block, .. } = self.pair { Some(block) } else { None }
    }

    /// Whether a row at `distance` is an answer.
    #[inline]
    pub(crate) fn is_answer(&self, distance: f32) -> bool {
        match self.pair {
            Pair::Binary { .. } => distance != f32::INFINITY,
            Pair::Sparse { .. } => distance < 0.0,
            Pair::Float { .. } | Pair::Float16(_) | Pair::BFloat16(_) | Pair::Int8(_) => true,
        }
    }

    /// Distances of the rows from `first` on, at most 64. `norms` are those rows' inverse norms, if
    /// the caller has computed them; see [`Self::tile_norms`].
    pub(crate) fn tile(&self, first: usize, norms: &[f32], out: &mut [f32]) {
        let metric = self.metric;
        let numbers = out.iter_mut().enumerate().map(|(i, out)| (first + i, out));
        match &self.pair {
            Pair::Float { query, block, norms: own } => {
                let dim = query.vector.len();
                let rows = out.len();
                let norms = own.get(first..first + rows).unwrap_or(norms);
                query.rows(&block[first * dim..][..rows * dim], norms, out);
            }
            Pair::Float16(pair) => numbers.for_each(|(row, d)| *d = pair.distance(metric, row)),
            Pair::BFloat16(pair) => numbers.for_each(|(row, d)| *d = pair.distance(metric, row)),
            Pair::Int8(pair) => numbers.for_each(|(row, d)| *d = pair.distance(metric, row)),
            Pair::Binary { query, block } => {
                numbers.for_each(|(row, d)| *d = bits(metric, query, row_of(block, query, row)));
            }
            Pair::Sparse { query, rows } => {
                numbers.for_each(|(row, d)| *d = -sparse::dot(query, rows.row(row)));
            }
        }
    }

    /// Distances of the rows named by `rows`.
    pub(crate) fn gather(&self, rows: &[u32], out: &mut [f32]) {
        let metric = self.metric;
        let each = || rows.iter().map(|&row| row as usize);
        match &self.pair {
            Pair::Float { query, block, norms } => query.gather(block, norms, rows, out),
            Pair::Float16(pair) => {
                out.iter_mut().zip(each()).for_each(|(d, row)| *d = pair.distance(metric, row));
            }
            Pair::BFloat16(pair) => {
                out.iter_mut().zip(each()).for_each(|(d, row)| *d = pair.distance(metric, row));
            }
            Pair::Int8(pair) => {
                out.iter_mut().zip(each()).for_each(|(d, row)| *d = pair.distance(metric, row));
            }
            Pair::Binary { query, block } => {
                for (d, row) in out.iter_mut().zip(each()) {
                    *d = bits(metric, query, row_of(block, query, row));
                }
            }
            Pair::Sparse { query, rows } => {
                for (d, row) in out.iter_mut().zip(each()) {
                    *d = -sparse::dot(query, rows.row(row));
                }
            }
        }
    }

    /// Whether several queries save work by sharing [`Self::tile_norms`].
    pub(crate) fn wants_tile_norms(&self) -> bool {
        matches!(&self.pair, Pair::Float { norms: [], .. }) && self.metric == Metric::Cosine
    }

    /// The inverse norms of the rows from `first` on.
    pub(crate) fn tile_norms(&self, first: usize, out: &mut [f32]) {
        if let Pair::Float { query, block, .. } = &self.pair {
            let dim = query.vector.len();
            distance::norms_squared(&block[first * dim..][..out.len() * dim], dim, out);
            out.iter_mut().for_each(|norm| *norm = distance::inverse_norm(*norm));
        }
    }

    /// Asks for `row` to be brought near.
    #[inline]
    pub(crate) fn prefetch(&self, row: u32) {
        let row = row as usize;
        match &self.pair {
            Pair::Float { query, block, .. } => {
                let dim = query.vector.len();
                prefetch_lines(&block[row * dim..][..dim], LINES);
            }
            Pair::Float16(pair) => prefetch_lines(pair.row(row), LINES),
            Pair::BFloat16(pair) => prefetch_lines(pair.row(row), LINES),
            Pair::Int8(pair) => prefetch_lines(pair.row(row), LINES),
            Pair::Binary { query, block } => prefetch_lines(row_of(block, query, row), LINES),
            Pair::Sparse { .. } => {}
        }
    }
}

#[inline]
fn row_of<'b>(block: &'b [u8], query: &[u8], row: usize) -> &'b [u8] {
    &block[row * query.len()..][..query.len()]
}

/// The distance of two bit strings.
#[inline]
fn bits(metric: Metric, query: &[u8], row: &[u8]) -> f32 {
    let found = |found: bool| if found { 0.0 } else { f32::INFINITY };
    match metric {
        Metric::Jaccard => binary::jaccard(query, row),
        Metric::Substructure => found(binary::is_subset(query, row)),
        Metric::Superstructure => found(binary::is_subset(row, query)),
        Metric::MhJaccard { hash_bytes } => {
            let hashes = query.len() / hash_bytes;
            let (query, row) = (&query[..hashes * hash_bytes], &row[..hashes * hash_bytes]);
            -(binary::equal_elements(query, row, hash_bytes) as f32 / hashes.max(1) as f32)
        }
        Metric::Hamming | Metric::L2 | Metric::Ip | Metric::Cosine => {
            binary::hamming(query, row) as f32
        }
    }
}

/// The inverse norms of `rows` where `metric` is cosine, else nothing.
pub(crate) fn inverse_norms(metric: Metric, rows: &VectorData) -> Vec<f32> {
    fn of<T: Narrow>(block: &[T], dim: usize) -> Vec<f32> {
        block.chunks_exact(dim.max(1)).map(inverse_norm).collect()
    }
    if metric != Metric::Cosine {
        return Vec::new();
    }
    match rows.view() {
        View::Float { block, dim } => {
            let mut norms = vec![0.0; rows.rows()];
            distance::norms_squared(block, dim, &mut norms);
            norms.iter_mut().for_each(|norm| *norm = distance::inverse_norm(*norm));
            norms
        }
        View::Float16 { block, dim } => of(block, dim),
        View::BFloat16 { block, dim } => of(block, dim),
        View::Int8 { block, dim } => of(block, dim),
        View::Binary { .. } | View::Sparse(_) => Vec::new(),
    }
}
