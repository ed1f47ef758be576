//! The bytes of a log record.
//!
//! ```text
//!  0        4         6          8               12
//!  | "MVLR" | version | reserved | head len h    | head, h bytes | zeroes to 64 | rows |
//!  | 4      | u16 = 1 | u16 = 0  | u32           | protobuf      |              |      |
//! ```
//!
//! The head says everything but the rows; rows, where there are any, are an Arrow IPC stream of one
//! schema message and one record batch without an end marker, whose buffers begin at multiples of
//! 64 bytes of the payload. There is no checksum: the log has one around each record.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::writer::StreamEncoder;
use bytes::Bytes;
use milvus_types::{PartitionId, PrimaryKeys, Timestamp, VChannel};
use prost::{Message, Oneof};

use super::{Body, LogRecord};
use crate::error::{DecodeError, EncodeError};
use crate::ipc::ALIGNMENT;
use crate::ipc::read::Reader;

const WHAT: &str = "log record";
const MAGIC: [u8; 4] = *b"MVLR";
const VERSION: u16 = 1;
const FIXED_BYTES: usize = 12;
/// Smaller buffers are copied together, so that a record is few slices.
const COPY_BELOW_BYTES: usize = 16 * 1024;
const READER: Reader = Reader { what: WHAT };

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(string, tag = "1")]
    vchannel: String,
    #[prost(fixed64, tag = "2")]
    timestamp: u64,
    #[prost(oneof = "Kind", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "3")]
    Insert(RowsHead),
    #[prost(message, tag = "4")]
    Upsert(RowsHead),
    #[prost(message, tag = "5")]
    Delete(DeleteHead),
    #[prost(message, tag = "6")]
    Flush(Nothing),
    #[prost(int64, tag = "7")]
    DropPartition(i64),
    #[prost(message, tag = "8")]
    DropCollection(Nothing),
    #[prost(message, tag = "9")]
    Truncate(Nothing),
    #[prost(int64, tag = "10")]
    CreatePartition(i64),
    #[prost(int32, tag = "11")]
    AlterSchema(i32),
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct RowsHead {
    #[prost(int64, tag = "1")]
    partition_id: i64,
    #[prost(int32, tag = "2")]
    schema_version: i32,
    #[prost(message, optional, tag = "3")]
    replaced: Option<KeysMessage>,
    #[prost(bool, tag = "4")]
    everywhere: bool,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteHead {
    /// Absent: all partitions. Present and empty: none.
    #[prost(message, optional, tag = "1")]
    partitions: Option<PartitionsMessage>,
    #[prost(message, optional, tag = "2")]
    keys: Option<KeysMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PartitionsMessage {
    #[prost(int64, repeated, tag = "1")]
    ids: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct KeysMessage {
    #[prost(oneof = "Keys", tags = "1, 2")]
    keys: Option<Keys>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Keys {
    #[prost(message, tag = "1")]
    Int64(IntKeys),
    #[prost(message, tag = "2")]
    VarChar(StringKeys),
}

#[derive(Clone, PartialEq, Message)]
struct IntKeys {
    #[prost(sfixed64, repeated, tag = "1")]
    keys: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct StringKeys {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
}

impl LogRecord {
    /// The record's bytes, as slices to be written one after the other.
    ///
    /// Large column buffers are handed on as they are; only what is smaller than 16 KiB is copied.
    pub fn encode(&self) -> Result<Vec<Bytes>, EncodeError> {
        let (head, rows) = head(self);
        let head = head.encode_to_vec();
        let head_len = u32::try_from(head.len()).map_err(|_| EncodeError::TooLarge {
            what: WHAT,
            unit: "bytes of keys",
            got: head.len() as u64,
            limit: u64::from(u32::MAX),
        })?;
        let mut start = Vec::with_capacity((FIXED_BYTES + head.len()).next_multiple_of(ALIGNMENT));
        start.extend_from_slice(&MAGIC);
        start.extend_from_slice(&VERSION.to_le_bytes());
        start.extend_from_slice(&0_u16.to_le_bytes());
        start.extend_from_slice(&head_len.to_le_bytes());
        start.extend_from_slice(&head);
        let Some(rows) = rows else {
            return Ok(vec![start.into()]);
        };
        start.resize(start.len().next_multiple_of(ALIGNMENT), 0);
        let buffers = StreamEncoder::try_new(&rows.schema())
            .and_then(|mut encoder| encoder.encode(rows))
            .map_err(|source| EncodeError::Arrow { what: WHAT, source })?;
        Ok(slices(start, buffers))
    }

    /// The shard that the record in `bytes` is of, without looking at its rows.
    pub fn decode_vchannel(bytes: &Bytes) -> Result<VChannel, DecodeError> {
        let (head, _) = split(bytes)?;
        Ok(VChannel::from_name(&head.vchannel))
    }

    /// The record in `bytes`, which must be one whole payload.
    ///
    /// Rows are views of `bytes` where it is aligned to 8 bytes, copies where it is not.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let (head, end) = split(bytes)?;
        let rows = match bytes.len().checked_sub(end.next_multiple_of(ALIGNMENT)) {
            Some(1..) => Some(bytes.slice(end.next_multiple_of(ALIGNMENT)..)),
            _ if bytes.len() == end => None,
            _ => return Err(READER.malformed("bytes after its head are no rows")),
        };
        record(head, rows)
    }
}

/// The head of the record in `bytes`, and where it ends.
fn split(bytes: &[u8]) -> Result<(Head, usize), DecodeError> {
    let short = |want: usize| DecodeError::Length {
        what: WHAT,
        got: bytes.len() as u64,
        want: want as u64,
    };
    let fixed = bytes.first_chunk::<FIXED_BYTES>().ok_or_else(|| short(FIXED_BYTES))?;
    let [m0, m1, m2, m3, v0, v1, _, _, l0, l1, l2, l3] = *fixed;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(DecodeError::Magic {
            what: WHAT,
            got: [m0, m1, m2, m3].escape_ascii().to_string(),
            want: MAGIC.escape_ascii().to_string(),
        });
    }
    match u16::from_le_bytes([v0, v1]) {
        VERSION => {}
        0 => return Err(READER.malformed("format version 0 was never written")),
        got => return Err(DecodeError::NewerVersion { what: WHAT, got, newest: VERSION }),
    }
    let head_len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let end = FIXED_BYTES.saturating_add(head_len);
    let head = bytes.get(FIXED_BYTES..end).ok_or_else(|| short(end))?;
    let head =
        Head::decode(head).map_err(|error| READER.malformed(format!("no record head: {error}")))?;
    Ok((head, end))
}

/// `start` and `buffers` in order, small neighbours copied together.
fn slices(start: Vec<u8>, buffers: Vec<Buffer>) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut small = start;
    for buffer in buffers {
        if buffer.len() < COPY_BELOW_BYTES {
            small.extend_from_slice(&buffer);
        } else {
            if !small.is_empty() {
                out.push(Bytes::from(std::mem::take(&mut small)));
            }
            out.push(Bytes::from_owner(buffer));
        }
    }
    if !small.is_empty() {
        out.push(small.into());
    }
    out
}

fn head(record: &LogRecord) -> (Head, Option<&RecordBatch>) {
    let (kind, rows) = match &record.body {
        Body::Insert { partition_id, schema_version, rows } => {
            let (partition_id, schema_version) = (partition_id.0, *schema_version);
            let head = RowsHead { partition_id, schema_version, replaced: None, everywhere: false };
            (Kind::Insert(head), Some(rows))
        }
        Body::Upsert { partition_id, schema_version, rows, replaced, everywhere } => {
            let replaced = Some(keys_message(replaced));
            let (partition_id, schema_version) = (partition_id.0, *schema_version);
            let everywhere = *everywhere;
            let head = RowsHead { partition_id, schema_version, replaced, everywhere };
            (Kind::Upsert(head), Some(rows))
        }
        Body::Delete { partition_ids, keys } => {
            let partitions = partition_ids
                .as_ref()
                .map(|ids| PartitionsMessage { ids: ids.iter().map(|id| id.0).collect() });
            (Kind::Delete(DeleteHead { partitions, keys: Some(keys_message(keys)) }), None)
        }
        Body::Flush => (Kind::Flush(Nothing {}), None),
        Body::CreatePartition { partition_id } => (Kind::CreatePartition(partition_id.0), None),
        Body::DropPartition { partition_id } => (Kind::DropPartition(partition_id.0), None),
        Body::DropCollection => (Kind::DropCollection(Nothing {}), None),
        Body::Truncate => (Kind::Truncate(Nothing {}), None),
        Body::AlterSchema { schema_version } => (Kind::AlterSchema(*schema_version), None),
    };
    let vchannel = record.vchannel.as_str().to_owned();
    (Head { vchannel, timestamp: record.timestamp.0, kind: Some(kind) }, rows)
}

fn keys_message(keys: &PrimaryKeys) -> KeysMessage {
    let keys = match keys {
        PrimaryKeys::Int64(keys) => Keys::Int64(IntKeys { keys: keys.values().to_vec() }),
        PrimaryKeys::VarChar(keys) => Keys::VarChar(StringKeys {
            keys: keys.iter().map(|key| key.unwrap_or_default().to_owned()).collect(),
        }),
    };
    KeysMessage { keys: Some(keys) }
}

fn record(head: Head, rows: Option<Bytes>) -> Result<LogRecord, DecodeError> {
    // A kind added later reads as none here: it must not be passed over.
    let kind = head.kind.ok_or_else(|| READER.malformed("its kind is unknown to this server"))?;
    let brings_rows = matches!(kind, Kind::Insert(_) | Kind::Upsert(_));
    if brings_rows != rows.is_some() {
        return Err(READER.malformed("its rows do not go with its kind"));
    }
    let rows = || READER.stream(&Buffer::from(rows.unwrap_or_default()));
    let body = match kind {
        Kind::Insert(head) => Body::Insert {
            partition_id: PartitionId(head.partition_id),
            schema_version: head.schema_version,
            rows: rows()?,
        },
        Kind::Upsert(head) => Body::Upsert {
            partition_id: PartitionId(head.partition_id),
            schema_version: head.schema_version,
            rows: rows()?,
            replaced: keys(head.replaced)?,
            everywhere: head.everywhere,
        },
        Kind::Delete(head) => Body::Delete {
            partition_ids: head
                .partitions
                .map(|partitions| partitions.ids.into_iter().map(PartitionId).collect()),
            keys: keys(head.keys)?,
        },
        Kind::Flush(Nothing {}) => Body::Flush,
        Kind::CreatePartition(id) => Body::CreatePartition { partition_id: PartitionId(id) },
        Kind::DropPartition(id) => Body::DropPartition { partition_id: PartitionId(id) },
        Kind::DropCollection(Nothing {}) => Body::DropCollection,
        Kind::Truncate(Nothing {}) => Body::Truncate,
        Kind::AlterSchema(schema_version) => Body::AlterSchema { schema_version },
    };
    let vchannel = VChannel::from_name(&head.vchannel);
    Ok(LogRecord { vchannel, timestamp: Timestamp(head.timestamp), body })
}

fn keys(message: Option<KeysMessage>) -> Result<PrimaryKeys, DecodeError> {
    match message.and_then(|message| message.keys) {
        Some(Keys::Int64(message)) => Ok(PrimaryKeys::Int64(message.keys.into())),
        Some(Keys::VarChar(message)) => {
            if message.keys.iter().map(String::len).sum::<usize>() > i32::MAX as usize {
                return Err(READER.malformed("its keys are longer than 2 GiB"));
            }
            Ok(PrimaryKeys::VarChar(message.keys.into()))
        }
        None => Err(READER.malformed("it has no keys")),
    }
}
