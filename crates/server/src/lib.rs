//! The program behind the binary `milvus`, as a library so that tests can reach its parts.
//!
//! `server` knows the wire and nothing else: it reads configuration, assembles roles, turns gRPC
//! into calls of [`milvus_proxy::Proxy`] and its answers back, and serves the admin port. What a
//! request means is decided behind it.

pub mod admin;
pub mod check_command;
pub mod cli;
pub mod config;
pub mod grpc;
pub mod logging;
pub mod memory_watch;
pub mod metrics;
mod placement;
mod planted;
mod role_metrics;
pub mod run;
pub mod standalone;
pub mod start_error;
mod storage;
pub mod version;
pub mod wire;
