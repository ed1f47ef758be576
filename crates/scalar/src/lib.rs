//! Scalar indexes of one segment: which rows satisfy a condition, without reading the column.
//!
//! [`check_params`] says whether a field takes an index and what is to be built, [`build`] makes it
//! from Arrow columns, [`open`] maps what was written. A [`ScalarIndexSet`] holds the indexes of a
//! segment and answers the leaves of a filter ([`milvus_expr::ScalarIndexes`]).
//!
//! An index never changes a result: what it cannot answer exactly it answers with a superset, or not
//! at all. Bytes are checked when an index is opened: whatever they hold, nothing panics.
//!
//! | type | keys | rows of a key |
//! |---|---|---|
//! | INVERTED, STL_SORT | distinct values in order | list |
//! | TRIE | distinct strings in order, front coded | list |
//! | BITMAP | distinct values in order | list, or a bitmap where many rows have the key |
//! | HYBRID | as BITMAP if there are few keys, else as STL_SORT | |
//! | NGRAM | substrings of `min_gram` to `max_gram` characters | list of candidates |
//! | RTREE | envelopes, packed along a Hilbert curve | candidates |
//!
//! Not here: vector indexes (`index`), which segments need which index (`coord`), evaluation of
//! conditions over columns (`expr`).
#![warn(missing_docs)]

mod build;
mod container;
mod error;
mod index_type;
mod json;
mod keys;
mod ngram;
mod ordered;
mod params;
mod pointer;
mod postings;
mod row_set;
mod rtree;
mod scalar_index;
mod section;
mod set;
mod shape;
mod terms;

pub use build::{BuiltScalarIndex, build, estimate_build_bytes};
pub use error::{BuildError, OpenError, ScalarParamError};
pub use index_type::ScalarIndexType;
pub use params::{
    BITMAP_CARDINALITY_LIMIT, JSON_CAST_FUNCTION, JSON_CAST_TYPE, JSON_PATH, ScalarBuild,
    check_params, prepare_params,
};
pub use pointer::{json_path, json_pointer, parse_json_pointer};
pub use scalar_index::{ScalarIndex, open};
pub use section::Mapped;
pub use set::ScalarIndexSet;
pub use shape::JsonCast;
