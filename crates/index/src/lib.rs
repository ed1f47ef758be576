//! Vector indexes of one segment: build, write, open mapped, search.
//!
//! An index answers for the rows of one sealed segment. It does not keep the vectors: those are in
//! the segment's mapped file and are passed in as [`Vectors`]; it keeps what finds them fast. Every
//! family is behind one trait, [`VectorIndex`], in a file or folder of its own, and is known by its
//! Milvus name in [`registry`]. Scores are always the exact metric value of the stored vectors, and
//! a search always returns `min(k, live rows)` hits.
//!
//! Not here: un-indexed scalars (`expr`), which rows a request may see (`segment`), where the bytes
//! of an index lie (`storage`).
#![warn(missing_docs)]

pub mod brute;
pub mod container;
pub mod error;
mod flat;
mod graph;
pub mod index_type;
pub mod params;
mod range;
pub mod registry;
mod score;
mod section;
pub mod vector_index;
pub mod vectors;

pub use brute::{brute_force, brute_force_many, brute_force_range};
pub use error::{BuildError, IndexParamError, OpenError};
pub use index_type::IndexType;
pub use params::{
    Build, BuildKind, GraphParams, SearchParams, check_build_params, check_range_params,
    check_search_params,
};
pub use range::Range;
pub use registry::{BuiltIndex, build, estimate_build_bytes, open};
pub use section::Mapped;
pub use vector_index::{Hit, VectorIndex};
pub use vectors::{Vectors, VectorsShape};
