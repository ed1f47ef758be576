//! Codes of four or six bits for each dimension, for graphs and lists that were asked for them
//! (HNSW_SQ, IVF_SQ8 with `sq_type`).
//!
//! Vectors are widened, centred by the segment's mean and coded (`milvus_kernel::short_codes`); a
//! graph itself is built on better codes. A query keeps eight bits.

use milvus_kernel::distance;
use milvus_kernel::prefetch::prefetch_lines;
use milvus_kernel::short_codes::{Layout, Query};

use crate::graph::space::{Target, factor, zero_bias};
use crate::ivf::kmeans::{in_parts, widen};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::VectorData;

/// Cache lines of a row that are prefetched; hardware follows from there.
const LINES: usize = 8;

/// The codes of all rows.
pub(crate) struct Short {
    pub(crate) layout: Layout,
    /// What vectors are centred by, `[dim]`.
    pub(crate) mean: Section<f32>,
    /// `[rows, layout.stride()]`.
    pub(crate) rows: Section<u8>,
}

impl Short {
    /// The codes of the rows of `order`, in that order.
    pub(crate) fn build(
        metric: Metric,
        layout: Layout,
        vectors: &VectorData,
        mean: Vec<f32>,
        order: &[u32],
        threads: usize,
    ) -> Self {
        let stride = layout.stride();
        let parts = in_parts(order.len(), threads, |range| {
            let mut codes = vec![0; range.len() * stride];
            let (mut floats, mut centred) = (Vec::new(), Vec::new());
            for (&row, code) in order[range].iter().zip(codes.chunks_exact_mut(stride)) {
                widen(metric, vectors.row(row as usize), &mut floats);
                let bias = centre(metric, &floats, &mean, &mut centred);
                layout.encode(&centred, code);
                layout.set_bias(code, bias);
            }
            codes
        });
        Self { layout, mean: mean.into(), rows: parts.concat().into() }
    }

    /// `floats`, widened as the rows were, beside the codes; `centred` is scratch space.
    pub(crate) fn query(
        &self,
        metric: Metric,
        floats: &[f32],
        centred: &mut Vec<f32>,
    ) -> ShortTarget<'_> {
        let bias = centre(metric, floats, self.mean.as_slice(), centred);
        let query = Query::new(self.layout, centred, bias, factor(metric));
        ShortTarget { query, codes: self.rows.as_slice(), stride: self.layout.stride() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.mean.bytes() + self.rows.bytes()
    }
}

/// `floats` less `mean`, into `out`; what distances have of the vector alone.
fn centre(metric: Metric, floats: &[f32], mean: &[f32], out: &mut Vec<f32>) -> f32 {
    out.clear();
    out.extend(floats.iter().zip(mean).map(|(x, mean)| x - mean));
    let bias = if metric == Metric::Ip {
        -distance::ip(out, mean) - distance::norm_squared(mean) / 2.0
    } else {
        distance::norm_squared(out) + zero_bias(metric, floats)
    };
    if bias.is_finite() { bias } else { 0.0 }
}

impl ShortTarget<'_> {
    /// The distances of the consecutive rows from `first` on, into `out`.
    pub(crate) fn block(&self, first: usize, out: &mut [f32]) {
        let codes = &self.codes[first * self.stride..][..out.len() * self.stride];
        self.query.block(codes, out);
    }
}

/// A query beside the codes.
pub(crate) struct ShortTarget<'a> {
    query: Query,
    codes: &'a [u8],
    stride: usize,
}

impl Target for ShortTarget<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        self.query.gather(self.codes, rows, out);
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        prefetch_lines(&self.codes[row as usize * self.stride..][..self.stride], LINES);
    }
}
