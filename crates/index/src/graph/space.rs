//! What a walk measures distances in: 8-bit codes, or the vectors themselves.
//!
//! Codes are four times smaller than vectors and several times faster to compare, so a graph uses
//! them wherever they tell near rows apart (`codes::good_enough`); exact scores come later.

use milvus_kernel::prefetch::prefetch_lines;
use milvus_kernel::sq8;

use crate::compare::{Comparer, query_of};
use crate::score::Metric;
use crate::vectors::View;

/// Something that rows are compared with.
pub(crate) trait Target {
    /// The distances to `rows`, into `out` of the same length; smaller is nearer.
    fn distances(&self, rows: &[u32], out: &mut [f32]);

    /// Asks for what is compared of `row` to be brought near.
    fn prefetch(&self, row: u32);
}

/// Where rows lie and can be compared with each other.
pub(crate) trait Space: Sync {
    /// A row to compare others with.
    type Target<'a>: Target
    where
        Self: 'a;

    /// `row`, to compare others with.
    fn target(&self, row: u32) -> Self::Target<'_>;
}

/// Rows as codes.
#[derive(Clone, Copy)]
pub(crate) struct CodeSpace<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) factor: f32,
}

/// The factor of the inner product in distances of codes; see [`sq8`].
pub(crate) fn factor(metric: Metric) -> f32 {
    if metric == Metric::Ip { -1.0 } else { -2.0 }
}

/// What is added to squared distances of `unit`, a vector of length 1 where the metric is cosine: a zero
/// vector is at right angles to everything, which is a squared distance of 2, not 1.
pub(crate) fn zero_bias(metric: Metric, unit: &[f32]) -> f32 {
    f32::from(u8::from(metric == Metric::Cosine && unit.iter().all(|&x| x == 0.0)))
}

impl<'s> CodeSpace<'s> {
    /// A coded vector, to compare rows with.
    pub(crate) fn query<'a>(&self, coded: &'a [u8]) -> CodeTarget<'a>
    where
        's: 'a,
    {
        CodeTarget { query: coded, codes: self.codes, factor: self.factor }
    }
}

impl Space for CodeSpace<'_> {
    type Target<'a>
        = CodeTarget<'a>
    where
        Self: 'a;

    #[inline]
    fn target(&self, row: u32) -> CodeTarget<'_> {
        self.query(&self.codes[row as usize * self.stride..][..self.stride])
    }
}

pub(crate) struct CodeTarget<'a> {
    query: &'a [u8],
    codes: &'a [u8],
    factor: f32,
}

impl Target for CodeTarget<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        sq8::gather(self.query, self.codes, rows, self.factor, out);
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        let stride = self.query.len();
        prefetch_lines(&self.codes[row as usize * stride..][..stride], 16);
    }
}

/// Rows as vectors of any kind.
#[derive(Clone, Copy)]
pub(crate) struct RowSpace<'a> {
    pub(crate) metric: Metric,
    pub(crate) rows: View<'a>,
    /// Of all rows where the metric is cosine, else empty.
    pub(crate) inverse_norms: &'a [f32],
}

impl Space for RowSpace<'_> {
    type Target<'a>
        = Comparer<'a>
    where
        Self: 'a;

    #[inline]
    fn target(&self, row: u32) -> Comparer<'_> {
        let query = self.rows.row(row as usize);
        query_of(Comparer::new(self.metric, query, self.rows, self.inverse_norms))
    }
}

/// Distances are exact.
impl Target for Comparer<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        self.gather(rows, out);
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        Comparer::prefetch(self, row);
    }
}
