//! Parameters of indexes and searches: Milvus's names, defaults, ranges and texts.
//!
//! Values arrive as text. Parameters that an index does not know are ignored, as in Milvus. Parts:
//! `rules` (which vectors may have which metric and index), `create`, `search`, `number` (how values
//! are read).
//!
//! Source: docs/compat/indexes.md.

mod create;
mod number;
mod rules;
mod search;

pub use create::{
    AnnoyParams, Build, BuildKind, DiskParams, GraphCodes, GraphParams, IvfCodes, IvfParams,
    MinHashParams, SparseAlgo, SparseParams, check_build_params, check_index,
};
pub use rules::VectorField;
pub use search::{Depth, SearchParams, check_range_params, check_search_params};
