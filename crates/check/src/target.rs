//! What is checked: objects, a catalogue, a log.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use milvus_meta::{Kv, KvError};
use milvus_storage::ObjectStore;
use milvus_wal::Wal;

/// What is checked or repaired. Nobody may write to it meanwhile.
#[derive(Clone)]
pub struct Target {
    /// The objects.
    pub store: Arc<dyn ObjectStore>,
    /// The store under the catalogue, or why it does not open.
    pub kv: Result<Arc<dyn Kv>, KvError>,
    /// What the catalogue's store is called in findings: `meta.redb`.
    pub kv_name: String,
    /// The log.
    pub log: LogSource,
}

/// Where the log is.
#[derive(Clone)]
pub enum LogSource {
    /// It is not checked, nor are checkpoints against it.
    None,
    /// In local files of this directory; nothing there is changed.
    Files(PathBuf),
    /// A log that is opened to be checked: opening a channel with any term, and closing it, must not
    /// change what servers see. For a log in an object store that is one over an [`crate::Overlay`].
    View(Arc<dyn Wal>),
}

impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Files(dir) => f.debug_tuple("Files").field(dir).finish(),
            Self::View(_) => f.write_str("View"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, kv: _, kv_name, log } = self;
        f.debug_struct("Target")
            .field("store", store)
            .field("kv", kv_name)
            .field("log", log)
            .finish_non_exhaustive()
    }
}
