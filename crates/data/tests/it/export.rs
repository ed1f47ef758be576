//! Export to Parquet: what a reader of the segment sees is what the file holds, in every type.

use std::io;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use bytes::Bytes;
use milvus_data::export::Export;
use milvus_types::columns::{arrow_schema, arrow_type};
use milvus_types::{CollectionSchema, ErrorCode, PkType, Timestamp};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::RngExt;

use crate::fixture::{NEWEST, World};

fn read(bytes: Vec<u8>, schema: &CollectionSchema) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let read_as = std::sync::Arc::clone(reader.schema());
    let names: Vec<&str> = read_as.fields().iter().map(|field| field.name().as_str()).collect();
    let want: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, want);
    for (got, field) in read_as.fields().iter().zip(&schema.fields) {
        assert_eq!(*got.data_type(), arrow_type(field).unwrap(), "{}", field.name);
    }
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&read_as, &batches).unwrap()
}

#[tokio::test]
async fn a_parquet_file_holds_what_a_reader_sees() {
    let mut seen = 0;
    for seed in 0..24 {
        let pk_type = if seed % 2 == 0 { PkType::Int64 } else { PkType::VarChar };
        let mut world = World::random(seed, pk_type, 60).await;
        let at = Timestamp(world.rng.random_range(0..NEWEST + 20));
        let schema = &world.collection.schema;
        for entry in &world.inputs {
            let opened = world.open(entry).await;
            let rows = opened.deletes.len();
            let later = [(0, Timestamp(at.0 + 1))];
            let fresh: Vec<(u32, Timestamp)> =
                (0..u32::try_from(rows).unwrap()).step_by(7).skip(1).map(|row| (row, at)).collect();
            let export = Export::open(&*world.store, schema, entry).await.unwrap();
            let mut bytes = Vec::new();
            let deletes = [&later[..], &fresh[..]].concat();
            let written = export.to_parquet(at, &deletes, &mut bytes).unwrap();
            let batch = read(bytes, schema);
            let visible = |row: &usize| {
                opened.file.timestamps.value(*row) <= at.0
                    && opened.deletes[*row].is_none_or(|ts| ts > at.0)
                    && !fresh.iter().any(|(gone, _)| *gone as usize == *row)
            };
            let live: Vec<usize> = (0..rows).filter(visible).collect();
            assert_eq!((batch.num_rows(), written), (live.len(), live.len() as u64));
            for (at, field) in schema.fields.iter().enumerate() {
                for (row, from) in live.iter().enumerate() {
                    let want = crate::compact::value(&opened, field, *from);
                    let got = batch.column(at).slice(row, 1);
                    assert_eq!(got.to_data(), want.to_data(), "{} of row {from}", field.name);
                }
            }
            seen += live.len();
        }
    }
    assert!(seen > 500, "only {seen} rows were compared");
}

#[tokio::test]
async fn vectors_are_compressed_without_dictionaries_and_other_columns_keep_their_ranges() {
    let world = World::random(8, PkType::Int64, 300).await;
    let schema = &world.collection.schema;
    let entry = world.inputs.iter().max_by_key(|entry| entry.rows).unwrap();
    let export = Export::open(&*world.store, schema, entry).await.unwrap();
    let mut bytes = Vec::new();
    export.to_parquet(Timestamp::MAX, &[], &mut bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let group = reader.metadata().row_group(0);
    assert_eq!(group.num_columns(), arrow_schema(schema).unwrap().fields().len());
    for column in group.columns() {
        let name = column.column_path().parts()[0].as_str();
        let vector = ["float", "half", "brain", "binary", "int8", "late_vector"].contains(&name);
        assert!(matches!(column.compression(), parquet::basic::Compression::ZSTD(_)), "{name}");
        if vector {
            assert!(column.dictionary_page_offset().is_none(), "{name} has a dictionary");
        }
        assert_eq!(column.statistics().is_none(), vector, "{name}");
    }
}

/// A disk that is full after some bytes.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(buf.len()) {
            Some(left) => self.0 = left,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_exported_says_why() {
    let world = World::random(8, PkType::Int64, 300).await;
    let schema = &world.collection.schema;
    let entry = &world.inputs[0];
    let export = Export::open(&*world.store, schema, entry).await.unwrap();
    let failure = export.to_parquet(Timestamp::MAX, &[], Full(500)).unwrap_err();
    assert_eq!(failure.code, ErrorCode::DiskLimitExceeded, "{failure}");

    let path = &entry.columns.path;
    let mut bytes = world.store.get(path).await.unwrap().bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.store.put(path, bytes.into()).await.unwrap();
    let failure = Export::open(&*world.store, schema, entry).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::DataIntegrity);
    assert!(failure.reason.contains(path.as_str()), "{failure}");
}
