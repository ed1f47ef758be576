//! A store as a process sees it that can be cut off after so many changes, hang, hold a put back, or be
//! late in listing.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_storage::{ETag, Object, ObjectMeta, ObjectStore, ObjectWriter, Payload, StoreError};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Double {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
    released: Notify,
}

/// Requests that can be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    ConditionalPuts,
    RangeReads,
}

#[derive(Debug, Default)]
struct State {
    /// How many more changes arrive before nothing does.
    changes_left: Option<u64>,
    /// What lists show.
    listed: Option<Vec<ObjectMeta>>,
    /// Whether puts arrive and are not answered.
    mute: bool,
    /// Which requests arrive only when released.
    holding: Option<Held>,
    held: usize,
}

impl Double {
    pub(super) fn new(inner: &Arc<dyn ObjectStore>) -> Arc<Self> {
        let inner = Arc::clone(inner);
        Arc::new(Self { inner, state: Mutex::default(), released: Notify::new() })
    }

    /// Lets `changes` more puts and deletes arrive; then the process that uses this is cut off.
    pub(super) fn cut_off_after(&self, changes: u64) {
        self.state.lock().changes_left = Some(changes);
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.state.lock().changes_left == Some(0)
    }

    /// Lists show for ever what is there now.
    pub(super) async fn freeze_lists(&self) {
        let listed = self.inner.list("").await.unwrap();
        self.state.lock().listed = Some(listed);
    }

    /// Lets puts arrive without an answer, or no longer.
    pub(super) fn mute(&self, on: bool) {
        self.state.lock().mute = on;
    }

    fn answer(&self, path: &str, put: ObjectMeta) -> Result<ObjectMeta, StoreError> {
        if self.state.lock().mute { Err(Self::cut_off(path)) } else { Ok(put) }
    }

    /// Holds requests back until `release`.
    pub(super) fn hold(&self, which: Held) {
        self.state.lock().holding = Some(which);
    }

    pub(super) fn held(&self) -> usize {
        self.state.lock().held
    }

    pub(super) fn release(&self) {
        self.state.lock().holding = None;
        self.released.notify_waiters();
    }

    fn cut_off(path: &str) -> StoreError {
        let source = std::io::ErrorKind::ConnectionRefused.into();
        StoreError::Io { op: "reach", path: path.to_owned(), source }
    }

    fn read(&self, path: &str) -> Result<(), StoreError> {
        if self.is_cut_off() { Err(Self::cut_off(path)) } else { Ok(()) }
    }

    fn change(&self, path: &str) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        match &mut state.changes_left {
            None => Ok(()),
            Some(0) => Err(Self::cut_off(path)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    async fn wait_for_release(&self, request: Held) {
        let released = self.released.notified();
        tokio::pin!(released);
        released.as_mut().enable();
        {
            let mut state = self.state.lock();
            if state.holding != Some(request) {
                return;
            }
            state.held += 1;
        }
        released.await;
    }
}

#[async_trait]
impl ObjectStore for Double {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.change(path)?;
        self.inner.put(path, data).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        self.wait_for_release(Held::ConditionalPuts).await;
        self.change(path)?;
        let put = self.inner.put_if_absent(path, data).await?;
        self.answer(path, put)
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.change(path)?;
        let put = self.inner.put_if_match(path, data, etag).await?;
        self.answer(path, put)
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        self.read(path)?;
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.wait_for_release(Held::RangeReads).await;
        self.read(path)?;
        self.inner.get_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        self.read(path)?;
        self.inner.head(path).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.read(prefix)?;
        let listed = self.state.lock().listed.clone();
        match listed {
            Some(all) => Ok(all.into_iter().filter(|m| m.path.starts_with(prefix)).collect()),
            None => self.inner.list(prefix).await,
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.change(path)?;
        self.inner.delete(path).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.read(path)?;
        self.inner.map(path).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        self.inner.writer(path)
    }
}
