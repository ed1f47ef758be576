//! Where a channel's log begins, as the name of an empty file, so that a first file that was lost is told
//! from one that was given up.
//!
//! The mark is durable before the files before it are deleted. Logs from before there were marks have
//! none; they begin with their first file, and have a mark from their next opening on.

use std::fs::{self, File};
use std::path::Path;

use super::{name, sync_dir};
use crate::error::IoFailed;

/// Writes the mark that the log in `dir` begins at `base`. The caller makes it durable.
pub(super) fn write(dir: &Path, base: u64) -> Result<(), IoFailed> {
    let path = name::trim(dir, base);
    File::create(&path).map(drop).map_err(|e| IoFailed::new("create", &path, e))
}

/// Moves the mark of the log in `dir` to `base`, durably.
pub(super) fn advance(dir: &Path, base: u64) -> Result<(), IoFailed> {
    write(dir, base)?;
    sync_dir(dir)?;
    for old in list(dir)?.into_iter().filter(|old| *old < base) {
        let path = name::trim(dir, old);
        fs::remove_file(&path).map_err(|e| IoFailed::new("remove", &path, e))?;
    }
    Ok(())
}

/// Where the log in `dir` begins, if it says so.
pub(super) fn find(dir: &Path) -> Result<Option<u64>, IoFailed> {
    Ok(list(dir)?.into_iter().max())
}

fn list(dir: &Path) -> Result<Vec<u64>, IoFailed> {
    let names = super::entries(dir)?;
    Ok(names.iter().filter_map(|name| name::trim_base(name)).collect())
}
