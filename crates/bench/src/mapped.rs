//! Files as they are served: mapped into memory, and put out of it to measure a cold start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use milvus_index::Mapped;
use rustix::fs::{Advice, fadvise};

use crate::Outcome;

/// The part of a mapped file behind its first `skip` bytes.
struct Tail {
    map: Mmap,
    skip: usize,
}

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        self.map.get(self.skip..).unwrap_or_default()
    }
}

/// Maps the file at `path`.
#[expect(unsafe_code, reason = "mapping a file is unsafe in itself")]
fn map_file(path: &Path) -> Outcome<Mmap> {
    let file = File::open(path).map_err(|reason| format!("{}: {reason}", path.display()))?;
    // SAFETY: data sets and index files are written once and not changed while they are measured.
    Ok(unsafe { Mmap::map(&file) }?)
}

/// The bytes of the file at `path` behind the first `skip`, mapped.
pub(crate) fn map(path: &Path, skip: usize) -> Outcome<Mapped> {
    Ok(Arc::new(Tail { map: map_file(path)?, skip }))
}

/// A copy of a file that no process has mapped and the system has put out of its cache.
pub(crate) struct Cold(PathBuf);

impl Cold {
    /// Copies the file at `path` into the folder `work`.
    pub(crate) fn copy(path: &Path, work: &Path) -> Outcome<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let copy = Self(work.join(format!("cold-{}-{name}", std::process::id())));
        std::fs::copy(path, &copy.0)
            .map_err(|reason| format!("{} to {}: {reason}", path.display(), copy.0.display()))?;
        let file = File::open(&copy.0)?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
        Ok(copy)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        // A copy that stays behind in a temporary folder harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}
