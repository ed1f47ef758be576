//! Opening a segment file.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, UInt64Type};
use arrow::ipc;
use milvus_types::columns::TIMESTAMP_COLUMN;

use super::{FORMAT_KEY, FORMAT_VERSION, MAGIC, SegmentFile, WHAT};
use crate::error::DecodeError;
use crate::file_meta::FileMeta;
use crate::ipc::read::Reader;

const READER: Reader = Reader { what: WHAT };

/// Opens the segment file in `bytes`, usually a mapped file, which `expect` names.
///
/// The arrays are views of `bytes`. Checks the length, the structure, string offsets and UTF-8, so
/// no later access can panic; does not check the checksum, which reads every byte
/// ([`crate::verify`]).
/// Cost: reads the string columns and null bitmaps, not the vectors.
pub fn open_segment(bytes: &Buffer, expect: &FileMeta) -> Result<SegmentFile, DecodeError> {
    if bytes.len() as u64 != expect.bytes {
        let got = bytes.len() as u64;
        return Err(DecodeError::Length { what: WHAT, got, want: expect.bytes });
    }
    let footer = footer(bytes)?;
    check_version(&footer)?;
    let schema = footer.schema().ok_or_else(|| READER.malformed("the footer has no schema"))?;
    let schema = READER.schema(schema)?;
    let (message, body) = batch_block(bytes, &footer)?;
    let head = READER.message(message)?;
    split_timestamps(READER.batch(head.message, &schema, &body)?)
}

fn footer(bytes: &[u8]) -> Result<ipc::Footer<'_>, DecodeError> {
    let short = || DecodeError::Length { what: WHAT, got: bytes.len() as u64, want: 128 };
    let (rest, magic) = bytes.split_last_chunk::<6>().ok_or_else(short)?;
    for found in [magic.as_slice(), bytes.get(..MAGIC.len()).unwrap_or_default()] {
        if found != MAGIC {
            return Err(DecodeError::Magic {
                what: WHAT,
                got: found.escape_ascii().to_string(),
                want: MAGIC.escape_ascii().to_string(),
            });
        }
    }
    let (rest, len) = rest.split_last_chunk::<4>().ok_or_else(short)?;
    let footer = usize::try_from(i32::from_le_bytes(*len))
        .ok()
        .and_then(|len| rest.len().checked_sub(len))
        .and_then(|start| rest.get(start..))
        .ok_or_else(|| READER.malformed("the footer is longer than the file"))?;
    ipc::root_as_footer(footer).map_err(|error| READER.malformed(format!("no footer: {error}")))
}

fn check_version(footer: &ipc::Footer<'_>) -> Result<(), DecodeError> {
    let version = footer
        .custom_metadata()
        .iter()
        .flatten()
        .find(|pair| pair.key() == Some(FORMAT_KEY))
        .and_then(|pair| pair.value()?.parse::<u16>().ok())
        .ok_or_else(|| READER.malformed("the footer has no segment format version"))?;
    match version {
        0 => Err(READER.malformed("format version 0 was never written")),
        1..=FORMAT_VERSION => Ok(()),
        got => Err(DecodeError::NewerVersion { what: WHAT, got, newest: FORMAT_VERSION }),
    }
}

/// The metadata and the body of the one record batch.
fn batch_block<'a>(
    bytes: &'a Buffer,
    footer: &ipc::Footer<'_>,
) -> Result<(&'a [u8], Buffer), DecodeError> {
    if footer.dictionaries().is_some_and(|blocks| !blocks.is_empty()) {
        return Err(READER.malformed("it has dictionaries"));
    }
    let blocks = footer.recordBatches();
    let count = blocks.map_or(0, |blocks| blocks.len());
    let block = match blocks {
        Some(blocks) if count == 1 => *blocks.get(0),
        _ => return Err(READER.malformed(format!("it has {count} record batches, want 1"))),
    };
    let outside = || READER.malformed("the record batch lies outside the file");
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let metadata = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    let body_start = start.checked_add(metadata).ok_or_else(outside)?;
    let end = body_start.checked_add(body).filter(|end| *end <= bytes.len()).ok_or_else(outside)?;
    let message = bytes.get(start..body_start).ok_or_else(outside)?;
    Ok((message, bytes.slice_with_length(body_start, end - body_start)))
}

fn split_timestamps(batch: RecordBatch) -> Result<SegmentFile, DecodeError> {
    let timestamps = batch
        .column_by_name(TIMESTAMP_COLUMN)
        .and_then(|column| column.as_primitive_opt::<UInt64Type>())
        .filter(|timestamps| timestamps.null_count() == 0)
        .ok_or_else(|| READER.malformed(format!("it has no column {TIMESTAMP_COLUMN}")))?
        .clone();
    let mut rows = batch;
    if let Ok(place) = rows.schema().index_of(TIMESTAMP_COLUMN) {
        rows.remove_column(place);
    }
    let schema = Arc::new(Schema::new(rows.schema().fields().clone()));
    let rows = rows.with_schema(Arc::clone(&schema)).map_err(|error| READER.arrow(error))?;
    Ok(SegmentFile { schema, rows, timestamps })
}
