//! The tests of the check notice when a part of it is left out: for each part there is damage that
//! nothing else finds.

use arrow::array::{ArrayRef, StringArray};
use milvus_check::{CheckOptions, PlantedBug};
use milvus_format::key_index::write_key_index;
use milvus_format::path;
use milvus_types::{FieldId, PartitionId, PrimaryKeys, SegmentId, Timestamp, VChannel, ValueRange};
use std::sync::Arc;

use crate::fixture::{BOOKS, Image, deletes, image, scalar_index, title_field, vector_index_over};

const PARTITION: PartitionId = PartitionId(1_001);
const SEGMENT: SegmentId = SegmentId(1_020);

/// That `image` is found to be wrong, about `object`, and not where `bug` leaves that part out.
async fn assert_found_by(image: &Image, bug: PlantedBug, object: &str) {
    let report = image.check().await;
    let found: Vec<_> = report.findings.iter().map(|finding| &*finding.object).collect();
    assert_eq!(found, [object], "{report}");
    let options = CheckOptions { planted_bug: bug, ..CheckOptions::default() };
    let blind = image.check_with(&options).await;
    assert_eq!(blind.findings, [], "something else than {bug:?} finds it");
}

#[tokio::test]
async fn checksums() {
    let image = image().await;
    let path = path::columns(BOOKS, PARTITION, SEGMENT);
    let options =
        CheckOptions { planted_bug: PlantedBug::SkipChecksums, ..CheckOptions::default() };
    // Somewhere in the file are the vectors, in which only the checksum can see a flipped bit.
    let len = image.clone().object(&path).len();
    let mut only_checksum = 0;
    for at in (0..len).step_by(97) {
        let mut image = image.clone();
        image.object(&path)[at] ^= 1;
        assert!(!image.check().await.is_sound());
        if image.check_with(&options).await.is_sound() {
            only_checksum += 1;
        }
    }
    assert!(only_checksum > 0);
}

#[tokio::test]
async fn columns() {
    let mut image = image().await;
    image.edit_manifest(|manifest| manifest.segments[0].min_ts = Timestamp(99));
    let path = path::columns(BOOKS, PARTITION, SEGMENT);
    assert_found_by(&image, PlantedBug::SkipColumns, &path).await;
}

#[tokio::test]
async fn statistics_that_leave_out_a_row() {
    let mut image = image().await;
    image.edit_manifest(|manifest| {
        let stats = &mut manifest.segments[0].stats;
        let titles = stats.iter_mut().find(|stats| stats.field_id == FieldId(102)).unwrap();
        titles.range = Some(ValueRange::text("title 0", "title 7"));
    });
    assert_found_by(&image, PlantedBug::SkipStats, &path::manifest(BOOKS, 2)).await;
    let report = image.check().await;
    let finding = &report.findings[0];
    for said in ["segment 1020", "field title", "title 7", "title 8"] {
        assert!(finding.what.contains(said), "{finding}");
    }
}

#[tokio::test]
async fn a_checkpoint_behind_the_log() {
    let mut image = image().await;
    image.edit_manifest(|manifest| manifest.checkpoints[0].position += 1);
    assert_found_by(&image, PlantedBug::SkipCheckpoints, &path::manifest(BOOKS, 2)).await;
}

#[tokio::test]
async fn keys_of_other_rows() {
    let mut image = image().await;
    let path = path::keys(BOOKS, PARTITION, SEGMENT);
    let mut bytes = Vec::new();
    // The right keys in the wrong rows.
    let keys: Vec<i64> = (0..40).rev().collect();
    write_key_index(&PrimaryKeys::Int64(keys.into()), &mut bytes).unwrap();
    image.rewrite(&path, bytes);
    assert_found_by(&image, PlantedBug::SkipKeys, &path).await;
}

#[tokio::test]
async fn deletes_of_no_row() {
    let mut image = image().await;
    let path = path::deletes(BOOKS, PARTITION, SEGMENT, 0);
    image.rewrite(&path, deletes(&[3, 9, 40]));
    assert_found_by(&image, PlantedBug::SkipDeletes, &path).await;
}

#[tokio::test]
async fn indexes_over_other_rows() {
    let mut image = image().await;
    let path = path::index(BOOKS, PARTITION, SEGMENT, milvus_types::IndexId(1_011), 7);
    let titles: ArrayRef = Arc::new(StringArray::from(vec!["title 1"; 39]));
    image.rewrite(&path, scalar_index(&title_field(), &titles));
    assert_found_by(&image, PlantedBug::SkipIndexes, &path).await;
}

#[tokio::test]
async fn a_vector_index_over_other_rows() {
    let mut image = image().await;
    let path = path::index(BOOKS, PARTITION, SEGMENT, milvus_types::IndexId(1_010), 7);
    image.rewrite(&path, vector_index_over(39));
    assert_found_by(&image, PlantedBug::SkipIndexes, &path).await;
}

#[tokio::test]
async fn references() {
    let mut image = image().await;
    image.edit_manifest(|manifest| {
        manifest.segments[0].vchannel = VChannel::from_name("by-dev-rootcoord-dml_5_9v0");
    });
    assert_found_by(&image, PlantedBug::SkipReferences, &path::manifest(BOOKS, 2)).await;
}

#[tokio::test]
async fn log() {
    let mut image = image().await;
    let first = image.0.keys().find(|path| path.ends_with(".log")).unwrap().clone();
    image.0.get_mut(&first).unwrap()[200] ^= 1;
    assert_found_by(&image, PlantedBug::SkipLog, &first).await;
}

#[tokio::test]
async fn orphans() {
    let mut image = image().await;
    let path = path::columns(BOOKS, PARTITION, SegmentId(1_030));
    image.0.insert(format!("objects/{path}"), vec![1; 9]);
    assert_found_by(&image, PlantedBug::SkipOrphans, &path).await;
}
