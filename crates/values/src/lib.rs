//! What the bytes of a value mean: geometries, points in time, sparse rows.
//!
//! Pure functions between the forms clients use (WKT, ISO 8601, wire rows) and those of
//! [`milvus_types::columns`]. Text and bytes of any kind are an `Err` when they are wrong.
#![warn(missing_docs)]

pub mod geometry;
pub mod sparse;
pub mod timestamptz;
