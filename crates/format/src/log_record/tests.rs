//! Log records: the golden file, round trips without copies, damaged bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Float32Type, Schema};
use bytes::Bytes;
use milvus_types::columns::vector_element;
use milvus_types::{PkType, PrimaryKey};
use proptest::prelude::*;

use super::*;
use crate::error::DecodeError;

fn rows(count: usize, dim: i32) -> RecordBatch {
    let titles: StringArray = (0..count).map(|i| (i % 3 != 0).then(|| format!("t{i}"))).collect();
    let values: Vec<f32> = (0..count * dim as usize).map(|i| i as f32).collect();
    let vectors = FixedSizeListArray::new(
        vector_element(ArrowType::Float32),
        dim,
        Arc::new(Float32Array::from(values)),
        None,
    );
    let schema = Schema::new(vec![
        Field::new("title", ArrowType::Utf8, true),
        Field::new("vec", vectors.data_type().clone(), false),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(titles), Arc::new(vectors)];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn record(body: Body) -> LogRecord {
    LogRecord { vchannel: VChannel::from_name("dml_0_7v1"), timestamp: Timestamp(77), body }
}

fn keys() -> PrimaryKeys {
    PrimaryKeys::VarChar(vec!["a", ""].into())
}

fn upsert() -> LogRecord {
    let partition_id = PartitionId(5);
    let (rows, replaced, everywhere) = (rows(5, 4), keys(), false);
    record(Body::Upsert { partition_id, schema_version: 2, rows, replaced, everywhere })
}

fn samples() -> Vec<(&'static str, LogRecord)> {
    let partition_id = PartitionId(-5);
    let ints = PrimaryKeys::Int64(vec![i64::MIN, 3].into());
    let delete = |partition_ids, keys| record(Body::Delete { partition_ids, keys });
    vec![
        (
            "insert",
            record(Body::Insert { partition_id, schema_version: 0, rows: rows(9, 3).slice(2, 6) }),
        ),
        ("upsert", upsert()),
        ("delete-all", delete(None, ints)),
        ("delete-none", delete(Some(Vec::new()), PrimaryKeys::empty(PkType::VarChar))),
        ("delete-some", delete(Some(vec![PartitionId(1), PartitionId(2)]), keys())),
        ("flush", record(Body::Flush)),
        ("create-partition", record(Body::CreatePartition { partition_id })),
        ("drop-partition", record(Body::DropPartition { partition_id })),
        ("drop-collection", record(Body::DropCollection)),
        ("truncate", record(Body::Truncate)),
        ("alter-schema", record(Body::AlterSchema { schema_version: 3 })),
    ]
}

fn payload(record: &LogRecord) -> Bytes {
    record.encode().unwrap().concat().into()
}

#[test]
fn every_kind_comes_back_and_its_golden_v1_too() {
    for (name, record) in samples() {
        let bytes = payload(&record);
        assert_eq!(LogRecord::decode(&bytes).unwrap(), record, "{name}");
        let golden = std::fs::read(crate::golden(&format!("record-{name}.bin"), &bytes)).unwrap();
        assert_eq!(LogRecord::decode(&golden.into()).unwrap(), record, "golden {name}");
    }
}

#[test]
fn an_upsert_says_whether_it_replaces_rows_of_every_partition() {
    let mut record = upsert();
    let Body::Upsert { everywhere, .. } = &mut record.body else { panic!("an upsert") };
    *everywhere = true;
    assert_eq!(LogRecord::decode(&payload(&record)).unwrap(), record);
}

#[test]
fn vectors_are_neither_copied_into_the_payload_nor_out_of_it() {
    let rows = rows(1000, 128);
    let vectors = |rows: &RecordBatch| {
        let column = rows.column(1).as_fixed_size_list().values().as_primitive::<Float32Type>();
        column.values().inner().as_ptr()
    };
    let before = vectors(&rows);
    let partition_id = PartitionId(1);
    let record = record(Body::Insert { partition_id, schema_version: 0, rows });
    let slices = record.encode().unwrap();
    assert!(slices.iter().any(|slice| slice.as_ptr() == before), "the buffer itself is handed on");
    assert!(slices.len() <= 3, "{} slices", slices.len());

    let payload = payload(&record);
    let Body::Insert { rows, .. } = LogRecord::decode(&payload).unwrap().body else { panic!() };
    assert!(payload.as_ptr_range().contains(&vectors(&rows)));
}

#[test]
fn it_is_read_at_any_alignment() {
    let record = upsert();
    let bytes = payload(&record);
    for shift in 1..9 {
        let mut moved = vec![0; shift];
        moved.extend_from_slice(&bytes);
        let moved = Bytes::from(moved).slice(shift..);
        assert_eq!(LogRecord::decode(&moved).unwrap(), record);
    }
}

#[test]
fn newer_versions_and_kinds_say_so() {
    let mut bytes = payload(&record(Body::Flush)).to_vec();
    bytes[4] = 9;
    let error = LogRecord::decode(&bytes.clone().into()).unwrap_err();
    assert!(matches!(error, DecodeError::NewerVersion { got: 9, newest: 1, .. }), "{error}");

    bytes[4] = 1;
    let kind = bytes.len() - 2;
    assert_eq!(bytes[kind..], [6 << 3 | 2, 0], "a flush ends in its empty message");
    bytes[kind] = 15 << 3 | 2;
    let error = LogRecord::decode(&bytes.into()).unwrap_err();
    assert_eq!(error.to_string(), "log record is malformed: its kind is unknown to this server");
}

#[test]
fn every_truncation_is_refused() {
    let bytes = payload(&upsert());
    for len in 0..bytes.len() {
        // The last buffer's padding is not looked at.
        if let Ok(record) = LogRecord::decode(&bytes.slice(..len)) {
            assert_eq!(record, upsert(), "cut to {len} bytes");
            assert!(bytes.len() - len < 64);
        }
    }
}

#[test]
fn one_key_type_stays_one_key_type() {
    let body = Body::Delete { partition_ids: None, keys: PrimaryKeys::empty(PkType::Int64) };
    let Body::Delete { keys, .. } = LogRecord::decode(&payload(&record(body))).unwrap().body else {
        panic!()
    };
    assert_eq!(keys.pk_type(), PkType::Int64);
    assert!(!keys.iter().any(|key| matches!(key, PrimaryKey::VarChar(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        let mut bytes = payload(&upsert()).to_vec();
        let len = bytes.len();
        for (at, byte) in flips {
            bytes[at as usize % len] = byte;
        }
        match LogRecord::decode(&bytes.into()) {
            Ok(record) => {
                let text = format!("{record:?}");
                prop_assert!(!text.is_empty());
            }
            Err(error) => prop_assert!(!error.to_string().contains("panicked")),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = LogRecord::decode(&tail.clone().into());
        let mut bytes = b"MVLR\x01\0\0\0".to_vec();
        bytes.extend_from_slice(&tail);
        let _ = LogRecord::decode(&bytes.into());
    }
}
