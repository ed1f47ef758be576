//! One open channel: the queue of appends, what is durable, and who may write.
//!
//! An append only joins the queue. The first to find no writer at work starts one on a blocking
//! thread (`write.rs`), which takes everything queued as one batch, again and again, until nothing is
//! left; so appends that come together share one sync, and an idle channel costs no thread.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::format::record_bytes;
use super::read::LocalReader;
use super::recover::Recovered;
use super::write::{Writer, drain};
use super::{DirLock, LocalWalOptions, name, sync_dir, trim};
use crate::error::{AppendError, IoFailed, TruncateError};
use crate::log::{AppendFuture, Appended, ChannelStats, LogChannel, Position, RecordReader};

/// What the handle, the writer and readers share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) term: u64,
    pub(super) options: LocalWalOptions,
    pub(super) state: Mutex<State>,
    /// Used by whoever set `State::writing`.
    pub(super) writer: Mutex<Writer>,
    /// Tells of `State::writing` turned off.
    pub(super) idle: Notify,
    /// Whether syncs fail.
    #[cfg(test)]
    pub(super) broken_disk: std::sync::atomic::AtomicBool,
}

/// What changes; locked for moments only.
pub(super) struct State {
    pub(super) queue: VecDeque<Pending>,
    pub(super) queued_bytes: u64,
    pub(super) writing: bool,
    /// Why appends are refused, if they are.
    pub(super) refusal: Option<AppendError>,
    /// The positions at which files begin, ascending; never empty once there is a file.
    pub(super) bases: VecDeque<u64>,
    /// The position after the last durable record.
    pub(super) end: u64,
    /// Whether the next batch begins a new file.
    pub(super) roll: bool,
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
        name: &str,
        dir: PathBuf,
        term: u64,
        options: LocalWalOptions,
        found: &Recovered,
    ) -> Self {
        let state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            writing: false,
            refusal: None,
            bases: found.bases.iter().copied().collect(),
            end: found.end,
            roll: false,
            stats: ChannelStats::default(),
        };
        Self {
            name: name.to_owned(),
            dir,
            term,
            options,
            state: Mutex::new(state),
            writer: Mutex::new(Writer::new(found)),
            idle: Notify::new(),
            #[cfg(test)]
            broken_disk: std::sync::atomic::AtomicBool::default(),
        }
    }

    /// What a test wants the disk to say to a sync.
    #[cfg(test)]
    pub(super) fn disk_fault(&self) -> Option<std::io::Error> {
        let broken = self.broken_disk.load(std::sync::atomic::Ordering::Relaxed);
        broken.then(|| std::io::Error::other("injected fault"))
    }

    /// Disks have faults of their own.
    #[cfg(not(test))]
    pub(super) fn disk_fault(&self) -> Option<std::io::Error> {
        None
    }

    /// Refuses appends from now on because of `refusal`, unless they are refused already.
    pub(super) fn refuse(&self, refusal: AppendError) {
        self.state.lock().refusal.get_or_insert(refusal);
    }

    /// Ends this handle because `by` took the channel: what is queued fails, what is being written
    /// is waited for.
    pub(super) async fn fence(&self, by: u64) {
        let fenced = AppendError::Fenced { channel: self.name.clone(), term: self.term, by };
        let queued = {
            let mut state = self.state.lock();
            state.refusal = Some(fenced.clone());
            state.queued_bytes = 0;
            std::mem::take(&mut state.queue)
        };
        for pending in queued {
            // Who no longer waits does not want to know.
            let _ = pending.outcome.send(Err(fenced.clone()));
        }
        self.quiesce().await;
    }

    /// Returns once no write is under way.
    pub(super) async fn quiesce(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if !self.state.lock().writing {
                return;
            }
            idle.await;
        }
    }

    pub(super) fn closed(&self) -> AppendError {
        AppendError::Closed { channel: self.name.clone() }
    }

    fn enqueue(
        self: &Arc<Self>,
        lock: &Arc<DirLock>,
        payload: Vec<Bytes>,
        outcome: oneshot::Sender<Result<Appended, AppendError>>,
    ) -> Result<(), AppendError> {
        let got = payload.iter().map(|part| part.len() as u64).sum();
        let limit = self.options.max_record_bytes.min(u32::MAX.into());
        let length = u32::try_from(got).ok().filter(|_| got <= limit);
        let Some(length) = length else {
            return Err(AppendError::TooLarge { channel: self.name.clone(), got, limit });
        };
        let mut state = self.state.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let (queued, limit) = (state.queued_bytes, self.options.max_queued_bytes);
        if queued > 0 && queued + record_bytes(got) > limit {
            return Err(AppendError::QueueFull { channel: self.name.clone(), queued, limit });
        }
        state.queued_bytes += record_bytes(got);
        state.queue.push_back(Pending { payload, length, outcome });
        let start = !std::mem::replace(&mut state.writing, true);
        drop(state);
        if start {
            let (shared, lock) = (Arc::clone(self), Arc::clone(lock));
            milvus_base::io::spawn(move || drain(&shared, lock));
        }
        Ok(())
    }

    /// Forgets the files that hold nothing at or after `before`, and gives their positions.
    fn give_up(&self, before: u64) -> Result<Vec<u64>, TruncateError> {
        let mut state = self.state.lock();
        if let Some(refusal) = &state.refusal {
            return Err(TruncateError::NotOwner(refusal.clone()));
        }
        if before > state.end {
            return Err(TruncateError::BeyondEnd {
                channel: self.name.clone(),
                before: Position(before),
                end: Position(state.end),
            });
        }
        // All of the last file may be given up, but it is being written to.
        let last = state.bases.back().copied().unwrap_or(0);
        state.roll |= before == state.end && before - last >= self.options.segment_bytes / 16;
        let mut given_up = Vec::new();
        while let Some(next) = state.bases.get(1).copied()
            && next <= before
        {
            given_up.extend(state.bases.pop_front());
        }
        Ok(given_up)
    }
}

/// The handle that `open` gives; dropping it closes the channel without waiting.
pub(super) struct LocalChannel {
    pub(super) shared: Arc<Shared>,
    /// Keeps other processes out; each write under way has its own.
    pub(super) lock: Arc<DirLock>,
}

impl Drop for LocalChannel {
    fn drop(&mut self) {
        self.shared.refuse(self.shared.closed());
    }
}

#[async_trait]
impl LogChannel for LocalChannel {
    fn append(&self, payload: Vec<Bytes>) -> AppendFuture {
        let (outcome, receiver) = oneshot::channel();
        let queued = self.shared.enqueue(&self.lock, payload, outcome);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            queued?;
            receiver.await.unwrap_or_else(|_| {
                // The writer panicked, or the runtime ended first: nobody knows what was written.
                Err(AppendError::Poisoned {
                    channel: shared.name.clone(),
                    cause: "the writer ended without an outcome".to_owned(),
                })
            })
        })
    }

    fn read(&self, from: Position) -> Box<dyn RecordReader> {
        Box::new(LocalReader::new(Arc::clone(&self.shared), from))
    }

    async fn truncate(&self, before: Position) -> Result<(), TruncateError> {
        let given_up = self.shared.give_up(before.0)?;
        if given_up.is_empty() {
            return Ok(());
        }
        let dir = self.shared.dir.clone();
        let first = self.trim_point().0;
        milvus_base::io::try_run(move || {
            trim::advance(&dir, first)?;
            milvus_base::failpoint::hit("wal.local.before-delete");
            for base in given_up {
                let path = name::segment(&dir, base);
                std::fs::remove_file(&path)
                    .map_err(|e| IoFailed::new("remove log file", &path, e))?;
                // One after the other, so that no crash leaves a gap.
                sync_dir(&dir)?;
            }
            Ok(())
        })
        .await
    }

    fn trim_point(&self) -> Position {
        Position(self.shared.state.lock().bases.front().copied().unwrap_or(0))
    }

    fn end(&self) -> Position {
        Position(self.shared.state.lock().end)
    }

    fn term(&self) -> u64 {
        self.shared.term
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
