//! Bytes on disk: segment files, delete files, key indexes, manifests, log records.
//!
//! Everything here is pure: writers take a `Write` or return bytes, readers take bytes that may be
//! mapped. Each format opens with a magic and a version, ends in or is covered by a CRC32C, has its
//! drawing above its parser and a golden file under `tests/golden/`. Bytes are foreign: truncated,
//! flipped or hostile ones are an error that says what is wrong with which file, never a panic.
//!
//! | module | file | written by | read by |
//! |---|---|---|---|
//! | [`segment_file`] | the columns of a sealed segment | flush, compaction | query, index builds |
//! | [`key_index`] | primary key to row of a sealed segment | flush, compaction | the shard's owner |
//! | [`delete_file`] | deleted rows of a sealed segment | the shard's owner | query, compaction |
//! | [`manifest`] | the files of a collection at one version | coordinators | everyone |
//! | [`log_record`] | the payload of one record of the log | the shard's owner | recovery |
//!
//! Not here: where objects lie and how they are stored (`storage`; only their names, [`path`]),
//! vector index containers (`index`), the framing of the log (`wal`), metadata keys (`meta`).
#![warn(missing_docs)]

mod crc_writer;
pub mod delete_file;
pub mod error;
pub mod file_meta;
mod frame;
mod ipc;
pub mod key_index;
pub mod log_record;
pub mod manifest;
pub mod path;
pub mod segment_file;

pub use delete_file::DeleteEntry;
pub use error::{DecodeError, EncodeError};
pub use file_meta::{FileMeta, WrittenFile, verify};
pub use key_index::KeyIndex;
pub use log_record::{Body, LogRecord};
pub use manifest::{
    ChannelCheckpoint, DeleteFile, EditError, IndexEntry, Manifest, ManifestEdit, SegmentEntry,
    SegmentLevel,
};
pub use segment_file::{
    RowChunk, RowSource, SegmentFile, SegmentFileInfo, TakePiece, open_segment, write_segment,
    write_segment_from,
};

/// The golden file `name` of the formats' first version; `UPDATE_EXPECT=1` writes a missing one.
#[cfg(test)]
fn golden(name: &str, bytes: &[u8]) -> std::path::PathBuf {
    golden_in("tests/golden/v1", name, bytes)
}

/// The golden file `name` in `folder`, that of a version.
#[cfg(test)]
fn golden_in(folder: &str, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = std::path::Path::new(folder).join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() && !path.try_exists().unwrap() {
        std::fs::write(&path, bytes).unwrap();
    }
    path
}
