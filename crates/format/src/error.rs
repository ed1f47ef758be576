//! What can be wrong with bytes at rest, and with values that should become such.

use arrow::datatypes::DataType as ArrowType;
use arrow::error::ArrowError;
use milvus_types::{Coded, ErrorCode};

/// Why bytes could not be read. `what` names the kind of file in every message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end early, or go on after their end.
    #[error("{what} has {got} bytes, want {want}")]
    Length {
        /// The kind of file.
        what: &'static str,
        /// How many bytes there are.
        got: u64,
        /// How many there should be, at least.
        want: u64,
    },
    /// The first bytes are another format's.
    #[error("{what} begins with {got:?}, want {want:?}")]
    Magic {
        /// The kind of file.
        what: &'static str,
        /// The bytes found, as text.
        got: String,
        /// The bytes of this format, as text.
        want: String,
    },
    /// A newer server wrote it.
    #[error(
        "{what} has format version {got}, this server reads up to {newest}: upgrade the server"
    )]
    NewerVersion {
        /// The kind of file.
        what: &'static str,
        /// The version found.
        got: u16,
        /// The newest version known.
        newest: u16,
    },
    /// The bytes are not those that were written.
    #[error("{what} has checksum {got:08x}, want {want:08x}")]
    Checksum {
        /// The kind of file.
        what: &'static str,
        /// The CRC32C of the bytes found.
        got: u32,
        /// The CRC32C written beside them.
        want: u32,
    },
    /// The bytes are whole but say something impossible.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The kind of file.
        what: &'static str,
        /// What is impossible.
        reason: String,
    },
    /// Arrow refused the columns.
    #[error("{what} holds no sound Arrow columns")]
    Arrow {
        /// The kind of file.
        what: &'static str,
        /// Arrow's words.
        #[source]
        source: ArrowError,
    },
}

impl DecodeError {
    pub(crate) fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { what, reason: reason.into() }
    }
}

impl Coded for DecodeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Length { .. }
            | Self::Magic { .. }
            | Self::Checksum { .. }
            | Self::Malformed { .. }
            | Self::Arrow { .. } => ErrorCode::DataIntegrity,
            Self::NewerVersion { .. } => ErrorCode::SerializationFailed,
        }
    }
}

/// Why values could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The writer failed.
    #[error("cannot write {what}")]
    Io {
        /// The kind of file.
        what: &'static str,
        /// The writer's error.
        #[source]
        source: std::io::Error,
    },
    /// A column of a type that has no place in a file.
    #[error("column {column} has type {data_type}, which {what} cannot hold")]
    UnsupportedColumn {
        /// The kind of file.
        what: &'static str,
        /// The column's name.
        column: String,
        /// Its type.
        data_type: ArrowType,
    },
    /// A count beyond what the format can say.
    #[error("{what} has {got} {unit}, at most {limit} fit")]
    TooLarge {
        /// The kind of file.
        what: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        got: u64,
        /// How many fit.
        limit: u64,
    },
    /// Columns and schema, or columns of one chunk, do not agree.
    #[error("{what} cannot be written: {reason}")]
    Mismatch {
        /// The kind of file.
        what: &'static str,
        /// What disagrees with what.
        reason: String,
    },
    /// The source of the rows was told to stop.
    #[error("writing {what} was cancelled")]
    Cancelled {
        /// The kind of file.
        what: &'static str,
    },
    /// Arrow refused the columns.
    #[error("{what} cannot be encoded as Arrow")]
    Arrow {
        /// The kind of file.
        what: &'static str,
        /// Arrow's words.
        #[source]
        source: ArrowError,
    },
}

impl Coded for EncodeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ErrorCode::DiskLimitExceeded
            }
            Self::Io { .. } => ErrorCode::IoFailed,
            Self::Cancelled { .. } => ErrorCode::Canceled,
            Self::UnsupportedColumn { .. }
            | Self::TooLarge { .. }
            | Self::Mismatch { .. }
            | Self::Arrow { .. } => ErrorCode::SerializationFailed,
        }
    }
}
