//! A log that takes records and does not say so, for as long as a test wants.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_wal::{
    AppendFuture, ChannelStats, LocalWal, LogChannel, OpenError, Position, RecordReader,
    RemoveError, TruncateError, Wal,
};
use tokio::sync::{Mutex, watch};

/// The newest owner of each channel: one whose process is gone cuts nothing any more.
type Terms = Arc<Mutex<HashMap<String, u64>>>;

/// A log in files whose answers can be held back.
pub(crate) struct StallingWal {
    pub(crate) inner: LocalWal,
    stalled: watch::Sender<bool>,
    terms: Terms,
}

impl StallingWal {
    pub(crate) fn new(inner: LocalWal) -> Self {
        Self { inner, stalled: watch::channel(false).0, terms: Terms::default() }
    }

    /// Whether appends begun from now on wait for their answer.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }
}

#[async_trait]
impl Wal for StallingWal {
    async fn open(&self, channel: &str, term: u64) -> Result<Arc<dyn LogChannel>, OpenError> {
        let mut terms = self.terms.lock().await;
        let inner = self.inner.open(channel, term).await?;
        terms.insert(channel.to_owned(), term);
        let (stalled, terms) = (self.stalled.subscribe(), self.terms.clone());
        Ok(Arc::new(StallingChannel { channel: channel.to_owned(), inner, stalled, terms }))
    }

    async fn channels(&self) -> Result<Vec<String>, OpenError> {
        self.inner.channels().await
    }

    async fn remove(&self, channel: &str) -> Result<(), RemoveError> {
        self.inner.remove(channel).await
    }
}

struct StallingChannel {
    channel: String,
    inner: Arc<dyn LogChannel>,
    stalled: watch::Receiver<bool>,
    terms: Terms,
}

#[async_trait]
impl LogChannel for StallingChannel {
    fn append(&self, payload: Vec<Bytes>) -> AppendFuture {
        let (answer, mut stalled) = (self.inner.append(payload), self.stalled.clone());
        Box::pin(async move {
            let _ = stalled.wait_for(|stalled| !stalled).await;
            answer.await
        })
    }

    fn read(&self, from: Position) -> Box<dyn RecordReader> {
        self.inner.read(from)
    }

    async fn truncate(&self, before: Position) -> Result<(), TruncateError> {
        let terms = self.terms.lock().await;
        if terms.get(&self.channel) != Some(&self.inner.term()) {
            return Ok(());
        }
        self.inner.truncate(before).await
    }

    fn trim_point(&self) -> Position {
        self.inner.trim_point()
    }

    fn end(&self) -> Position {
        self.inner.end()
    }

    fn term(&self) -> u64 {
        self.inner.term()
    }

    fn stats(&self) -> ChannelStats {
        self.inner.stats()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
