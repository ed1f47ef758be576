//! MINHASH_LSH: bands of hashes, and the width of a hash under MHJACCARD in any index.
//!
//! Milvus takes `mh_lsh_code_in_mem`, `with_raw_data` and `mh_lsh_bloom_false_positive_prob` too:
//! here buckets are mapped, vectors are always at hand, and there is no Bloom filter, so these are
//! read and change nothing.

use milvus_types::MetricType;

use super::BuildKind;
use crate::comparison::HASH_BITS;
use crate::error::IndexParamError;
use crate::params::number::{Created, I32_MAX};

/// The parameters of buckets of rows that share hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinHashParams {
    /// `mh_lsh_band`: bands that the hashes of a row are cut into; at most one for each hash.
    pub bands: usize,
}

impl Default for MinHashParams {
    fn default() -> Self {
        Self { bands: 1 }
    }
}

pub(super) fn minhash(
    metric: MetricType,
    params: Created<'_>,
) -> Result<BuildKind, IndexParamError> {
    if metric != MetricType::MhJaccard {
        return Err(IndexParamError::Create(format!(
            "metric type {metric} not found or not supported, supported: [MHJACCARD]"
        )));
    }
    let bands = params.number("mh_lsh_band", MinHashParams::default().bands, 1, I32_MAX)?;
    params.boolean("with_raw_data")?;
    params.float("mh_lsh_bloom_false_positive_prob", 0.0, 1.0, false)?;
    Ok(BuildKind::MinHash(MinHashParams { bands }))
}

/// The bits of a hash in vectors of `dim` bits.
pub(super) fn hash_bits(
    dim: usize,
    metric: MetricType,
    params: Created<'_>,
) -> Result<usize, IndexParamError> {
    if metric != MetricType::MhJaccard {
        return Ok(HASH_BITS);
    }
    let bits = params.number("mh_element_bit_width", HASH_BITS, 8, 256)?;
    if !bits.is_multiple_of(8) || !dim.is_multiple_of(bits) {
        return Err(IndexParamError::Create(format!(
            "the dimension of a vector (dim) should be a multiple of mh_element_bit_width, and that \
             of 8. Dimension: {dim}, mh_element_bit_width: {bits}"
        )));
    }
    Ok(bits)
}
