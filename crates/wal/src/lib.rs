//! The log: where a write is safe before it is acknowledged.
//!
//! [`Wal`] and [`LogChannel`] are the contract that every backend keeps (`log.rs` draws it);
//! [`local`] keeps it with files in the data directory; [`testing`] checks it.
//!
//! Records are opaque bytes here. What they mean, and which shards share a channel, is the business
//! of `streaming`.
#![warn(missing_docs)]

pub mod error;
pub mod local;
mod log;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

pub use error::{
    AppendError, IoFailed, OpenError, ReadError, RemoveError, TruncateError, WalDamaged,
};
pub use local::{LocalWal, LocalWalOptions, PlantedBug};
pub use log::{
    AppendFuture, Appended, ChannelStats, LogChannel, Position, Record, RecordReader, Wal, read_all,
};
