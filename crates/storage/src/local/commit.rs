//! Changing which file has an object's name. One change at a time.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{COMMIT_LOCK, LocalStore, files};
use crate::error::StoreError;
use crate::store::ETag;

/// When a put may happen.
pub(super) enum Condition {
    Always,
    Absent,
    Match(ETag),
}

/// Moves the synced file `temporary` to `path`, durably, if `condition` holds.
pub(super) fn commit(
    store: &LocalStore,
    temporary: &Path,
    path: &str,
    condition: &Condition,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::put(path, source);
    let target = store.file(path);
    let parent = target.parent().unwrap_or(&store.root);
    let locked = lock(store).map_err(failed)?;
    check(store, path, condition)?;
    make_dirs(&store.root, parent).map_err(failed)?;
    fs::rename(temporary, &target).map_err(failed)?;
    drop(locked);
    files::sync_dir(parent).map_err(failed)
}

/// Removes the object at `path`, durably, and the directories that this leaves empty.
pub(super) fn remove(store: &LocalStore, path: &str) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("delete", path, source);
    let target = store.file(path);
    let _locked = lock(store).map_err(failed)?;
    match fs::symlink_metadata(&target) {
        Ok(metadata) if metadata.is_file() => fs::remove_file(&target).map_err(failed)?,
        Ok(_) => return Ok(()),
        Err(error) if files::absent(&error) => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let mut parent = target.parent();
    while let Some(directory) = parent {
        // Fails on the first that is not empty, which then remembers the removal.
        if directory == &*store.root || fs::remove_dir(directory).is_err() {
            return files::sync_dir(directory).map_err(failed);
        }
        parent = directory.parent();
    }
    Ok(())
}

/// The lock under which names change; released when dropped.
fn lock(store: &LocalStore) -> io::Result<File> {
    let options = File::options().create(true).truncate(false).write(true).to_owned();
    let file = options.open(store.root.join(COMMIT_LOCK))?;
    file.lock()?;
    Ok(file)
}

fn check(store: &LocalStore, path: &str, condition: &Condition) -> Result<(), StoreError> {
    let want = match condition {
        Condition::Always => return Ok(()),
        Condition::Absent => None,
        Condition::Match(want) => Some(want),
    };
    let got = match files::head(store, path) {
        Ok(meta) => Some(meta.etag),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let path = path.to_owned();
    match (want, got) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(StoreError::AlreadyExists { path }),
        (Some(want), Some(got)) if *want == got => Ok(()),
        (Some(want), got) => Err(StoreError::PreconditionFailed { path, got, want: want.clone() }),
    }
}

/// Makes `directory`, which lies under `root`, and syncs each directory that gets a new entry.
fn make_dirs(root: &Path, directory: &Path) -> io::Result<()> {
    if directory == root || directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().unwrap_or(root);
    make_dirs(root, parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => files::sync_dir(parent),
    }
}
