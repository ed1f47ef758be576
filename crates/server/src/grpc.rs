//! The gRPC service: one function for each RPC that is served, in a file for each group.
//!
//! Such a function decodes a request, calls one method of [`Proxy`](milvus_proxy::Proxy) and encodes
//! its answer. An RPC that is not listed in [`service`] answers gRPC UNIMPLEMENTED, which SDKs know
//! how to fall back from; an error of a served one travels in the reply's status.

mod admission;
mod alias;
mod alter;
mod call;
mod collection;
mod compaction;
mod connection;
mod database;
mod delete;
mod flush;
mod hybrid;
mod index;
mod insert;
mod legacy;
mod load;
mod mutation;
mod partition;
mod query;
mod replica;
mod search;
mod segment;
pub mod serve;
pub mod service;
mod system_info;

pub use admission::Admission;
pub use service::Service;
