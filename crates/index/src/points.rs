//! Rows and queries as points: floats whose Euclidean order is the metric's.
//!
//! COSINE: unit vectors. IP: one more dimension that makes all rows equally long, and is 0 in a
//! query, so that the nearest row is the one with the largest product.
//!
//! Source: Bachrach et al., Speeding Up the Xbox Recommender System (2014).

use milvus_kernel::distance;

use crate::ivf::kmeans::widen;
use crate::score::Metric;
use crate::vectors::{VectorData, VectorRef, View};

#[derive(Clone, Copy)]
pub(crate) struct Points<'a> {
    metric: Metric,
    rows: View<'a>,
    /// The squared length of the longest row where the metric is IP.
    longest: f32,
}

/// Dimensions of a point.
pub(crate) fn width(metric: Metric, dim: usize) -> usize {
    dim + usize::from(metric == Metric::Ip)
}

/// `query` as a point, into `out`.
pub(crate) fn query(metric: Metric, query: VectorRef<'_>, out: &mut Vec<f32>) {
    widen(metric, query, out);
    if metric == Metric::Ip {
        out.push(0.0);
    }
}

impl<'a> Points<'a> {
    pub(crate) fn new(metric: Metric, vectors: &'a VectorData) -> Self {
        let mut points = Self { metric, rows: vectors.view(), longest: 0.0 };
        if metric == Metric::Ip {
            let mut floats = Vec::new();
            for vector in vectors.iter() {
                widen(metric, vector, &mut floats);
                let length = distance::norm_squared(&floats);
                if length.is_finite() {
                    points.longest = points.longest.max(length);
                }
            }
        }
        points
    }

    /// Row `row` as a point, into `out`.
    pub(crate) fn read(&self, row: u32, out: &mut Vec<f32>) {
        widen(self.metric, self.rows.row(row as usize), out);
        if self.metric == Metric::Ip {
            out.push((self.longest - distance::norm_squared(out)).max(0.0).sqrt());
        }
    }
}
