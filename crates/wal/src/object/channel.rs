//! One open channel: the queue of appends, what is durable, and who may write.
//!
//! An append only joins the queue. The first to find no writer at work starts one (`write.rs`), which
//! takes everything queued as one batch, again and again, until nothing is left; an idle channel has no
//! task and makes no request.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::block::{LogId, UniqueId, record_bytes};
use super::extents::Extents;
use super::manifest_keeper::ManifestKeeper;
use super::read::ObjectReader;
use super::remote::Remote;
use super::write::drain;
use crate::error::{AppendError, TruncateError};
use crate::log::{AppendFuture, Appended, ChannelStats, LogChannel, Position, RecordReader};

/// What the handle, the writer, the merger and readers share.
pub(super) struct Shared {
    pub(super) remote: Remote,
    pub(super) of: LogId,
    pub(super) owner: UniqueId,
    /// What readers, which block their thread, wait on.
    pub(super) runtime: Handle,
    pub(super) state: Mutex<State>,
    /// The one way to put the manifest; whoever changes settled extents or the trim point has it.
    pub(super) keeper: tokio::sync::Mutex<ManifestKeeper>,
    /// Tells of `State::writing` and `State::merging` turned off.
    pub(super) idle: Notify,
}

/// What changes; locked for moments only.
pub(super) struct State {
    pub(super) queue: VecDeque<Pending>,
    pub(super) queued_bytes: u64,
    pub(super) writing: bool,
    pub(super) merging: bool,
    pub(super) batches_begun: u64,
    /// Why appends are refused for good, if they are.
    pub(super) refusal: Option<AppendError>,
    /// Why appends are refused until the store answers again.
    pub(super) outage: Option<AppendError>,
    pub(super) log: Extents,
    pub(super) stats: ChannelStats,
}

/// A record that waits to be written.
pub(super) struct Pending {
    pub(super) payload: Vec<Bytes>,
    pub(super) length: u32,
    pub(super) outcome: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Shared {
    pub(super) fn new(
        remote: Remote,
        of: LogId,
        owner: UniqueId,
        keeper: ManifestKeeper,
        log: Extents,
    ) -> Self {
        let state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            writing: false,
            merging: false,
            batches_begun: 0,
            refusal: None,
            outage: None,
            log,
            stats: ChannelStats::default(),
        };
        Self {
            remote,
            of,
            owner,
            runtime: Handle::current(),
            state: Mutex::new(state),
            keeper: tokio::sync::Mutex::new(keeper),
            idle: Notify::new(),
        }
    }

    /// Refuses appends from now on because of `refusal`, unless they are refused already.
    pub(super) fn refuse(&self, refusal: AppendError) {
        self.state.lock().refusal.get_or_insert(refusal);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.state.lock().refusal.is_some()
    }

    /// Ends this handle because `by` took the channel: what is queued fails. What is being put settles
    /// itself: either it is in the log, or the new owner's claim is in its place.
    pub(super) fn fence(&self, by: u64) {
        self.stop(self.fenced(by));
    }

    /// Refuses appends from now on, and fails those queued, because of `refusal`.
    pub(super) fn stop(&self, refusal: AppendError) {
        let queued = {
            let mut state = self.state.lock();
            state.refusal = Some(refusal.clone());
            state.take_queue()
        };
        fail(queued, &refusal);
    }

    pub(super) fn fenced(&self, by: u64) -> AppendError {
        let Remote { channel, term, .. } = &self.remote;
        AppendError::Fenced { channel: channel.clone(), term: *term, by }
    }

    pub(super) fn closed(&self) -> AppendError {
        AppendError::Closed { channel: self.remote.channel.clone() }
    }

    /// Returns once nothing is being written or merged.
    pub(super) async fn quiesce(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            let is_idle = {
                let state = self.state.lock();
                !state.writing && !state.merging
            };
            if is_idle {
                return;
            }
            idle.await;
        }
    }

    fn enqueue(
        self: &Arc<Self>,
        payload: Vec<Bytes>,
        outcome: oneshot::Sender<Result<Appended, AppendError>>,
    ) -> Result<(), AppendError> {
        let options = &self.remote.options;
        let channel = || self.remote.channel.clone();
        let got = payload.iter().map(|part| part.len() as u64).sum();
        let limit = options.max_record_bytes.min(u32::MAX.into());
        let Some(length) = u32::try_from(got).ok().filter(|_| got <= limit) else {
            return Err(AppendError::TooLarge { channel: channel(), got, limit });
        };
        let mut state = self.state.lock();
        if let Some(refusal) = state.refusal.as_ref().or(state.outage.as_ref()) {
            return Err(refusal.clone());
        }
        let (queued, limit) = (state.queued_bytes, options.max_queued_bytes);
        if queued > 0 && queued + record_bytes(got) > limit {
            return Err(AppendError::QueueFull { channel: channel(), queued, limit });
        }
        state.queued_bytes += record_bytes(got);
        state.queue.push_back(Pending { payload, length, outcome });
        let start = !std::mem::replace(&mut state.writing, true);
        drop(state);
        if start {
            milvus_base::task::spawn("log writer", drain(Arc::clone(self)));
        }
        Ok(())
    }
}

impl State {
    /// Takes all that is queued.
    pub(super) fn take_queue(&mut self) -> Vec<Pending> {
        self.queued_bytes = 0;
        self.queue.drain(..).collect()
    }
}

/// Tells those who wait for `records` that `error` became of them.
pub(super) fn fail(records: Vec<Pending>, error: &AppendError) {
    for pending in records {
        // Who no longer waits does not want to know.
        let _ = pending.outcome.send(Err(error.clone()));
    }
}

/// The handle that `open` gives; dropping it closes the channel without waiting.
pub(super) struct ObjectChannel {
    pub(super) shared: Arc<Shared>,
}

impl Drop for ObjectChannel {
    fn drop(&mut self) {
        self.shared.refuse(self.shared.closed());
    }
}

#[async_trait]
impl LogChannel for ObjectChannel {
    fn append(&self, payload: Vec<Bytes>) -> AppendFuture {
        let (outcome, receiver) = oneshot::channel();
        let queued = self.shared.enqueue(payload, outcome);
        let channel = self.shared.remote.channel.clone();
        Box::pin(async move {
            queued?;
            receiver.await.unwrap_or_else(|_| {
                // The writer panicked, or the runtime ended first: nobody knows what was written.
                let cause = "the writer ended without an outcome".to_owned();
                Err(AppendError::Poisoned { channel, cause })
            })
        })
    }

    fn read(&self, from: Position) -> Box<dyn RecordReader> {
        Box::new(ObjectReader::new(Arc::clone(&self.shared), from))
    }

    async fn truncate(&self, before: Position) -> Result<(), TruncateError> {
        super::truncate::truncate(&self.shared, before).await
    }

    fn trim_point(&self) -> Position {
        Position(self.shared.state.lock().log.trim)
    }

    fn end(&self) -> Position {
        Position(self.shared.state.lock().log.end)
    }

    fn term(&self) -> u64 {
        self.shared.remote.term
    }

    fn stats(&self) -> ChannelStats {
        let state = self.shared.state.lock();
        ChannelStats { queued: state.queue.len(), ..state.stats }
    }

    async fn close(&self) {
        self.shared.refuse(self.shared.closed());
        self.shared.quiesce().await;
    }
}
