//! A temporary file on its way to become an object.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use milvus_base::{clock, random};

use super::commit::{Condition, commit};
use super::{LocalStore, TEMPORARY, files};
use crate::error::StoreError;
use crate::store::ObjectMeta;
use crate::writer::Upload;

const BUFFER_BYTES: usize = 256 * 1024;

/// An object being written; removes its temporary file if dropped before it is committed.
pub(super) struct LocalUpload {
    store: LocalStore,
    path: String,
    temporary: PathBuf,
    out: BufWriter<File>,
}

impl LocalUpload {
    pub(super) fn create(store: LocalStore, path: &str) -> Result<Self, StoreError> {
        store.refuse_read_only("put", path)?;
        let temporary = store.root.join(TEMPORARY).join(random::unique_name());
        let file = File::create_new(&temporary).map_err(|error| StoreError::put(path, error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { store, path: path.to_owned(), temporary, out })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.out.write_all(bytes).map_err(|error| StoreError::put(&self.path, error))
    }

    /// Makes the file durable, then moves it to its path if `condition` holds.
    pub(super) fn commit(mut self, condition: &Condition) -> Result<ObjectMeta, StoreError> {
        let metadata = self.sync().map_err(|error| StoreError::put(&self.path, error))?;
        let meta = files::meta(&self.path, &metadata)?;
        commit(&self.store, &self.temporary, &self.path, condition)?;
        Ok(meta)
    }

    fn sync(&mut self) -> io::Result<fs::Metadata> {
        self.out.flush()?;
        let file = self.out.get_ref();
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(unused_time_ns()))?;
        file.sync_all()?;
        file.metadata()
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // Moved away if committed; what stays after a failure here goes when the store is opened.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Write for LocalUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Upload for LocalUpload {
    fn finish(self: Box<Self>) -> Result<ObjectMeta, StoreError> {
        self.commit(&Condition::Always)
    }
}

/// A time in nanoseconds, near now, that this process gives only once.
///
/// File systems reuse inode numbers at once and stamp files in steps of milliseconds; with the time
/// given here the pair of inode and time names one put.
fn unused_time_ns() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = clock::now_ms().saturating_mul(1_000_000);
    let next = |last: u64| now.max(last.saturating_add(1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    next(last.unwrap_or_else(|last| last))
}
