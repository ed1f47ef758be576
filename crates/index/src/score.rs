//! Scores as users see them and distances as searches order them: a smaller distance is better.

use milvus_kernel::{Scored, distance};
use milvus_types::MetricType;

use crate::vector_index::Hit;

/// The metrics of float vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    L2,
    Ip,
    Cosine,
}

impl Metric {
    /// The metric of float vectors that `metric` is, if it is one.
    pub(crate) fn of(metric: MetricType) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not for floats")]
        match metric {
            MetricType::L2 => Some(Self::L2),
            MetricType::Ip => Some(Self::Ip),
            MetricType::Cosine => Some(Self::Cosine),
            _ => None,
        }
    }

    pub(crate) fn metric_type(self) -> MetricType {
        match self {
            Self::L2 => MetricType::L2,
            Self::Ip => MetricType::Ip,
            Self::Cosine => MetricType::Cosine,
        }
    }

    /// The hit that `scored` stands for.
    #[inline]
    pub(crate) fn hit(self, scored: Scored) -> Hit {
        let score = match self {
            Self::L2 => scored.distance(),
            // Subtracting from 0 keeps a score of 0 positive.
            Self::Ip | Self::Cosine => 0.0 - scored.distance(),
        };
        Hit { row: scored.row(), score }
    }
}

/// A query with what its metric needs to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) metric: Metric,
    pub(crate) vector: &'a [f32],
    pub(crate) inverse_norm: f32,
}

impl<'a> Query<'a> {
    pub(crate) fn new(metric: Metric, vector: &'a [f32]) -> Self {
        let inverse_norm = match metric {
            Metric::Cosine => distance::inverse_norm(distance::norm_squared(vector)),
            Metric::L2 | Metric::Ip => 1.0,
        };
        Self { metric, vector, inverse_norm }
    }

    /// The distance of cosine, from the inner product and the row's inverse norm.
    #[inline]
    pub(crate) fn cosine(&self, ip: f32, row_inverse_norm: f32) -> f32 {
        -(ip * self.inverse_norm * row_inverse_norm).clamp(-1.0, 1.0)
    }

    /// Distances to the rows of `block` named by `rows`.
    ///
    /// `inverse_norms` are those of all rows of the block; empty means they are computed.
    pub(crate) fn gather(
        &self,
        block: &[f32],
        inverse_norms: &[f32],
        rows: &[u32],
        out: &mut [f32],
    ) {
        match self.metric {
            Metric::L2 => distance::l2_gather(self.vector, block, rows, out),
            Metric::Ip => {
                distance::ip_gather(self.vector, block, rows, out);
                out.iter_mut().for_each(|d| *d = -*d);
            }
            Metric::Cosine => {
                distance::ip_gather(self.vector, block, rows, out);
                for (d, &row) in out.iter_mut().zip(rows) {
                    let inverse = inverse_norms.get(row as usize).copied().unwrap_or_else(|| {
                        let dim = self.vector.len();
                        let row = &block[row as usize * dim..][..dim];
                        distance::inverse_norm(distance::norm_squared(row))
                    });
                    *d = self.cosine(*d, inverse);
                }
            }
        }
    }

    /// Distances to every row of `block`, of at most 64 rows.
    ///
    /// `inverse_norms` are those of the same rows; empty means they are computed.
    pub(crate) fn rows(&self, block: &[f32], inverse_norms: &[f32], out: &mut [f32]) {
        match self.metric {
            Metric::L2 => distance::l2_rows(self.vector, block, out),
            Metric::Ip => {
                distance::ip_rows(self.vector, block, out);
                out.iter_mut().for_each(|d| *d = -*d);
            }
            Metric::Cosine if inverse_norms.len() == out.len() => {
                distance::ip_rows(self.vector, block, out);
                for (d, &inverse) in out.iter_mut().zip(inverse_norms) {
                    *d = self.cosine(*d, inverse);
                }
            }
            Metric::Cosine => {
                let mut norms = [0.0; 64];
                let norms = &mut norms[..out.len()];
                distance::ip_norm_rows(self.vector, block, out, norms);
                for (d, &norm) in out.iter_mut().zip(&*norms) {
                    *d = self.cosine(*d, distance::inverse_norm(norm));
                }
            }
        }
    }
}

/// The inverse norms of the rows of `block`.
pub(crate) fn inverse_norms(block: &[f32], dim: usize) -> Vec<f32> {
    let mut norms = vec![0.0; block.len() / dim];
    distance::norms_squared(block, dim, &mut norms);
    norms.iter_mut().for_each(|norm| *norm = distance::inverse_norm(*norm));
    norms
}
