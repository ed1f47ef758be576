//! A remote store behind a bounded directory of files: what is mapped is fetched once and then read
//! like a local file.
//!
//! ```text
//! {directory}/{unique name}.object     a copy of one object
//! {directory}/{unique name}.part       a copy on its way
//! ```
//!
//! | | |
//! |---|---|
//! | `map`, `file` | from the copy; fetched first if there is none, once for all who ask, several pieces at once |
//! | `get_range` | from the copy if there is one |
//! | `writer`, large `put` | the copy is made on the way, so that a fresh segment is not fetched again |
//! | everything else | the store behind |
//!
//! Copies are at most [`CacheOptions::max_bytes`], with those on their way; the least recently used
//! leave first. Maps and files stay valid when their copy leaves; its space is free when the last of
//! them is dropped. When the disk fails or is full, or an object is larger than the cache, it is read
//! into memory: a broken cache disk is slow, never wrong. A copy whose length is not the object's any
//! more is fetched anew; bytes that changed in it are found by who reads them, as Milvus's files carry
//! checksums.
//!
//! What is put or deleted through this store is seen at once. A copy is not compared again with the
//! store behind: objects that are mapped must not be replaced by others. Milvus replaces none.
//!
//! The directory is emptied at the start. A copy that survived would have to be read and compared
//! before it could be trusted (nothing here is synced), which costs what fetching it costs, and costs
//! it before anybody asked for the object.

mod disk;
mod fetch;
mod space;
mod tee;

use std::ops::Range;
use std::path::PathBuf;
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

pub use space::CacheStats;

use fetch::Fetched;
use space::Space;
use tee::TeeUpload;

/// What a cache may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Its directory, which is made if it is missing, and no one else's.
    pub directory: PathBuf,
    /// How many bytes its files may have together.
    pub max_bytes: u64,
    /// Puts from this size on are kept on their way.
    pub keep_puts_from: u64,
}

impl CacheOptions {
    /// A cache of `max_bytes` in `directory`.
    pub fn new(directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self { directory: directory.into(), max_bytes, keep_puts_from: 1024 * 1024 }
    }
}

/// A store with copies of its objects on a local disk. Clones share them.
#[derive(Clone, Debug)]
pub struct CachedStore {
    inner: Arc<dyn ObjectStore>,
    space: Arc<Space>,
    keep_puts_from: u64,
    maps: Maps,
}

impl CachedStore {
    /// `inner` behind a cache, whose directory is emptied. Blocks.
    pub fn open(inner: Arc<dyn ObjectStore>, options: CacheOptions) -> Result<Self, StoreError> {
        disk::prepare(&options.directory).map_err(|source| {
            StoreError::io("open", &options.directory.to_string_lossy(), source)
        })?;
        let space = Arc::new(Space::new(options.directory, options.max_bytes));
        Ok(Self { inner, space, keep_puts_from: options.keep_puts_from, maps: Maps::default() })
    }

    /// The copies that readers have mapped.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// What it did and holds.
    pub fn stats(&self) -> CacheStats {
        self.space.stats()
    }

    /// The copy of the object at `path`; none if it had to be read into memory.
    async fn copy(&self, path: &str) -> Result<Fetched, StoreError> {
        check(path)?;
        fetch::copy(&*self.inner, &self.space, path).await
    }

    /// Keeps `data`, which was put just now. Not being able to is no error.
    async fn keep(&self, meta: &ObjectMeta, data: Payload) {
        let Some(reserved) = self.space.reserve(meta.size) else {
            return;
        };
        let (space, kept) = (Arc::clone(&self.space), meta.clone());
        let written = io::run(move || {
            let mut part = disk::Part::create(space.directory())?;
            for chunk in data.chunks() {
                part.append(chunk)?;
            }
            part.finish(kept)
        })
        .await;
        match written {
            Ok(Ok(copy)) => self.space.insert(copy, reserved),
            Ok(Err(error)) => disk::report(&meta.path, &error),
            Err(panicked) => tracing::error!(%panicked, "an object was not kept"),
        }
    }
}

#[async_trait]
impl ObjectStore for CachedStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        let kept = (data.len() >= self.keep_puts_from).then(|| data.clone());
        let put = self.inner.put(path, data).await;
        // Even a put that failed may have happened.
        self.space.forget(path);
        let meta = put?;
        if let Some(data) = kept {
            self.keep(&meta, data).await;
        }
        Ok(meta)
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        let put = self.inner.put_if_absent(path, data).await;
        self.space.forget(path);
        put
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        let put = self.inner.put_if_match(path, data, etag).await;
        self.space.forget(path);
        put
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let Some(copy) = self.space.find(path) else {
            return self.inner.get_range(path, range).await;
        };
        if range.start > range.end || range.end > copy.meta.size {
            let size = copy.meta.size;
            return Err(StoreError::InvalidRange { path: path.to_owned(), range, size });
        }
        let wanted = range.clone();
        match io::run(move || copy.read(wanted)).await? {
            Ok(bytes) => Ok(bytes),
            // It left between the look and the reading, or its disk is broken.
            Err(error) => {
                tracing::debug!(path, %error, "a copy is not read any more");
                self.space.forget(path);
                self.inner.get_range(path, range).await
            }
        }
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.inner.head(path).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let deleted = self.inner.delete(path).await;
        self.space.forget(path);
        deleted
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        let maps = self.maps.clone();
        match self.copy(path).await? {
            Fetched::File(copy, file) => io::run(move || copy.map(&file, &maps))
                .await?
                .map_err(|error| StoreError::io("map", path, error)),
            Fetched::Memory => self.inner.map(path).await,
        }
    }

    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        match self.copy(path).await? {
            Fetched::File(_, file) => Ok(Some(file)),
            Fetched::Memory => Ok(None),
        }
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        let inner = self.inner.writer(path)?;
        let tee = TeeUpload::new(inner, path, Arc::clone(&self.space));
        Ok(ObjectWriter::new(path, Box::new(tee)))
    }
}
