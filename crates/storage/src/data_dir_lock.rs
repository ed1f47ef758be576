//! One server per data directory.
//!
//! The file `LOCK` in the directory is locked exclusively for as long as the server lives and holds
//! its process id. The system releases the lock with the process, however it ends; the file stays.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use milvus_types::{Coded, ErrorCode};

/// The name of the lock file.
const FILE: &str = "LOCK";

/// The lock on a data directory; released when dropped.
#[derive(Debug)]
pub struct DataDirLock {
    directory: PathBuf,
    /// Holds the lock.
    _file: File,
}

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server uses it.
    #[error("data directory {} is in use by process {pid}", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other server's process id, `unknown` if it has not written it yet.
        pid: String,
    },
    /// The system failed.
    #[error("cannot lock data directory {}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl Coded for LockError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } => ErrorCode::OldSessionExists,
            Self::Io { .. } => ErrorCode::IoFailed,
        }
    }
}

impl DataDirLock {
    /// Locks `directory`, which is made if it is not there. Never waits.
    pub fn acquire(directory: impl Into<PathBuf>) -> Result<Self, LockError> {
        let directory: PathBuf = directory.into();
        match lock(&directory) {
            Ok(Ok(file)) => Ok(Self { directory, _file: file }),
            Ok(Err(pid)) => Err(LockError::InUse { directory, pid }),
            Err(source) => Err(LockError::Io { directory, source }),
        }
    }

    /// The locked directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The locked file, or the process id of who has it.
fn lock(directory: &Path) -> io::Result<Result<File, String>> {
    fs::create_dir_all(directory)?;
    let mut options = File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(directory.join(FILE))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            file.sync_all()?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            Ok(Err(if pid.is_empty() { "unknown".to_owned() } else { pid }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_by_name_until_the_first_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        let first = DataDirLock::acquire(&directory).unwrap();
        let error = DataDirLock::acquire(&directory).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "data directory {} is in use by process {}",
                first.directory().display(),
                std::process::id()
            )
        );
        drop(first);
        DataDirLock::acquire(&directory).unwrap();
    }
}
