//! Removing a channel: the manifest says so first, so that a crash in between is finished by whoever
//! opens the channel next.

use std::collections::VecDeque;

use milvus_storage::StoreError;

use super::block::unique_id;
use super::extents::Extents;
use super::manifest::Manifest;
use super::manifest_keeper::load;
use super::open::{Ahead, walk};
use super::remote::Remote;
use crate::error::{OpenError, RemoveError};

/// Removes `remote`'s channel; one that is not there is no error. No other process may have it open.
pub(super) async fn remove(remote: &Remote) -> Result<(), RemoveError> {
    let path = remote.manifest_path();
    let failed = |error| RemoveError::Store(remote.failed("remove", 0, error));
    let mut failures = 0;
    loop {
        let (manifest, etag) = match load(remote).await {
            Ok(None) => return delete_listed(remote).await.map_err(failed),
            Ok(Some((manifest, _))) if manifest.removed => {
                return finish(remote, &manifest).await.map_err(failed);
            }
            Ok(Some(found)) => found,
            Err(OpenError::Store(error)) => return Err(error.into()),
            // It need not be readable to be removed.
            Err(_) => return delete_listed(remote).await.map_err(failed),
        };
        let removed = Manifest { removed: true, owner: unique_id(), ..manifest };
        let put = remote.store.put_if_match(&path, removed.encode().into(), &etag);
        if let Err(error) = remote.timed("put", &path, put).await {
            failures += 1;
            if failures >= remote.options.retry.attempts {
                return Err(failed(error));
            }
            remote.pause(failures - 1).await;
        }
    }
}

/// Deletes what is left of a channel whose `manifest` says that it is removed.
pub(super) async fn finish(remote: &Remote, manifest: &Manifest) -> Result<(), StoreError> {
    // What a list does not show yet is found by walking, as far as it can be read.
    let mut log = Extents {
        settled: manifest.settled.clone(),
        next: manifest.next,
        tail: manifest.next,
        end: manifest.end,
        trim: manifest.trim,
        recent: VecDeque::new(),
    };
    let _ = walk(remote, manifest.of, &mut log, &Ahead::new()).await;
    for extent in log.settled.iter().chain(log.recent.iter().rev()) {
        let path = remote.path(manifest.of, extent);
        remote.retrying("delete", &path, || remote.store.delete(&path)).await?;
        milvus_base::failpoint::hit("wal.object.before-delete");
    }
    delete_listed(remote).await
}

/// Deletes everything of the channel that a list shows, the manifest last.
async fn delete_listed(remote: &Remote) -> Result<(), StoreError> {
    let prefix = format!("{}/", remote.dir);
    let listed = remote.retrying("list", &prefix, || remote.store.list(&prefix)).await?;
    let manifest = remote.manifest_path();
    let paths = listed.into_iter().map(|meta| meta.path).filter(|path| *path != manifest);
    for path in paths.chain([manifest.clone()]) {
        remote.retrying("delete", &path, || remote.store.delete(&path)).await?;
    }
    Ok(())
}
