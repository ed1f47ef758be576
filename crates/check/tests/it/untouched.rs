//! A check writes nothing: not a byte, not a name, not a time of a file or folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use milvus_check::CheckOptions;
use milvus_storage::LocalStore;

use crate::fixture::{CHANNEL, image};
use crate::woodpecker;

/// What a listing shows: each path's size, mode and times of change.
fn listing(dir: &Path) -> BTreeMap<String, (u64, u32, i64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut note = |path: &Path| {
            let it = fs::symlink_metadata(path).unwrap();
            let times = (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
            let (a, b, c, d) = times;
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            found.insert(name, (it.len(), it.mode(), a, b, c, d));
            it.is_dir()
        };
        note(&folder);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if note(&path) {
                folders.push(path);
            }
        }
    }
    found
}

/// What crashes leave behind, and what a server would make or make good at its start.
fn leave(dir: &Path, store: &str) {
    fs::write(dir.join("LOCK"), "12345").unwrap();
    let temporary = dir.join(store).join(".tmp");
    fs::create_dir_all(&temporary).unwrap();
    fs::write(temporary.join("left-by-a-crash"), [1; 10]).unwrap();
}

#[tokio::test]
async fn a_check_of_a_log_in_files_changes_no_listing() {
    let mut image = image().await;
    let last = image.0.keys().filter(|path| path.ends_with(".log")).max().unwrap().clone();
    image.0.get_mut(&last).unwrap().extend([7; 13]);
    let dir = image.lay();
    leave(dir.path(), "objects");
    fs::create_dir(dir.path().join("log/~removed-1")).unwrap();
    assert!(dir.path().join("log").join(CHANNEL).is_dir());
    let before = listing(dir.path());
    let report = crate::fixture::check_dir(dir.path(), &CheckOptions::default()).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(listing(dir.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_log_of_objects_changes_no_listing() {
    let dir = woodpecker::lay().await;
    leave(dir.path(), "objects");
    leave(dir.path(), "wp");
    let before = listing(dir.path());
    let report = woodpecker::check_dir(dir.path()).await;
    assert!(report.is_sound(), "{report}");
    assert_eq!(listing(dir.path()), before);
    // What a check must not do, and did: the listing shows it.
    LocalStore::open(dir.path().join("wp")).unwrap();
    assert_ne!(listing(dir.path()), before);
}

#[tokio::test]
async fn a_check_of_a_directory_of_which_parts_are_gone_makes_none() {
    for gone in ["objects", "log", "meta.redb"] {
        let mut image = image().await;
        image.0.retain(|path, _| !path.starts_with(gone));
        let dir = image.lay();
        let before = listing(dir.path());
        let report = crate::fixture::check_dir(dir.path(), &CheckOptions::default()).await;
        assert!(!report.is_sound(), "without {gone}:\n{report}");
        assert_eq!(listing(dir.path()), before, "without {gone}");
    }
}
