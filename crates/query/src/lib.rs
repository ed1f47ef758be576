//! Sealed segments: load, release, search.
//!
//! A delegator orders which segments to serve; this crate maps their files, checks them, opens them
//! as [`milvus_segment::SealedSegment`] and answers reads of them on the CPU pool.
//!
//! Not here: which rows a shard has and which snapshot to read (`streaming`), what is in a segment's
//! files (`format`, `index`), how one segment is searched (`segment`).

mod error;
mod files;
mod load;
mod residency;
mod served;
mod service;

pub use served::{CollectionMemory, QueryStats};
pub use service::QueryService;
