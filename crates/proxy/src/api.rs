//! What the front door takes and answers: one plain struct for each request and reply.
//!
//! No protobuf and no HTTP here: `server` turns the wire into these once, and back once. Vectors
//! and strings are Arrow arrays from the socket on.

mod aggregation;
mod ddl;
mod dml;
mod dql;

use milvus_types::ConsistencyLevel;

pub use aggregation::*;
pub use ddl::*;
pub use dml::*;
pub use dql::*;

/// What every request carries besides its body.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The database: the request's own `db_name`, else the `dbname` metadata, else `default`.
    pub db_name: String,
}

/// The level with wire number `number`, `Strong` if unknown.
pub fn consistency_level(number: i32) -> ConsistencyLevel {
    ConsistencyLevel::from_number(number).unwrap_or_default()
}
