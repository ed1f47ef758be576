//! The files of a cache. Everything here blocks.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;
use milvus_base::random;

use crate::maps::Maps;
use crate::store::ObjectMeta;

const COPY: &str = "object";
const PART: &str = "part";

/// A copy of an object. Its file may be gone any time; who has opened it keeps it.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) meta: ObjectMeta,
    file: Arc<Path>,
}

/// A copy on its way; removes its file if dropped before it is finished.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    size: u64,
}

/// Makes the directory, and removes the files of an earlier process.
pub(super) fn prepare(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|end| end == COPY || end == PART);
        if ours {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Says that a copy could not be made; reads go on without it.
pub(super) fn report(path: &str, error: &io::Error) {
    tracing::warn!(path, %error, "the cache's disk failed; the object is not kept");
}

impl Part {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(random::unique_name()).with_extension(PART);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, size: 0 })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes it the copy of the object that `meta` names, if it has as many bytes.
    pub(super) fn finish(mut self, meta: ObjectMeta) -> io::Result<Copy> {
        if self.size != meta.size {
            let words = format!("copy has {} bytes, want {}", self.size, meta.size);
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let path = self.path.with_extension(COPY);
        fs::rename(&self.path, &path)?;
        self.path = PathBuf::new();
        Ok(Copy { meta, file: path.into() })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What stays behind goes when the cache is opened.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Copy {
    /// Its file, if that is still as long as the object.
    pub(super) fn open(&self) -> io::Result<File> {
        let file = File::open(&self.file)?;
        let (got, want) = (file.metadata()?.len(), self.meta.size);
        if got != want {
            let words = format!("the copy of {} has {got} bytes, want {want}", self.meta.path);
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(file)
    }

    pub(super) fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.open()?.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }

    /// Maps `file`, which is this copy's, opened.
    #[expect(unsafe_code, reason = "mapping a file cannot be safe in Rust's terms")]
    pub(super) fn map(&self, file: &File, maps: &Maps) -> io::Result<Bytes> {
        if self.meta.size == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: the file does not change: it is written before it gets its name, and then only
        // read and removed; the directory is the cache's alone.
        let map = unsafe { Mmap::map(file) }?;
        Ok(maps.add(map))
    }

    /// Removes the file; what was opened stays readable.
    pub(super) fn remove(&self) {
        // Gone already, or it goes when the cache is opened.
        let _ = fs::remove_file(&self.file);
    }
}
