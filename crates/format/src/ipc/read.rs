//! Reading Arrow IPC messages.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::RecordBatchDecoder;

use super::{CONTINUATION, fixed_width, supported};
use crate::error::DecodeError;

/// A file of `what`; knows how to complain.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) what: &'static str,
}

/// One message: its verified metadata, and how many bytes it takes up with its length prefix.
pub(crate) struct MessageHead<'a> {
    pub(crate) message: ipc::Message<'a>,
    pub(crate) bytes: usize,
}

impl Reader {
    pub(crate) fn malformed(self, reason: impl Into<String>) -> DecodeError {
        DecodeError::malformed(self.what, reason)
    }

    pub(crate) fn arrow(self, source: ArrowError) -> DecodeError {
        DecodeError::Arrow { what: self.what, source }
    }

    /// The message metadata at the start of `bytes`.
    ///
    /// ```text
    /// | ff ff ff ff | metadata len, i32 | metadata, flatbuffer, padded |   body follows
    /// ```
    pub(crate) fn message(self, bytes: &[u8]) -> Result<MessageHead<'_>, DecodeError> {
        let short = || self.malformed("an Arrow message ends early");
        let (marker, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        if *marker != CONTINUATION {
            return Err(self.malformed("an Arrow message has no continuation marker"));
        }
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let len = usize::try_from(i32::from_le_bytes(*len)).map_err(|_| short())?;
        let metadata = rest.get(..len).ok_or_else(short)?;
        let message = ipc::root_as_message(metadata)
            .map_err(|error| self.malformed(format!("no Arrow message: {error}")))?;
        Ok(MessageHead { message, bytes: len + 8 })
    }

    /// The schema that `schema` describes, if each of its columns has a place in our files.
    pub(crate) fn schema(self, schema: ipc::Schema<'_>) -> Result<SchemaRef, DecodeError> {
        if schema.endianness() != ipc::Endianness::Little {
            return Err(self.malformed("columns are big-endian"));
        }
        let schema = self.fenced(|| try_fb_to_schema(schema))?;
        match schema.fields().iter().find(|field| !supported(field.data_type())) {
            Some(field) => Err(self.malformed(format!(
                "column {} has type {}",
                field.name(),
                field.data_type()
            ))),
            None => Ok(Arc::new(schema)),
        }
    }

    /// The record batch of `message`, whose buffers lie in `body`.
    pub(crate) fn batch(
        self,
        message: ipc::Message<'_>,
        schema: &SchemaRef,
        body: &Buffer,
    ) -> Result<RecordBatch, DecodeError> {
        let version = message.version();
        if version != ipc::MetadataVersion::V5 {
            return Err(self.malformed("Arrow metadata is not of version 5"));
        }
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| self.malformed("an Arrow message is no record batch"))?;
        self.check_batch(&batch, schema, body.len())?;
        self.fenced(|| {
            RecordBatchDecoder::try_new(body, batch, Arc::clone(schema), &HashMap::new(), &version)?
                .read_record_batch()
        })
    }

    /// What Arrow's `decode` gives. The checks here leave it nothing to panic about; should a later
    /// version find something, that file is unreadable and the server goes on.
    fn fenced<T>(self, decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, DecodeError> {
        match catch_unwind(AssertUnwindSafe(decode)) {
            Ok(decoded) => decoded.map_err(|error| self.arrow(error)),
            Err(_) => Err(self.malformed("Arrow's decoder panicked on it")),
        }
    }

    /// Checks the numbers that Arrow's decoder would use unchecked.
    fn check_batch(
        self,
        batch: &ipc::RecordBatch<'_>,
        schema: &Schema,
        body: usize,
    ) -> Result<(), DecodeError> {
        if batch.compression().is_some() {
            return Err(self.malformed("buffers are compressed"));
        }
        if u32::try_from(batch.length()).is_err() {
            return Err(self.malformed(format!("a batch of {} rows", batch.length())));
        }
        // No value is smaller than a bit. The bound keeps products of lengths from overflowing.
        let most = (body as u64).saturating_mul(8).min(1 << 40);
        for node in batch.nodes().iter().flatten() {
            let (length, nulls) = (node.length(), node.null_count());
            if nulls < 0 || nulls > length || !u64::try_from(length).is_ok_and(|n| n <= most) {
                return Err(self.malformed(format!("a column of {length} values, {nulls} null")));
            }
        }
        let widths: Vec<i64> =
            schema.fields().iter().flat_map(|field| buffer_widths(field.data_type())).collect();
        let count = batch.buffers().map_or(0, |buffers| buffers.len());
        if count != widths.len() {
            return Err(self.malformed(format!("{count} buffers, want {}", widths.len())));
        }
        for (buffer, width) in batch.buffers().iter().flatten().zip(widths) {
            let end = u64::try_from(buffer.offset())
                .ok()
                .zip(u64::try_from(buffer.length()).ok())
                .and_then(|(offset, length)| offset.checked_add(length));
            if end.is_none_or(|end| end > body as u64) || buffer.length() % width != 0 {
                return Err(self.malformed(format!(
                    "a buffer of {} bytes at {} in a body of {body} bytes, for values of {width}",
                    buffer.length(),
                    buffer.offset()
                )));
            }
        }
        Ok(())
    }

    /// The one record batch of an IPC stream without end marker: a schema message, a batch message.
    pub(crate) fn stream(self, bytes: &Buffer) -> Result<RecordBatch, DecodeError> {
        let head = self.message(bytes)?;
        let schema = head
            .message
            .header_as_schema()
            .ok_or_else(|| self.malformed("the first Arrow message is no schema"))?;
        let schema = self.schema(schema)?;
        let rest = bytes.slice(head.bytes.min(bytes.len()));
        let head = self.message(&rest)?;
        let body = rest.slice(head.bytes.min(rest.len()));
        self.batch(head.message, &schema, &body)
    }
}

/// The bytes per value of each buffer that a column of `data_type` has, in Arrow's order.
fn buffer_widths(data_type: &ArrowType) -> Vec<i64> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other supported types are fixed-width")]
    match data_type {
        ArrowType::Utf8 | ArrowType::Binary => vec![1, 4, 1],
        ArrowType::List(element) => [vec![1, 4], buffer_widths(element.data_type())].concat(),
        ArrowType::FixedSizeList(element, _) => {
            [vec![1], buffer_widths(element.data_type())].concat()
        }
        other => {
            vec![1, fixed_width(other).and_then(|width| i64::try_from(width).ok()).unwrap_or(1)]
        }
    }
}
