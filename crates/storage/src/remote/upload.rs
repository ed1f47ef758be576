//! Large remote objects: uploaded in parts of 8 MiB, which become the object all at once.
//!
//! What a process that died had uploaded, and an upload whose first reply was lost, stays in the store,
//! unseen and paid for, until the bucket's rule for incomplete uploads removes it; a dropped writer
//! removes its own.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write};
use std::sync::mpsc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use milvus_base::{failpoint, task};
use object_store::multipart::PartId;
use object_store::{PutPayload, PutResult};
use tokio::task::JoinHandle;

use super::attempt::{Call, Failure};
use super::cause::{Answer, RemoteCause};
use super::put::{parts, put_error};
use super::{PIECE_LEN, RemoteStore};
use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::ObjectMeta;
use crate::writer::Upload;

/// So many parts are on their way at once, besides the one being filled.
const PARTS_AT_ONCE: usize = 2;

impl RemoteStore {
    pub(super) async fn put_in_parts(
        &self,
        path: &str,
        data: Payload,
    ) -> Result<ObjectMeta, StoreError> {
        let size = data.len();
        let id = self.begin(path).await?;
        let sent: Result<Vec<PartId>, StoreError> =
            futures::stream::iter(parts(&data).into_iter().enumerate())
                .map(|(index, part)| self.send_part(path, &id, index, part.into_iter().collect()))
                .buffered(PARTS_AT_ONCE)
                .try_collect()
                .await;
        let done = match sent {
            Ok(sent) => self.complete(path, &id, sent, size).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.abandon(path, &id).await;
        }
        done
    }

    async fn begin(&self, path: &str) -> Result<String, StoreError> {
        let key = self.key(path);
        let begun = self
            .policy()
            .repeat(self.call("put", path), 0, || self.client().create_multipart(&key))
            .await;
        begun.map_err(|failure| put_error(failure, self, path))
    }

    async fn send_part(
        &self,
        path: &str,
        id: &String,
        index: usize,
        data: PutPayload,
    ) -> Result<PartId, StoreError> {
        let (key, len) = (self.key(path), data.content_length() as u64);
        let sent = self
            .policy()
            .repeat(self.call("put", path), len, || {
                self.client().put_part(&key, id, index, data.clone())
            })
            .await;
        sent.map_err(|failure| put_error(failure, self, path))
    }

    /// Makes the parts the object.
    async fn complete(
        &self,
        path: &str,
        id: &String,
        sent: Vec<PartId>,
        size: u64,
    ) -> Result<ObjectMeta, StoreError> {
        failpoint::hit("storage.upload.before-complete");
        match self.try_complete(path, id, sent).await {
            Ok(result) => self.put_meta(path, size, result).await,
            // The upload is gone and nobody but us knew of it: the reply to its completion was lost.
            Err(Failure { answer: Answer::NotFound, in_doubt: true, .. }) => {
                let meta = self.read_head(path).await?;
                if meta.size == size {
                    return Ok(meta);
                }
                Err(StoreError::InDoubt { path: path.to_owned() })
            }
            Err(failure) => Err(put_error(failure, self, path)),
        }
    }

    async fn try_complete(
        &self,
        path: &str,
        id: &String,
        sent: Vec<PartId>,
    ) -> Result<PutResult, Failure> {
        let key = self.key(path);
        self.policy()
            .repeat(self.call("put", path), 0, || {
                self.client().complete_multipart(&key, id, sent.clone())
            })
            .await
    }

    /// Removes the parts of an upload that will not be completed.
    async fn abandon(&self, path: &str, id: &String) {
        let key = self.key(path);
        let call = self.call("abandon the upload of", path);
        let abandon = || self.client().abort_multipart(&key, id);
        if let Err(failure) = self.policy().repeat(call, 0, abandon).await {
            let error = failure.into_error(call);
            tracing::warn!(path, %error, "parts of an object that was not put stay in the store");
        }
    }

    /// Runs `work` on the runtime; what it gives can be waited for on a thread that may block.
    fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Started<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let _entered = self.runtime().enter();
        let task = task::spawn("object-upload", async move {
            // Who started it may have gone.
            let _ = sender.send(work.await);
        });
        Started { receiver, task }
    }
}

struct Started<T> {
    receiver: mpsc::Receiver<T>,
    task: JoinHandle<()>,
}

impl<T> Started<Result<T, StoreError>> {
    /// Blocks until the work is done.
    fn wait(self, call: Call<'_>) -> Result<T, StoreError> {
        self.receiver.recv().unwrap_or_else(|_| {
            let cause = RemoteCause::Transport("the server is stopping".to_owned());
            let answer = Answer::Trouble { cause, in_doubt: true };
            Err(Failure { answer, attempts: 1, in_doubt: true }.into_error(call))
        })
    }
}

/// A writer of a remote object: one put if it stays small, else parts that leave while more is
/// written. Holds at most 8 MiB for each part on its way and for the one being filled.
pub(super) struct RemoteUpload {
    store: RemoteStore,
    path: String,
    buffer: Vec<u8>,
    size: u64,
    /// The upload's id, once it is more than one part.
    id: Option<String>,
    sent: Vec<PartId>,
    under_way: VecDeque<Started<Result<PartId, StoreError>>>,
}

impl RemoteUpload {
    pub(super) fn new(store: RemoteStore, path: &str) -> Self {
        Self {
            store,
            path: path.to_owned(),
            buffer: Vec::new(),
            size: 0,
            id: None,
            sent: Vec::new(),
            under_way: VecDeque::new(),
        }
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.start(work).wait(self.store.call("put", &self.path))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize, StoreError> {
        if self.buffer.len() == PIECE_LEN {
            self.send()?;
        }
        let taken = bytes.len().min(PIECE_LEN - self.buffer.len());
        self.buffer.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.size += taken as u64;
        Ok(taken)
    }

    /// Sends what is in the buffer on its way.
    fn send(&mut self) -> Result<(), StoreError> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let (store, path) = (self.store.clone(), self.path.clone());
                let id = self.run(async move { store.begin(&path).await })?;
                self.id.insert(id).clone()
            }
        };
        if self.under_way.len() >= PARTS_AT_ONCE {
            self.wait_for_one()?;
        }
        let data = Bytes::from(std::mem::take(&mut self.buffer));
        let index = self.sent.len() + self.under_way.len();
        let (store, path) = (self.store.clone(), self.path.clone());
        self.under_way.push_back(self.store.start(async move {
            store.send_part(&path, &id, index, PutPayload::from_bytes(data)).await
        }));
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<(), StoreError> {
        if let Some(part) = self.under_way.pop_front() {
            self.sent.push(part.wait(self.store.call("put", &self.path))?);
        }
        Ok(())
    }

    fn put(&mut self) -> Result<ObjectMeta, StoreError> {
        if self.id.is_none() {
            let (store, path) = (self.store.clone(), self.path.clone());
            let data = Payload::from(std::mem::take(&mut self.buffer));
            return self.run(async move { store.put_always(&path, data).await });
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        while !self.under_way.is_empty() {
            self.wait_for_one()?;
        }
        let Some(id) = self.id.clone() else {
            return Err(StoreError::InDoubt { path: self.path.clone() });
        };
        let (store, path, size) = (self.store.clone(), self.path.clone(), self.size);
        let sent = std::mem::take(&mut self.sent);
        let done = self.run(async move { store.complete(&path, &id, sent, size).await });
        if done.is_ok() {
            self.id = None;
        }
        done
    }
}

impl Write for RemoteUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.append(buf).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for RemoteUpload {
    fn finish(mut self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        self.put()
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else {
            return;
        };
        let (store, path) = (self.store.clone(), std::mem::take(&mut self.path));
        let tasks: Vec<_> = self.under_way.drain(..).map(|started| started.task).collect();
        let _entered = self.store.runtime().enter();
        task::spawn("object-upload-abandoned", async move {
            for task in tasks {
                task.abort();
                // A part that arrived after the upload's end would stay behind.
                let _ = task.await;
            }
            store.abandon(&path, &id).await;
        });
    }
}
