//! Background work on flushed segments: index builds and compaction; export.
//!
//! A build maps a segment's columns, builds over the values where they lie and writes one index
//! container, of vectors or of scalars. A compaction maps segments and writes their rows anew, sorted
//! and without those that are gone, piece by piece. Both take memory from the governor first and wait
//! for room; both run on threads of their own, never on those that answer searches.
//!
//! An export ([`export`]) writes a segment's live rows as one Parquet file.
//!
//! Not here: which segments need which index or are compacted and the commit of what was made
//! (`coord`), the algorithms and the containers' bytes (`index`, `scalar`, `format`).

mod build;
mod column;
mod compact;
mod error;
pub mod export;
mod input;
mod output;
mod progress;
mod rows;
mod service;
mod sizes;
mod working;

pub use progress::BuildStatus;
pub use service::{DataOptions, DataService};
