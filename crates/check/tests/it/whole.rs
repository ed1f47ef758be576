//! A sound directory: nothing is found, nothing is changed, nobody else gets in.

use milvus_check::{CheckOptions, DataDir, DataDirError, Progress, Severity, check};
use milvus_storage::DataDirLock;
use std::sync::{Arc, Mutex};

use crate::fixture::{Image, check_dir, image};

#[tokio::test]
async fn a_sound_directory_is_sound() {
    let report = image().await.check().await;
    assert_eq!(report.findings, [], "{report}");
    let counts = report.counts;
    assert_eq!((counts.collections, counts.segments, counts.rows), (2, 3, 120));
    assert_eq!((counts.channels, counts.records), (1, 12));
    assert_eq!(counts.files, 2 + 3 * 3 + 2 * 2, "manifests, three files each, two indexes twice");
    assert_eq!(report.exit_code(), 0);
    let text = report.to_string();
    assert!(
        text.ends_with("sound: 0 damaged, 0 missing, 0 unreadable, 0 orphans, 0 notes"),
        "{text}"
    );
}

#[tokio::test]
async fn a_check_changes_no_byte() {
    let mut image = image().await;
    // Also not of what a start would make good.
    image.0.insert("objects/.tmp/left-by-a-crash".into(), vec![1; 10]);
    let last = image.0.keys().filter(|path| path.ends_with(".log")).max().unwrap().clone();
    image.0.get_mut(&last).unwrap().extend([7; 13]);
    let dir = image.lay();
    let report = check_dir(dir.path(), &CheckOptions::default()).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.count(Severity::Note), 1, "{report}");
    assert_eq!(report.findings[0].object, last);
    assert!(Image::of(dir.path()) == image, "the directory is another");
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_one_being_checked_keeps_servers_off() {
    let dir = image().await.lay();
    {
        let _server = DataDirLock::acquire(dir.path()).unwrap();
        for refused in [DataDir::open(dir.path()).await, DataDir::lock(dir.path()).await] {
            let error = refused.unwrap_err();
            assert!(matches!(error, DataDirError::InUse { .. }), "{error}");
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
    }
    let first = DataDir::open(dir.path()).await.unwrap();
    let second = DataDir::open(dir.path()).await.unwrap();
    assert!(DataDirLock::acquire(dir.path()).is_err());
    drop((first, second));
    DataDirLock::acquire(dir.path()).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let error = DataDir::open(empty.path()).await.unwrap_err();
    assert!(matches!(error, DataDirError::NotOne { .. }), "{error}");
}

#[tokio::test]
async fn progress_reaches_the_end() {
    let dir = image().await.lay();
    let said: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let hear = said.clone();
    let options = CheckOptions {
        on_progress: Some(Arc::new(move |progress| hear.lock().unwrap().push(progress.clone()))),
        ..CheckOptions::default()
    };
    let data_dir = DataDir::open(dir.path()).await.unwrap();
    let report = check(data_dir.target(), &options).await.unwrap();
    let said = said.lock().unwrap();
    let last = said.last().unwrap();
    assert_eq!((last.files, last.files_total), (13, 13), "{last}");
    assert_eq!(last.bytes_total, report.counts.bytes);
}

/// Programs read it: fields are added, and none is renamed or taken away.
#[tokio::test]
async fn a_report_is_json_of_a_form_that_stays() {
    let mut image = image().await;
    let path = image.segment_files()[0].clone();
    image.object(&path).pop();
    let report = image.check().await;
    let found = serde_json::json!({
        "severity": "damage",
        "object": path,
        "byte": report.findings[0].byte,
        "what": report.findings[0].what,
        "concerns": {
            "collection_id": 1000,
            "collection": "default.books",
            "partition": "_default",
            "segment_id": 1020,
            "rows": 40,
        },
        "advice": report.findings[0].advice,
        "repair": {"action": "quarantine_segment", "collection_id": 1000, "segment_id": 1020},
    });
    let counts = report.counts;
    let counted = serde_json::json!({
        "entries": 11, "collections": 2, "segments": 3, "rows": 120, "files": counts.files,
        "bytes": counts.bytes, "channels": 1, "records": 12, "orphans": 0, "orphan_bytes": 0,
    });
    let want = serde_json::json!({"findings": [found], "counts": counted});
    assert_eq!(serde_json::to_value(&report).unwrap(), want);
}
