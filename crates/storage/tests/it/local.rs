//! The local directory: what a crash leaves behind, and who may use it.

use std::fs;
use std::io::Write;

use milvus_storage::{LocalStore, ObjectStore};

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
