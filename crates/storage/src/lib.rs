//! Object store: local directory, S3, GCS and Azure, conditional put, mapped reads, a fault-injecting double.
//!
//! Objects are whole: written at once under a `/`-separated path, read whole, by range or mapped,
//! never changed in place. What [`ObjectStore`] promises is in its header and, as tests, in
//! `conformance` (feature `test-util`), which every backend passes.
//!
//! | backend | for |
//! |---|---|
//! | [`LocalStore`] | a directory; standalone |
//! | [`RemoteStore`] | a bucket of S3, Google Cloud Storage or Azure |
//! | [`CachedStore`] | a remote store behind a bounded directory of local copies |
//! | [`OwnedStore`] | another store that is written to only while an object in it says that it is ours |
//! | [`MemoryStore`] | tests |
//! | [`FaultyStore`] | tests: another store that fails as networks and disks do, from a seed |
//!
//! [`DataDirLock`] keeps a second server off a data directory. Not here: what objects hold and how
//! they are called (`format`).
#![warn(missing_docs)]

mod aligned;
mod cached;
#[cfg(feature = "test-util")]
pub mod conformance;
mod data_dir_lock;
mod error;
mod faulty;
mod local;
mod maps;
mod memory;
mod owned;
mod path;
mod payload;
mod remote;
mod store;
mod writer;

pub use cached::{CacheOptions, CacheStats, CachedStore};
pub use data_dir_lock::{DataDirLock, LockError};
pub use error::StoreError;
pub use faulty::{FaultPlan, FaultyStore};
pub use local::LocalStore;
pub use maps::Maps;
pub use memory::MemoryStore;
pub use owned::OwnedStore;
pub use payload::Payload;
pub use remote::{RemoteCause, RemoteConfig, RemoteKind, RemoteStore};
pub use store::{ETag, Object, ObjectMeta, ObjectStore};
pub use writer::{ObjectWriter, Upload};
