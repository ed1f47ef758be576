//! ANNOY: how many trees. Milvus has dropped the index; old clients still ask for it.

use super::BuildKind;
use crate::error::IndexParamError;
use crate::params::number::Created;

/// The parameters of a forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnoyParams {
    /// `n_trees`: trees, each over all rows.
    pub trees: usize,
}

pub(super) fn annoy(params: Created<'_>) -> Result<BuildKind, IndexParamError> {
    let trees = params.number("n_trees", 8, 1, 1024)?;
    Ok(BuildKind::Annoy(AnnoyParams { trees }))
}
