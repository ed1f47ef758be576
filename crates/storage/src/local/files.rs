//! Reading the files of a local store. Everything here blocks.

use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use super::{LocalStore, TEMPORARY};
use crate::error::StoreError;
use crate::store::{ETag, Object, ObjectMeta};

/// Makes the directories and removes stale temporary files.
pub(super) fn prepare(root: &Path) -> io::Result<()> {
    let temporary = root.join(TEMPORARY);
    fs::create_dir_all(&temporary)?;
    for entry in fs::read_dir(&temporary)? {
        fs::remove_file(entry?.path())?;
    }
    sync_dir(root)
}

/// That `root` is a directory that can be listed, or is not there.
pub(super) fn look(root: &Path) -> io::Result<()> {
    match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        listed => listed.map(drop),
    }
}

/// Makes what happened in directory `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn read(store: &LocalStore, path: &str) -> Result<Object, StoreError> {
    let (file, meta) = open(store, path, "get")?;
    let bytes = exactly(&file, 0..meta.size).map_err(|e| StoreError::io("get", path, e))?;
    Ok(Object { meta, bytes })
}

pub(super) fn read_range(
    store: &LocalStore,
    path: &str,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    let (file, meta) = open(store, path, "get a range of")?;
    if range.start > range.end || range.end > meta.size {
        return Err(StoreError::InvalidRange { path: path.to_owned(), range, size: meta.size });
    }
    exactly(&file, range).map_err(|e| StoreError::io("get a range of", path, e))
}

pub(super) fn head(store: &LocalStore, path: &str) -> Result<ObjectMeta, StoreError> {
    let metadata = fs::metadata(store.file(path)).map_err(|error| io_error("head", path, error))?;
    meta(path, &metadata)
}

/// The object's file, mapped. The map keeps the file's content alive, whatever becomes of the name;
/// objects are never changed in place.
#[expect(unsafe_code, reason = "mapping a file cannot be safe in Rust's terms")]
pub(super) fn map(store: &LocalStore, path: &str) -> Result<Bytes, StoreError> {
    let (file, meta) = open(store, path, "map")?;
    if meta.size == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapped file does not change: this store replaces files, it never writes into one
    // that has its name, and the directory is locked against other servers.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| StoreError::io("map", path, e))?;
    Ok(store.maps().add(map))
}

pub(super) fn file(store: &LocalStore, path: &str) -> Result<File, StoreError> {
    open(store, path, "file").map(|(file, _)| file)
}

pub(super) fn list(store: &LocalStore, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
    let directory = prefix.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut found = Vec::new();
    walk(store, directory, prefix, &mut found)
        .map_err(|source| StoreError::io("list", prefix, source))?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(
    store: &LocalStore,
    directory: &str,
    prefix: &str,
    found: &mut Vec<ObjectMeta>,
) -> io::Result<()> {
    let entries = match fs::read_dir(store.file(directory)) {
        // No such directory, or the name is an object's: nothing lies under it.
        Err(error) if absent(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        if !path.starts_with(prefix) && !prefix.starts_with(&path) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(store, &path, prefix, found)?,
            Ok(metadata) if path.starts_with(prefix) => found.extend(meta(&path, &metadata).ok()),
            Ok(_) => {}
            // Deleted while we listed.
            Err(error) if absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an error says that nothing is at a path.
pub(super) fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn io_error(op: &'static str, path: &str, error: io::Error) -> StoreError {
    if absent(&error) {
        return StoreError::NotFound { path: path.to_owned() };
    }
    StoreError::io(op, path, error)
}

fn open(
    store: &LocalStore,
    path: &str,
    op: &'static str,
) -> Result<(File, ObjectMeta), StoreError> {
    let file = File::open(store.file(path)).map_err(|error| io_error(op, path, error))?;
    let metadata = file.metadata().map_err(|error| StoreError::io(op, path, error))?;
    Ok((file, meta(path, &metadata)?))
}

/// What a file's metadata says of its object; a directory is no object.
pub(super) fn meta(path: &str, metadata: &Metadata) -> Result<ObjectMeta, StoreError> {
    if !metadata.is_file() {
        return Err(StoreError::NotFound { path: path.to_owned() });
    }
    // Every put is a new file with a modification time given to no other (`upload`).
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    let etag = ETag::new(format!("{:x}-{seconds:x}.{nanos:x}", metadata.ino()));
    Ok(ObjectMeta { path: path.to_owned(), size: metadata.len(), etag })
}

fn exactly(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
