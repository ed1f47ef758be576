//! Vector indexes of one segment: build, write, open mapped, search.
//!
//! An index answers for the rows of one sealed segment. It does not keep the vectors: those are in
//! the segment's mapped file and are passed in as [`VectorData`], whatever their kind; it keeps what
//! finds them fast. Every family is behind one trait, [`VectorIndex`], in a file or folder of its
//! own, and is known by its Milvus name in [`registry`]. Scores are always the exact metric value of
//! the stored vectors, and a search always returns `min(k, live rows)` hits where every row is an
//! answer (see [`VectorIndex`]).
//!
//! Without an index: [`exact_search`] and its companions over any kind and metric, [`max_sim`] over
//! lists of vectors. What a client may ask for is answered by [`check_index`].
//!
//! Not here: un-indexed scalars (`expr`), which rows a request may see (`segment`), where the bytes
//! of an index lie (`storage`).
#![warn(missing_docs)]

mod annoy;
pub mod brute;
mod compare;
pub mod comparison;
pub mod container;
mod dense;
mod disk;
pub mod error;
mod flat;
mod graph;
pub mod index_type;
mod inverted;
mod ivf;
pub mod lists;
mod many;
mod minhash;
pub mod params;
mod pca;
mod points;
mod product;
mod range;
pub mod registry;
mod score;
mod section;
mod source;
mod sparse_rows;
pub mod vector_index;
pub mod vectors;

pub use brute::{
    brute_force, brute_force_many, brute_force_range, exact_range, exact_search, score_all,
    score_rows,
};
pub use comparison::Comparison;
pub use error::{BuildError, CompareError, IndexParamError, OpenError};
pub use index_type::IndexType;
pub use lists::{Lists, element_metric, max_sim, max_sim_all, max_sim_range};
pub use params::{
    AnnoyParams, Build, BuildKind, Depth, DiskParams, GraphCodes, GraphParams, IvfCodes, IvfParams,
    MinHashParams, SearchParams, SparseAlgo, SparseParams, VectorField, check_build_params,
    check_index, check_range_params, check_search_params,
};
pub use product::ProductParams;
pub use range::Range;
pub use registry::{BuiltIndex, build, estimate_build_bytes, open, open_file};
pub use score::has_metric;
pub use section::Mapped;
pub use source::ReadAt;
pub use vector_index::{Hit, VectorIndex};
pub use vectors::{
    Dense, QueryData, SparseRows, SparseShape, VectorData, VectorRef, VectorShape, Vectors,
    VectorsShape,
};
