//! Writing a segment file.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::ipc;
use arrow::ipc::convert::{IpcSchemaEncoder, metadata_to_fb};
use arrow::ipc::writer::DictionaryTracker;
use flatbuffers::FlatBufferBuilder;
use milvus_types::Timestamp;
use milvus_types::columns::TIMESTAMP_COLUMN;

use super::{FORMAT_KEY, FORMAT_VERSION, MAGIC, RowChunk, SegmentFileInfo, WHAT};
use crate::crc_writer::CrcWriter;
use crate::error::EncodeError;
use crate::ipc::write::{BatchPlan, framed, write_padding};

/// Writes the rows of `chunks`, in order, as one segment file.
///
/// `schema` names the user's columns; every chunk has exactly these, and as many timestamps as rows.
/// Cost: column values go from the chunks to `out` unjoined; beyond them it allocates 4 bytes per
/// string and a bit per boolean and nullable value.
pub fn write_segment(
    out: &mut impl Write,
    schema: &SchemaRef,
    chunks: &[RowChunk],
) -> Result<SegmentFileInfo, EncodeError> {
    let rows = check_chunks(schema, chunks)?;
    let file_schema = with_timestamp(schema);
    let plan = plan(&file_schema, chunks, rows)?;
    let mut out = CrcWriter::new(out);
    write_file(&mut out, &file_schema, &plan)
        .map_err(|source| EncodeError::Io { what: WHAT, source })?;
    let timestamps = || chunks.iter().flat_map(|chunk| chunk.timestamps.values().iter().copied());
    Ok(SegmentFileInfo {
        rows,
        file: out.written(),
        min_ts: Timestamp(timestamps().min().unwrap_or(u64::MAX)),
        max_ts: Timestamp(timestamps().max().unwrap_or(0)),
    })
}

fn check_chunks(schema: &SchemaRef, chunks: &[RowChunk]) -> Result<u64, EncodeError> {
    let mismatch = |reason| EncodeError::Mismatch { what: WHAT, reason };
    for chunk in chunks {
        let (rows, timestamps) = (chunk.rows.num_rows(), chunk.timestamps.len());
        if rows != timestamps || chunk.timestamps.null_count() > 0 {
            return Err(mismatch(format!("a chunk has {rows} rows and {timestamps} timestamps")));
        }
        let (got, want) = (chunk.rows.num_columns(), schema.fields().len());
        if got != want {
            return Err(mismatch(format!("a chunk has {got} columns, the schema {want}")));
        }
    }
    if let Some(field) = schema.fields().iter().find(|field| field.name() == TIMESTAMP_COLUMN) {
        return Err(mismatch(format!("a user's column is called {}", field.name())));
    }
    let rows = chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum();
    match u32::try_from(rows) {
        Ok(_) => Ok(rows),
        Err(_) => Err(EncodeError::TooLarge {
            what: WHAT,
            unit: "rows",
            got: rows,
            limit: u64::from(u32::MAX),
        }),
    }
}

fn with_timestamp(schema: &SchemaRef) -> Schema {
    let timestamp = Arc::new(Field::new(TIMESTAMP_COLUMN, ArrowType::UInt64, false));
    let fields = schema.fields().iter().map(Arc::clone).chain([timestamp]).collect::<Vec<_>>();
    Schema::new(fields)
}

fn plan(file_schema: &Schema, chunks: &[RowChunk], rows: u64) -> Result<BatchPlan, EncodeError> {
    let mut plan = BatchPlan::new(WHAT, rows);
    for (column, field) in file_schema.fields().iter().enumerate() {
        let values: Vec<ArrayRef> = chunks
            .iter()
            .map(|chunk| match chunk.rows.columns().get(column) {
                Some(values) => Arc::clone(values),
                None => Arc::new(chunk.timestamps.clone()) as ArrayRef,
            })
            .collect();
        plan.column(field, &values)?;
    }
    Ok(plan)
}

fn write_file<W: Write>(
    out: &mut CrcWriter<W>,
    schema: &Schema,
    plan: &BatchPlan,
) -> io::Result<()> {
    out.write_all(&MAGIC)?;
    write_padding(out, MAGIC.len() as u64)?;
    out.write_all(&schema_message(schema))?;
    let metadata = plan.metadata();
    let block = ipc::Block::new(
        out.bytes().cast_signed(),
        i32::try_from(metadata.len()).map_err(io::Error::other)?,
        plan.body_bytes().cast_signed(),
    );
    out.write_all(&metadata)?;
    plan.write_body(out)?;
    out.write_all(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
    let footer = footer(schema, block);
    out.write_all(&footer)?;
    out.write_all(&i32::try_from(footer.len()).map_err(io::Error::other)?.to_le_bytes())?;
    out.write_all(&MAGIC)?;
    out.flush()
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
