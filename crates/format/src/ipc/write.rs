//! Writing many chunks of rows as one Arrow record batch, without joining them in memory.
//!
//! A vector index reads a column as one array over the whole segment, so a segment file holds one
//! batch. Fixed-width values and string bytes, nearly all of a segment, go from the chunks' own
//! buffers to the writer; only bitmaps and string offsets are built anew.

use std::io::Write;
use std::ops::Range;

use arrow::array::{Array, ArrayData, ArrayRef, BooleanBufferBuilder};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, Field};
use arrow::ipc;
use flatbuffers::FlatBufferBuilder;

use super::{ALIGNMENT, CONTINUATION, fixed_width, padded};
use crate::error::EncodeError;

/// The record batch of several chunks, ready to be written.
pub(crate) struct BatchPlan {
    what: &'static str,
    rows: u64,
    nodes: Vec<ipc::FieldNode>,
    buffers: Vec<PlannedBuffer>,
}

/// One buffer of the body: the parts that, one after the other, make it up.
struct PlannedBuffer {
    bytes: u64,
    parts: Vec<Buffer>,
}

impl BatchPlan {
    /// A batch of `rows` rows without columns.
    pub(crate) fn new(what: &'static str, rows: u64) -> Self {
        Self { what, rows, nodes: Vec::new(), buffers: Vec::new() }
    }

    /// Adds the column `field`, whose values are those of `chunks` in order.
    pub(crate) fn column(&mut self, field: &Field, chunks: &[ArrayRef]) -> Result<(), EncodeError> {
        let chunks: Vec<ArrayData> = chunks.iter().map(|chunk| chunk.to_data()).collect();
        if let Some(chunk) = chunks.iter().find(|chunk| chunk.data_type() != field.data_type()) {
            return Err(EncodeError::Mismatch {
                what: self.what,
                reason: format!(
                    "column {} has type {}, the schema says {}",
                    field.name(),
                    chunk.data_type(),
                    field.data_type()
                ),
            });
        }
        self.array(field, &chunks)
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

    /// Writes the body.
    pub(crate) fn write_body(&self, out: &mut impl Write) -> std::io::Result<()> {
        for buffer in &self.buffers {
            for part in &buffer.parts {
                out.write_all(part)?;
            }
            write_padding(out, buffer.bytes)?;
        }
        Ok(())
    }

    fn array(&mut self, field: &Field, chunks: &[ArrayData]) -> Result<(), EncodeError> {
        let data_type = field.data_type();
        let rows: usize = chunks.iter().map(ArrayData::len).sum();
        let nulls: usize = chunks.iter().map(ArrayData::null_count).sum();
        self.nodes.push(ipc::FieldNode::new(signed(rows), signed(nulls)));
        self.validity(chunks, rows, nulls);
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is refused by name")]
        match data_type {
            ArrowType::Boolean => {
                self.bitmap(chunks, rows);
                Ok(())
            }
            ArrowType::Utf8 | ArrowType::Binary => {
                let runs = self.offsets(chunks, rows, "bytes of strings in one column")?;
                self.push(runs.iter().filter_map(Run::bytes).collect());
                Ok(())
            }
            ArrowType::List(element) => {
                let runs = self.offsets(chunks, rows, "elements of arrays in one column")?;
                let children: Vec<ArrayData> = runs.iter().filter_map(Run::elements).collect();
                self.array(element, &children)
            }
            ArrowType::FixedSizeList(element, size) => {
                let size = usize::try_from(*size).unwrap_or_default();
                let children: Vec<ArrayData> = chunks
                    .iter()
                    .filter_map(|chunk| {
                        let child = chunk.child_data().first()?;
                        Some(child.slice(chunk.offset() * size, chunk.len() * size))
                    })
                    .collect();
                self.array(element, &children)
            }
            _ => match fixed_width(data_type) {
                Some(width) => {
                    self.fixed(chunks, width);
                    Ok(())
                }
                None => Err(EncodeError::UnsupportedColumn {
                    what: self.what,
                    column: field.name().clone(),
                    data_type: data_type.clone(),
                }),
            },
        }
    }

    fn validity(&mut self, chunks: &[ArrayData], rows: usize, nulls: usize) {
        if nulls == 0 {
            return self.push(Vec::new());
        }
        let mut bits = BooleanBufferBuilder::new(rows);
        for chunk in chunks {
            match chunk.nulls() {
                Some(nulls) => bits.append_buffer(nulls.inner()),
                None => bits.append_n(chunk.len(), true),
            }
        }
        self.push(vec![bits.finish().into_inner()]);
    }

    fn bitmap(&mut self, chunks: &[ArrayData], rows: usize) {
        let mut bits = BooleanBufferBuilder::new(rows);
        for chunk in chunks {
            if let Some(values) = chunk.buffers().first() {
                bits.append_packed_range(range(chunk, 1), values);
            }
        }
        self.push(vec![bits.finish().into_inner()]);
    }

    fn fixed(&mut self, chunks: &[ArrayData], width: usize) {
        let parts = chunks.iter().filter_map(|chunk| {
            let Range { start, end } = range(chunk, width);
            Some(chunk.buffers().first()?.slice_with_length(start, end - start))
        });
        self.push(parts.collect());
    }

    /// Adds the offsets of `chunks` as one run from zero; gives what of each chunk they point to.
    fn offsets<'a>(
        &mut self,
        chunks: &'a [ArrayData],
        rows: usize,
        unit: &'static str,
    ) -> Result<Vec<Run<'a>>, EncodeError> {
        let mut offsets: Vec<i32> = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let mut runs = Vec::with_capacity(chunks.len());
        let mut total = 0_u64;
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            let Some(chunk_offsets) = chunk.buffers().first() else {
                continue;
            };
            let chunk_offsets: &[i32] = chunk_offsets.typed_data();
            let chunk_offsets =
                chunk_offsets.get(chunk.offset()..=chunk.offset() + chunk.len()).unwrap_or(&[]);
            let (Some(first), Some(last)) = (chunk_offsets.first(), chunk_offsets.last()) else {
                continue;
            };
            // A valid Arrow array's offsets never fall and never leave its values.
            let len = u64::from((last - first).unsigned_abs());
            let base = i32::try_from(total).ok().filter(|_| total + len <= i32::MAX as u64);
            let base = base.ok_or(EncodeError::TooLarge {
                what: self.what,
                unit,
                got: total + len,
                limit: i32::MAX as u64,
            })?;
            offsets.extend(chunk_offsets.iter().skip(1).map(|offset| base + (offset - first)));
            runs.push(Run {
                chunk,
                start: usize::try_from(*first).unwrap_or_default(),
                len: usize::try_from(last - first).unwrap_or_default(),
            });
            total += len;
        }
        self.push(vec![Buffer::from_vec(offsets)]);
        Ok(runs)
    }

    fn push(&mut self, parts: Vec<Buffer>) {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.buffers.push(PlannedBuffer { bytes, parts });
    }
}

/// The values that a chunk's offsets point to: `len` bytes or elements from `start` on.
struct Run<'a> {
    chunk: &'a ArrayData,
    start: usize,
    len: usize,
}

impl Run<'_> {
    fn bytes(&self) -> Option<Buffer> {
        Some(self.chunk.buffers().get(1)?.slice_with_length(self.start, self.len))
    }

    fn elements(&self) -> Option<ArrayData> {
        Some(self.chunk.child_data().first()?.slice(self.start, self.len))
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

fn range(chunk: &ArrayData, width: usize) -> Range<usize> {
    chunk.offset() * width..(chunk.offset() + chunk.len()) * width
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
