//! Manifests: the golden file, edits, damaged bytes.

use proptest::prelude::*;

use milvus_types::ValueRange;

use super::*;
use crate::error::DecodeError;

fn file(name: &str, n: u64) -> FileMeta {
    FileMeta { path: format!("segments/1/2/{n}/{name}"), bytes: 100 + n, crc32c: 0xdead_beef }
}

fn segment(id: i64, partition: i64) -> SegmentEntry {
    let n = id.unsigned_abs();
    SegmentEntry {
        id: SegmentId(id),
        partition_id: PartitionId(partition),
        vchannel: VChannel::from_name("dml_0_1v0"),
        rows: 1000,
        min_ts: Timestamp(10),
        max_ts: Timestamp(20),
        columns: file("columns.arrow", n),
        key_index: file("keys.idx", n),
        delete_files: Vec::new(),
        indexes: Vec::new(),
        deleted_rows: 0,
        schema_version: 3,
        level: SegmentLevel::L1,
        stats: Vec::new(),
    }
}

fn index(index: i64, build: i64) -> IndexEntry {
    IndexEntry {
        index_id: IndexId(index),
        field_id: FieldId(101),
        index_type: "HNSW".into(),
        metric: "COSINE".into(),
        params: vec![KeyValue::new("M", "16"), KeyValue::new("efConstruction", "200")],
        file: file("index", build.unsigned_abs()),
        rows: 1000,
        build_id: build,
    }
}

fn checkpoint(position: u64) -> ChannelCheckpoint {
    let vchannel = VChannel::from_name("dml_0_1v0");
    ChannelCheckpoint { vchannel, position, timestamp: Timestamp(position * 10) }
}

fn deletes(n: u64) -> DeleteFile {
    DeleteFile { file: file("deletes", n), rows: 7, max_ts: Timestamp(99) }
}

fn sample() -> Manifest {
    Manifest::empty(CollectionId(1))
        .apply([
            ManifestEdit::AddSegment(segment(12, 2)),
            ManifestEdit::AddSegment(segment(11, 3)),
            ManifestEdit::SetCheckpoint(checkpoint(5)),
        ])
        .unwrap()
        .with_index(SegmentId(11), index(400, 1))
        .unwrap()
        .apply([ManifestEdit::AddDeletes {
            segment_id: SegmentId(12),
            deletes: deletes(1),
            newly_deleted_rows: 7,
        }])
        .unwrap()
}

#[test]
fn every_edit_gives_the_next_version_and_leaves_the_old_one() {
    let first = sample();
    assert_eq!(first.version, 3);
    assert_eq!(first.segments.iter().map(|s| s.id.0).collect::<Vec<_>>(), [11, 12]);
    assert_eq!(first.live_rows(), 1993);
    assert_eq!(first.files().count(), 6);

    let rebuilt = first.with_index(SegmentId(11), index(400, 2)).unwrap();
    assert_eq!(rebuilt.segment(SegmentId(11)).unwrap().index(IndexId(400)).unwrap().build_id, 2);
    assert_eq!(rebuilt.segment(SegmentId(11)).unwrap().indexes.len(), 1);
    assert_eq!(rebuilt.without_index(IndexId(400)).unwrap().files().count(), 5);

    let dropped = rebuilt.without_partition(PartitionId(2)).unwrap();
    assert_eq!(dropped.segments.len(), 1);
    let merged = rebuilt
        .with_segments_replaced(&[SegmentId(11), SegmentId(12)], vec![segment(13, 2)])
        .unwrap();
    assert_eq!((merged.segments.len(), merged.version), (1, rebuilt.version + 1));
    assert_eq!(first, sample(), "edits never change the manifest they start from");
}

#[test]
fn edits_that_do_not_fit_are_refused() {
    let manifest = sample();
    let version = manifest.version;
    let segment_id = SegmentId(99);
    assert_eq!(
        manifest.with_index(segment_id, index(1, 1)).unwrap_err(),
        EditError::SegmentNotFound { segment_id, version }
    );
    assert_eq!(
        manifest.with_segment_added(segment(11, 3)).unwrap_err(),
        EditError::SegmentExists { segment_id: SegmentId(11), version }
    );
    let regress = manifest.with_checkpoint(checkpoint(4)).unwrap_err();
    assert_eq!(regress.to_string(), "checkpoint of dml_0_1v0 cannot go back from 5 to 4");
    assert_eq!(manifest.with_checkpoint(checkpoint(5)).unwrap().version, version + 1);
}

/// The sample with statistics of every kind on its first segment.
fn sample_with_stats() -> Manifest {
    let of =
        |field, nulls, range| FieldStats { field_id: FieldId(field), rows: 1000, nulls, range };
    let mut manifest = sample();
    manifest.segments[0].stats = vec![
        of(100, 0, Some(ValueRange::Int { min: -5, max: i64::MAX })),
        of(101, 3, Some(ValueRange::Float { min: f64::NEG_INFINITY, max: -0.5 })),
        of(102, 1, Some(ValueRange::Text { min: "".into(), max: Some("täg".into()) })),
        of(103, 0, Some(ValueRange::Text { min: "x".into(), max: None })),
        of(104, 1000, None),
    ];
    manifest
}

#[test]
fn golden_v1_decodes_to_what_was_written_and_has_no_statistics() {
    let path = crate::golden("manifest.bin", &[]);
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[4], 1);
    assert_eq!(Manifest::decode(&bytes).unwrap(), sample());
}

#[test]
fn golden_v2_decodes_to_what_was_written() {
    let path = crate::golden_in("tests/golden/v2", "manifest.bin", &sample_with_stats().encode());
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(Manifest::decode(&bytes).unwrap(), sample_with_stats());
    assert_eq!(bytes, sample_with_stats().encode(), "the bytes of version 2 never change");
}

#[test]
fn statistics_that_cannot_be_are_refused() {
    let refused = |change: &dyn Fn(&mut FieldStats)| {
        let mut manifest = sample_with_stats();
        change(&mut manifest.segments[0].stats[1]);
        Manifest::decode(&manifest.encode()).unwrap_err().to_string()
    };
    let range = |min, max| Some(ValueRange::Float { min, max });
    assert_eq!(
        refused(&|stats| stats.range = range(2.0, 1.0)),
        "manifest is malformed: segment 11 has values of field 101 between 2 and 1"
    );
    assert_eq!(
        refused(&|stats| stats.range = range(f64::NAN, 1.0)),
        "manifest is malformed: segment 11 has values of field 101 between NaN and 1"
    );
    assert_eq!(
        refused(&|stats| stats.nulls = 1001),
        "manifest is malformed: segment 11 has 1001 nulls of field 101 in 1000 rows"
    );
}

#[test]
fn a_newer_version_says_so() {
    let mut bytes = sample().encode();
    bytes[4] = 3;
    let error = Manifest::decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::NewerVersion { got: 3, newest: 2, .. }));
    assert_eq!(
        error.to_string(),
        "manifest has format version 3, this server reads up to 2: upgrade the server"
    );
}

#[test]
fn unknown_fields_are_passed_over() {
    let mut body = message_bytes(&sample());
    body.extend_from_slice(&[0xfa, 0x3f, 3, b'n', b'e', b'w']); // tag 1023, length-delimited
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"MVMF\x01\0\0\0");
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    assert_eq!(Manifest::decode(&bytes).unwrap(), sample());
}

fn message_bytes(manifest: &Manifest) -> Vec<u8> {
    let bytes = manifest.encode();
    bytes[16..bytes.len() - 4].to_vec()
}

proptest! {
    #[test]
    fn damaged_bytes_are_refused(cut in 0_usize..2000, at in 0_usize..2000, bit in 0_u8..8) {
        let bytes = sample_with_stats().encode();
        if cut < bytes.len() {
            prop_assert!(Manifest::decode(&bytes[..cut]).is_err());
        }
        let mut flipped = bytes.clone();
        let at = at % bytes.len();
        flipped[at] ^= 1 << bit;
        // The reserved half-word is covered by the checksum like everything else.
        prop_assert!(Manifest::decode(&flipped).is_err());
    }

    #[test]
    fn arbitrary_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"MVMF\x02\0\0\0".to_vec();
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let _ = Manifest::decode(&bytes);
    }
}
