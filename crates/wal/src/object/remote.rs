//! The objects of one channel: their paths, and requests for them that do not wait for ever.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milvus_base::retry::Backoff;
use milvus_storage::{ObjectStore, Payload, StoreError};
use milvus_types::{Coded as _, ErrorCode};

use super::ObjectWalOptions;
use super::ahead::{BYTES_AHEAD, Budget};
use super::block::{BLOCK_HEADER, BlockHeader, Flaw, LogId, VERSION};
use super::extents::{Extent, Kind};
use crate::error::{OpenError, StoreFailed, WalDamaged};
use crate::log::Position;

/// A store that takes fewer than this is as good as away.
const BYTES_IN_A_SECOND: u64 = 4 << 20;

/// A read is one of many at once.
const READ_IN_A_SECOND: u64 = 1 << 20;

/// A put is repeated so many times when the disk is full or may not be written to.
const TRIES_WHEN_REFUSED: u32 = 3;

/// A channel's part of the store, as one owner sees it.
pub(super) struct Remote {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) dir: String,
    pub(super) channel: String,
    pub(super) term: u64,
    pub(super) options: ObjectWalOptions,
    /// What readers may fetch before they come to it.
    pub(super) ahead: Budget,
}

/// What became of a put under a name that only one writer can have.
#[derive(Debug)]
pub(super) enum Put {
    /// It is there.
    Written,
    /// This is there instead.
    Taken(BlockHeader),
    /// Something that is no block of this log is there.
    Obstructed(WalDamaged),
    /// The store did not say, for too long.
    Unknown(StoreError),
}

/// Why a block's header could not be had.
#[derive(Debug)]
pub(super) enum HeadError {
    Store(StoreError),
    Damaged(WalDamaged),
    Newer { file: PathBuf, got: u32 },
}

impl Remote {
    pub(super) fn manifest_path(&self) -> String {
        format!("{}/manifest", self.dir)
    }

    pub(super) fn batch_path(&self, of: LogId, first: u64) -> String {
        format!("{}/{:016x}/{first:020}.batch", self.dir, of.log)
    }

    pub(super) fn path(&self, of: LogId, extent: &Extent) -> String {
        let Extent { first, end, .. } = extent;
        match extent.kind {
            Kind::Batch | Kind::Claim => self.batch_path(of, *first),
            Kind::Merged(id) => {
                format!("{}/{:016x}/{first:020}-{end:020}-{id:016x}.merged", self.dir, of.log)
            }
        }
    }

    /// The crc32c of the channel's name.
    pub(super) fn channel_hash(&self) -> u32 {
        crc32c::crc32c(self.channel.as_bytes())
    }

    pub(super) fn failed(&self, action: &'static str, at: u64, source: StoreError) -> StoreFailed {
        StoreFailed {
            action,
            channel: self.channel.clone(),
            position: Position(at),
            term: self.term,
            source: Arc::new(source),
        }
    }

    /// Lets `request` fail when the store does not answer.
    pub(super) async fn timed<T>(
        &self,
        op: &'static str,
        path: &str,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.timed_put(op, path, 0, request).await
    }

    /// The same for a request that carries `bytes`, which has a second more for each 4 MiB.
    pub(super) async fn timed_put<T>(
        &self,
        op: &'static str,
        path: &str,
        bytes: u64,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let timeout = self.options.attempt_timeout + Duration::from_secs(bytes / BYTES_IN_A_SECOND);
        tokio::select! {
            answer = request => answer,
            () = self.options.clock.sleep(timeout) => {
                let source = io::Error::new(io::ErrorKind::TimedOut, "the store did not answer");
                Err(StoreError::Io { op, path: path.to_owned(), source })
            }
        }
    }

    /// Makes a request that may be repeated until it is answered.
    pub(super) async fn retrying<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        op: &'static str,
        path: &str,
        mut request: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let attempt = || self.timed(op, path, request());
        self.options.retry.retry(&self.options.clock, may_pass, attempt).await
    }

    /// The same for a read of `bytes`, which has time for all that may be read ahead with it.
    pub(super) async fn retrying_read<F: Future<Output = Result<Bytes, StoreError>>>(
        &self,
        path: &str,
        bytes: u64,
        mut request: impl FnMut() -> F,
    ) -> Result<Bytes, StoreError> {
        let beside = u64::from(BYTES_AHEAD).saturating_add(bytes);
        let extra = BYTES_IN_A_SECOND / READ_IN_A_SECOND * beside;
        let attempt = || self.timed_put("read", path, extra, request());
        self.options.retry.retry(&self.options.clock, may_pass, attempt).await
    }

    /// Waits before attempt number `failures` + 1.
    pub(super) async fn pause(&self, failures: u32) {
        let Backoff { jitter, .. } = self.options.retry;
        let pause = milvus_base::random::jitter(self.options.retry.pause(failures), jitter);
        self.options.clock.sleep(pause).await;
    }

    /// The header of the block that was put as position `first`; `None` if nothing was.
    pub(super) async fn head(
        &self,
        of: LogId,
        first: u64,
    ) -> Result<Option<BlockHeader>, HeadError> {
        let path = self.batch_path(of, first);
        let read = || self.store.get_range(&path, 0..BLOCK_HEADER as u64);
        let read = self.retrying("get", &path, read).await;
        judge_head(of, first, &path, read)
    }

    /// What `head` gives, from one attempt.
    async fn head_once(&self, of: LogId, first: u64) -> Result<Option<BlockHeader>, HeadError> {
        let path = self.batch_path(of, first);
        let read = self.store.get_range(&path, 0..BLOCK_HEADER as u64);
        let read = self.timed("get", &path, read).await;
        judge_head(of, first, &path, read)
    }

    /// Puts `block`, whose header is `header`, under its name, and finds out whether it is there; tries
    /// for so long.
    pub(super) async fn put_block(
        &self,
        header: &BlockHeader,
        block: &Payload,
        give_up_after: Duration,
    ) -> Put {
        let path = self.batch_path(header.of, header.first);
        let deadline = self.options.clock.monotonic() + give_up_after;
        let mut failures = 0;
        loop {
            let put = self.store.put_if_absent(&path, block.clone());
            let mut error = match self.timed_put("put", &path, block.len(), put).await {
                Ok(_) => return Put::Written,
                Err(error) => error,
            };
            match self.head_once(header.of, header.first).await {
                Ok(Some(found)) if found.id == header.id => {
                    match self.put_again(&path, block).await {
                        Ok(()) => return Put::Written,
                        Err(again) => error = again,
                    }
                }
                Ok(Some(found)) => return Put::Taken(found),
                Ok(None) | Err(HeadError::Store(_)) => {}
                Err(HeadError::Damaged(damage)) => return Put::Obstructed(damage),
                Err(HeadError::Newer { file, got }) => {
                    let what =
                        format!("the object has format {got}, which this program cannot read");
                    return Put::Obstructed(WalDamaged { file, offset: 0, what });
                }
            }
            let hopeless = failures >= TRIES_WHEN_REFUSED && is_refusal(&error);
            if hopeless || self.options.clock.monotonic() >= deadline {
                return Put::Unknown(error);
            }
            tracing::warn!(
                channel = self.channel, term = self.term, position = header.first, %error,
                "a put to the log has no outcome yet"
            );
            self.pause(failures).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Puts `block` in the place of itself. That it is seen at `path` says that it arrived; that it is
    /// durable only a put says that has returned.
    pub(super) async fn put_again(&self, path: &str, block: &Payload) -> Result<(), StoreError> {
        let found = self.timed("head", path, self.store.head(path)).await?;
        let put = self.store.put_if_match(path, block.clone(), &found.etag);
        self.timed_put("put", path, block.len(), put).await.map(drop)
    }

    /// Deletes objects that nothing needs any more; what cannot be deleted now is when the channel is
    /// opened next.
    pub(super) async fn delete_all(&self, paths: Vec<String>) {
        for path in paths {
            milvus_base::failpoint::hit("wal.object.before-delete");
            if let Err(error) = self.retrying("delete", &path, || self.store.delete(&path)).await {
                tracing::warn!(path, %error, "an object of the log that is not needed stays");
            }
        }
    }
}

impl HeadError {
    pub(super) fn into_open(self, remote: &Remote, at: u64) -> OpenError {
        match self {
            Self::Store(error) => remote.failed("read", at, error).into(),
            Self::Damaged(damage) => damage.into(),
            Self::Newer { file, got } => OpenError::NewerFormat { file, got, want: VERSION },
        }
    }
}

/// What became of reading the header of the block at `first`.
pub(super) fn judge_head(
    of: LogId,
    first: u64,
    path: &str,
    read: Result<Bytes, StoreError>,
) -> Result<Option<BlockHeader>, HeadError> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(StoreError::InvalidRange { size, .. }) => {
            let what = format!("the object has {size} bytes, a block has {BLOCK_HEADER} at least");
            return Err(HeadError::Damaged(damaged(path, size, what)));
        }
        Err(error) => return Err(HeadError::Store(error)),
    };
    let header = BlockHeader::decode(&bytes).map_err(|flaw| match flaw {
        Flaw::Newer(got) => HeadError::Newer { file: path.into(), got },
        Flaw::Short(_) => HeadError::Damaged(damaged(path, 0, "the object has no block")),
        Flaw::Bad(what) => HeadError::Damaged(damaged(path, 0, what)),
    })?;
    header.check(of, first).map_err(|what| HeadError::Damaged(damaged(path, 0, what)))?;
    Ok(Some(header))
}

/// Whether a store says why it will not take an object, and waiting does not help.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error.code(), ErrorCode::DiskLimitExceeded | ErrorCode::IoPermissionDenied)
}

/// Whether the same request may be answered otherwise later.
pub(super) fn may_pass(error: &StoreError) -> bool {
    let answered = matches!(
        error,
        StoreError::NotFound { .. }
            | StoreError::InvalidPath { .. }
            | StoreError::InvalidRange { .. }
    );
    !answered && !error.is_conflict()
}

pub(super) fn damaged(path: &str, offset: u64, what: impl Into<String>) -> WalDamaged {
    WalDamaged { file: PathBuf::from(path), offset, what: what.into() }
}
