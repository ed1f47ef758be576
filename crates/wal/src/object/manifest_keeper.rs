//! The channel's manifest as its owner keeps it: put only in the place of the one it put last.

use std::sync::Arc;

use milvus_storage::{ETag, StoreError};

use super::block::{Flaw, VERSION, unique_id};
use super::channel::Shared;
use super::extents::Extents;
use super::manifest::Manifest;
use super::remote::{Remote, damaged};
use crate::error::{AppendError, OpenError, StoreFailed, TruncateError};

/// Puts manifests. Knows what is there, unless the outcome of the last put is unknown.
pub(super) struct ManifestKeeper {
    pub(super) etag: Option<ETag>,
}

/// Why a manifest was not put.
#[derive(Debug)]
pub(super) enum KeepError {
    /// Another owner put one.
    Fenced { by: u64 },
    /// Nothing is there any more.
    Gone,
    /// What is there cannot be read.
    Unreadable(String),
    /// The store did not take it; it may be there nevertheless.
    Store(StoreFailed),
}

impl ManifestKeeper {
    /// Puts the manifest that says `log`. After an error of the store it may be there, or the one
    /// before; the next call takes the place of either.
    pub(super) async fn put(&mut self, shared: &Shared, log: &Extents) -> Result<(), KeepError> {
        let remote = &shared.remote;
        let manifest = Manifest {
            of: shared.of,
            term: remote.term,
            owner: shared.owner,
            id: unique_id(),
            trim: log.trim,
            next: log.next,
            end: log.end,
            removed: false,
            settled: log.settled.clone(),
        };
        let path = remote.manifest_path();
        let bytes = manifest.encode();
        let mut failures = 0;
        loop {
            let etag = match self.etag.take() {
                Some(etag) => etag,
                // Also if it is the one of an earlier attempt: only a put that returns says that it stays.
                None => own(shared).await?.1,
            };
            let put = remote.store.put_if_match(&path, bytes.clone().into(), &etag);
            let error = match remote.timed("put", &path, put).await {
                Ok(meta) => {
                    self.etag = Some(meta.etag);
                    return Ok(());
                }
                Err(error) => error,
            };
            failures += 1;
            if failures >= remote.options.retry.attempts {
                return Err(KeepError::Store(remote.failed("keep", log.trim, error)));
            }
            remote.pause(failures - 1).await;
        }
    }
}

/// The term of the owner that has put a manifest since, if one has. `None` too if nobody can say.
pub(super) async fn new_owner(shared: &Shared) -> Option<u64> {
    match own(shared).await {
        Err(KeepError::Fenced { by }) => Some(by),
        Ok(_) | Err(KeepError::Gone | KeepError::Unreadable(_) | KeepError::Store(_)) => None,
    }
}

/// The manifest that is there, which must be one of `shared`'s owner.
pub(super) async fn own(shared: &Shared) -> Result<(Manifest, ETag), KeepError> {
    match load(&shared.remote).await {
        Ok(Some((found, _))) if found.owner != shared.owner => {
            Err(KeepError::Fenced { by: found.term })
        }
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(KeepError::Gone),
        Err(OpenError::Store(failed)) => Err(KeepError::Store(failed)),
        Err(error) => Err(KeepError::Unreadable(error.to_string())),
    }
}

/// The manifest of a channel and its etag, if there is one.
pub(super) async fn load(remote: &Remote) -> Result<Option<(Manifest, ETag)>, OpenError> {
    let path = remote.manifest_path();
    let object = match remote.retrying("get", &path, || remote.store.get(&path)).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(remote.failed("open", 0, error).into()),
    };
    match Manifest::decode(&object.bytes, remote.channel_hash()) {
        Ok(manifest) => Ok(Some((manifest, object.meta.etag))),
        Err(Flaw::Newer(got)) => {
            Err(OpenError::NewerFormat { file: path.into(), got, want: VERSION })
        }
        Err(Flaw::Short(want)) => {
            let at = object.bytes.len() as u64;
            let what = format!("the manifest has {at} bytes, want {want} or more");
            Err(damaged(&path, at, what).into())
        }
        Err(Flaw::Bad(what)) => Err(damaged(&path, 0, what).into()),
    }
}

impl KeepError {
    /// As the error of a truncation of `shared`'s channel.
    pub(super) fn into_truncate(self, shared: &Arc<Shared>) -> TruncateError {
        match self {
            Self::Fenced { by } => TruncateError::NotOwner(shared.fenced(by)),
            Self::Gone => TruncateError::NotOwner(shared.closed()),
            Self::Unreadable(cause) => TruncateError::NotOwner(AppendError::Poisoned {
                channel: shared.remote.channel.clone(),
                cause,
            }),
            Self::Store(failed) => failed.into(),
        }
    }
}
