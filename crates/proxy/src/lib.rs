//! The front door: validate, plan, route, merge. No protobuf, no HTTP.
//!
//! [`Proxy`] has one method for each request of [`api`]; `server` calls it from gRPC and REST.
//! Each request's checks run in Milvus's order and answer with its texts, because clients match
//! them; what Milvus would accept and this version does not serve is refused last, by name.
//!
//! Not here: the wire (`server`), who owns what (`coord`), rows and segments (`streaming`,
//! `query`).

mod aliases;
mod alter_collection;
mod alter_field;
pub mod api;
mod cell;
mod change_schema;
mod collections;
mod compaction;
mod consistency;
mod create_collection;
mod databases;
mod delete;
mod dynamic_keys;
mod fetch;
mod flush;
mod hybrid;
mod index;
mod insert;
mod introspect;
mod load;
mod metric;
mod options;
mod order_by;
mod output_fields;
mod partial_update;
mod partitions;
mod plan;
mod proxy;
mod query;
mod rate;
mod replan;
mod rerank;
mod search;
mod typed_column;
mod validate;
mod wire_text;

pub use options::ProxyOptions;
pub use proxy::Proxy;
