//! SPARSE_INVERTED_INDEX: how posting lists are searched.
//!
//! Every algorithm finds the same rows with the same scores. What Milvus takes besides is checked and
//! changes nothing: `inverted_index_codec`, `quant_type`, `sindi_window_size`, `drop_ratio_build` (out
//! of use in Milvus too), and `bm25_k1` and `bm25_b`, which only the metric BM25 has a use for.

use super::{BuildKind, one_of};
use crate::error::IndexParamError;
use crate::params::number::{Created, I32_MAX};

const ALGOS: &[&str] =
    &["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"];
const CODECS: &[&str] = &["block_streamvbyte", "block_maskedvbyte"];

/// How posting lists are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparseAlgo {
    /// `TAAT_NAIVE`, `DAAT_WAND`, `DAAT_MAXSCORE`, `SINDI`, and where none is named: windows of rows, what
    /// each row can score at the most added up from bytes; the few that matter get exact scores.
    Windows,
    /// `BLOCK_MAX_WAND`, `BLOCK_MAX_MAXSCORE`: blocks of rows, the most promising first; those that cannot
    /// matter are skipped.
    Blocks,
}

/// The parameters of posting lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseParams {
    /// `inverted_index_algo`.
    pub algo: SparseAlgo,
    /// `block_max_block_size`: postings of a block, roughly.
    pub block: usize,
}

impl Default for SparseParams {
    fn default() -> Self {
        Self { algo: SparseAlgo::Windows, block: 128 }
    }
}

pub(super) fn sparse(params: Created<'_>) -> Result<BuildKind, IndexParamError> {
    one_of(params, "inverted_index_algo", "sparse inverted index algo", ALGOS)?;
    one_of(params, "inverted_index_codec", "inverted_index_codec", CODECS)?;
    one_of(params, "quant_type", "quant_type", &["fp16", "fp32"])?;
    params.float("bm25_k1", 0.0, 3.0, false)?;
    params.float("bm25_b", 0.0, 1.0, false)?;
    params.float("drop_ratio_build", 0.0, 1.0, true)?;
    let default = SparseParams::default();
    let block = params.number("block_max_block_size", default.block, 1, I32_MAX)?;
    params.number("sindi_window_size", 65535, 1024, 65535)?;
    let algo = match params.text("inverted_index_algo") {
        Some("BLOCK_MAX_WAND" | "BLOCK_MAX_MAXSCORE") => SparseAlgo::Blocks,
        _ => default.algo,
    };
    Ok(BuildKind::Sparse(SparseParams { algo, block }))
}
