//! A data directory as a server leaves it: `meta.redb`, `objects/`, `log/`, `LOCK`.
//!
//! For a check it is opened as a view: what opening would change (the catalogue's file) is a copy, the
//! rest is opened to be looked at; so a check changes nothing and works on a directory that cannot be
//! written to. For a repair it is locked and opened as a server does.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milvus_meta::{EmbeddedKv, Kv, KvError};
use milvus_storage::{DataDirLock, LocalStore, ObjectStore};
use tempfile::TempDir;

use crate::error::DataDirError;
use crate::target::{LogSource, Placement, Target};
use crate::view;

const CATALOGUE: &str = "meta.redb";
const OBJECTS: &str = "objects";
const LOG: &str = "log";
const LOCK: &str = "LOCK";

/// A data directory, open. No server can start on it until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    target: Target,
    _guard: Guard,
}

/// What must live as long as the target is used.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read: their end is what matters")]
enum Guard {
    View { scratch: TempDir, lock: Option<File> },
    Locked(DataDirLock),
}

impl DataDir {
    /// Opens the data directory at `path` for a check, without changing anything in it.
    ///
    /// Needs room for a copy of the catalogue, and for copies of the last files of one log channel,
    /// in the system's folder of temporary files.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        let (scratch, lock, store, kv_file) = milvus_base::io::try_run({
            let path = path.clone();
            move || {
                refuse_other(&path)?;
                let lock = shared_lock(&path)?;
                let scratch = view::scratch()?;
                let store = LocalStore::open_read_only(path.join(OBJECTS))?;
                let kv_file = view::catalogue(&path.join(CATALOGUE), &scratch)?;
                Ok::<_, DataDirError>((scratch, lock, store, kv_file))
            }
        })
        .await?;
        let kv = catalogue(&path, kv_file).await;
        let target = target(&path, store, kv);
        Ok(Self { path, target, _guard: Guard::View { scratch, lock } })
    }

    /// Opens the data directory at `path` for a repair, which no server may use.
    pub async fn lock(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        let (lock, store, kv_file) = milvus_base::io::try_run({
            let path = path.clone();
            move || {
                refuse_other(&path)?;
                let lock = DataDirLock::acquire(&path)?;
                let store = LocalStore::open(path.join(OBJECTS))?;
                // The copy is looked at and dropped: what is opened to be changed is the file.
                let scratch = view::scratch()?;
                let copy = view::catalogue(&path.join(CATALOGUE), &scratch)?;
                let kv_file = copy.map(|_| path.join(CATALOGUE));
                Ok::<_, DataDirError>((lock, store, kv_file))
            }
        })
        .await?;
        let kv = catalogue(&path, kv_file).await;
        let target = target(&path, store, kv);
        Ok(Self { path, target, _guard: Guard::Locked(lock) })
    }

    /// The same with its objects in `store`, where they are in a bucket and not in the directory.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.target.store = store;
        self.target.may_be_in_use = true;
        self
    }

    /// The same for data and log of which the configuration says where they are.
    #[must_use]
    pub fn with_placement(mut self, placement: Placement) -> Self {
        self.target.placement = Some(placement);
        self
    }

    /// The store in the directory's folder `name`, to be looked at; none if it is not there.
    pub async fn store_in(&self, name: &str) -> Result<Option<LocalStore>, DataDirError> {
        let path = self.path.join(name);
        milvus_base::io::try_run(move || match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("open", path, source)),
            Ok(_) => Ok(Some(LocalStore::open_read_only(path)?)),
        })
        .await
    }

    /// What is checked or repaired.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The same with its log at `log`, where it is not in the directory's own files.
    #[must_use]
    pub fn with_log(mut self, log: LogSource) -> Self {
        self.target.log = log;
        self
    }
}

fn target(path: &Path, store: LocalStore, kv: Result<Arc<dyn Kv>, KvError>) -> Target {
    Target {
        store: Arc::new(store),
        kv,
        kv_name: CATALOGUE.to_owned(),
        log: LogSource::Files(path.join(LOG)),
        may_be_in_use: false,
        placement: None,
    }
}

async fn catalogue(path: &Path, kv_file: Result<PathBuf, String>) -> Result<Arc<dyn Kv>, KvError> {
    match kv_file {
        Ok(file) => Ok(Arc::new(EmbeddedKv::open(file).await?)),
        Err(what) => {
            Err(KvError::Damaged { store: path.join(CATALOGUE).display().to_string(), what })
        }
    }
}

fn refuse_other(path: &Path) -> Result<(), DataDirError> {
    let is_one = [CATALOGUE, OBJECTS, LOG].iter().any(|name| {
        // What cannot be looked at is reported when it is opened.
        !matches!(fs::metadata(path.join(name)), Err(e) if e.kind() == io::ErrorKind::NotFound
            || e.kind() == io::ErrorKind::NotADirectory)
    });
    if is_one { Ok(()) } else { Err(DataDirError::NotOne { path: path.to_owned() }) }
}

/// Keeps servers off without writing to the directory; none where no server ever was.
fn shared_lock(path: &Path) -> Result<Option<File>, DataDirError> {
    let file = match File::open(path.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path.join(LOCK), source)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(path.join(LOCK)).unwrap_or_default();
            let pid = if pid.is_empty() { "unknown".to_owned() } else { pid };
            Err(DataDirError::InUse { path: path.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(failed("lock", path.join(LOCK), source)),
    }
}

pub(crate) fn failed(action: &'static str, path: PathBuf, source: io::Error) -> DataDirError {
    DataDirError::Io { action, path, source }
}
