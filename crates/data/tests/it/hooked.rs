//! A store that tells a test when an object begins to be written, and fails when the test says so.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_storage::{ETag, Object, ObjectMeta, ObjectStore, ObjectWriter, Payload, StoreError};

type Hook = dyn Fn(&str) -> Result<(), StoreError> + Send + Sync;

/// Another store; its writers are made after `on_writer`, which is given the path.
pub(crate) struct Hooked {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) on_writer: Box<Hook>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.inner.put(path, data).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.inner.put_if_absent(path, data).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
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
        self.inner.delete(path).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.inner.map(path).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        (self.on_writer)(path)?;
        self.inner.writer(path)
    }
}
