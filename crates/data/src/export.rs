//! Export: the live rows of a segment as one Parquet file, for tools that know nothing of Milvus.
//!
//! Columns are those of the collection's schema of today, in its order and under its names; Arrow's
//! types are kept in the file, so that a reader that knows Arrow gets vectors as fixed-size lists.
//!
//! | field | Parquet |
//! |---|---|
//! | Bool, Int8 to Int64, Float, Double | the same |
//! | VarChar, JSON, `$meta` | string |
//! | Timestamptz | timestamp in microseconds, UTC |
//! | Array, sub-fields of struct arrays | list |
//! | FloatVector, Float16Vector, Int8Vector | fixed-size list of float, float16, int8 |
//! | BFloat16Vector, BinaryVector | fixed-size binary |
//! | SparseFloatVector | binary: (u32 index, f32 value) pairs, little-endian |
//! | Geometry | binary: WKB |
//!
//! Memory: one row group, about 64 MiB of encoded values, and a piece of it that is not encoded yet.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use milvus_format::{EncodeError, SegmentEntry};
use milvus_segment::{Expiry, SchemaError, SegmentSchema};
use milvus_storage::{ObjectStore, StoreError};
use milvus_types::error::OrFailure;
use milvus_types::{Coded, CollectionSchema, ErrorCode, Result, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::input::{Input, InputBytes, InputError, Place};
use crate::rows::{Cancel, Rows};

const WHAT: &str = "Parquet file";
/// A row group ends at about so many bytes.
const GROUP_BYTES: usize = 64 << 20;

/// A segment that is ready to be exported.
#[derive(Debug)]
pub struct Export {
    schema: SegmentSchema,
    input: Input,
}

/// Why a segment was not exported.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("rows of the segment cannot be gathered")]
    Gather(#[from] EncodeError),
    #[error("cannot write the Parquet file")]
    Parquet(#[from] ParquetError),
    #[error("the exporting thread ended early")]
    Thread(#[from] milvus_base::Panicked),
}

impl Coded for ExportError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Schema(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Input(error) => error.code(),
            Self::Gather(error) => error.code(),
            Self::Parquet(ParquetError::External(source)) => {
                match source.downcast_ref::<io::Error>().map(io::Error::kind) {
                    Some(io::ErrorKind::StorageFull) => ErrorCode::DiskLimitExceeded,
                    Some(_) => ErrorCode::IoFailed,
                    None => ErrorCode::SerializationFailed,
                }
            }
            Self::Parquet(_) => ErrorCode::SerializationFailed,
            Self::Thread(_) => ErrorCode::ServiceInternal,
        }
    }
}

impl Export {
    /// Opens `segment`, as its manifest has it, under the collection's `schema`. Every byte that will be
    /// read is verified, off the caller's thread.
    pub async fn open(
        store: &dyn ObjectStore,
        schema: &CollectionSchema,
        segment: &SegmentEntry,
    ) -> Result<Self> {
        Self::open_files(store, schema, segment).await.or_failure()
    }

    async fn open_files(
        store: &dyn ObjectStore,
        schema: &CollectionSchema,
        segment: &SegmentEntry,
    ) -> Result<Self, ExportError> {
        let schema = SegmentSchema::new(schema)?;
        let bytes = InputBytes::map(store, segment).await?;
        let segment = segment.clone();
        milvus_base::io::try_run(move || {
            let input = Input::open(&segment, bytes, &schema)?;
            Ok(Self { schema, input })
        })
        .await
    }

    /// Writes the rows that a reader at `at` sees, but for those in `deletes` (of which no file of the
    /// segment may know yet), as one Parquet file; how many. Blocks: reads columns and compresses them.
    pub fn to_parquet(
        &self,
        at: Timestamp,
        deletes: &[(u32, Timestamp)],
        out: impl Write + Send,
    ) -> Result<u64> {
        self.write(at, deletes, out).or_failure()
    }

    fn write(
        &self,
        at: Timestamp,
        deletes: &[(u32, Timestamp)],
        out: impl Write + Send,
    ) -> Result<u64, ExportError> {
        let places = self.places(at, deletes);
        let never = AtomicBool::new(false);
        let inputs = std::slice::from_ref(&self.input);
        let rows = Rows::new(&self.schema, inputs, &places, Cancel(&never));
        let schema = Arc::clone(rows.schema());
        let mut writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties(&schema)))?;
        for range in rows.batches() {
            let batch = RecordBatch::try_new(Arc::clone(&schema), rows.gather(range)?);
            let batch = batch.map_err(|source| EncodeError::Arrow { what: WHAT, source })?;
            writer.write(&batch)?;
        }
        writer.close()?;
        Ok(places.len() as u64)
    }

    /// The rows that a reader at `at` sees.
    fn places(&self, at: Timestamp, deletes: &[(u32, Timestamp)]) -> Vec<Place> {
        let kept = self.input.kept(at, &Expiry::default(), &self.schema);
        let timestamps = self.input.timestamps().values();
        let mut gone: Vec<u32> =
            deletes.iter().filter(|(_, ts)| *ts <= at).map(|(row, _)| *row).collect();
        gone.sort_unstable();
        let inserted = |row: &u32| timestamps.get(*row as usize).is_some_and(|ts| *ts <= at.0);
        kept.set_indices_u32()
            .filter(inserted)
            .filter(|row| gone.binary_search(row).is_err())
            .map(|row| Place { input: 0, row })
            .collect()
    }
}

/// Compressed; vectors, whose values hardly repeat, without dictionaries and statistics.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let level = ZstdLevel::try_new(3).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    for field in schema.fields() {
        let mut path = vec![field.name().clone()];
        if let ArrowType::FixedSizeList(item, _) = field.data_type() {
            path.extend(["list".to_owned(), item.name().clone()]);
        } else if !matches!(field.data_type(), ArrowType::FixedSizeBinary(_)) {
            continue;
        }
        let path = ColumnPath::new(path);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties.build()
}
