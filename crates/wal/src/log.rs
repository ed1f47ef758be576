//! The contract of the log: channels of records that survive everything once acknowledged.
//!
//! ```text
//!            trim point                                   end
//!                v                                         v
//!   ..dropped.. [ r ][ r ][ r ][ r ][ r ][ r ][ r ][ r ][ r ]  (queued: not durable yet)
//!                ^                        ^
//!            position                   next = where a reader goes on
//! ```
//!
//! What every backend promises, and [`testing`](crate::testing) checks:
//!
//! 1. **Durable.** When an append resolves with `Ok`, its record survives the end of the process and
//!    of power. An append that failed, or was never awaited, may or may not be found later, unless its
//!    error says that it is not in the log; it is never found twice.
//! 2. **In order.** Records lie in the log in the order of the calls of `append`, each exactly as it
//!    was written or, if its bytes were damaged since, reported as [`WalDamaged`](crate::WalDamaged).
//! 3. **Readable** from the trim point, or from any position that an append or a record gave, up to
//!    the end. Readers see durable records only.
//! 4. **Trimmed, never holed.** `truncate(before)` gives up records before `before`, and may keep
//!    some of them; it never touches one at or after it. Repeating it changes nothing.
//! 5. **Fenced.** Opening a channel with a higher term ends the older handle: its next append fails,
//!    and what it had not yet written is not written any more. A lower term than the log has seen is
//!    refused. A term counts as seen by the log from its first record on, or earlier.
//! 6. **Whole.** What is found after a crash, or after damage, is the longest prefix of the log that is
//!    sound. If an acknowledged record is missing from it, opening or reading says so and names the file
//!    or object and the byte; the one exception is the end of a log in files, where records that were cut
//!    off look like a write that was cut short.
//! 7. **Self-healing.** When the disk or the store fails, appends fail with an error that says which; when
//!    it works again, so does the open channel. No restart is needed.
//!
//! ```text
//!                     append
//!                       |
//!                     queued ---- closed, fenced, refused ------> not in the log
//!                       |
//!                    written ---- the new owner's comes first --> not in the log
//!                    /     \
//!             durable       no answer, sync failed, crash ------> in doubt: found once, or never
//!                |
//!           acknowledged ---- until it is given up -------------> found
//! ```
//!
//! | | `rocksmq` ([`LocalWal`](crate::LocalWal)) | `woodpecker` ([`ObjectWal`](crate::ObjectWal)) |
//! |---|---|---|
//! | a batch is | written to a file, then synced | one object, put if nothing has its name |
//! | owners in other processes | are kept out by a lock | are fenced by claims |
//! | positions count | bytes of records | records |
//! | truncation frees | whole files | whole objects |
//!
//! Positions only compare within one channel. They grow, and are not dense.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{AppendError, OpenError, ReadError, RemoveError, TruncateError};

/// A place in a channel's log: that of a record, or the one after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Where the first record of a channel goes.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an acknowledged record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position.
    pub position: Position,
    /// The position after it: reading from here goes on with the next record.
    pub next: Position,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its position.
    pub position: Position,
    /// The position after it.
    pub next: Position,
    /// What was appended, in one piece. It may share memory with its neighbours.
    pub payload: Bytes,
}

/// What a channel has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// Records made durable.
    pub records: u64,
    /// Their bytes, framing included.
    pub bytes: u64,
    /// Batches written.
    pub batches: u64,
    /// Times the disk was told to make data durable.
    pub syncs: u64,
    /// Records that wait to be written.
    pub queued: usize,
}

/// The outcome of an append, once it is known. Dropping it does not take the record back.
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

/// Reads records in order. Blocks on I/O: use it inside `milvus_base::io::run`.
///
/// Ends at the channel's end as it is then; after that `next` may give what was appended since.
/// After an error it gives nothing more.
pub trait RecordReader: Iterator<Item = Result<Record, ReadError>> + Send {}

impl<R: Iterator<Item = Result<Record, ReadError>> + Send> RecordReader for R {}

/// A set of channels.
#[async_trait]
pub trait Wal: Send + Sync {
    /// Opens `channel` as its owner of `term`, making it if there is none, and fences any owner of
    /// a lower term. The same term may open again only after its earlier handle is closed or dropped.
    async fn open(&self, channel: &str, term: u64) -> Result<Arc<dyn LogChannel>, OpenError>;

    /// The channels that have records, by name.
    async fn channels(&self) -> Result<Vec<String>, OpenError>;

    /// Removes `channel` with all its records; one that does not exist is no error. An open handle
    /// is closed first.
    async fn remove(&self, channel: &str) -> Result<(), RemoveError>;
}

/// One channel, open.
#[async_trait]
pub trait LogChannel: Send + Sync {
    /// Queues a record made of `payload`'s parts put together, and gives a future of its outcome.
    ///
    /// The order of calls is the order in the log; the future resolves when the record is durable,
    /// in the order of the log. Call it inside a runtime.
    fn append(&self, payload: Vec<Bytes>) -> AppendFuture;

    /// Reads the records at and after `from`.
    fn read(&self, from: Position) -> Box<dyn RecordReader>;

    /// Gives up records before `before`, which must not lie beyond the end.
    async fn truncate(&self, before: Position) -> Result<(), TruncateError>;

    /// The lowest position that can be read.
    fn trim_point(&self) -> Position;

    /// The position after the last durable record.
    fn end(&self) -> Position;

    /// The term it was opened with.
    fn term(&self) -> u64;

    /// What it has done since it was opened.
    fn stats(&self) -> ChannelStats;

    /// Refuses further appends and returns once those queued have their outcome.
    async fn close(&self);
}

/// Reads every record at and after `from` into memory. For logs known to be small.
pub async fn read_all(channel: &dyn LogChannel, from: Position) -> Result<Vec<Record>, ReadError> {
    let reader = channel.read(from);
    milvus_base::io::try_run(move || reader.collect()).await
}
