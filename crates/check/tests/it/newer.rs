//! Manifests later than the catalogue knows: an old or incomplete catalogue, a server at work on a bucket,
//! and a configuration that points elsewhere.

use std::sync::Arc;

use milvus_check::{
    CheckError, CheckOptions, DataDir, Placement, RepairOptions, Report, Severity, check, repair,
};
use milvus_format::{Manifest, path};
use milvus_meta::{
    EmbeddedKv, Entry as _, Kv as _, ManifestEntry, Op, PlacementEntry, Transaction,
};
use milvus_storage::{LocalStore, ObjectStore as _};

use crate::fixture::{BOOKS, Image, check_dir, image};

async fn change(dir: &tempfile::TempDir, op: Op) {
    let kv = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
    kv.commit(Transaction { compares: vec![], ops: vec![op] }).await.unwrap();
}

async fn checked(dir: &tempfile::TempDir) -> Report {
    check_dir(dir.path(), &CheckOptions::default()).await
}

/// Puts a manifest of `BOOKS` of `version` into the store, without the segments that `is_left_out`.
fn add_manifest(image: &mut Image, version: u64, is_left_out: impl Fn(i64) -> bool) {
    let mut manifest = Manifest::decode(image.object(&path::manifest(BOOKS, 2))).unwrap();
    manifest.version = version;
    manifest.segments.retain(|segment| !is_left_out(segment.id.0));
    let at = format!("objects/{}", path::manifest(BOOKS, version));
    image.0.insert(at, manifest.encode().to_vec());
}

fn assert_old_catalogue(report: &Report, newest: u64) {
    let [finding] = &report.findings[..] else { panic!("{report}") };
    assert_eq!(finding.object, ManifestEntry::key_of(&BOOKS));
    assert_eq!(finding.severity, Severity::Unreadable);
    assert!(finding.what.contains(&path::manifest(BOOKS, newest)), "{finding}");
    assert!(finding.advice.contains("do not start a server"), "{finding}");
    assert_eq!(finding.concerns.collection.as_deref(), Some("default.books"));
}

#[tokio::test]
async fn a_lost_entry_of_the_current_manifest_is_found_and_its_segments_are_no_garbage() {
    let dir = image().await.lay();
    change(&dir, Op::Delete { key: ManifestEntry::key_of(&BOOKS) }).await;
    assert_old_catalogue(&checked(&dir).await, 2);
}

#[tokio::test]
async fn an_old_catalogue_is_found_and_nothing_is_repaired_by_it() {
    let mut image = image().await;
    add_manifest(&mut image, 4, |_| false);
    assert_old_catalogue(&image.check().await, 4);
    let columns = image.segment_files()[0].clone();
    image.object(&columns)[30] ^= 1;
    let dir = image.lay();
    let report = checked(&dir).await;
    assert_eq!((report.count(Severity::Damage), report.actions()), (1, vec![]), "{report}");
    let before = Image::of(dir.path());
    let locked = DataDir::lock(dir.path()).await.unwrap();
    let done = repair(locked.target(), &RepairOptions::default()).await.unwrap();
    assert_eq!(done.exit_code(), 1);
    drop(locked);
    let objects = |image: &Image| {
        let mut image = image.clone();
        image.0.retain(|path, _| path.starts_with("objects/"));
        image
    };
    assert!(objects(&Image::of(dir.path())) == objects(&before));
}

#[tokio::test]
async fn a_manifest_that_a_crash_left_is_an_orphan() {
    let mut image = image().await;
    add_manifest(&mut image, 3, |segment| segment == 1_020);
    let report = image.check().await;
    assert!(report.is_sound(), "{report}");
    let [finding] = &report.findings[..] else { panic!("{report}") };
    assert_eq!(finding.object, path::manifest(BOOKS, 3));
    assert_eq!((report.counts.orphans, finding.severity), (1, Severity::Orphan));
    assert!(report.counts.orphan_bytes > 0);
}

#[tokio::test]
async fn a_file_that_a_server_took_away_meanwhile_is_not_called_missing() {
    let mut image = image().await;
    // A compaction took one segment out of the manifest, and the catalogue was copied before it.
    add_manifest(&mut image, 3, |segment| segment == 1_020);
    let files = image.segment_files();
    let of = |segment: &str| files.iter().find(|path| path.contains(segment)).unwrap().clone();
    let (taken, lost) = (of("/1020/"), of("/1021/"));
    for path in [&taken, &lost] {
        image.0.remove(&format!("objects/{path}"));
    }
    let dir = image.lay();
    let severities = |report: &Report| {
        let of = |path: &String| {
            let mut found = report.findings.iter().filter(|finding| finding.object == *path);
            let finding = found.next().unwrap();
            assert_eq!(finding.repair.is_some(), finding.severity == Severity::Missing);
            finding.severity
        };
        [of(&taken), of(&lost)]
    };
    let local = checked(&dir).await;
    assert_eq!(severities(&local), [Severity::Missing; 2], "nobody is at work on it:\n{local}");
    let bucket = LocalStore::open_read_only(dir.path().join("objects")).unwrap();
    let target = DataDir::open(dir.path()).await.unwrap().with_store(Arc::new(bucket));
    let report = check(target.target(), &CheckOptions::default()).await.unwrap();
    assert_eq!(severities(&report), [Severity::Unreadable, Severity::Missing], "{report}");
    let explained = report.findings.iter().find(|finding| finding.object == taken).unwrap();
    assert!(explained.what.contains(&path::manifest(BOOKS, 3)), "{explained}");
}

#[tokio::test]
async fn a_configuration_that_points_elsewhere_is_refused() {
    let dir = image().await.lay();
    let entry = PlacementEntry {
        installation: "one".into(),
        data: "here".into(),
        log: "woodpecker".into(),
        start: String::new(),
        next_start: String::new(),
    };
    change(&dir, Op::Put { key: entry.key(), value: entry.encode() }).await;
    for (data, log, is_refused) in
        [("here", "woodpecker", false), ("here", "rocksmq", true), ("there", "woodpecker", true)]
    {
        let placement = Placement { data: data.into(), log: log.into() };
        let dir = DataDir::open(dir.path()).await.unwrap().with_placement(placement);
        let outcome = check(dir.target(), &CheckOptions::default()).await;
        assert_eq!(outcome.is_err(), is_refused, "{data}, {log}");
        if let Err(error) = outcome {
            assert!(matches!(error, CheckError::Elsewhere { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn a_bucket_that_was_used_since_or_by_another_is_not_repaired_by_this_catalogue() {
    let mut image = image().await;
    let columns = image.segment_files()[0].clone();
    image.object(&columns)[30] ^= 1;
    let dir = image.lay();
    let entry = PlacementEntry {
        installation: "mine".into(),
        data: "a bucket".into(),
        log: "rocksmq".into(),
        start: "third".into(),
        next_start: "fourth".into(),
    };
    change(&dir, Op::Put { key: entry.key(), value: entry.encode() }).await;
    for (says, want) in [
        (Some("mine third"), Some(None)),
        (Some("mine fourth"), Some(None)),
        (Some("mine fifth"), Some(Some(Severity::Unreadable))),
        (None, Some(Some(Severity::Missing))),
        (Some("another third"), None),
    ] {
        let owner = dir.path().join("objects/installation");
        match says {
            Some(text) => std::fs::write(&owner, text).unwrap(),
            None => std::fs::remove_file(&owner).unwrap(),
        }
        let bucket = LocalStore::open_read_only(dir.path().join("objects")).unwrap();
        let target = DataDir::open(dir.path()).await.unwrap().with_store(Arc::new(bucket));
        let report = match check(target.target(), &CheckOptions::default()).await {
            Ok(report) => report,
            Err(error) => {
                assert!(matches!(error, CheckError::Foreign { .. }) && want.is_none(), "{error}");
                continue;
            }
        };
        let found = report.findings.iter().find(|finding| finding.object == "installation");
        assert_eq!(Some(found.map(|finding| finding.severity)), want, "{says:?}:\n{report}");
        assert_eq!(report.actions().is_empty(), found.is_some(), "{says:?}:\n{report}");
    }
}

#[tokio::test]
async fn an_object_that_no_server_writes_is_noted() {
    let dir = image().await.lay();
    let store = LocalStore::open(dir.path().join("objects")).unwrap();
    for path in ["holiday.jpg", "installation", "log/a/manifest"] {
        store.put(path, vec![1].into()).await.unwrap();
    }
    let report = checked(&dir).await;
    let [finding] = &report.findings[..] else { panic!("{report}") };
    assert_eq!((finding.object.as_str(), finding.severity), ("holiday.jpg", Severity::Note));
}
