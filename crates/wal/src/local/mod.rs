//! The log in files of the data directory (`mq.type: rocksmq`): one directory for each channel, files
//! of checksummed records in it, group commit, `fdatasync`.
//!
//! ```text
//! DIR/LOCK                                 held while in use
//! DIR/by-dev-rootcoord-dml_0/00000000000000000000.trim   where the log begins (`trim.rs`)
//! DIR/by-dev-rootcoord-dml_0/00000000000000000000.log
//! DIR/by-dev-rootcoord-dml_0/00000000000067108992.log    named by the position of its first record
//! ```
//!
//! One process owns the directory (an advisory lock, which ends with the process); within it, terms
//! fence. A channel's directory is made with its first record.
//!
//! Bytes: `format.rs`. What is found after a crash: `recover.rs`. Group commit: `channel.rs`, `write.rs`.

mod channel;
mod format;
mod name;
mod read;
mod recover;
mod scan;
#[cfg(test)]
mod suites;
#[cfg(test)]
mod tests;
mod trim;
mod write;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::channel_name;
use crate::error::{IoFailed, OpenError, RemoveError};
use crate::log::{LogChannel, Wal};
use crate::planted::PlantedBug;
use channel::{LocalChannel, Shared};

/// How a [`LocalWal`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct LocalWalOptions {
    /// A new file begins when one has this many bytes.
    pub segment_bytes: u64,
    /// The largest record accepted.
    pub max_record_bytes: u64,
    /// The most bytes that may wait to be written to one channel.
    pub max_queued_bytes: u64,
    /// What is wrong on purpose. Tests only.
    pub planted_bug: PlantedBug,
}

impl Default for LocalWalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_record_bytes: 256 << 20,
            max_queued_bytes: 512 << 20,
            planted_bug: PlantedBug::None,
        }
    }
}

/// The log in files of one directory.
pub struct LocalWal {
    dir: PathBuf,
    options: LocalWalOptions,
    lock: Arc<DirLock>,
    channels: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// What is known of a channel's owners since this process began.
#[derive(Default)]
struct Slot {
    term: u64,
    owner: Weak<Shared>,
}

/// Keeps other processes out of the directory until dropped.
struct DirLock {
    _file: File,
}

impl LocalWal {
    /// Opens the log in `dir`, making the directory if there is none. Channels are read when they
    /// are opened.
    pub async fn open(
        dir: impl Into<PathBuf>,
        options: LocalWalOptions,
    ) -> Result<Self, OpenError> {
        let dir = dir.into();
        milvus_base::io::try_run(move || {
            let lock = Arc::new(DirLock::take(&dir)?);
            sweep(&dir)?;
            Ok(Self { dir, options, lock, channels: Mutex::default() })
        })
        .await
    }

    fn slot(&self, channel: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        Arc::clone(self.channels.lock().entry(channel.to_owned()).or_default())
    }
}

#[async_trait]
impl Wal for LocalWal {
    async fn open(&self, channel: &str, term: u64) -> Result<Arc<dyn LogChannel>, OpenError> {
        if !channel_name::is_valid(channel) {
            return Err(OpenError::InvalidName { name: channel.to_owned() });
        }
        let slot = self.slot(channel);
        let mut slot = slot.lock().await;
        refuse_below(channel, term, slot.term)?;
        if let Some(owner) = slot.owner.upgrade() {
            if owner.term == term && owner.state.lock().refusal.is_none() {
                return Err(OpenError::AlreadyOpen { channel: channel.to_owned(), term });
            }
            owner.fence(term).await;
        }
        let dir = self.dir.join(channel_name::directory(channel));
        let options = self.options;
        let name = channel.to_owned();
        let shared = milvus_base::io::try_run(move || {
            let found = recover::recover(&dir, &name)?;
            refuse_below(&name, term, found.term)?;
            Ok::<_, OpenError>(Arc::new(Shared::new(&name, dir, term, options, &found)))
        })
        .await?;
        *slot = Slot { term, owner: Arc::downgrade(&shared) };
        Ok(Arc::new(LocalChannel { shared, lock: Arc::clone(&self.lock) }))
    }

    async fn channels(&self) -> Result<Vec<String>, OpenError> {
        let dir = self.dir.clone();
        milvus_base::io::try_run(move || {
            let mut channels: Vec<String> =
                entries(&dir)?.iter().filter_map(|name| channel_name::channel(name)).collect();
            channels.retain(|channel| dir.join(channel_name::directory(channel)).is_dir());
            channels.sort_unstable();
            Ok(channels)
        })
        .await
    }

    async fn remove(&self, channel: &str) -> Result<(), RemoveError> {
        let slot = self.slot(channel);
        let slot = slot.lock().await;
        if let Some(owner) = slot.owner.upgrade() {
            owner.refuse(owner.closed());
            owner.quiesce().await;
        }
        let dir = self.dir.join(channel_name::directory(channel));
        let aside =
            self.dir.join(format!("{}{}", name::REMOVED, milvus_base::random::unique_name()));
        let root = self.dir.clone();
        milvus_base::io::try_run(move || {
            // Moved aside at once, so that no crash leaves a part of the channel.
            match fs::rename(&dir, &aside) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(IoFailed::new("remove", &dir, error).into()),
            }
            sync_dir(&root)?;
            fs::remove_dir_all(&aside).map_err(|e| IoFailed::new("remove", &aside, e).into())
        })
        .await
    }
}

fn refuse_below(channel: &str, got: u64, current: u64) -> Result<(), OpenError> {
    if got < current {
        return Err(OpenError::StaleTerm { channel: channel.to_owned(), got, current });
    }
    Ok(())
}

impl DirLock {
    fn take(dir: &Path) -> Result<Self, OpenError> {
        let made = !dir.is_dir();
        fs::create_dir_all(dir).map_err(|e| IoFailed::new("create", dir, e))?;
        if let Some(parent) = dir.parent().filter(|parent| made && !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        let path = dir.join("LOCK");
        let file = File::create(&path).map_err(|e| IoFailed::new("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => Err(IoFailed::new("lock", &path, error).into()),
        }
    }
}

/// Deletes what is left of removed channels.
fn sweep(dir: &Path) -> Result<(), OpenError> {
    for name in entries(dir)? {
        if name.starts_with(name::REMOVED) {
            let path = dir.join(name);
            fs::remove_dir_all(&path).map_err(|e| IoFailed::new("remove", &path, e))?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<String>, IoFailed> {
    let failed = |e| IoFailed::new("list", dir, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Makes the names in `dir` durable.
fn sync_dir(dir: &Path) -> Result<(), IoFailed> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| IoFailed::new("sync directory", dir, e))
}
