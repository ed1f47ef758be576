//! The bytes of a manifest: a frame (`frame`) around one protobuf message.
//!
//! ```text
//! | "MVMF" | version 2 | 0 | body len | protobuf ManifestMessage | crc32c |
//! ```
//!
//! Version 2 has statistics of segments' columns; a segment read from version 1 has none.
//!
//! Fields may be added under new tags without a new version; a reader that does not know them
//! leaves them out, so what must not be lost on rewriting needs a new version.

use milvus_types::{
    CollectionId, FieldId, FieldStats, IndexId, KeyValue, PartitionId, SegmentId, Timestamp,
    VChannel,
};
use prost::Message;

use super::stats::{StatsMessage, field_stats, stats_message};
use super::{ChannelCheckpoint, DeleteFile, IndexEntry, Manifest, SegmentEntry, SegmentLevel};
use crate::error::DecodeError;
use crate::file_meta::FileMeta;
use crate::frame::Format;

const FORMAT: Format = Format { what: "manifest", magic: *b"MVMF", version: 2 };

#[derive(Clone, PartialEq, Message)]
struct ManifestMessage {
    #[prost(int64, tag = "1")]
    collection_id: i64,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(message, repeated, tag = "3")]
    segments: Vec<SegmentMessage>,
    #[prost(message, repeated, tag = "4")]
    checkpoints: Vec<CheckpointMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SegmentMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    partition_id: i64,
    #[prost(string, tag = "3")]
    vchannel: String,
    #[prost(uint64, tag = "4")]
    rows: u64,
    #[prost(fixed64, tag = "5")]
    min_ts: u64,
    #[prost(fixed64, tag = "6")]
    max_ts: u64,
    #[prost(message, optional, tag = "7")]
    columns: Option<FileMessage>,
    #[prost(message, optional, tag = "8")]
    key_index: Option<FileMessage>,
    #[prost(message, repeated, tag = "9")]
    delete_files: Vec<DeleteMessage>,
    #[prost(message, repeated, tag = "10")]
    indexes: Vec<IndexMessage>,
    #[prost(uint64, tag = "11")]
    deleted_rows: u64,
    #[prost(int32, tag = "12")]
    schema_version: i32,
    #[prost(int32, tag = "13")]
    level: i32,
    #[prost(message, repeated, tag = "14")]
    stats: Vec<StatsMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct FileMessage {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    bytes: u64,
    #[prost(fixed32, tag = "3")]
    crc32c: u32,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteMessage {
    #[prost(message, optional, tag = "1")]
    file: Option<FileMessage>,
    #[prost(uint64, tag = "2")]
    rows: u64,
    #[prost(fixed64, tag = "3")]
    max_ts: u64,
}

#[derive(Clone, PartialEq, Message)]
struct IndexMessage {
    #[prost(int64, tag = "1")]
    index_id: i64,
    #[prost(int64, tag = "2")]
    field_id: i64,
    #[prost(string, tag = "3")]
    index_type: String,
    #[prost(string, tag = "4")]
    metric: String,
    #[prost(message, repeated, tag = "5")]
    params: Vec<ParamMessage>,
    #[prost(message, optional, tag = "6")]
    file: Option<FileMessage>,
    #[prost(uint64, tag = "7")]
    rows: u64,
    #[prost(int64, tag = "8")]
    build_id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ParamMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointMessage {
    #[prost(string, tag = "1")]
    vchannel: String,
    #[prost(uint64, tag = "2")]
    position: u64,
    #[prost(fixed64, tag = "3")]
    timestamp: u64,
}

impl Manifest {
    /// The bytes of its object.
    pub fn encode(&self) -> Vec<u8> {
        let body = message(self).encode_to_vec();
        let mut out = Vec::with_capacity(body.len() + 20);
        let written =
            FORMAT.write(&mut out, body.len() as u64, |out| std::io::Write::write_all(out, &body));
        debug_assert!(written.is_ok(), "a vector takes every byte");
        out
    }

    /// The manifest in `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = ManifestMessage::decode(FORMAT.open(bytes)?)
            .map_err(|error| malformed(format!("no manifest message: {error}")))?;
        manifest(message)
    }
}

fn malformed(reason: impl Into<String>) -> DecodeError {
    DecodeError::malformed(FORMAT.what, reason)
}

fn message(manifest: &Manifest) -> ManifestMessage {
    ManifestMessage {
        collection_id: manifest.collection_id.0,
        version: manifest.version,
        segments: manifest.segments.iter().map(segment_message).collect(),
        checkpoints: manifest
            .checkpoints
            .iter()
            .map(|checkpoint| CheckpointMessage {
                vchannel: checkpoint.vchannel.as_str().to_owned(),
                position: checkpoint.position,
                timestamp: checkpoint.timestamp.0,
            })
            .collect(),
    }
}

fn segment_message(segment: &SegmentEntry) -> SegmentMessage {
    SegmentMessage {
        id: segment.id.0,
        partition_id: segment.partition_id.0,
        vchannel: segment.vchannel.as_str().to_owned(),
        rows: segment.rows,
        min_ts: segment.min_ts.0,
        max_ts: segment.max_ts.0,
        columns: Some(file_message(&segment.columns)),
        key_index: Some(file_message(&segment.key_index)),
        delete_files: segment
            .delete_files
            .iter()
            .map(|deletes| DeleteMessage {
                file: Some(file_message(&deletes.file)),
                rows: deletes.rows,
                max_ts: deletes.max_ts.0,
            })
            .collect(),
        indexes: segment.indexes.iter().map(index_message).collect(),
        deleted_rows: segment.deleted_rows,
        schema_version: segment.schema_version,
        level: segment.level.number(),
        stats: segment.stats.iter().map(stats_message).collect(),
    }
}

fn index_message(index: &IndexEntry) -> IndexMessage {
    IndexMessage {
        index_id: index.index_id.0,
        field_id: index.field_id.0,
        index_type: index.index_type.clone(),
        metric: index.metric.clone(),
        params: index
            .params
            .iter()
            .map(|pair| ParamMessage { key: pair.key.clone(), value: pair.value.clone() })
            .collect(),
        file: Some(file_message(&index.file)),
        rows: index.rows,
        build_id: index.build_id,
    }
}

fn file_message(file: &FileMeta) -> FileMessage {
    FileMessage { path: file.path.clone(), bytes: file.bytes, crc32c: file.crc32c }
}

fn manifest(message: ManifestMessage) -> Result<Manifest, DecodeError> {
    let mut segments = message.segments.into_iter().map(segment).collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|segment| segment.id);
    if let Some([first, _]) = segments.array_windows().find(|[a, b]| a.id == b.id) {
        return Err(malformed(format!("segment {} is listed twice", first.id)));
    }
    if message.version == u64::MAX {
        return Err(malformed("its version has no next one"));
    }
    let mut checkpoints: Vec<_> = message.checkpoints.into_iter().map(checkpoint).collect();
    checkpoints.sort_by(|a, b| a.vchannel.cmp(&b.vchannel));
    Ok(Manifest {
        collection_id: CollectionId(message.collection_id),
        version: message.version,
        segments,
        checkpoints,
    })
}

fn checkpoint(message: CheckpointMessage) -> ChannelCheckpoint {
    ChannelCheckpoint {
        vchannel: VChannel::from_name(&message.vchannel),
        position: message.position,
        timestamp: Timestamp(message.timestamp),
    }
}

fn segment(message: SegmentMessage) -> Result<SegmentEntry, DecodeError> {
    let id = message.id;
    let level = SegmentLevel::from_number(message.level)
        .ok_or_else(|| malformed(format!("segment {id} has unknown level {}", message.level)))?;
    let rows = message.rows;
    let stats = message.stats.into_iter().map(|stats| field_stats(stats, rows));
    let mut stats: Vec<FieldStats> = stats
        .collect::<Result<_, _>>()
        .map_err(|reason| malformed(format!("segment {id} has {reason}")))?;
    stats.sort_by_key(|stats| stats.field_id);
    Ok(SegmentEntry {
        id: SegmentId(id),
        partition_id: PartitionId(message.partition_id),
        vchannel: VChannel::from_name(&message.vchannel),
        rows: message.rows,
        min_ts: Timestamp(message.min_ts),
        max_ts: Timestamp(message.max_ts),
        columns: file(message.columns, "columns", id)?,
        key_index: file(message.key_index, "key index", id)?,
        delete_files: message
            .delete_files
            .into_iter()
            .map(|deletes| {
                Ok(DeleteFile {
                    file: file(deletes.file, "deletes", id)?,
                    rows: deletes.rows,
                    max_ts: Timestamp(deletes.max_ts),
                })
            })
            .collect::<Result<_, DecodeError>>()?,
        indexes: message
            .indexes
            .into_iter()
            .map(|entry| index(entry, id))
            .collect::<Result<_, _>>()?,
        deleted_rows: message.deleted_rows,
        schema_version: message.schema_version,
        level,
        stats,
    })
}

fn index(message: IndexMessage, segment: i64) -> Result<IndexEntry, DecodeError> {
    Ok(IndexEntry {
        index_id: IndexId(message.index_id),
        field_id: FieldId(message.field_id),
        index_type: message.index_type,
        metric: message.metric,
        params: message.params.into_iter().map(|p| KeyValue::new(p.key, p.value)).collect(),
        file: file(message.file, "index", segment)?,
        rows: message.rows,
        build_id: message.build_id,
    })
}

fn file(message: Option<FileMessage>, role: &str, segment: i64) -> Result<FileMeta, DecodeError> {
    let message =
        message.ok_or_else(|| malformed(format!("segment {segment} names no {role} file")))?;
    Ok(FileMeta { path: message.path, bytes: message.bytes, crc32c: message.crc32c })
}
