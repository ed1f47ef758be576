//! Scores as users see them and distances as searches order them: a smaller distance is better.
//!
//! [`Query`] is the part of float vectors; `compare` has every kind.

use milvus_kernel::{Scored, distance};
use milvus_types::{DataType, MetricType};

use crate::comparison::HASH_BITS;
use crate::vector_index::Hit;

/// Whether vectors of `data_type` can be compared, two at a time, under `metric`.
pub fn has_metric(data_type: DataType, metric: MetricType) -> bool {
    Metric::of(metric, data_type).is_some()
}

/// The metrics of pairs of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    L2,
    Ip,
    Cosine,
    Hamming,
    Jaccard,
    Substructure,
    Superstructure,
    /// The share of equal hashes, each of so many bytes.
    MhJaccard {
        hash_bytes: usize,
    },
}

/// How many times longer than the mean of the rows a query of inner products is made.
const STRETCHED: f32 = 64.0;

/// Makes `query`, an inner product with which orders rows, so long that `mean`, which codes of rows are
/// centred by, is little beside it: its length changes no order, and codes of the query less the mean
/// would else be spent on the mean.
pub(crate) fn stretch(query: &mut [f32], mean: &[f32]) {
    let (own, mean) = (distance::norm_squared(query).sqrt(), distance::norm_squared(mean).sqrt());
    let longer = STRETCHED * mean / own;
    if longer > 1.0 && longer.is_finite() {
        query.iter_mut().for_each(|x| *x *= longer);
    }
}

impl Metric {
    /// The metric of pairs of vectors that `metric` is, if it is one of `data_type`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other pairs go together")]
    pub(crate) fn of(metric: MetricType, data_type: DataType) -> Option<Self> {
        match data_type {
            DataType::FloatVector
            | DataType::Float16Vector
            | DataType::BFloat16Vector
            | DataType::Int8Vector => match metric {
                MetricType::L2 => Some(Self::L2),
                MetricType::Ip => Some(Self::Ip),
                MetricType::Cosine => Some(Self::Cosine),
                _ => None,
            },
            DataType::BinaryVector => match metric {
                MetricType::Hamming => Some(Self::Hamming),
                MetricType::Jaccard => Some(Self::Jaccard),
                MetricType::Substructure => Some(Self::Substructure),
                MetricType::Superstructure => Some(Self::Superstructure),
                MetricType::MhJaccard => Some(Self::MhJaccard { hash_bytes: HASH_BITS / 8 }),
                _ => None,
            },
            DataType::SparseFloatVector => (metric == MetricType::Ip).then_some(Self::Ip),
            _ => None,
        }
    }

    pub(crate) fn metric_type(self) -> MetricType {
        match self {
            Self::L2 => MetricType::L2,
            Self::Ip => MetricType::Ip,
            Self::Cosine => MetricType::Cosine,
            Self::Hamming => MetricType::Hamming,
            Self::Jaccard => MetricType::Jaccard,
            Self::Substructure => MetricType::Substructure,
            Self::Superstructure => MetricType::Superstructure,
            Self::MhJaccard { .. } => MetricType::MhJaccard,
        }
    }

    /// Whether a score is the distance with its sign turned.
    #[inline]
    fn is_similarity(self) -> bool {
        matches!(self, Self::Ip | Self::Cosine | Self::MhJaccard { .. })
    }

    /// The score of a distance.
    #[inline]
    pub(crate) fn score(self, distance: f32) -> f32 {
        // Subtracting from 0 keeps a score of 0 positive.
        if self.is_similarity() { 0.0 - distance } else { distance }
    }

    /// The hit that `scored` stands for.
    #[inline]
    pub(crate) fn hit(self, scored: Scored) -> Hit {
        Hit { row: scored.row(), score: self.score(scored.distance()) }
    }
}

/// A query of floats with what its metric, L2, IP or COSINE, needs to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) metric: Metric,
    pub(crate) vector: &'a [f32],
    pub(crate) inverse_norm: f32,
}

impl<'a> Query<'a> {
    pub(crate) fn new(metric: Metric, vector: &'a [f32]) -> Self {
        let inverse_norm = if metric == Metric::Cosine {
            distance::inverse_norm(distance::norm_squared(vector))
        } else {
            1.0
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
        if self.metric == Metric::L2 {
            return distance::l2_gather(self.vector, block, rows, out);
        }
        distance::ip_gather(self.vector, block, rows, out);
        if self.metric == Metric::Ip {
            out.iter_mut().for_each(|d| *d = -*d);
            return;
        }
        for (d, &row) in out.iter_mut().zip(rows) {
            let inverse = inverse_norms.get(row as usize).copied().unwrap_or_else(|| {
                let dim = self.vector.len();
                let row = &block[row as usize * dim..][..dim];
                distance::inverse_norm(distance::norm_squared(row))
            });
            *d = self.cosine(*d, inverse);
        }
    }

    /// Distances to every row of `block`, of at most 64 rows.
    ///
    /// `inverse_norms` are those of the same rows; empty means they are computed.
    pub(crate) fn rows(&self, block: &[f32], inverse_norms: &[f32], out: &mut [f32]) {
        if self.metric == Metric::L2 {
            return distance::l2_rows(self.vector, block, out);
        }
        if self.metric == Metric::Ip {
            distance::ip_rows(self.vector, block, out);
            out.iter_mut().for_each(|d| *d = -*d);
        } else if inverse_norms.len() == out.len() {
            distance::ip_rows(self.vector, block, out);
            for (d, &inverse) in out.iter_mut().zip(inverse_norms) {
                *d = self.cosine(*d, inverse);
            }
        } else {
            let mut norms = [0.0; 64];
            let norms = &mut norms[..out.len()];
            distance::ip_norm_rows(self.vector, block, out, norms);
            for (d, &norm) in out.iter_mut().zip(&*norms) {
                *d = self.cosine(*d, distance::inverse_norm(norm));
            }
        }
    }
}
