//! Objects as files of a local directory.
//!
//! ```text
//! {root}/{path of the object}      one file each
//! {root}/.tmp/{unique name}        objects on their way
//! {root}/.commit.lock              held while an object changes
//! ```
//!
//! A put writes and syncs a temporary file, moves it into place and syncs the directory: after a
//! crash an object is there whole or not at all. Changes of objects are decided one at a time under
//! a file lock, which is held for the move, not for the writing. Temporary files that a crash left
//! behind are removed when the store is opened, so only one process may open it (`DataDirLock`);
//! opened read-only it makes, changes and removes nothing, whoever else has it open.

mod commit;
mod files;
mod upload;

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::io;

use crate::error::StoreError;
use crate::maps::Maps;
use crate::path::check;
use crate::payload::Payload;
use crate::store::{ETag, Object, ObjectMeta, ObjectStore};
use crate::writer::ObjectWriter;

use commit::Condition;
use upload::LocalUpload;

const TEMPORARY: &str = ".tmp";
const COMMIT_LOCK: &str = ".commit.lock";

/// The store of one directory. Clones share it.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Path>,
    maps: Maps,
    read_only: bool,
}

impl LocalStore {
    /// Opens the store in directory `root`, which is made if it is not there. Blocks.
    ///
    /// Removes what puts cut short by a crash have left behind.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root: PathBuf = root.into();
        let store = Self { root: root.into(), maps: Maps::default(), read_only: false };
        files::prepare(&store.root)
            .map_err(|source| StoreError::io("open", &store.root.to_string_lossy(), source))?;
        Ok(store)
    }

    /// Opens the store in directory `root` to be looked at: puts and deletes are refused, and what a
    /// crash left behind stays. A directory that is not there is an empty store. Blocks.
    pub fn open_read_only(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root: PathBuf = root.into();
        let store = Self { root: root.into(), maps: Maps::default(), read_only: true };
        files::look(&store.root)
            .map_err(|source| StoreError::io("open", &store.root.to_string_lossy(), source))?;
        Ok(store)
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files that readers have mapped.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Self, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, path) = (self.clone(), path.to_owned());
        io::try_run(move || work(&store, &path)).await
    }

    async fn put_on(
        &self,
        path: &str,
        data: Payload,
        condition: Condition,
    ) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.blocking(path, move |store, path| {
            let mut upload = LocalUpload::create(store.clone(), path)?;
            for chunk in data.chunks() {
                upload.append(chunk)?;
            }
            upload.commit(&condition)
        })
        .await
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Refuses `op` where the store was opened to be looked at.
    fn refuse_read_only(&self, op: &'static str, path: &str) -> Result<(), StoreError> {
        match self.read_only {
            true => Err(StoreError::io(op, path, ErrorKind::ReadOnlyFilesystem.into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.put_on(path, data, Condition::Always).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.put_on(path, data, Condition::Absent).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.put_on(path, data, Condition::Match(etag.clone())).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        check(path)?;
        self.blocking(path, files::read).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        check(path)?;
        self.blocking(path, move |store, path| files::read_range(store, path, range)).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.blocking(path, files::head).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        crate::path::check_prefix(prefix)?;
        self.blocking(prefix, files::list).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        check(path)?;
        self.refuse_read_only("delete", path)?;
        self.blocking(path, commit::remove).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        check(path)?;
        self.blocking(path, files::map).await
    }

    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        check(path)?;
        self.blocking(path, files::file).await.map(Some)
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        check(path)?;
        let upload = LocalUpload::create(self.clone(), path)?;
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}
