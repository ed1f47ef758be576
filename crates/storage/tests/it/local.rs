//! The local directory: what a crash leaves behind, and who may use it.

use std::fs;
use std::io::Write;

use milvus_storage::{LocalStore, ObjectStore, StoreError};

#[tokio::test]
async fn opening_removes_what_a_crash_left_and_keeps_objects() {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(directory.path()).unwrap();
    store.put("a/b", b"kept".into()).await.unwrap();
    let mut writer = store.writer("a/c").unwrap();
    writer.write_all(b"half").unwrap();
    writer.flush().unwrap();
    std::mem::forget(writer); // The process dies.
    let temporary = || fs::read_dir(directory.path().join(".tmp")).unwrap().count();
    assert_eq!(temporary(), 1);

    let store = LocalStore::open(directory.path()).unwrap();
    assert_eq!(temporary(), 0);
    assert_eq!(&*store.get("a/b").await.unwrap().bytes, b"kept");
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn lost_conditions_and_dropped_writers_leave_no_temporary_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(directory.path()).unwrap();
    store.put("a", b"x".into()).await.unwrap();
    store.put_if_absent("a", b"y".into()).await.unwrap_err();
    drop(store.writer("b").unwrap());
    assert_eq!(fs::read_dir(directory.path().join(".tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn etags_and_objects_survive_reopening_and_empty_directories_go() {
    let directory = tempfile::tempdir().unwrap();
    let before = {
        let store = LocalStore::open(directory.path()).unwrap();
        store.put("segments/1/2/3/columns.arrow", b"x".into()).await.unwrap()
    };
    let store = LocalStore::open(directory.path()).unwrap();
    assert_eq!(store.head(&before.path).await.unwrap(), before);
    store.delete(&before.path).await.unwrap();
    assert!(!directory.path().join("segments").try_exists().unwrap());
    assert_eq!(store.root(), directory.path());
}

#[tokio::test]
async fn failures_of_the_system_name_the_object() {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(directory.path()).unwrap();
    store.put("a", b"x".into()).await.unwrap();
    // An object's name cannot be a directory's too.
    let error = store.put("a/b", b"y".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot put object a/b");
    assert_eq!(&*store.get("a").await.unwrap().bytes, b"x");
}

#[tokio::test]
async fn the_same_bytes_put_anew_are_another_state() {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(directory.path()).unwrap();
    let first = store.put("a", b"x".into()).await.unwrap();
    assert_ne!(store.put("a", b"x".into()).await.unwrap().etag, first.etag);
}

#[tokio::test]
async fn a_store_that_is_opened_to_be_looked_at_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let absent = LocalStore::open_read_only(dir.path().join("absent")).unwrap();
    assert_eq!(absent.list("").await.unwrap(), []);
    assert!(!dir.path().join("absent").try_exists().unwrap());
    LocalStore::open(dir.path()).unwrap().put("a/b", vec![1].into()).await.unwrap();
    let left_by_a_crash = dir.path().join(".tmp/left");
    std::fs::write(&left_by_a_crash, [2]).unwrap();
    let store = LocalStore::open_read_only(dir.path()).unwrap();
    assert_eq!(store.get("a/b").await.unwrap().bytes, vec![1]);
    for refused in [
        store.put("a/b", vec![3].into()).await.map(drop),
        store.put_if_absent("c", vec![3].into()).await.map(drop),
        store.delete("a/b").await,
        store.writer("c").map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    assert_eq!(store.get("a/b").await.unwrap().bytes, vec![1]);
    assert!(left_by_a_crash.try_exists().unwrap());
    let file = dir.path().join("a/b");
    assert!(LocalStore::open_read_only(file).is_err(), "a file is no store");
}
