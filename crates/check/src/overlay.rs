//! A store that can be written to and leaves the one below as it is.
//!
//! Opening a log in an object store writes to it: an owner puts its claim there. A check opens the log
//! over an overlay, where the claim and whatever follows are kept in memory. If somebody writes to the
//! store below meanwhile, what is seen through the overlay need not fit together: it can tell so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use milvus_storage::{
    ETag, MemoryStore, Object, ObjectMeta, ObjectStore, ObjectWriter, Payload, StoreError, Upload,
};
use parking_lot::Mutex;

/// A store below, and what was changed since in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Overlay {
    below: Arc<dyn ObjectStore>,
    /// Each object written, under a name of its own: its number and its path.
    written: MemoryStore,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    puts: AtomicU64,
    /// What is so of the paths that were changed; of all others what is so below.
    changed: Mutex<BTreeMap<String, Change>>,
    /// What was below the paths put to when they were put to first.
    covered: Mutex<BTreeMap<String, Option<ETag>>>,
}

#[derive(Clone, Debug)]
enum Change {
    Put(ObjectMeta),
    Deleted,
}

/// When a put may happen.
enum Condition {
    Always,
    Absent,
    Match(ETag),
}

/// Where the object at a path is.
enum Place {
    Below,
    /// In memory, under this name.
    Written(String, ObjectMeta),
}

impl Overlay {
    /// `below`, to be changed in memory only.
    pub fn new(below: Arc<dyn ObjectStore>) -> Self {
        Self { below, written: MemoryStore::new(), shared: Arc::default() }
    }

    /// Whether something below that was covered has changed since, or cannot be asked any more.
    pub(crate) async fn is_overtaken(&self) -> bool {
        let covered = self.shared.covered.lock().clone();
        for (path, then) in covered {
            let now = match self.below.head(&path).await {
                Ok(meta) => Some(meta.etag),
                Err(error) if error.is_not_found() => None,
                Err(_) => return true,
            };
            if now != then {
                return true;
            }
        }
        false
    }

    fn place(&self, path: &str) -> Result<Place, StoreError> {
        match self.shared.changed.lock().get(path) {
            None => Ok(Place::Below),
            Some(Change::Put(meta)) => Ok(Place::Written(name(meta), meta.clone())),
            Some(Change::Deleted) => Err(StoreError::NotFound { path: path.to_owned() }),
        }
    }

    async fn commit(
        &self,
        path: &str,
        data: Payload,
        condition: Condition,
    ) -> Result<ObjectMeta, StoreError> {
        let below = match self.below.head(path).await {
            Ok(meta) => Some(meta.etag),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        self.shared.covered.lock().entry(path.to_owned()).or_insert_with(|| below.clone());
        let number = self.shared.puts.fetch_add(1, Ordering::Relaxed);
        let etag = ETag::new(format!("overlay-{number}"));
        let meta = ObjectMeta { path: path.to_owned(), size: data.len(), etag };
        self.written.put(&name(&meta), data).await?;
        let mut changed = self.shared.changed.lock();
        let found = match changed.get(path) {
            None => below,
            Some(Change::Put(meta)) => Some(meta.etag.clone()),
            Some(Change::Deleted) => None,
        };
        let path = path.to_owned();
        match (condition, found) {
            (Condition::Absent, Some(_)) => return Err(StoreError::AlreadyExists { path }),
            (Condition::Match(want), got) if got.as_ref() != Some(&want) => {
                return Err(StoreError::PreconditionFailed { path, got, want });
            }
            (Condition::Always | Condition::Absent | Condition::Match(_), _) => {}
        }
        changed.insert(path, Change::Put(meta.clone()));
        Ok(meta)
    }
}

/// The name in memory of the object that `meta` is about.
fn name(meta: &ObjectMeta) -> String {
    format!("{}/{}", meta.etag, meta.path)
}

#[async_trait]
impl ObjectStore for Overlay {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data, Condition::Always).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data, Condition::Absent).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data, Condition::Match(etag.clone())).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        match self.place(path)? {
            Place::Below => self.below.get(path).await,
            Place::Written(name, meta) => {
                let object = self.written.get(&name).await?;
                Ok(Object { meta, bytes: object.bytes })
            }
        }
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self.place(path)? {
            Place::Below => self.below.get_range(path, range).await,
            Place::Written(name, _) => self.written.get_range(&name, range).await,
        }
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        match self.place(path)? {
            Place::Below => self.below.head(path).await,
            Place::Written(_, meta) => Ok(meta),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let below = self.below.list(prefix).await?;
        let mut found: BTreeMap<String, ObjectMeta> =
            below.into_iter().map(|meta| (meta.path.clone(), meta)).collect();
        for (path, change) in self.shared.changed.lock().range(prefix.to_owned()..) {
            match change {
                _ if !path.starts_with(prefix) => break,
                Change::Put(meta) => drop(found.insert(path.clone(), meta.clone())),
                Change::Deleted => drop(found.remove(path)),
            }
        }
        Ok(found.into_values().collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        // Refuses what is no path, as a store does.
        match self.below.head(path).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        self.shared.changed.lock().insert(path.to_owned(), Change::Deleted);
        Ok(())
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        match self.place(path)? {
            Place::Below => self.below.map(path).await,
            Place::Written(name, _) => self.written.map(&name).await,
        }
    }

    async fn file(&self, path: &str) -> Result<Option<File>, StoreError> {
        match self.place(path)? {
            Place::Below => self.below.file(path).await,
            Place::Written(..) => Ok(None),
        }
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        // Refuses what is no path, as a store does.
        drop(self.written.writer(path)?);
        let upload = OverlayUpload { overlay: self.clone(), path: path.to_owned(), bytes: vec![] };
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}

/// An object being written to an overlay.
struct OverlayUpload {
    overlay: Overlay,
    path: String,
    bytes: Vec<u8>,
}

impl Write for OverlayUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for OverlayUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        let Self { overlay, path, bytes } = *self;
        futures::executor::block_on(overlay.put(&path, bytes.into()))
    }
}
