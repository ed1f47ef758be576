//! Why a check or a repair could not be done. What a check finds is no error: [`crate::Finding`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use milvus_base::Panicked;
use milvus_format::EditError;
use milvus_meta::{CommitError, KvError, LoadError, OpenError};
use milvus_storage::{LockError, StoreError};
use milvus_types::{Coded, ErrorCode};

/// Why a data directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// There is none.
    #[error("{} is no data directory: it has neither meta.redb nor objects nor log", path.display())]
    NotOne {
        /// What was named.
        path: PathBuf,
    },
    /// A server uses it.
    #[error("data directory {} is in use by process {pid}: stop the server first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The server's process id, `unknown` if it has not written it yet.
        pid: String,
    },
    /// It cannot be locked.
    #[error(transparent)]
    Lock(LockError),
    /// Its objects cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl From<LockError> for DataDirError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::InUse { directory, pid } => Self::InUse { path: directory, pid },
            error @ LockError::Io { .. } => Self::Lock(error),
        }
    }
}

impl Coded for DataDirError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOne { .. } => ErrorCode::ParameterInvalid,
            Self::InUse { .. } => ErrorCode::OldSessionExists,
            Self::Lock(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Io { .. } => ErrorCode::IoFailed,
            Self::Panicked(_) => ErrorCode::ServiceInternal,
        }
    }
}

/// Why a check was not finished.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Another process has the catalogue open.
    #[error("the catalogue cannot be checked while it is in use: {0}")]
    InUse(KvError),
    /// The configuration says that data or log are elsewhere than they were when a server last ran.
    #[error(
        "the configuration says that {what} is in {got}, the catalogue says {want}: check with the \
         configuration of the server"
    )]
    Elsewhere {
        /// `data` or `the log`.
        what: &'static str,
        /// What the configuration says.
        got: String,
        /// What the catalogue says.
        want: String,
    },
    /// The bucket is of another catalogue.
    #[error("{place} belongs to installation {got}, the catalogue is of {want}")]
    Foreign {
        /// The bucket.
        place: String,
        /// Whose it says that it is.
        got: String,
        /// The catalogue.
        want: String,
    },
    /// The objects cannot be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be looked at: no space for the copies of its last files, say.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl CheckError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }
}

impl Coded for CheckError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InUse(_) => ErrorCode::OldSessionExists,
            Self::Elsewhere { .. } | Self::Foreign { .. } => ErrorCode::ParameterInvalid,
            Self::Store(error) => error.code(),
            Self::Io { .. } => ErrorCode::IoFailed,
            Self::Panicked(_) => ErrorCode::ServiceInternal,
        }
    }
}

/// Why a repair stopped. What was done until then stays done, and a further repair goes on.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// What is to be repaired could not be found out.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The catalogue could not be read.
    #[error(transparent)]
    Catalogue(#[from] OpenError),
    /// An entry could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Files could not be copied, put or removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy of a file is not the file: the disk changes what is written to it.
    #[error("copy {copy} of {path} has checksum {got:08x}, want {want:08x}")]
    BadCopy {
        /// The file.
        path: String,
        /// Its copy.
        copy: String,
        /// The checksum of the copy.
        got: u32,
        /// The checksum of the bytes that were read of the file.
        want: u32,
    },
    /// The manifest changed while its segments were repaired.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The manifest did not become current.
    #[error("manifest {version} of collection {collection_id} was not committed")]
    Commit {
        /// The collection.
        collection_id: i64,
        /// The version.
        version: u64,
        /// What the catalogue said.
        #[source]
        source: CommitError,
    },
    /// A manifest that was just sound cannot be read again.
    #[error("manifest {path} cannot be read again: {what}")]
    Manifest {
        /// Its path.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for RepairError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Check(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::BadCopy { .. } | Self::Manifest { .. } => ErrorCode::DataIntegrity,
            Self::Edit(error) => error.code(),
            Self::Commit { source, .. } => source.code(),
            Self::Panicked(_) => ErrorCode::ServiceInternal,
        }
    }
}
