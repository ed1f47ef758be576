//! Errors of the log: one struct for each condition that several operations share, one enum for each
//! operation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milvus_base::Panicked;
use milvus_storage::StoreError;
use milvus_types::{Coded, ErrorCode};

use crate::log::Position;

/// Bytes of a log that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log file {} is damaged at byte {offset}: {what}", file.display())]
pub struct WalDamaged {
    /// The file, or the path of the object in its store.
    pub file: PathBuf,
    /// The first byte that cannot be trusted.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

/// An operation on a file that the system refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoFailed {
    /// What was tried.
    pub action: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}

impl IoFailed {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// An operation on an object of the log that the object store refused or did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {action} the log of channel {channel} at position {position} in term {term}")]
pub struct StoreFailed {
    /// What was tried.
    pub action: &'static str,
    /// The channel.
    pub channel: String,
    /// Where in the log.
    pub position: Position,
    /// The term of the handle.
    pub term: u64,
    /// What the store said, at the last attempt.
    #[source]
    pub source: Arc<StoreError>,
}

/// Why a log, or a channel of it, cannot be opened or listed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("log directory {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody opened the channel with a higher term.
    #[error("channel {channel} was opened with term {current}, which is above {got}")]
    StaleTerm {
        /// The channel.
        channel: String,
        /// The term of this open.
        got: u64,
        /// The highest term seen.
        current: u64,
    },
    /// The same term holds the channel already.
    #[error("channel {channel} is open already with term {term}")]
    AlreadyOpen {
        /// The channel.
        channel: String,
        /// The term.
        term: u64,
    },
    /// The name cannot be a channel's.
    #[error("channel name {name:?} is not valid: want 1 to 200 bytes")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The files are of a format this program does not know.
    #[error("log file {} has format {got}, this program reads up to {want}", file.display())]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format.
        got: u32,
        /// The newest format known.
        want: u32,
    },
    /// Records are damaged.
    #[error(transparent)]
    Damaged(#[from] WalDamaged),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] IoFailed),
    /// The object store refused, or did not answer in time.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// The object store did not list the log.
    #[error("cannot list the log under {prefix}")]
    List {
        /// Where the log lies in the store.
        prefix: String,
        /// What the store said.
        #[source]
        source: Arc<StoreError>,
    },
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for StoreFailed {
    fn code(&self) -> ErrorCode {
        self.source.code()
    }
}

impl Coded for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::StaleTerm { .. } | Self::AlreadyOpen { .. } => ErrorCode::ChannelNotAvailable,
            Self::InvalidName { .. } => ErrorCode::ParameterInvalid,
            Self::Damaged(_) => ErrorCode::DataIntegrity,
            Self::NewerFormat { .. } => ErrorCode::SerializationFailed,
            Self::InUse { .. } | Self::Io(_) => ErrorCode::IoFailed,
            Self::Store(failed) => failed.code(),
            Self::List { source, .. } => source.code(),
            Self::Panicked(_) => ErrorCode::MqInternal,
        }
    }
}

/// Why a record was not acknowledged. It may still be found in the log unless the variant says no.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A newer owner took the channel. The record is not in the log.
    #[error("channel {channel} of term {term} was taken over by term {by}")]
    Fenced {
        /// The channel.
        channel: String,
        /// The term of this handle.
        term: u64,
        /// The term of the new owner.
        by: u64,
    },
    /// The handle is closed. The record is not in the log.
    #[error("channel {channel} is closed")]
    Closed {
        /// The channel.
        channel: String,
    },
    /// The record is too large. It is not in the log.
    #[error("record of {got} bytes for channel {channel} exceeds {limit} bytes")]
    TooLarge {
        /// The channel.
        channel: String,
        /// The record's size.
        got: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// Too much waits to be written. The record is not in the log.
    #[error("{queued} bytes wait to be written to channel {channel}, the limit is {limit}")]
    QueueFull {
        /// The channel.
        channel: String,
        /// Bytes that wait.
        queued: u64,
        /// The most that may.
        limit: u64,
    },
    /// An earlier failure left it unknown what is in the log; only opening the channel again helps.
    #[error("channel {channel} accepts no more records until it is opened again: {cause}")]
    Poisoned {
        /// The channel.
        channel: String,
        /// The earlier failure.
        cause: String,
    },
    /// The object store did not say whether it took the record's batch. The record may be in the log;
    /// the channel goes on by itself once the store answers.
    #[error(
        "it is not known whether the records of channel {channel} from position {position} on were \
         written in term {term}: {source}"
    )]
    InDoubt {
        /// The channel.
        channel: String,
        /// Where the batch was to go.
        position: Position,
        /// The term of this handle.
        term: u64,
        /// What the store said, at the last attempt.
        source: Arc<StoreError>,
    },
    /// The object store takes nothing at the moment. The record is not in the log; the channel goes on
    /// by itself once the store answers.
    #[error(
        "channel {channel} of term {term} takes no records at position {position} until its store \
         takes objects again: {source}"
    )]
    Unavailable {
        /// The channel.
        channel: String,
        /// Where the log stopped.
        position: Position,
        /// The term of this handle.
        term: u64,
        /// What the store said, at the last attempt.
        source: Arc<StoreError>,
    },
    /// The system refused to write, or to make durable what was written. The record may be in the log;
    /// the channel goes on by itself once the disk does.
    #[error(transparent)]
    Io(#[from] IoFailed),
}

impl Coded for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } | Self::Closed { .. } => ErrorCode::ChannelNotAvailable,
            Self::TooLarge { .. } => ErrorCode::ParameterTooLarge,
            Self::QueueFull { .. } => ErrorCode::TooManyRequests,
            Self::Poisoned { .. } => ErrorCode::MqInternal,
            Self::InDoubt { source, .. } | Self::Unavailable { source, .. } => source.code(),
            Self::Io(_) => ErrorCode::IoFailed,
        }
    }
}

/// Why reading stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The records were given up.
    #[error("position {position} of channel {channel} lies before the trim point {trim_point}")]
    Trimmed {
        /// The channel.
        channel: String,
        /// Where reading should go on.
        position: Position,
        /// The lowest position that can be read.
        trim_point: Position,
    },
    /// There never was such a position.
    #[error("position {position} of channel {channel} lies beyond the end {end}")]
    BeyondEnd {
        /// The channel.
        channel: String,
        /// Where reading should go on.
        position: Position,
        /// The end.
        end: Position,
    },
    /// A newer owner took the channel and merged or gave up what this one knows of.
    #[error("channel {channel} of term {term} was taken over by term {by}, which is to be asked")]
    Fenced {
        /// The channel.
        channel: String,
        /// The term of this handle.
        term: u64,
        /// The term of the new owner.
        by: u64,
    },
    /// The record is damaged, or the position is not one of a record.
    #[error(transparent)]
    Damaged(#[from] WalDamaged),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] IoFailed),
    /// The object store refused, or did not answer in time.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Trimmed { .. } | Self::BeyondEnd { .. } => ErrorCode::IoInvalidRange,
            Self::Fenced { .. } => ErrorCode::ChannelNotAvailable,
            Self::Damaged(_) => ErrorCode::DataIntegrity,
            Self::Io(_) => ErrorCode::IoFailed,
            Self::Store(failed) => failed.code(),
            Self::Panicked(_) => ErrorCode::MqInternal,
        }
    }
}

/// Why records were not given up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TruncateError {
    /// A newer owner took the channel, or the handle is closed.
    #[error(transparent)]
    NotOwner(AppendError),
    /// The position lies beyond the end.
    #[error("cannot truncate channel {channel} before {before}, its end is {end}")]
    BeyondEnd {
        /// The channel.
        channel: String,
        /// The position asked for.
        before: Position,
        /// The end.
        end: Position,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] IoFailed),
    /// The object store refused, or did not answer in time.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for TruncateError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOwner(error) => error.code(),
            Self::BeyondEnd { .. } => ErrorCode::IoInvalidRange,
            Self::Io(_) => ErrorCode::IoFailed,
            Self::Store(failed) => failed.code(),
            Self::Panicked(_) => ErrorCode::MqInternal,
        }
    }
}

/// Why a channel was not removed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemoveError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] IoFailed),
    /// The object store refused, or did not answer in time.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for RemoveError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(failed) => failed.code(),
            Self::Io(_) => ErrorCode::IoFailed,
            Self::Panicked(_) => ErrorCode::MqInternal,
        }
    }
}

/// An error with all that caused it, as one line of a log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
