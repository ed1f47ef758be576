//! How vectors are compared: a metric, and what it has to know besides.

use milvus_types::{DataType, MetricType};

use crate::score::Metric;

/// Bits of a hash under MHJACCARD where an index names no other, as in Milvus.
pub const HASH_BITS: usize = 8;

/// A metric with its parameters; a plain [`MetricType`] is one with Milvus's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The metric.
    pub metric: MetricType,
    /// `mh_element_bit_width`: bits of a hash under MHJACCARD, whole bytes; of no meaning elsewhere.
    pub hash_bits: usize,
}

impl Comparison {
    /// The metric of pairs of vectors of `data_type` that it is, if they have it.
    pub(crate) fn of(self, data_type: DataType) -> Option<Metric> {
        let metric = Metric::of(self.metric, data_type)?;
        let of_hashes = matches!(metric, Metric::MhJaccard { .. });
        let hash_bytes = (self.hash_bits / 8).max(1);
        Some(if of_hashes { Metric::MhJaccard { hash_bytes } } else { metric })
    }
}

impl From<MetricType> for Comparison {
    fn from(metric: MetricType) -> Self {
        Self { metric, hash_bits: HASH_BITS }
    }
}
