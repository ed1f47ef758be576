//! What is checked: objects, a catalogue, a log; and where they should be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use milvus_meta::{Kv, KvError};
use milvus_storage::ObjectStore;
use milvus_wal::Wal;

use crate::overlay::Overlay;

/// What is checked or repaired. Nobody may write to it during a repair.
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
    /// Whether a server may be at work on the objects, as on those of a bucket, which has no lock. What
    /// is missing is then not taken for lost where a later manifest does not name it.
    pub may_be_in_use: bool,
    /// Where the configuration says that data and log are; not compared with what the catalogue says if
    /// nothing is given.
    pub placement: Option<Placement>,
}

/// Where data and log are, in the words of the catalogue's `milvus_meta::PlacementEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The data.
    pub data: String,
    /// The log.
    pub log: String,
}

/// Where the log is.
#[derive(Clone)]
pub enum LogSource {
    /// It is not checked, nor are checkpoints against it.
    None,
    /// It is not where it should be, not even empty.
    Gone,
    /// In local files of this directory; nothing there is changed.
    Files(PathBuf),
    /// A log that is opened to be checked: opening a channel with any term, and closing it, must not
    /// change what servers see.
    View(Arc<dyn Wal>),
    /// The same of a log in an object store, opened over this overlay of it.
    Over(Overlay, Arc<dyn Wal>),
}

impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Gone => f.write_str("Gone"),
            Self::Files(dir) => f.debug_tuple("Files").field(dir).finish(),
            Self::View(_) => f.write_str("View"),
            Self::Over(overlay, _) => f.debug_tuple("Over").field(overlay).finish(),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, kv: _, kv_name, log, may_be_in_use, placement } = self;
        f.debug_struct("Target")
            .field("store", store)
            .field("kv", kv_name)
            .field("log", log)
            .field("may_be_in_use", may_be_in_use)
            .field("placement", placement)
            .finish_non_exhaustive()
    }
}
