//! The log: where a write is safe before it is acknowledged.
//!
//! [`Wal`] and [`LogChannel`] are the contract that every backend keeps (`log.rs` draws it);
//! [`local`] keeps it with files in the data directory, [`object`] with objects in an object store;
//! [`testing`] checks it.
//!
//! Records are opaque bytes here. What they mean, and which shards share a channel, is the business
//! of `streaming`.
#![warn(missing_docs)]

mod channel_name;
pub mod error;
mod failpoints;
pub mod local;
mod log;
pub mod object;
mod planted;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

pub use error::{
    AppendError, IoFailed, OpenError, ReadError, RemoveError, StoreFailed, TruncateError,
    WalDamaged,
};
pub use failpoints::FAILPOINTS;
pub use local::{LocalWal, LocalWalOptions};
pub use log::{
    AppendFuture, Appended, ChannelStats, LogChannel, Position, Record, RecordReader, Wal, read_all,
};
pub use object::{ObjectWal, ObjectWalOptions};
pub use planted::PlantedBug;
