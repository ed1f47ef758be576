//! DISKANN: how many links, how long the search for them, how much memory for codes and cache.
//!
//! Milvus replaces what it cannot use of DISKANN's parameters by its own; so are values out of reach
//! here.

use super::BuildKind;
use crate::params::number::{Created, I32_MAX};

/// Parts of a share.
const MILLION: f32 = 1e6;

/// The parameters of a graph on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskParams {
    /// `max_degree`: links of a row.
    pub degree: usize,
    /// `search_list_size`: candidates considered for a row's links.
    pub list: usize,
    /// `pq_code_budget_gb_ratio`: millionths of the vectors' size that codes may have in memory.
    pub code_share: u32,
    /// `search_cache_budget_gb_ratio`: millionths of the vectors' size that cached rows may have.
    pub cache_share: u32,
}

impl Default for DiskParams {
    fn default() -> Self {
        Self { degree: 56, list: 100, code_share: 125_000, cache_share: 100_000 }
    }
}

/// Of DISKANN, and of AISAQ, which is the same: nodes hold vectors in full, which tell more than the
/// codes that `inline_pq` would put there, so that how those are laid out (`rearrange`) changes nothing.
pub(super) fn diskann(params: Created<'_>) -> BuildKind {
    let default = DiskParams::default();
    let number = |key, most, default| params.given(key, 1, most).ok().flatten().unwrap_or(default);
    BuildKind::Disk(DiskParams {
        degree: number("max_degree", 2048, default.degree).max(2),
        list: number("search_list_size", I32_MAX, default.list),
        code_share: share(params, "pq_code_budget_gb_ratio").unwrap_or(default.code_share),
        cache_share: share(params, "search_cache_budget_gb_ratio").unwrap_or(default.cache_share),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is between 0 and 1"
)]
fn share(params: Created<'_>, key: &str) -> Option<u32> {
    let share = params.float(key, 0.0, 1.0, false).ok().flatten()?;
    Some((share * MILLION).round() as u32)
}
