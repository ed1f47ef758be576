//! A store that is written to only while it is ours.
//!
//! A bucket has no lock. An object in it says who may write; whoever takes the place over changes it
//! first. Before a put, a delete or the end of an upload that object is looked at, unless that was done
//! within the last second, and once it says something else nothing is written any more: a server that was
//! replaced must not remove what its successor's manifests name.
//!
//! What is under way when the place changes hands may still happen, for a second, like what happened since
//! the successor's catalogue was copied. Reads are not held back. Not here: who takes a place over,
//! and when (the server), and the log, which has its own fencing.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::Clock;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::{ETag, Object, ObjectMeta, ObjectStore};
use crate::writer::{ObjectWriter, Upload};

/// For how long it is believed that the store is ours.
const BELIEVED: Duration = Duration::from_secs(1);

/// A store of which one object says whose it is. Clones share what they know.
#[derive(Clone, Debug)]
pub struct OwnedStore {
    inner: Arc<dyn ObjectStore>,
    claim: Arc<Claim>,
    runtime: Handle,
}

#[derive(Debug)]
struct Claim {
    path: String,
    says: Vec<u8>,
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Clone, Debug)]
enum Known {
    Nothing,
    /// Ours as of a time on the steady clock.
    Ours(Duration),
    /// Another's: what the object said.
    Lost(String),
}

impl OwnedStore {
    /// `inner`, as long as the object at `path` holds the bytes `says`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn new(inner: Arc<dyn ObjectStore>, path: &str, says: Vec<u8>, clock: Clock) -> Self {
        let known = Mutex::new(Known::Nothing);
        let claim = Claim { path: path.to_owned(), says, clock, known };
        Self { inner, claim: Arc::new(claim), runtime: Handle::current() }
    }

    /// Fails if the store is another's, or if that cannot be told.
    async fn check(&self, op: &'static str, path: &str) -> Result<(), StoreError> {
        let claim = &self.claim;
        let lost = |owner| Err(StoreError::NotOwner { op, path: path.to_owned(), owner });
        // Of before it is asked: what changes meanwhile is seen the next time.
        let now = claim.clock.monotonic();
        match claim.known.lock().clone() {
            Known::Ours(at) if now.saturating_sub(at) < BELIEVED => return Ok(()),
            Known::Lost(owner) => return lost(owner),
            Known::Ours(_) | Known::Nothing => {}
        }
        let owner = match self.inner.get(&claim.path).await {
            Ok(object) if *object.bytes == *claim.says => {
                *claim.known.lock() = Known::Ours(now);
                return Ok(());
            }
            Ok(object) => String::from_utf8_lossy(&object.bytes).into_owned(),
            Err(error) if error.is_not_found() => "nobody".to_owned(),
            Err(error) => return Err(error),
        };
        tracing::error!(object = claim.path, owner, "another has taken over what we wrote to");
        *claim.known.lock() = Known::Lost(owner.clone());
        lost(owner)
    }
}

#[async_trait]
impl ObjectStore for OwnedStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.check("put", path).await?;
        self.inner.put(path, data).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.check("put", path).await?;
        self.inner.put_if_absent(path, data).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.check("put", path).await?;
        self.inner.put_if_match(path, data, etag).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.get_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.inner.head(path).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.check("delete", path).await?;
        self.inner.delete(path).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.inner.map(path).await
    }

    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        self.inner.file(path).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        let inner = self.inner.writer(path)?;
        let upload = OwnedUpload { store: self.clone(), path: path.to_owned(), inner };
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}

/// An upload that ends only if the store is ours then.
struct OwnedUpload {
    store: OwnedStore,
    path: String,
    inner: ObjectWriter,
}

impl Write for OwnedUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for OwnedUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        self.store.runtime.block_on(self.store.check("put", &self.path))?;
        self.inner.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_written_once_the_place_is_anothers() {
        let inner: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new());
        inner.put("owner", b"us".as_slice().into()).await.unwrap();
        let clock = Clock::manual();
        let ours = OwnedStore::new(Arc::clone(&inner), "owner", b"us".to_vec(), clock.clone());
        ours.put("a", b"1".as_slice().into()).await.unwrap();
        let mut upload = ours.writer("b").unwrap();
        upload.write_all(b"22").unwrap();

        inner.put("owner", b"them".as_slice().into()).await.unwrap();
        ours.put("c", b"3".as_slice().into()).await.expect("believed for a second");
        clock.advance(BELIEVED);
        let refused = ours.delete("a").await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "object store belongs to another server (them): cannot delete a"
        );
        let ended = milvus_base::io::run(move || upload.finish()).await.unwrap();
        assert!(matches!(ended, Err(StoreError::NotOwner { .. })));
        assert!(ours.put_if_absent("d", b"4".as_slice().into()).await.is_err());
        inner.put("owner", b"us".as_slice().into()).await.unwrap();
        assert!(ours.delete("a").await.is_err(), "what was lost stays lost");
        let left: Vec<_> =
            inner.list("").await.unwrap().into_iter().map(|object| object.path).collect();
        assert_eq!(left, ["a", "c", "owner"]);
        assert_eq!(&*ours.get("a").await.unwrap().bytes, b"1");
    }
}
