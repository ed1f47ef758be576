//! Root, data and query coordination.
