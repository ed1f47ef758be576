//! Views of the catalogue and the log: what opening a file would change is copied, the rest is linked to.
//!
//! ```text
//! scratch/meta.redb                                     a copy: opening it writes to it
//! scratch/{channel}/0...log -> DIR/log/{channel}/0...log, but the last two are copies: opening a
//!                              channel settles where it ends
//! scratch/{channel}/0...trim                            copies: marks of where the log begins
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::Database;
use tempfile::TempDir;

use crate::data_dir::failed;
use crate::error::{CheckError, DataDirError};

/// An empty folder that is removed when dropped.
pub(crate) fn scratch() -> Result<TempDir, DataDirError> {
    let made = tempfile::Builder::new().prefix("milvus-check-").tempdir();
    made.map_err(|error| failed("make a folder in", std::env::temp_dir(), error))
}

/// A copy of the catalogue's `file` whose every page is as it was written, or what is wrong with it.
pub(crate) fn catalogue(
    file: &Path,
    scratch: &TempDir,
) -> Result<Result<PathBuf, String>, DataDirError> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() == 0 => return Ok(Err("the file is empty".to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err("the file is missing".to_owned()));
        }
        Err(error) => return Err(failed("read", file.to_owned(), error)),
    }
    let copy = scratch.path().join("meta.redb");
    fs::copy(file, &copy).map_err(|error| failed("copy", file.to_owned(), error))?;
    // Reading does not verify the checksums of pages, and trusts them.
    let verified = catch_unwind(AssertUnwindSafe(|| verify_pages(&copy)));
    let verified = verified.unwrap_or_else(|_| Err("its pages cannot be followed".to_owned()));
    Ok(verified.map(|()| copy))
}

fn verify_pages(file: &Path) -> Result<(), String> {
    let mut database = Database::open(file).map_err(|error| error.to_string())?;
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => Err("its pages do not agree with each other".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A view of the log channel in directory `channel`, as the one channel of a log; and the copies in
/// it with what they are copies of.
pub(crate) fn channel(channel: &Path, files: &[PathBuf]) -> io::Result<ChannelView> {
    let scratch = tempfile::Builder::new().prefix("milvus-check-").tempdir()?;
    let name = channel.file_name().unwrap_or_default();
    let view = scratch.path().join(name);
    fs::create_dir(&view)?;
    let is_records = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "log");
    let records: Vec<&PathBuf> = files.iter().filter(is_records).collect();
    let linked = records.len().saturating_sub(2);
    let mut copies = Vec::new();
    for (place, file) in records.into_iter().enumerate() {
        let copy = view.join(file.file_name().unwrap_or_default());
        if place < linked {
            symlink(fs::canonicalize(file)?, &copy)?;
        } else {
            fs::copy(file, &copy)?;
            copies.push(Copied { file: file.clone(), copy });
        }
    }
    // Marks of where the log begins are empty files.
    for file in files.iter().filter(|file| !is_records(file)) {
        fs::copy(file, view.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(ChannelView { scratch, copies })
}

/// A log of one channel.
pub(crate) struct ChannelView {
    pub(crate) scratch: TempDir,
    pub(crate) copies: Vec<Copied>,
}

/// A file of a channel that was copied.
#[derive(Clone)]
pub(crate) struct Copied {
    file: PathBuf,
    copy: PathBuf,
}

impl Copied {
    /// The file, its length, and the length of its copy, 0 if that was removed.
    pub(crate) fn lengths(self) -> Result<(PathBuf, u64, u64), CheckError> {
        let length = |path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(CheckError::io("read", path, error)),
        };
        let (before, after) = (length(&self.file)?, length(&self.copy)?);
        Ok((self.file, before, after))
    }
}
