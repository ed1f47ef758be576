//! The transactional key-value store under the catalogue.
//!
//! What every backend promises, and [`testing`] checks:
//!
//! 1. A transaction happens whole or not at all, and only if all its compares hold; when `commit`
//!    returns `Ok` it survives the end of the process and of power.
//! 2. Transactions happen one after the other; a read sees all that were committed before it began.
//! 3. `range` gives the keys with a prefix in ascending order of their bytes.
//!
//! At most [`MAX_OPERATIONS`] compares and as many operations fit in a transaction, as in etcd.
//!
//! Not yet: watch and lease, which come with the first backend that several processes share.

mod embedded;
mod memory;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::Panicked;
use milvus_types::{Coded, ErrorCode};

pub use embedded::EmbeddedKv;
pub use memory::MemoryKv;

use crate::error::{CommitError, Conflict};

/// The most compares, and the most operations, of a transaction.
pub const MAX_OPERATIONS: usize = 128;

/// The store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// Another process, or another handle of this one, has the store open.
    #[error("metadata store {store} is in use by another process")]
    InUse {
        /// The store.
        store: String,
    },
    /// The store's file is damaged.
    #[error("metadata store {store} is damaged: {what}")]
    Damaged {
        /// The store.
        store: String,
        /// What it said.
        what: String,
    },
    /// Reading or writing failed.
    #[error("metadata store {store} failed to {action}")]
    Failed {
        /// The store.
        store: String,
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Coded for KvError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } => ErrorCode::IoPermissionDenied,
            Self::Damaged { .. } => ErrorCode::DataIntegrity,
            Self::Failed { .. } => ErrorCode::IoFailed,
            Self::Panicked(_) => ErrorCode::ServiceInternal,
        }
    }
}

/// What must hold for a transaction to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// There is no such key.
    Absent {
        /// The key.
        key: String,
    },
    /// There is such a key, with whatever value.
    Present {
        /// The key.
        key: String,
    },
    /// The key has exactly this value.
    Equals {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
    },
}

/// What a transaction does. Operations apply in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Gives the key a value.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
    },
    /// Removes the key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
    /// Removes all keys that begin so.
    DeletePrefix {
        /// How they begin.
        prefix: String,
    },
}

/// Compares and operations that happen together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What must hold.
    pub compares: Vec<Compare>,
    /// What is done.
    pub ops: Vec<Op>,
}

/// A transactional key-value store.
#[async_trait]
pub trait Kv: Send + Sync {
    /// The value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError>;

    /// The keys that begin with `prefix`, ascending, with their values.
    async fn range(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError>;

    /// Makes `transaction` happen, durably, or gives the first compare that does not hold.
    async fn commit(&self, transaction: Transaction) -> Result<(), CommitError>;
}

impl Compare {
    /// The key compared.
    pub fn key(&self) -> &str {
        match self {
            Self::Absent { key } | Self::Present { key } | Self::Equals { key, .. } => key,
        }
    }

    /// Whether it holds when its key has the value `found`.
    fn check(&self, found: Option<&[u8]>) -> Result<(), Conflict> {
        let conflict = |found, want| Err(Conflict { key: self.key().to_owned(), found, want });
        match (self, found) {
            (Self::Absent { .. }, None) | (Self::Present { .. }, Some(_)) => Ok(()),
            (Self::Equals { value, .. }, Some(found)) if value == found => Ok(()),
            (Self::Absent { .. }, Some(_)) => conflict("exists", "absent"),
            (Self::Present { .. }, None) => conflict("is missing", "present"),
            (Self::Equals { .. }, None) => conflict("is missing", "unchanged"),
            (Self::Equals { .. }, Some(_)) => conflict("has changed", "unchanged"),
        }
    }
}

impl Transaction {
    /// Refuses a transaction that no backend would accept.
    fn check_size(&self) -> Result<(), CommitError> {
        let got = self.compares.len().max(self.ops.len());
        if got > MAX_OPERATIONS {
            return Err(CommitError::TooManyOperations { got, limit: MAX_OPERATIONS });
        }
        Ok(())
    }
}
