//! Rows as plain values, and the segments and answers made of them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use bytes::Bytes;
use milvus_expr::{Plan, Templates, plan};
use milvus_format::key_index::write_key_index;
use milvus_format::{KeyIndex, SegmentFile, open_segment, write_segment};
use milvus_segment::{GrowingSegment, SealedParts, SealedSegment, Segment, SegmentSchema};
use milvus_types::columns::vector_element;
use milvus_types::{
    CollectionSchema, DataType, FieldId, FieldSchema, FieldStats, KeyValue, MetricType,
    PartitionId, PkType, PrimaryKey, SegmentId, Timestamp,
};

pub(crate) const DIM: usize = 3;
pub(crate) const ID: SegmentId = SegmentId(7);
pub(crate) const PARTITION: PartitionId = PartitionId(5);

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: i64,
    pub(crate) age: Option<i64>,
    pub(crate) red: bool,
    pub(crate) name: String,
    pub(crate) vector: [f32; DIM],
    pub(crate) ts: u64,
    pub(crate) deleted: Option<u64>,
}

impl Row {
    pub(crate) fn key(&self, pk_type: PkType) -> PrimaryKey {
        match pk_type {
            PkType::Int64 => PrimaryKey::Int64(self.key),
            PkType::VarChar => PrimaryKey::VarChar(format!("k{}", self.key).into()),
        }
    }

    pub(crate) fn visible(&self, mvcc: u64) -> bool {
        self.ts <= mvcc && self.deleted.is_none_or(|deleted| deleted > mvcc)
    }

    pub(crate) fn score(&self, metric: MetricType, query: &[f32]) -> f32 {
        let pairs = || query.iter().zip(&self.vector);
        let ip: f32 = pairs().map(|(a, b)| a * b).sum();
        match metric {
            MetricType::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
            MetricType::Ip => ip,
            _ => {
                let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|x| x * x).sum::<f32>().sqrt();
                let norms =
                    norm(&mut query.iter().copied()) * norm(&mut self.vector.iter().copied());
                if norms > 0.0 { (ip / norms).clamp(-1.0, 1.0) } else { 0.0 }
            }
        }
    }
}

pub(crate) fn schema(pk_type: PkType) -> CollectionSchema {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        type_params: vec![KeyValue::new("max_length", "64")],
        ..FieldSchema::default()
    };
    let key_type = match pk_type {
        PkType::Int64 => DataType::Int64,
        PkType::VarChar => DataType::VarChar,
    };
    CollectionSchema {
        name: "books".to_owned(),
        fields: vec![
            FieldSchema { is_primary_key: true, ..field(100, "id", key_type) },
            FieldSchema { nullable: true, ..field(101, "age", DataType::Int64) },
            field(102, "red", DataType::Bool),
            field(103, "name", DataType::VarChar),
            FieldSchema {
                type_params: vec![KeyValue::new("dim", DIM.to_string())],
                ..field(104, "vector", DataType::FloatVector)
            },
        ],
        ..CollectionSchema::default()
    }
}

pub(crate) fn filter(pk_type: PkType, text: &str) -> Plan {
    plan(text, &schema(pk_type), &Templates::default()).unwrap()
}

pub(crate) fn batch(schema: &SchemaRef, pk_type: PkType, rows: &[Row]) -> RecordBatch {
    let keys: ArrayRef = match pk_type {
        PkType::Int64 => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.key))),
        PkType::VarChar => {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("k{}", row.key))))
        }
    };
    let floats = Float32Array::from_iter_values(rows.iter().flat_map(|row| row.vector));
    let size = i32::try_from(DIM).unwrap();
    let element = vector_element(ArrowType::Float32);
    let vectors = FixedSizeListArray::new(element, size, Arc::new(floats), None);
    RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            keys,
            Arc::new(rows.iter().map(|row| row.age).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.red)).collect::<BooleanArray>()),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name))),
            Arc::new(vectors),
        ],
    )
    .unwrap()
}

/// A growing segment of `rows`, those of one timestamp inserted together, `split` at most at once.
pub(crate) fn growing(pk_type: PkType, rows: &[Row], split: usize) -> GrowingSegment {
    let schema = Arc::new(SegmentSchema::new(&schema(pk_type)).unwrap());
    let segment = GrowingSegment::new(ID, PARTITION, Arc::clone(&schema));
    let schema = schema.arrow();
    let mut inserted = 0;
    for same_ts in rows.chunk_by(|a, b| a.ts == b.ts) {
        for part in same_ts.chunks(split) {
            let range =
                segment.insert(Timestamp(part[0].ts), batch(schema, pk_type, part)).unwrap();
            assert_eq!(range, inserted..inserted + u32::try_from(part.len()).unwrap());
            inserted = range.end;
        }
    }
    segment.delete(&deletes(rows));
    segment
}

pub(crate) fn deletes(rows: &[Row]) -> Vec<(u32, Timestamp)> {
    let deleted = rows.iter().zip(0..).filter_map(|(row, n)| Some((n, Timestamp(row.deleted?))));
    let mut deletes: Vec<_> = deleted.collect();
    deletes.sort_by_key(|(_, ts)| *ts);
    deletes
}

/// The rows of `growing` written as a segment file and opened again.
pub(crate) fn file(growing: &GrowingSegment) -> SegmentFile {
    file_and_stats(growing).0
}

/// The same, with what is known of its columns.
pub(crate) fn file_and_stats(growing: &GrowingSegment) -> (SegmentFile, Vec<FieldStats>) {
    let mut bytes = Vec::new();
    let (schema, chunks) = growing.chunks().unwrap();
    let info = write_segment(&mut bytes, &schema, &chunks).unwrap();
    let file = open_segment(&Buffer::from(bytes), &info.at("columns.arrow")).unwrap();
    (file, info.stats)
}

/// What flushing `growing` and loading the files gives.
pub(crate) fn sealed(growing: &GrowingSegment, with_key_index: bool) -> SealedSegment {
    let key_index = with_key_index.then(|| {
        let mut bytes = Vec::new();
        write_key_index(&growing.keys(), &mut bytes).unwrap();
        KeyIndex::open(&Bytes::from(bytes)).unwrap()
    });
    let (file, stats) = file_and_stats(growing);
    SealedSegment::open(SealedParts {
        id: growing.id(),
        partition_id: growing.partition_id(),
        schema: growing.schema(),
        file,
        deletes: growing.deletes().entries(),
        indexes: Vec::new(),
        scalar_indexes: Vec::new(),
        key_index,
        stats,
    })
    .unwrap()
}
