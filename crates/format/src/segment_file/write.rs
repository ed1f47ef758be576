//! Writing a segment file.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, UInt64Type};
use arrow::ipc;
use arrow::ipc::convert::{IpcSchemaEncoder, metadata_to_fb};
use arrow::ipc::writer::DictionaryTracker;
use flatbuffers::FlatBufferBuilder;
use milvus_types::Timestamp;
use milvus_types::columns::TIMESTAMP_COLUMN;

use super::stats::ColumnStats;
use super::{FORMAT_KEY, FORMAT_VERSION, MAGIC, RowChunk, SegmentFileInfo, WHAT};
use crate::crc_writer::CrcWriter;
use crate::error::EncodeError;
use crate::ipc::write::{BatchPlan, RowSource, TakePiece, framed, write_padding};

/// Writes the rows of `chunks`, in order, as one segment file.
///
/// `schema` names the user's columns; every chunk has exactly these, and as many timestamps as rows.
/// Cost: as [`write_segment_from`]; column values go from the chunks to `out` unjoined.
pub fn write_segment(
    out: &mut impl Write,
    schema: &SchemaRef,
    chunks: &[RowChunk],
) -> Result<SegmentFileInfo, EncodeError> {
    write_segment_from(out, schema, &Chunks::new(schema, chunks)?)
}

/// Writes the rows of `source` as one segment file.
///
/// The columns of `source` are those of `schema`, the user's, and behind the last the timestamps, a
/// UInt64 for each row.
/// Cost: beyond one piece at a time it allocates 4 bytes per string and list and a bit per boolean
/// and nullable value.
pub fn write_segment_from(
    out: &mut impl Write,
    schema: &SchemaRef,
    source: &dyn RowSource,
) -> Result<SegmentFileInfo, EncodeError> {
    check(schema, source.rows())?;
    let file_schema = with_timestamp(schema);
    let mut plan = BatchPlan::new(WHAT, source.rows());
    let mut stats = Vec::new();
    let mut times = Times { min: u64::MAX, max: 0, nulls: 0 };
    for (column, field) in file_schema.fields().iter().enumerate() {
        let mut of_field = ColumnStats::new(field);
        plan.column(field, column, source, &mut |piece| match &mut of_field {
            Some(of_field) => of_field.add(piece),
            None if column == schema.fields().len() => times.add(piece),
            None => {}
        })?;
        stats.extend(of_field.map(ColumnStats::finish));
    }
    if times.nulls > 0 {
        let reason = format!("{} rows have no timestamp", times.nulls);
        return Err(EncodeError::Mismatch { what: WHAT, reason });
    }
    let mut out = CrcWriter::new(out);
    write_file(&mut out, &file_schema, &plan, source)?;
    stats.sort_by_key(|stats| stats.field_id);
    Ok(SegmentFileInfo {
        rows: source.rows(),
        file: out.written(),
        min_ts: Timestamp(times.min),
        max_ts: Timestamp(times.max),
        stats,
    })
}

/// The timestamps seen so far.
struct Times {
    min: u64,
    max: u64,
    nulls: usize,
}

impl Times {
    fn add(&mut self, piece: &ArrayRef) {
        self.nulls += piece.null_count();
        for ts in piece.as_primitive::<UInt64Type>().values() {
            self.min = self.min.min(*ts);
            self.max = self.max.max(*ts);
        }
    }
}

/// Chunks of whole rows in memory.
struct Chunks(Vec<Vec<ArrayRef>>, u64);

impl Chunks {
    fn new(schema: &SchemaRef, chunks: &[RowChunk]) -> Result<Self, EncodeError> {
        let mismatch = |reason| EncodeError::Mismatch { what: WHAT, reason };
        for chunk in chunks {
            let (rows, timestamps) = (chunk.rows.num_rows(), chunk.timestamps.len());
            if rows != timestamps || chunk.timestamps.null_count() > 0 {
                let reason = format!("a chunk has {rows} rows and {timestamps} timestamps");
                return Err(mismatch(reason));
            }
            let (got, want) = (chunk.rows.num_columns(), schema.fields().len());
            if got != want {
                return Err(mismatch(format!("a chunk has {got} columns, the schema {want}")));
            }
        }
        let columns = |chunk: &RowChunk| {
            let timestamps: ArrayRef = Arc::new(chunk.timestamps.clone());
            chunk.rows.columns().iter().cloned().chain([timestamps]).collect()
        };
        let rows = chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum();
        Ok(Self(chunks.iter().map(columns).collect(), rows))
    }
}

impl RowSource for Chunks {
    fn rows(&self) -> u64 {
        self.1
    }

    fn pieces(&self, column: usize, take: TakePiece<'_>) -> Result<(), EncodeError> {
        self.0.iter().filter_map(|chunk| chunk.get(column)).try_for_each(take)
    }
}

fn check(schema: &SchemaRef, rows: u64) -> Result<(), EncodeError> {
    if let Some(field) = schema.fields().iter().find(|field| field.name() == TIMESTAMP_COLUMN) {
        let reason = format!("a user's column is called {}", field.name());
        return Err(EncodeError::Mismatch { what: WHAT, reason });
    }
    match u32::try_from(rows) {
        Ok(_) => Ok(()),
        Err(_) => {
            let limit = u64::from(u32::MAX);
            Err(EncodeError::TooLarge { what: WHAT, unit: "rows", got: rows, limit })
        }
    }
}

fn with_timestamp(schema: &SchemaRef) -> Schema {
    let timestamp = Arc::new(Field::new(TIMESTAMP_COLUMN, ArrowType::UInt64, false));
    let fields = schema.fields().iter().map(Arc::clone).chain([timestamp]).collect::<Vec<_>>();
    Schema::new(fields)
}

fn write_file<W: Write>(
    out: &mut CrcWriter<W>,
    schema: &Schema,
    plan: &BatchPlan,
    source: &dyn RowSource,
) -> Result<(), EncodeError> {
    let io = |source| EncodeError::Io { what: WHAT, source };
    let length =
        |bytes: &[u8]| i32::try_from(bytes.len()).map_err(|e| io(std::io::Error::other(e)));
    out.write_all(&MAGIC).map_err(io)?;
    write_padding(out, MAGIC.len() as u64).map_err(io)?;
    out.write_all(&schema_message(schema)).map_err(io)?;
    let metadata = plan.metadata();
    let at = out.bytes().cast_signed();
    let block = ipc::Block::new(at, length(&metadata)?, plan.body_bytes().cast_signed());
    out.write_all(&metadata).map_err(io)?;
    plan.write_body(out, source)?;
    out.write_all(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).map_err(io)?;
    let footer = footer(schema, block);
    out.write_all(&footer).map_err(io)?;
    out.write_all(&length(&footer)?.to_le_bytes()).map_err(io)?;
    out.write_all(&MAGIC).map_err(io)?;
    out.flush().map_err(io)
}

fn schema_message(schema: &Schema) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let mut tracker = DictionaryTracker::new(true);
    let schema = IpcSchemaEncoder::new()
        .with_dictionary_tracker(&mut tracker)
        .schema_to_fb_offset(&mut fbb, schema);
    let mut message = ipc::MessageBuilder::new(&mut fbb);
    message.add_version(ipc::MetadataVersion::V5);
    message.add_header_type(ipc::MessageHeader::Schema);
    message.add_bodyLength(0);
    message.add_header(schema.as_union_value());
    let message = message.finish();
    fbb.finish(message, None);
    framed(fbb.finished_data())
}

fn footer(schema: &Schema, block: ipc::Block) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let batches = fbb.create_vector(&[block]);
    let dictionaries = fbb.create_vector::<ipc::Block>(&[]);
    let mut tracker = DictionaryTracker::new(true);
    let schema = IpcSchemaEncoder::new()
        .with_dictionary_tracker(&mut tracker)
        .schema_to_fb_offset(&mut fbb, schema);
    let version = [(FORMAT_KEY.to_owned(), FORMAT_VERSION.to_string())].into_iter().collect();
    let metadata = metadata_to_fb(&mut fbb, &version);
    let mut footer = ipc::FooterBuilder::new(&mut fbb);
    footer.add_version(ipc::MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(dictionaries);
    footer.add_recordBatches(batches);
    footer.add_custom_metadata(metadata);
    let footer = footer.finish();
    fbb.finish(footer, None);
    fbb.finished_data().to_vec()
}
