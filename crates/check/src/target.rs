//! What is checked: objects, a catalogue, a log.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_meta::{Kv, KvError};
use milvus_storage::ObjectStore;

/// What is checked or repaired. Nobody may write to it meanwhile.
#[derive(Clone)]
pub struct Target {
    /// The objects.
    pub store: Arc<dyn ObjectStore>,
    /// The store under the catalogue, or why it does not open.
    pub kv: Result<Arc<dyn Kv>, KvError>,
    /// What the catalogue's store is called in findings: `meta.redb`.
    pub kv_name: String,
    /// The directory of a log in local files; none where the log lies elsewhere and is not checked.
    pub log: Option<PathBuf>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { store, kv: _, kv_name, log } = self;
        f.debug_struct("Target")
            .field("store", store)
            .field("kv", kv_name)
            .field("log", log)
            .finish_non_exhaustive()
    }
}
