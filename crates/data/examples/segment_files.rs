//! Writes a small segment and its export into a folder, for tests with other readers of Arrow and
//! Parquet (`tests/format`):
//!
//! ```text
//! segment_files FOLDER
//!   columns.arrow    the segment file, with a column of every type
//!   rows.parquet     its live rows: those in which `n` is not 3
//!   expected.json    {"rows": {column: [value of each row]}, "dead": [rows], "timestamps": [...]}
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use half::f16;
use milvus_data::export::Export;
use milvus_format::{
    FileMeta, RowChunk, SegmentEntry, SegmentLevel, WrittenFile, path, write_segment,
};
use milvus_storage::{MemoryStore, ObjectStore};
use milvus_types::columns::{arrow_schema, vector_element};
use milvus_types::{
    CollectionId, CollectionSchema, DataType, FieldId, FieldSchema, KeyValue, PartitionId,
    SegmentId, Timestamp, VChannel,
};
use serde_json::{Value, json};

const ROWS: i64 = 6;
const DEAD: i64 = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A column and, row by row, what another reader is to find in it.
struct Column {
    field: FieldSchema,
    array: ArrayRef,
    values: Vec<Value>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("want: segment_files FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let columns = columns()?;
    let schema = CollectionSchema {
        fields: columns.iter().map(|column| column.field.clone()).collect(),
        ..CollectionSchema::default()
    };
    let (bytes, entry) = segment(&schema, &columns)?;
    std::fs::write(folder.join("columns.arrow"), &bytes)?;
    let store = MemoryStore::new();
    store.put(&entry.columns.path, bytes.into()).await?;
    let export = Export::open(&store, &schema, &entry).await?;
    let dead = [(u32::try_from(DEAD)?, Timestamp(50))];
    export.to_parquet(
        Timestamp(100),
        &dead,
        std::fs::File::create(folder.join("rows.parquet"))?,
    )?;
    let named = |column: &Column| (column.field.name.clone(), json!(column.values));
    let rows: serde_json::Map<String, Value> = columns.iter().map(named).collect();
    let expected = json!({ "rows": rows, "dead": [DEAD], "timestamps": timestamps() });
    std::fs::write(folder.join("expected.json"), serde_json::to_vec_pretty(&expected)?)?;
    Ok(())
}

fn timestamps() -> Vec<u64> {
    (10..).take(usize::try_from(ROWS).unwrap_or(0)).collect()
}

fn segment(schema: &CollectionSchema, columns: &[Column]) -> Outcome<(Vec<u8>, SegmentEntry)> {
    let arrow = arrow_schema(schema)?;
    let arrays = columns.iter().map(|column| Arc::clone(&column.array)).collect();
    let rows = RecordBatch::try_new(Arc::clone(&arrow), arrays)?;
    let mut bytes = Vec::new();
    let chunk = RowChunk { rows, timestamps: UInt64Array::from(timestamps()) };
    let info = write_segment(&mut bytes, &arrow, &[chunk])?;
    let (collection, partition, id) = (CollectionId(1), PartitionId(2), SegmentId(3));
    debug_assert_eq!(info.file, WrittenFile::of(&bytes));
    let entry = SegmentEntry {
        id,
        partition_id: partition,
        vchannel: VChannel::new("p", collection, 0),
        rows: info.rows,
        min_ts: info.min_ts,
        max_ts: info.max_ts,
        columns: info.at(path::columns(collection, partition, id)),
        key_index: FileMeta::default(),
        delete_files: Vec::new(),
        indexes: Vec::new(),
        deleted_rows: 0,
        schema_version: 0,
        level: SegmentLevel::L1,
        stats: info.stats,
    };
    Ok((bytes, entry))
}

/// Row `n` has values made of `n`; of a nullable column row 1 is null, of one of lists row 0.
fn columns() -> Outcome<Vec<Column>> {
    let n = || 0..ROWS;
    let small = || n().map(|n| i8::try_from(n).unwrap_or(0));
    let some = |n: i64| (n != 1).then_some(n);
    let texts = || n().map(|n| some(n).map(|n| format!("täg {n}")));
    let floats = || n().flat_map(|n| [n as f32, 0.5, -1.0]);
    let halves = || small().flat_map(|n| [f16::from_f32(f32::from(n)), f16::from_f32(0.5)]);
    let bytes: Vec<[u8; 4]> = n().map(|n| [n.to_le_bytes()[0], 1, 2, 3]).collect();
    let elements = || n().flat_map(|n| 0..n % 3).collect::<Vec<i64>>();
    let lengths = || n().map(|n| usize::try_from(n % 3).unwrap_or(0)).collect::<Vec<_>>();
    let list = |n: i64| (0..n % 3).collect::<Vec<i64>>();
    let nulls = || NullBuffer::from(n().map(|n| n != 0).collect::<Vec<bool>>());
    let pairs = vec![[2.0_f32, 4.0]; elements().len()].concat();
    let within = dense(Arc::new(Float32Array::from(pairs)), 2, None)?;
    Ok(vec![
        column(100, "n", DataType::Int64, Arc::new(Int64Array::from_iter_values(n())), |n| {
            json!(n)
        }),
        column(
            101,
            "flag",
            DataType::Bool,
            Arc::new(n().map(|n| Some(n % 2 == 0)).collect::<BooleanArray>()),
            |n| json!(n % 2 == 0),
        ),
        column(102, "int8", DataType::Int8, Arc::new(Int8Array::from_iter_values(small())), |n| {
            json!(n)
        }),
        column(
            103,
            "int16",
            DataType::Int16,
            Arc::new(Int16Array::from_iter_values(small().map(i16::from))),
            |n| json!(n),
        ),
        column(
            104,
            "int32",
            DataType::Int32,
            Arc::new(
                n().map(|n| some(n).and_then(|n| i32::try_from(n).ok())).collect::<Int32Array>(),
            ),
            |n| json!((n != 1).then_some(n)),
        )
        .nullable(),
        column(
            105,
            "single",
            DataType::Float,
            Arc::new(Float32Array::from_iter_values(small().map(|n| f32::from(n) / 2.0))),
            |n| json!(n as f64 / 2.0),
        ),
        column(
            106,
            "double",
            DataType::Double,
            Arc::new(Float64Array::from_iter_values(small().map(|n| f64::from(n) / 4.0))),
            |n| json!(n as f64 / 4.0),
        ),
        column(107, "text", DataType::VarChar, Arc::new(texts().collect::<StringArray>()), |n| {
            json!((n != 1).then(|| format!("täg {n}")))
        })
        .nullable(),
        column(
            108,
            "json",
            DataType::JSON,
            Arc::new(StringArray::from_iter_values(n().map(|n| format!("{{\"k\":{n}}}")))),
            |n| json!(format!("{{\"k\":{n}}}")),
        ),
        column(
            109,
            "at",
            DataType::Timestamptz,
            Arc::new(TimestampMicrosecondArray::from_iter_values(n()).with_timezone("UTC")),
            |n| json!(n),
        ),
        column(
            110,
            "numbers",
            DataType::Array,
            self::list(Arc::new(Int64Array::from(elements())), &lengths(), Some(nulls()))?,
            |n| json!((n != 0).then(|| (0..n % 3).collect::<Vec<i64>>())),
        )
        .nullable()
        .of(DataType::Int64),
        column(
            120,
            "float_vector",
            DataType::FloatVector,
            dense(Arc::new(Float32Array::from_iter_values(floats())), 3, None)?,
            |n| json!([n as f64, 0.5, -1.0]),
        )
        .dim(3),
        column(
            121,
            "half_vector",
            DataType::Float16Vector,
            dense(Arc::new(Float16Array::from_iter_values(halves())), 2, None)?,
            |n| json!([n as f64, 0.5]),
        )
        .dim(2),
        column(
            122,
            "int8_vector",
            DataType::Int8Vector,
            dense(Arc::new(Int8Array::from_iter_values(small().flat_map(|n| [n, -1]))), 2, None)?,
            |n| json!([n, -1]),
        )
        .dim(2),
        column(
            123,
            "binary_vector",
            DataType::BinaryVector,
            Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter())?),
            |n| json!([n, 1, 2, 3]),
        )
        .dim(32),
        column(
            124,
            "sparse_vector",
            DataType::SparseFloatVector,
            Arc::new(BinaryArray::from_iter_values(&bytes)),
            |n| json!([n, 1, 2, 3]),
        ),
        column(
            125,
            "s[vectors]",
            DataType::ArrayOfVector,
            self::list(within, &lengths(), None)?,
            move |n| json!(vec![[2.0, 4.0]; list(n).len()]),
        )
        .of(DataType::FloatVector)
        .dim(2),
    ])
}

fn column(
    id: i64,
    name: &str,
    data_type: DataType,
    array: ArrayRef,
    value: impl Fn(i64) -> Value,
) -> Column {
    let field = FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        is_primary_key: id == 100,
        ..FieldSchema::default()
    };
    Column { field, array, values: (0..ROWS).map(value).collect() }
}

impl Column {
    fn nullable(mut self) -> Self {
        self.field.nullable = true;
        self
    }

    fn of(mut self, element: DataType) -> Self {
        self.field.element_type = Some(element);
        self
    }

    fn dim(mut self, dim: usize) -> Self {
        self.field.type_params = vec![KeyValue::new("dim", dim.to_string())];
        self
    }
}

fn dense(values: ArrayRef, dim: i32, nulls: Option<NullBuffer>) -> Outcome<ArrayRef> {
    let element = vector_element(values.data_type().clone());
    Ok(Arc::new(FixedSizeListArray::try_new(element, dim, values, nulls)?))
}

fn list(values: ArrayRef, lengths: &[usize], nulls: Option<NullBuffer>) -> Outcome<ArrayRef> {
    let element = vector_element(values.data_type().clone());
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(element, offsets, values, nulls)?))
}
