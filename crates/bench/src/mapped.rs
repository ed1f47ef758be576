//! Files as they are served: mapped into memory, and put out of it to measure a cold start.

use std::fs::File;
use std::path::Path;
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

/// Asks the system to forget what it has cached of the file; it may keep pages that are mapped.
pub(crate) fn evict(path: &Path) -> Outcome<()> {
    let file = File::open(path).map_err(|reason| format!("{}: {reason}", path.display()))?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
