//! What an object store answers besides objects.

use std::io;
use std::ops::Range;

use milvus_base::Panicked;
use milvus_types::{Coded, ErrorCode};

use crate::remote::RemoteCause;
use crate::store::ETag;

/// Why an operation on an object failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing is there.
    #[error("object {path} not found")]
    NotFound {
        /// The object.
        path: String,
    },
    /// Something is there, and nothing should be.
    #[error("object {path} already exists")]
    AlreadyExists {
        /// The object.
        path: String,
    },
    /// What is there is not what the caller had read.
    #[error("object {path} has etag {}, want {want}", got.as_ref().map_or("none", ETag::as_str))]
    PreconditionFailed {
        /// The object.
        path: String,
        /// The etag it has; none if nothing is there.
        got: Option<ETag>,
        /// The etag in the condition.
        want: ETag,
    },
    /// Not a path of an object.
    #[error("object path {path:?} {reason}")]
    InvalidPath {
        /// The text.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The object does not reach as far.
    #[error("object {path} has {size} bytes, want bytes {} to {}", range.start, range.end)]
    InvalidRange {
        /// The object.
        path: String,
        /// The bytes asked for.
        range: Range<u64>,
        /// How many it has.
        size: u64,
    },
    /// No space is left.
    #[error("disk is full, cannot {op} object {path}")]
    DiskFull {
        /// What was tried.
        op: &'static str,
        /// The object.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The system failed otherwise.
    #[error("cannot {op} object {path}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// The object.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A remote store was tried again and again, and did not do it. It may nevertheless have been
    /// done.
    #[error("object store is unavailable: cannot {op} {path} in {attempts} attempts")]
    Unavailable {
        /// What was tried.
        op: &'static str,
        /// The object, or the prefix of a list.
        path: String,
        /// How often.
        attempts: u32,
        /// What it said last.
        #[source]
        source: RemoteCause,
    },
    /// A conditional put may have been carried out, and what is there now does not tell: another
    /// writer has been there since.
    #[error("cannot tell whether object {path} was put: the reply was lost and it changed since")]
    InDoubt {
        /// The object.
        path: String,
    },
    /// The store was taken over: who has it now may not expect our writes.
    #[error("object store belongs to another server ({owner}): cannot {op} {path}")]
    NotOwner {
        /// What was tried.
        op: &'static str,
        /// The object.
        path: String,
        /// What its owner says of itself.
        owner: String,
    },
    /// A remote store does not let us.
    #[error("object store refuses access: cannot {op} {path}")]
    Denied {
        /// What was tried.
        op: &'static str,
        /// The object, or the bucket.
        path: String,
        /// What it said.
        #[source]
        source: RemoteCause,
    },
    /// A remote store refused for another reason; trying again would not help.
    #[error("object store cannot {op} {path}")]
    Refused {
        /// What was tried.
        op: &'static str,
        /// The object, or the bucket.
        path: String,
        /// What it said.
        #[source]
        source: RemoteCause,
    },
    /// The bucket is not there.
    #[error("bucket {bucket} not found")]
    BucketNotFound {
        /// The bucket.
        bucket: String,
    },
    /// A setting cannot be meant.
    #[error("setting {setting} {reason}")]
    InvalidConfig {
        /// Milvus's name of it.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not keep the conditions of puts, without which two servers could overwrite
    /// each other. The text is Milvus's.
    #[error(
        "CheckIfConditionWriteSupport failed: PutObjectIfNoneMatch not supported or failed. \
         BucketName: {bucket}, ObjectKey: {key}, Error: {reason}"
    )]
    ConditionsUnsupported {
        /// The bucket.
        bucket: String,
        /// The object it was tried with.
        key: String,
        /// What happened.
        reason: String,
    },
    /// A bug of the store.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl StoreError {
    /// The error of `op` on `path`, by what the system says.
    pub(crate) fn io(op: &'static str, path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is told by its text")]
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { op, path, source }
            }
            _ => Self::Io { op, path, source },
        }
    }

    /// The error of a put. A file that it misses is one of the store's own, not the object.
    pub(crate) fn put(path: &str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Io { op: "put", path: path.to_owned(), source };
        }
        Self::io("put", path, source)
    }

    /// Whether the object was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether a conditional put lost to another writer.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. } | Self::PreconditionFailed { .. })
    }
}

impl Coded for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } => ErrorCode::IoKeyNotFound,
            Self::AlreadyExists { .. } | Self::PreconditionFailed { .. } => ErrorCode::IoFailed,
            Self::InvalidPath { .. } => ErrorCode::IoInvalidArgument,
            Self::InvalidRange { .. } => ErrorCode::IoInvalidRange,
            Self::DiskFull { .. } => ErrorCode::DiskLimitExceeded,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorCode::IoPermissionDenied
            }
            Self::Io { .. } => ErrorCode::IoFailed,
            Self::Unavailable { source, .. } => unavailable_code(source),
            Self::InDoubt { .. } | Self::Refused { .. } => ErrorCode::IoFailed,
            Self::Denied { .. } | Self::NotOwner { .. } => ErrorCode::IoPermissionDenied,
            Self::BucketNotFound { .. } => ErrorCode::IoBucketNotFound,
            Self::InvalidConfig { .. } | Self::ConditionsUnsupported { .. } => {
                ErrorCode::IoInvalidArgument
            }
            Self::Panicked(_) => ErrorCode::StorageInternal,
        }
    }
}

fn unavailable_code(cause: &RemoteCause) -> ErrorCode {
    match cause {
        RemoteCause::Status { status: 429 | 503, .. } => ErrorCode::IoTooManyRequests,
        RemoteCause::Credentials(_) => ErrorCode::IoInvalidCredentials,
        RemoteCause::Status { .. }
        | RemoteCause::WrongRegion { .. }
        | RemoteCause::Certificate(_)
        | RemoteCause::Timeout { .. }
        | RemoteCause::Transport(_) => ErrorCode::ServiceUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        let full = StoreError::io("put", "a", io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), ErrorCode::DiskLimitExceeded);
        assert_eq!(full.to_string(), "disk is full, cannot put object a");
        let other = StoreError::io("put", "a", io::ErrorKind::BrokenPipe.into());
        assert_eq!(other.code(), ErrorCode::IoFailed);
        assert!(StoreError::io("get", "a", io::ErrorKind::NotFound.into()).is_not_found());
    }
}
