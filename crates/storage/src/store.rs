//! The contract of object stores.

use std::fmt;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::payload::Payload;
use crate::writer::ObjectWriter;

/// A store of whole objects under `/`-separated paths.
///
/// A put is atomic: readers see the old object or the new one, never part of one. It is durable
/// when it has returned. When it returns an error that is not about a condition or the path, the
/// object may nevertheless have been put (a lost reply): who retries a conditional put must look.
/// Reads see every put that returned before they began. Conditional puts of one path are decided
/// one after the other: of several writers with the same condition exactly one wins. Who puts by
/// compare-and-swap makes each state's bytes its own, as states are told apart by them.
///
/// Paths: one or more names separated by `/`; no name is empty, begins with a dot, or holds a
/// backslash or a control character.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Puts `data` at `path`, in the place of what may be there.
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError>;

    /// Puts `data` at `path` if nothing is there, else [`StoreError::AlreadyExists`].
    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError>;

    /// Puts `data` at `path` if what is there has `etag`, else [`StoreError::PreconditionFailed`].
    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError>;

    /// The object at `path`, else [`StoreError::NotFound`].
    async fn get(&self, path: &str) -> Result<Object, StoreError>;

    /// The bytes `range` of the object at `path`; all of them, else [`StoreError::InvalidRange`].
    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// What is known of the object at `path`, else [`StoreError::NotFound`].
    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError>;

    /// The objects whose path begins with `prefix` (any text, `""` for all), sorted by path.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError>;

    /// Removes the object at `path`, if there is one.
    async fn delete(&self, path: &str) -> Result<(), StoreError>;

    /// The object at `path` as memory that is read from disk when touched.
    ///
    /// Stays valid after the object is deleted or replaced. Begins at a multiple of 8 bytes.
    async fn map(&self, path: &str) -> Result<Bytes, StoreError>;

    /// The object at `path` as a file to read from at any place, where it is one; `None` of stores that
    /// have no files. Stays valid after the object is deleted or replaced.
    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        let _ = path;
        Ok(None)
    }

    /// A writer of a new object at `path`, for large objects made by code that runs on a thread
    /// which may block. Nothing is at `path` until it is finished.
    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError>;
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Changes whenever the object's bytes do; may stay when the same bytes are put anew.
    pub etag: ETag,
}

/// An object and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Names one state of an object, for [`ObjectStore::put_if_match`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(Arc<str>);

impl ETag {
    /// The tag with this text, as a store made it.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
