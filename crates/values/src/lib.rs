//! What the bytes of a value mean: geometries, points in time, sparse rows, half floats.
#![warn(missing_docs)]
