//! Why the server did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use milvus_base::failpoint::FailpointError;
use milvus_storage::LockError;
use milvus_types::{Coded, Failure};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory is another server's, or cannot be used.
    #[error(transparent)]
    DataDir(#[from] LockError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another port with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that sets its port.
        flag: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Metrics could not be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A role did not start.
    #[error("cannot start {role}: {failure}")]
    Role {
        /// The role.
        role: &'static str,
        /// Why.
        failure: Failure,
    },
    /// The object storage cannot put on a condition, without which the log has no owner.
    #[error("panic: {0}")]
    NoConditionalWrite(String),
    /// Data or log are somewhere else than they were.
    #[error(
        "this data directory has {what} in {want}, and the configuration says {got}: set {key} as they \
         were, or choose another --data-dir"
    )]
    Elsewhere {
        /// Data, or the log.
        what: &'static str,
        /// The keys that say where.
        key: &'static str,
        /// Where the configuration says.
        got: String,
        /// Where it is.
        want: String,
    },
    /// What is in the bucket is not of this data directory's catalogue.
    #[error(
        "{place} belongs to installation and start {owner}, this data directory is of {mine}: start with \
         the data directory that was last used with it (a copy from before is not that one), or set \
         another minio.rootPath"
    )]
    ForeignBucket {
        /// Bucket and path.
        place: String,
        /// Whose it is.
        owner: String,
        /// Who asks.
        mine: String,
    },
    /// There is data, and nothing that says what it is.
    #[error(
        "{} has data but meta.redb is missing or empty; put it back, or choose another directory",
        data_dir.display()
    )]
    CatalogueMissing {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A test asked for a defect that there is not.
    #[error(
        "MILVUS_PLANTED_BUG={name} is not known: want ack-before-append, skip-sync, rename-on-timeout, drop-last-on-replay or lose-deletes"
    )]
    UnknownPlantedBug {
        /// What was asked for.
        name: String,
    },
    /// A test asked for a failpoint that there is not.
    #[error("MILVUS_FAILPOINT: {0}")]
    Failpoint(#[from] FailpointError),
    /// Serving ended before anybody asked for it.
    #[error("serving failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StartError {
    /// `role` did not start because of `error`.
    pub(crate) fn role<E: Coded + std::error::Error>(role: &'static str, error: &E) -> Self {
        Self::Role { role, failure: Failure::from(error) }
    }
}
