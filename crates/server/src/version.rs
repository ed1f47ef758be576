//! The version that clients and users see.

/// The Milvus whose API is served, and after it the version of this program.
pub const VERSION: &str = concat!("2.6.17-rs.", env!("CARGO_PKG_VERSION"));
