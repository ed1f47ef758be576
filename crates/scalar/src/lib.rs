//! Scalar indexes of one segment: which rows satisfy a condition, without reading the column.
#![warn(missing_docs)]
