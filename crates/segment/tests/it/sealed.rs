//! Sealed segments: searched through an index, and parts that do not fit each other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{IndexType, build, check_build_params};
use milvus_segment::{
    Queries, SealedParts, SealedSegment, SearchSpec, Segment, SegmentIndex, SegmentSchema,
    vector_data,
};
use milvus_types::{
    Coded, CollectionSchema, DataType, ErrorCode, FieldId, FieldSchema, KeyValue, MetricType,
    PkType, Timestamp,
};

use crate::model::{DIM, ID, PARTITION, Row, file, filter, growing, schema};

pub(crate) fn rows() -> Vec<Row> {
    let coordinate = |key: i64, n: i64| ((key * 37 + n * 11) % 101) as f32;
    let row = |key: i64| Row {
        key,
        age: Some(key % 10),
        red: key % 2 == 0,
        name: String::new(),
        vector: [coordinate(key, 1), coordinate(key, 2) * 0.5, coordinate(key * key, 3)],
        ts: 10 + key as u64 / 100,
        deleted: (key % 7 == 0).then_some(50),
    };
    (0..1000).map(row).collect()
}

pub(crate) fn parts(index: Option<IndexType>) -> SealedParts {
    parts_with(index, &[])
}

pub(crate) fn parts_with(index: Option<IndexType>, params: &[KeyValue]) -> SealedParts {
    let growing = growing(PkType::Int64, &rows(), 100);
    let file = file(&growing);
    let indexes = index.into_iter().map(|index_type| {
        let column = file.rows.column_by_name("vector").unwrap();
        let field = schema(PkType::Int64).fields[4].clone();
        let vectors = vector_data(ID, &field, column).unwrap();
        let plan = check_build_params(index_type, MetricType::L2, DIM, params).unwrap();
        let built = build(&plan, vectors, 1, &|_, _| {}, &AtomicBool::new(false)).unwrap();
        let index = built.into_index();
        SegmentIndex { field: FieldId(104), metric: MetricType::L2, index }
    });
    SealedParts {
        id: ID,
        partition_id: PARTITION,
        schema: growing.schema(),
        indexes: indexes.collect(),
        scalar_indexes: Vec::new(),
        file,
        deletes: growing.deletes().entries(),
        key_index: None,
        stats: Vec::new(),
    }
}

pub(crate) fn spec(metric: MetricType, k: usize, text: &str, mvcc: u64) -> SearchSpec {
    let queries = Queries::floats(vec![40.0, 20.0, 60.0, 0.0, 0.0, 0.0], DIM).unwrap();
    let filter = filter(PkType::Int64, text);
    SearchSpec::new("vector", metric, Arc::new(queries), k, filter, Timestamp(mvcc))
}

#[test]
fn an_index_finds_what_exact_search_finds() {
    let exact = SealedSegment::open(parts(None)).unwrap();
    for index in [IndexType::Flat, IndexType::Hnsw] {
        let indexed = SealedSegment::open(parts(Some(index))).unwrap();
        assert!(indexed.memory_bytes() >= exact.memory_bytes());
        for metric in [MetricType::L2, MetricType::Ip] {
            for (text, mvcc) in [("", 100), ("", 14), ("age == 3", 100), ("id == 8", 49)] {
                let spec = spec(metric, 10, text, mvcc);
                let (got, want) = (indexed.search(&spec).unwrap(), exact.search(&spec).unwrap());
                assert_eq!(got, want, "{index:?} {metric} {text:?} at {mvcc}");
            }
        }
    }
}

#[test]
fn a_sealed_segment_takes_deletes() {
    let segment = SealedSegment::open(parts(Some(IndexType::Hnsw))).unwrap();
    let spec = spec(MetricType::L2, 1, "", 100);
    let first = segment.search(&spec).unwrap()[0][0].clone();
    segment.delete(&[(first.row, Timestamp(90)), (u32::MAX, Timestamp(90))]);
    let second = segment.search(&spec).unwrap()[0][0].clone();
    assert_ne!(first.row, second.row);
    let before = SearchSpec { mvcc: Timestamp(89), ..spec };
    assert_eq!(segment.search(&before).unwrap()[0][0], first);
    assert!(segment.deletes().rows.contains(&(first.row, Timestamp(90))));
    assert_eq!(segment.deletes().len(), 144);
}

#[test]
fn bad_searches_say_what_is_wrong() {
    let segment = SealedSegment::open(parts(Some(IndexType::Hnsw))).unwrap();
    let good = || spec(MetricType::L2, 10, "", 100);
    let refused = |spec: SearchSpec| {
        let error = segment.search(&spec).unwrap_err();
        (error.code(), error.to_string())
    };
    let ef = SearchSpec { params: vec![KeyValue::new("ef", "-1")], ..good() };
    let text = "Out of range in json: param 'ef' (-1) should be in range [1, 2147483647]";
    assert_eq!(refused(ef).1, text);
    let dim = SearchSpec { queries: Arc::new(Queries::floats(vec![0.0; 4], 2).unwrap()), ..good() };
    let text = "vector dimension mismatch, expected vector size(byte) 12, actual 8";
    assert_eq!(refused(dim), (ErrorCode::ParameterInvalid, text.to_owned()));
    let field = SearchSpec { field: "nope".to_owned(), ..good() };
    assert_eq!(refused(field).0, ErrorCode::FieldNotFound);
    let scalar = SearchSpec { field: "age".to_owned(), ..good() };
    assert_eq!(refused(scalar).0, ErrorCode::ParameterInvalid);
    let metric = SearchSpec { metric: MetricType::Hamming, ..good() };
    assert_eq!(refused(metric).0, ErrorCode::ParameterInvalid);
}

#[test]
fn parts_of_another_segment_are_refused() {
    let open = |change: fn(&mut SealedParts)| {
        let mut parts = parts(Some(IndexType::Flat));
        change(&mut parts);
        SealedSegment::open(parts).unwrap_err().to_string()
    };
    assert_eq!(
        open(|parts| parts.deletes.push((1000, Timestamp(1)))),
        "a delete file of segment 7 covers 1001 rows, the columns have 1000"
    );
    assert_eq!(
        open(|parts| parts.file.rows = parts.file.rows.slice(0, 999)),
        "$timestamp of segment 7 covers 1000 rows, the columns have 999"
    );
    assert_eq!(
        open(|parts| {
            parts.file.rows = parts.file.rows.slice(0, 998);
            parts.file.timestamps = parts.file.timestamps.slice(0, 998);
            parts.deletes.clear();
        }),
        "the index of field 104 of segment 7 covers 1000 rows, the columns have 998"
    );
    let with_key = |id, name: &str, data_type| {
        let key = FieldSchema {
            id: FieldId(id),
            name: name.to_owned(),
            data_type,
            is_primary_key: true,
            ..FieldSchema::default()
        };
        let schema = CollectionSchema { fields: vec![key], ..CollectionSchema::default() };
        let mut parts = parts(None);
        parts.schema = Arc::new(SegmentSchema::new(&schema).unwrap());
        SealedSegment::open(parts).unwrap_err().to_string()
    };
    assert_eq!(with_key(99, "key", DataType::Int64), "segment 7 has no column key");
    assert_eq!(
        with_key(102, "red", DataType::Int64),
        "column red of segment 7 is Boolean, want Int64 or Utf8 without nulls"
    );
}
