//! Merging: small objects behind the tail become one larger object, so that reading the log takes few
//! requests and the store holds few objects.
//!
//! Copy, put the manifest that lists the copy, delete the originals: after a crash at any step each
//! position lies in an object that the manifest leads to. A copy that no manifest lists is deleted when
//! the channel is opened next.

use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::StoreError;

use super::channel::Shared;
use super::extents::{Extent, Extents, Kind, MergePlan};
use super::manifest_keeper::KeepError;
use super::scan::check_blocks;
use super::truncate::deletable;
use crate::error::{StoreFailed, WalDamaged};

/// Why objects were not merged. They stay as they are, and are looked at again later.
#[derive(Debug, thiserror::Error)]
enum MergeError {
    #[error(transparent)]
    Damaged(#[from] WalDamaged),
    #[error(transparent)]
    Store(#[from] StoreFailed),
    #[error("the manifest cannot be read: {0}")]
    Unreadable(String),
    #[error("the channel has another owner, or was removed")]
    NotOwner,
}

/// Starts to merge if enough has come since the last time and nobody is at it.
pub(super) fn start_if_due(shared: &Arc<Shared>) {
    {
        let mut state = shared.state.lock();
        let due = state.log.recent.len() >= shared.remote.options.merge_objects;
        if !due || state.merging || state.refusal.is_some() {
            return;
        }
        state.merging = true;
    }
    let shared = Arc::clone(shared);
    milvus_base::task::spawn("log merger", async move {
        let done = Done(&shared);
        if let Err(error) = merge(&shared).await {
            let channel = &shared.remote.channel;
            tracing::warn!(channel, error = crate::error::chain(&error), "log was not merged");
        }
        drop(done);
    });
}

/// Lets the next one in, whatever became of this one.
pub(super) struct Done<'a>(pub(super) &'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.state.lock().merging = false;
        self.0.idle.notify_waiters();
    }
}

/// Merges what is due as one object, or settles it as it is.
async fn merge(shared: &Arc<Shared>) -> Result<(), MergeError> {
    let plan = shared.state.lock().log.plan_merge(shared.remote.options.merge_bytes);
    match plan {
        None => Ok(()),
        Some(MergePlan::Settle(objects)) => {
            commit(shared, |log| log.settled(&objects)).await.map(|_| ())
        }
        Some(MergePlan::Merge(inputs)) => {
            let Some(merged) = copy(shared, &inputs).await? else {
                return Ok(());
            };
            // If it was given up meanwhile no manifest lists the copy, and nobody else has its name.
            let committed = commit(shared, |log| log.merged(merged)).await?;
            let copy = [merged];
            let unused = if committed { &inputs[..] } else { &copy[..] };
            shared.remote.delete_all(deletable(shared, unused)).await;
            Ok(())
        }
    }
}

/// Puts a copy of `inputs`; `None` if they have been given up meanwhile.
async fn copy(shared: &Shared, inputs: &[Extent]) -> Result<Option<Extent>, MergeError> {
    let remote = &shared.remote;
    let mut chunks: Vec<Bytes> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let path = remote.path(shared.of, input);
        let bytes = match remote.retrying("get", &path, || remote.store.get(&path)).await {
            Ok(object) => object.bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(remote.failed("merge", input.first, error).into()),
        };
        check_blocks(&path, &bytes, shared.of, input)?;
        chunks.push(bytes);
    }
    let [Some(first), Some(last)] = [inputs.first(), inputs.last()] else {
        return Ok(None);
    };
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let kind = Kind::Merged(milvus_base::random::u64() | 1);
    let merged = Extent { first: first.first, end: last.end, bytes, kind };
    let path = remote.path(shared.of, &merged);
    milvus_base::failpoint::hit("wal.object.before-merged");
    let put = || remote.store.put(&path, chunks.clone().into());
    let put = remote.retrying("put", &path, put).await;
    put.map_err(|error| remote.failed("merge", merged.first, error))?;
    milvus_base::failpoint::hit("wal.object.after-merged");
    Ok(Some(merged))
}

/// Puts a manifest of the log as `change` makes it; whether there was anything to change.
async fn commit(
    shared: &Shared,
    change: impl FnOnce(&Extents) -> Option<Extents>,
) -> Result<bool, MergeError> {
    let mut keeper = shared.keeper.lock().await;
    let Some(after) = change(&shared.state.lock().log) else {
        return Ok(false);
    };
    if let Err(error) = keeper.put(shared, &after).await {
        return Err(match error {
            KeepError::Fenced { by } => {
                shared.fence(by);
                MergeError::NotOwner
            }
            KeepError::Gone => MergeError::NotOwner,
            KeepError::Unreadable(cause) => MergeError::Unreadable(cause),
            KeepError::Store(failed) => failed.into(),
        });
    }
    milvus_base::failpoint::hit("wal.object.after-manifest");
    shared.state.lock().log.adopt_settled(after);
    Ok(true)
}
