//! A catalogue and a store that end at a given change, as a process does that is killed there: the
//! change happened or did not, whoever asked for it is not told, and nothing happens any more.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_meta::{CommitError, Kv, KvError, MemoryKv, Transaction};
use milvus_storage::{
    ETag, MemoryStore, Object, ObjectMeta, ObjectStore, ObjectWriter, Payload, StoreError, Upload,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::gate::Hold;

/// Counts changes, and ends everything at one of them.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Changes that pass.
    left: Option<usize>,
    /// Whether the one after them happens.
    happens: bool,
    /// Whether only that one fails.
    once: bool,
    is_burnt: bool,
    no_manifests: bool,
    /// Every file of a segment that was put, as often as it was.
    put: Vec<String>,
    hold: Option<(usize, Stop)>,
}

/// A file that is about to be put waits.
#[derive(Debug)]
struct Stop {
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    HappensUntold,
    Nothing,
}

impl Fuse {
    /// One that does not burn until it is armed.
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Burns after `changes` more; that one `happens` or not.
    pub(crate) fn arm(&self, changes: usize, happens: bool) {
        let mut state = self.0.lock();
        (state.left, state.happens) = (Some(changes), happens);
    }

    /// The change after `changes` more fails, having happened or not; those after it do not.
    pub(crate) fn arm_once(&self, changes: usize, happens: bool) {
        self.arm(changes, happens);
        self.0.lock().once = true;
    }

    /// Whether manifests cannot be put.
    pub(crate) fn fail_manifests(&self, fail: bool) {
        self.0.lock().no_manifests = fail;
    }

    /// The file of a segment that is put after `files` more waits before it is.
    pub(crate) fn hold(&self, files: usize) -> Hold {
        let ((reached, is_reached), (go, goes)) = (oneshot::channel(), oneshot::channel());
        self.0.lock().hold = Some((files, Stop { reached, go: goes }));
        Hold { reached: is_reached, go }
    }

    /// The stop before the file at `path`, if there is one.
    fn stop(&self, path: &str) -> Option<oneshot::Receiver<()>> {
        if !path.starts_with("segments/") {
            return None;
        }
        let mut state = self.0.lock();
        state.put.push(path.to_owned());
        let (left, _) = state.hold.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let (_, stop) = state.hold.take()?;
        stop.reached.send(()).unwrap();
        Some(stop.go)
    }

    /// Every file of a segment that was put so far, as often as it was.
    pub(crate) fn files_put(&self) -> Vec<String> {
        self.0.lock().put.clone()
    }

    /// Nothing happens from now on.
    pub(crate) fn burn(&self) {
        self.0.lock().is_burnt = true;
    }

    pub(crate) fn is_burnt(&self) -> bool {
        self.0.lock().is_burnt
    }

    fn next(&self) -> Fate {
        let mut state = self.0.lock();
        if state.is_burnt {
            return Fate::Nothing;
        }
        match &mut state.left {
            Some(0) => {
                state.left = None;
                state.is_burnt = !state.once;
                if state.happens { Fate::HappensUntold } else { Fate::Nothing }
            }
            Some(left) => {
                *left -= 1;
                Fate::Passes
            }
            None => Fate::Passes,
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the process has ended")
}

/// A catalogue behind a fuse.
pub(crate) struct FusedKv {
    pub(crate) inner: Arc<MemoryKv>,
    pub(crate) fuse: Fuse,
}

#[async_trait]
impl Kv for FusedKv {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        self.inner.get(key).await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError> {
        self.inner.range(prefix).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), CommitError> {
        match self.fuse.next() {
            Fate::Passes => return self.inner.commit(transaction).await,
            Fate::HappensUntold => self.inner.commit(transaction).await?,
            Fate::Nothing => {}
        }
        let (store, source) = ("memory".to_owned(), Arc::new(ended()));
        Err(CommitError::Kv(KvError::Failed { store, action: "commit", source }))
    }
}

/// A store behind a fuse.
#[derive(Clone, Debug)]
pub(crate) struct FusedStore {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) fuse: Fuse,
}

impl FusedStore {
    async fn change<T>(
        &self,
        path: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.fuse.next() {
            Fate::Passes => return work.await,
            Fate::HappensUntold => drop(work.await?),
            Fate::Nothing => {}
        }
        Err(StoreError::Io { op: "change", path: path.to_owned(), source: ended() })
    }
}

#[async_trait]
impl ObjectStore for FusedStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        if let Some(go) = self.fuse.stop(path) {
            go.await.unwrap();
        }
        self.change(path, self.inner.put(path, data)).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        if self.fuse.0.lock().no_manifests && path.starts_with("manifests/") {
            return Err(StoreError::Io { op: "put", path: path.to_owned(), source: ended() });
        }
        self.change(path, self.inner.put_if_absent(path, data)).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        self.change(path, self.inner.put_if_match(path, data, etag)).await
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
        self.change(path, self.inner.delete(path)).await
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        self.inner.map(path).await
    }

    async fn file(&self, path: &str) -> Result<Option<std::fs::File>, StoreError> {
        self.inner.file(path).await
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        let (inner, fuse) = (self.inner.writer(path)?, self.fuse.clone());
        let upload = FusedUpload { path: path.to_owned(), inner, fuse };
        Ok(ObjectWriter::new(path, Box::new(upload)))
    }
}

struct FusedUpload {
    path: String,
    inner: ObjectWriter,
    fuse: Fuse,
}

impl Write for FusedUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FusedUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        if let Some(go) = self.fuse.stop(&self.path) {
            go.blocking_recv().unwrap();
        }
        match self.fuse.next() {
            Fate::Passes => return self.inner.finish(),
            Fate::HappensUntold => drop(self.inner.finish()?),
            Fate::Nothing => {}
        }
        Err(StoreError::Io { op: "change", path: self.path, source: ended() })
    }
}
