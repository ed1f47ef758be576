//! What a walk measures distances in: 8-bit codes, or the vectors themselves.
//!
//! Codes are four times smaller than vectors and several times faster to compare, so a graph uses
//! them wherever they tell near rows apart (`codes::good_enough`); exact scores come later.

use milvus_kernel::prefetch::prefetch_lines;
use milvus_kernel::sq8;

use crate::score::{Metric, Query};

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
    match metric {
        Metric::L2 | Metric::Cosine => -2.0,
        Metric::Ip => -1.0,
    }
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

/// Rows as vectors.
#[derive(Clone, Copy)]
pub(crate) struct FloatSpace<'a> {
    pub(crate) metric: Metric,
    pub(crate) block: &'a [f32],
    pub(crate) dim: usize,
    /// Of all rows where the metric is cosine, else empty.
    pub(crate) inverse_norms: &'a [f32],
}

impl<'s> FloatSpace<'s> {
    /// A vector, to compare rows with. Distances are exact.
    pub(crate) fn query<'a>(&self, query: Query<'a>) -> FloatTarget<'a>
    where
        's: 'a,
    {
        FloatTarget { query, block: self.block, inverse_norms: self.inverse_norms }
    }
}

impl Space for FloatSpace<'_> {
    type Target<'a>
        = FloatTarget<'a>
    where
        Self: 'a;

    #[inline]
    fn target(&self, row: u32) -> FloatTarget<'_> {
        let row = row as usize;
        self.query(Query {
            metric: self.metric,
            vector: &self.block[row * self.dim..][..self.dim],
            inverse_norm: self.inverse_norms.get(row).copied().unwrap_or(1.0),
        })
    }
}

pub(crate) struct FloatTarget<'a> {
    query: Query<'a>,
    block: &'a [f32],
    inverse_norms: &'a [f32],
}

impl Target for FloatTarget<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        self.query.gather(self.block, self.inverse_norms, rows, out);
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        let dim = self.query.vector.len();
        prefetch_lines(&self.block[row as usize * dim..][..dim], 16);
    }
}
