//! The catalogue: its file, its entries, and what they refer to.

use std::sync::Arc;

use bytes::Bytes;
use milvus_check::{Report, Severity};
use milvus_meta::entry::{IdEntry, TsoEntry};
use milvus_meta::{
    AliasEntry, Catalogue, CollectionEntry, CollectionState, EmbeddedKv, Entry, Kv as _,
    ManifestEntry, Op, Transaction,
};
use milvus_types::{CollectionId, DatabaseId, IndexId, IndexMeta, Timestamp};

use crate::fixture::{BOOKS, Image, check_dir, image};

/// What a check finds after `ops` were done to the catalogue.
async fn after(image: &Image, ops: Vec<Op>) -> Report {
    let dir = image.lay();
    {
        let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
        kv.commit(Transaction { compares: vec![], ops }).await.unwrap();
    }
    check_dir(dir.path(), &Default::default()).await
}

fn put<E: Entry>(entry: &E) -> Op {
    Op::Put { key: entry.key(), value: entry.encode() }
}

async fn entries(image: &Image) -> Vec<(String, Bytes)> {
    let dir = image.lay();
    let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
    kv.range("").await.unwrap()
}

#[tokio::test]
async fn every_entry_that_does_not_decode_is_named() {
    let image = image().await;
    let entries = entries(&image).await;
    assert_eq!(entries.len(), 11);
    for (key, value) in entries {
        let mut changed = value.to_vec();
        let middle = changed.len() / 2;
        changed[middle] ^= 4;
        let report = after(&image, vec![Op::Put { key: key.clone(), value: changed.into() }]).await;
        let bad: Vec<_> = report.findings.iter().filter(|f| f.severity.is_bad()).collect();
        let [finding] = bad[..] else { panic!("{key}:\n{report}") };
        assert_eq!((&finding.object, finding.severity), (&key, Severity::Damage), "{report}");
        let segments = report.findings.iter().filter(|f| f.object.starts_with("segments/"));
        assert_eq!(segments.count(), 0, "what is obscure is no orphan:\n{report}");
    }
}

#[tokio::test]
async fn an_entry_under_anothers_key_is_damage() {
    let image = image().await;
    let key = ManifestEntry::key_of(&BOOKS);
    let value = ManifestEntry { collection_id: CollectionId(9), version: 2 }.encode();
    let report = after(&image, vec![Op::Put { key: key.clone(), value }]).await;
    assert_eq!(report.count(Severity::Damage), 1, "{report}");
    assert_eq!(report.findings[0].object, key);
}

#[tokio::test]
async fn entries_that_refer_to_nothing_are_found() {
    let image = image().await;
    let gone = CollectionId(7);
    let alias = AliasEntry { db_id: DatabaseId(1), name: "a".into(), collection_id: gone };
    let pointer = ManifestEntry { collection_id: gone, version: 1 };
    let report = after(&image, vec![put(&alias), put(&pointer)]).await;
    assert_eq!(report.count(Severity::Orphan), 2, "{report}");
    // The pointer's manifest is not there either; nobody misses it, but it is said.
    assert_eq!(report.count(Severity::Missing), 1, "{report}");
}

#[tokio::test]
async fn what_was_never_handed_out_is_not_there() {
    let image = image().await;
    let report = after(&image, vec![put(&TsoEntry { high_water: Timestamp(110) })]).await;
    assert!(report.count(Severity::Damage) >= 3, "{report}");
    let said = |text: &str| report.findings.iter().any(|finding| finding.what.contains(text));
    assert!(said("no time after 110 was"), "{report}");
    assert!(said("12 records, the first of 600 at position 0, are of times after 110"), "{report}");
    let report = after(&image, vec![put(&IdEntry { next: 1_021 })]).await;
    let found: Vec<_> = report.findings.iter().filter(|f| f.severity.is_bad()).collect();
    assert!(found.iter().any(|f| f.concerns.segment_id == Some(1_021)), "{report}");
    assert!(!found.iter().any(|f| f.concerns.segment_id == Some(1_020)), "{report}");
}

#[tokio::test]
async fn a_dropped_index_and_a_dropping_collection_are_no_damage() {
    let image = image().await;
    let key = IndexMeta::key_of(&(BOOKS, IndexId(1_010)));
    let report = after(&image, vec![Op::Delete { key }]).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.count(Severity::Note), 2, "one for each segment:\n{report}");
    let dir = image.lay();
    {
        let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
        let catalogue = Catalogue::open(Arc::new(kv)).await.unwrap();
        let id = (DatabaseId::DEFAULT, BOOKS);
        let stored = catalogue.get::<CollectionEntry>(&id).await.unwrap().unwrap();
        let state = CollectionState::Dropping;
        let dropping = CollectionEntry { state, ..stored.entry.clone() };
        catalogue.replace(&stored, &dropping).await.unwrap();
    }
    std::fs::remove_dir_all(dir.path().join("objects/segments/1000")).unwrap();
    let report = check_dir(dir.path(), &Default::default()).await;
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn a_catalogue_that_is_lost_or_foreign_is_reported_and_the_log_still_read() {
    let image = image().await;
    for bytes in [None, Some(vec![]), Some(vec![7; 100_000])] {
        let mut image = image.clone();
        image.0.remove("meta.redb");
        image.0.extend(bytes.map(|bytes| ("meta.redb".to_owned(), bytes)));
        let report = image.check().await;
        let [finding] = &report.findings[..] else { panic!("{report}") };
        assert_eq!((&*finding.object, finding.severity), ("meta.redb", Severity::Damage));
        assert_eq!(report.counts.records, 12);
        assert_eq!(report.exit_code(), 1);
    }
}

/// Reading trusts pages of the file; a check does not.
#[tokio::test]
async fn a_flipped_bit_in_the_catalogues_file_is_found_or_lies_where_nothing_is() {
    let image = image().await;
    let whole = image.check().await;
    let want = entries(&image).await;
    let file = image.0["meta.redb"].clone();
    let used: Vec<usize> = (0..file.len()).filter(|at| file[*at] != 0).collect();
    let (mut found, mut silent) = (0, 0);
    for at in used.iter().step_by(used.len().div_ceil(60)) {
        let mut flipped = image.clone();
        flipped.0.get_mut("meta.redb").unwrap()[*at] ^= 0x10;
        let report = flipped.check().await;
        if report.is_sound() {
            silent += 1;
            assert_eq!(report, whole, "bit at {at}");
            assert_eq!(entries(&flipped).await, want, "bit at {at}");
        } else {
            found += 1;
        }
    }
    // Most of a young file is pages of earlier commits.
    assert!(found > 0 && silent > 0, "{found} found, {silent} not");
}
