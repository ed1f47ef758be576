//! Segment files: the rows of a sealed segment as one Arrow IPC file.
//!
//! The file holds one uncompressed record batch whose buffers begin at multiples of 64 bytes: the
//! user's columns in the layout of `milvus_types::columns`, then `$timestamp`. A reader maps it and
//! searches in place: no column is copied, a vector column is one array over the whole segment.
//! Any Arrow tool reads it.
//!
//! ```text
//! | ARROW1 + padding | schema message | batch metadata | buffers, 64-aligned | end marker |
//! | footer: schema, where the batch is, "milvus.segment_format" = "1" | footer len | ARROW1 |
//! ```
//!
//! The rows of a segment never change; deletes lie in [`crate::delete_file`]. The checksum of the
//! whole file is in the manifest: [`crate::verify`].

mod read;
mod stats;
mod write;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use milvus_types::{FieldStats, Timestamp};

use crate::file_meta::{FileMeta, WrittenFile};

pub use crate::ipc::write::{RowSource, TakePiece};
pub use read::open_segment;
pub use write::{write_segment, write_segment_from};

const WHAT: &str = "segment file";
const MAGIC: [u8; 6] = *b"ARROW1";
const FORMAT_KEY: &str = "milvus.segment_format";
const FORMAT_VERSION: u16 = 1;

/// Some rows on their way into a segment file.
#[derive(Clone, Debug)]
pub struct RowChunk {
    /// The user's columns.
    pub rows: RecordBatch,
    /// Each row's insert timestamp.
    pub timestamps: UInt64Array,
}

/// What [`write_segment`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFileInfo {
    /// How many rows.
    pub rows: u64,
    /// Length and checksum of the file.
    pub file: WrittenFile,
    /// The oldest row's timestamp; [`Timestamp::MAX`] if there are no rows.
    pub min_ts: Timestamp,
    /// The newest row's timestamp; [`Timestamp::ZERO`] if there are no rows.
    pub max_ts: Timestamp,
    /// What is known of the values of its scalar columns, by field.
    pub stats: Vec<FieldStats>,
}

impl SegmentFileInfo {
    /// The file as a manifest names it, at `path`.
    pub fn at(&self, path: impl Into<String>) -> FileMeta {
        self.file.at(path)
    }
}

/// An open segment file; its arrays are views of the bytes it was opened on.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// The user's columns, without `$timestamp`.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: RecordBatch,
    /// Each row's insert timestamp.
    pub timestamps: UInt64Array,
}

#[cfg(test)]
mod tests;
