//! Writing many pieces of rows as one Arrow record batch, without joining them in memory.
//!
//! A vector index reads a column as one array over the whole segment, so a segment file holds one
//! batch. Its metadata, with the length of every buffer, comes first; so a column is gone through
//! twice: planned ([`super::plan::ColumnPlan`]), then its values are written, piece by piece.

use std::io::Write;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::Buffer;
use arrow::datatypes::Field;
use arrow::ipc;
use flatbuffers::FlatBufferBuilder;

use super::plan::{ColumnPlan, values};
use super::{ALIGNMENT, CONTINUATION, padded};
use crate::error::EncodeError;

/// What takes the pieces of a column.
pub type TakePiece<'a> = &'a mut dyn FnMut(&ArrayRef) -> Result<(), EncodeError>;

/// Rows on their way into a file, column by column and each column piece by piece, so that neither
/// is ever in memory as a whole.
pub trait RowSource {
    /// How many rows there are.
    fn rows(&self) -> u64;

    /// Gives `take` the values of column `column` in order, in pieces of any length, and its errors
    /// back. A column is asked for up to twice and gives the same values each time.
    fn pieces(&self, column: usize, take: TakePiece<'_>) -> Result<(), EncodeError>;

    /// Whether no value of the column is null, as far as that is known without reading it: a column of
    /// dense vectors is read only once then.
    fn has_no_nulls(&self, column: usize) -> bool {
        let _ = column;
        false
    }
}

/// A record batch, ready to be written.
pub(crate) struct BatchPlan {
    what: &'static str,
    rows: u64,
    nodes: Vec<ipc::FieldNode>,
    buffers: Vec<PlannedBuffer>,
}

/// One buffer of the body.
struct PlannedBuffer {
    bytes: u64,
    content: Content,
}

enum Content {
    /// These bytes.
    Ready(Buffer),
    /// The innermost values of a column.
    Values { column: usize },
}

impl BatchPlan {
    /// A batch of `rows` rows without columns.
    pub(crate) fn new(what: &'static str, rows: u64) -> Self {
        Self { what, rows, nodes: Vec::new(), buffers: Vec::new() }
    }

    /// Adds `field`, which is column `column` of `source`. Gives `seen` the pieces of it that had to
    /// be read, which is all but those of dense vectors without nulls.
    pub(crate) fn column(
        &mut self,
        field: &Field,
        column: usize,
        source: &dyn RowSource,
        seen: &mut dyn FnMut(&ArrayRef),
    ) -> Result<(), EncodeError> {
        let mut plan = ColumnPlan::new(self.what, field)?;
        let known = source.has_no_nulls(column) && plan.is_dense_vector();
        if known {
            plan.add_dense(usize::try_from(self.rows).unwrap_or(usize::MAX));
        } else {
            source.pieces(column, &mut |piece| {
                self.check_type(field, piece)?;
                seen(piece);
                plan.add(&piece.to_data())
            })?;
        }
        let rows = plan.rows() as u64;
        if rows != self.rows {
            let reason =
                format!("column {} has {rows} rows, the batch {}", field.name(), self.rows);
            return Err(EncodeError::Mismatch { what: self.what, reason });
        }
        let finished = plan.finish();
        self.nodes.extend(finished.nodes);
        let ready = finished.structure.into_iter();
        self.buffers.extend(ready.map(|buffer| PlannedBuffer {
            bytes: buffer.len() as u64,
            content: Content::Ready(buffer),
        }));
        if let Some(bytes) = finished.value_bytes {
            self.buffers.push(PlannedBuffer { bytes, content: Content::Values { column } });
        }
        Ok(())
    }

    fn check_type(&self, field: &Field, piece: &ArrayRef) -> Result<(), EncodeError> {
        if piece.data_type() == field.data_type() {
            return Ok(());
        }
        let (name, got, want) = (field.name(), piece.data_type(), field.data_type());
        let reason = format!("column {name} has type {got}, the schema says {want}");
        Err(EncodeError::Mismatch { what: self.what, reason })
    }

    /// The length of the body.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.buffers.iter().map(|buffer| padded(buffer.bytes)).sum()
    }

    /// The message's metadata with its length prefix, padded so that the body is aligned.
    pub(crate) fn metadata(&self) -> Vec<u8> {
        let mut offset = 0_u64;
        let buffers: Vec<ipc::Buffer> = self
            .buffers
            .iter()
            .map(|buffer| {
                let at = offset;
                offset += padded(buffer.bytes);
                ipc::Buffer::new(at.cast_signed(), buffer.bytes.cast_signed())
            })
            .collect();
        let mut fbb = FlatBufferBuilder::new();
        let buffers = fbb.create_vector(&buffers);
        let nodes = fbb.create_vector(&self.nodes);
        let mut batch = ipc::RecordBatchBuilder::new(&mut fbb);
        batch.add_length(self.rows.cast_signed());
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        let batch = batch.finish();
        let mut message = ipc::MessageBuilder::new(&mut fbb);
        message.add_version(ipc::MetadataVersion::V5);
        message.add_header_type(ipc::MessageHeader::RecordBatch);
        message.add_bodyLength(offset.cast_signed());
        message.add_header(batch.as_union_value());
        let message = message.finish();
        fbb.finish(message, None);
        framed(fbb.finished_data())
    }

    /// Writes the body, whose values come from `source`.
    pub(crate) fn write_body(
        &self,
        out: &mut impl Write,
        source: &dyn RowSource,
    ) -> Result<(), EncodeError> {
        let io = |source| EncodeError::Io { what: self.what, source };
        for buffer in &self.buffers {
            match &buffer.content {
                Content::Ready(bytes) => out.write_all(bytes).map_err(io)?,
                Content::Values { column } => {
                    self.write_values(out, *column, buffer.bytes, source)?;
                }
            }
            write_padding(out, buffer.bytes).map_err(io)?;
        }
        Ok(())
    }

    fn write_values(
        &self,
        out: &mut impl Write,
        column: usize,
        planned: u64,
        source: &dyn RowSource,
    ) -> Result<(), EncodeError> {
        let mut written = 0;
        source.pieces(column, &mut |piece| {
            let Some(bytes) = values(&piece.to_data()) else { return Ok(()) };
            written += bytes.len() as u64;
            out.write_all(&bytes).map_err(|source| EncodeError::Io { what: self.what, source })
        })?;
        if written == planned {
            return Ok(());
        }
        let reason = format!("column {column} gave {written} bytes after it had given {planned}");
        Err(EncodeError::Mismatch { what: self.what, reason })
    }
}

/// A flatbuffer as a message: marker, length, padding to the alignment.
pub(crate) fn framed(metadata: &[u8]) -> Vec<u8> {
    let total = (metadata.len() + 8).next_multiple_of(ALIGNMENT);
    let len = u32::try_from(total - 8).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&CONTINUATION);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(metadata);
    out.resize(total, 0);
    out
}

/// Zeroes after `bytes` bytes, up to the alignment.
pub(crate) fn write_padding(out: &mut impl Write, bytes: u64) -> std::io::Result<()> {
    let zeroes = [0_u8; ALIGNMENT];
    let pad = usize::try_from(padded(bytes) - bytes).unwrap_or_default();
    out.write_all(zeroes.get(..pad).unwrap_or_default())
}
