//! Objects in memory, for tests. Clones share them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::aligned::aligned;
use crate::error::StoreError;
use crate::path::{check, check_prefix};
use crate::payload::Payload;
use crate::store::{ETag, Object, ObjectMeta, ObjectStore};
use crate::writer::{ObjectWriter, Upload};

/// A store that forgets everything with its last clone.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    puts: u64,
    objects: BTreeMap<String, (ETag, Bytes)>,
}

enum Condition<'a> {
    Always,
    Absent,
    Match(&'a ETag),
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn commit(
        &self,
        path: &str,
        bytes: Bytes,
        condition: &Condition<'_>,
    ) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        let mut state = self.state.lock();
        let current = state.objects.get(path).map(|(etag, _)| etag.clone());
        match (condition, current) {
            (Condition::Absent, Some(_)) => {
                return Err(StoreError::AlreadyExists { path: path.to_owned() });
            }
            (Condition::Match(want), got) if got.as_ref() != Some(*want) => {
                let (path, want) = (path.to_owned(), (*want).clone());
                return Err(StoreError::PreconditionFailed { path, got, want });
            }
            _ => {}
        }
        state.puts += 1;
        let etag = ETag::new(format!("m{}", state.puts));
        let size = bytes.len() as u64;
        state.objects.insert(path.to_owned(), (etag.clone(), bytes));
        Ok(ObjectMeta { path: path.to_owned(), size, etag })
    }

    fn find(&self, path: &str) -> Result<Object, StoreError> {
        check(path)?;
        let state = self.state.lock();
        let Some((etag, bytes)) = state.objects.get(path) else {
            return Err(StoreError::NotFound { path: path.to_owned() });
        };
        Ok(Object { meta: meta(path, etag, bytes), bytes: bytes.clone() })
    }
}

fn meta(path: &str, etag: &ETag, bytes: &Bytes) -> ObjectMeta {
    ObjectMeta { path: path.to_owned(), size: bytes.len() as u64, etag: etag.clone() }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data.into_bytes(), &Condition::Always)
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data.into_bytes(), &Condition::Absent)
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.commit(path, data.into_bytes(), &Condition::Match(etag))
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.find(path)
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let Object { meta, bytes } = self.find(path)?;
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        if start > end || end > bytes.len() {
            return Err(StoreError::InvalidRange { path: meta.path, range, size: meta.size });
        }
        Ok(bytes.slice(start..end))
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.find(path).map(|object| object.meta)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        check_prefix(prefix)?;
        let state = self.state.lock();
        let objects = state.objects.range(prefix.to_owned()..);
        let objects = objects.take_while(|(path, _)| path.starts_with(prefix));
        Ok(objects.map(|(path, (etag, bytes))| meta(path, etag, bytes)).collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        check(path)?;
        self.state.lock().objects.remove(path);
        Ok(())
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        Ok(aligned(self.find(path)?.bytes))
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        check(path)?;
        let upload = MemoryUpload { store: self.clone(), path: path.to_owned(), bytes: Vec::new() };
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}

struct MemoryUpload {
    store: MemoryStore,
    path: String,
    bytes: Vec<u8>,
}

impl Write for MemoryUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        self.store.commit(&self.path, self.bytes.into(), &Condition::Always)
    }
}
