//! Errors of the catalogue.

use milvus_types::{Coded, ErrorCode};

use crate::kv::KvError;

/// A value in the store that is not what was written, or not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata entry {key} cannot be read: {what}")]
pub struct Undecodable {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl Undecodable {
    pub(crate) fn new(key: &str, what: impl Into<String>) -> Self {
        Self { key: key.to_owned(), what: what.into() }
    }
}

/// A compare of a transaction that did not hold: somebody else was faster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata entry {key} {found}, want it {want}")]
pub struct Conflict {
    /// The key compared.
    pub key: String,
    /// How it was found: `exists`, `is missing`, `has changed`.
    pub found: &'static str,
    /// How it was to be: `absent`, `present`, `unchanged`.
    pub want: &'static str,
}

/// Why entries could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// An entry is damaged or of a later version.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The store failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl Coded for LoadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Undecodable(_) => ErrorCode::SerializationFailed,
            Self::Kv(error) => error.code(),
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Something is not as it was to be; nothing was changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The transaction is too large; nothing was changed.
    #[error("transaction has {got} compares or operations, the limit is {limit}")]
    TooManyOperations {
        /// The larger of both numbers.
        got: usize,
        /// The most allowed.
        limit: usize,
    },
    /// An entry that the change depends on cannot be read.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The ids are used up.
    #[error("cannot reserve {count} ids after {from}: ids are used up")]
    IdsUsedUp {
        /// The first free id.
        from: i64,
        /// How many were asked for.
        count: u64,
    },
    /// The store failed; the change may or may not have been made.
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl CommitError {
    /// Whether somebody else was faster.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<LoadError> for CommitError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Undecodable(error) => Self::Undecodable(error),
            LoadError::Kv(error) => Self::Kv(error),
        }
    }
}

impl Coded for CommitError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Conflict(_) | Self::TooManyOperations { .. } => ErrorCode::ServiceInternal,
            Self::Undecodable(_) => ErrorCode::SerializationFailed,
            Self::IdsUsedUp { .. } => ErrorCode::ResourceInsufficient,
            Self::Kv(error) => error.code(),
        }
    }
}

/// Why the catalogue cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// A later program wrote it.
    #[error("metadata has format {got}, this program reads up to {want}; start a newer version")]
    NewerFormat {
        /// The format found.
        got: u32,
        /// The newest format known.
        want: u32,
    },
    /// Its format cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its format cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Coded for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NewerFormat { .. } => ErrorCode::SerializationFailed,
            Self::Load(error) => error.code(),
            Self::Commit(error) => error.code(),
        }
    }
}
