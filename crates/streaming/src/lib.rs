//! Streaming: the one owner of each shard. Gives a write its timestamp, makes it durable in the
//! log, applies it to growing segments and the primary-key index, flushes, and answers reads.
//!
//! Promises:
//! - a write is acknowledged only when its log record is durable and every later read sees it;
//! - records are applied in the order of the log, which is the order of their timestamps;
//! - a delete is resolved to (segment, row) when it is applied; there is no later stage;
//! - a segment answers from the growing copy until its flushed copy answers: no gap, no duplicate.
//!
//! The path of a write: [`StreamingService`] -> `shard::write` (timestamp and log) ->
//! `shard::state` (apply) -> acknowledgement. The path of a read: `shard::read` over the
//! `shard::distribution` of the moment. Flush, load and release happen in `shard::maintenance`,
//! one after another.
//!
//! Not here: segment search (`segment`), sealed segments (`query`), what is committed (`coord`).

mod options;
mod pchannel;
mod relief;
mod service;
mod shard;
mod stats;

pub use options::{PlantedBug, StreamingOptions};
pub use service::{StreamingParts, StreamingService};
pub use stats::StreamingStats;
