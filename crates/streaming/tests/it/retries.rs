//! A flush that is tried again.

use std::collections::BTreeMap;

use crate::world::{Home, by_hand};

/// What a flush has written, and what it commits, is the same after a commit of which nobody knows whether
/// it happened: here it did, as only the next start finds out.
#[tokio::test]
async fn what_a_commit_in_doubt_names_is_not_written_again() {
    // How often the catalogue and the store are asked for before the commit is not this test's: it
    // takes each change in turn, and each as one that happened and as one that did not.
    let mut model: BTreeMap<i64, i64> = (0..20).map(|key| (key, key)).collect();
    model.retain(|key, _| key % 3 != 0 && *key != 1 && *key != 2);
    for happens in [false, true] {
        for change in 0..12 {
            let home = Home::new();
            let world = home.start(by_hand()).await;
            let rows: Vec<(i64, i64)> = (0..20).map(|key| (key, key)).collect();
            world.upsert(&rows).await;
            world.flush().await;
            world.delete(&(0..20).filter(|key| key % 3 == 0).collect::<Vec<_>>()).await;
            world.fuse.arm_once(change, happens);
            let first = world.try_flush().await;
            // More deletes, so that there is another set, too.
            if world.try_delete(&[1, 2]).await.is_err() {
                world.delete(&[1, 2]).await;
            }
            if world.try_flush().await.is_err() {
                world.flush().await;
            }
            assert_eq!(world.all().await, model, "change {change}, {happens}, {first:?}");
            let named: Vec<String> =
                world.manifest().await.files().map(|file| file.path.clone()).collect();
            world.crash().await;
            let world = home.start(by_hand()).await;
            assert_eq!(world.all().await, model, "change {change}, {happens}, {first:?}");
            let files = home.files().await;
            assert!(files.iter().all(|file| named.contains(file)), "{files:?}, want {named:?}");
        }
    }
}

/// A manifest whose commit is in doubt may name any file of the try: none is put a second time.
#[tokio::test]
async fn no_file_is_put_twice_while_a_flush_is_tried_again() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&[(1, 10), (2, 20), (3, 30)]).await;
    world.flush().await;
    world.upsert(&[(4, 40)]).await;
    world.delete(&[1]).await;
    // The commit is what fails.
    world.fuse.fail_manifests(true);
    assert!(world.try_flush().await.is_err());
    world.delete(&[2]).await;
    assert!(world.try_flush().await.is_err());
    world.fuse.fail_manifests(false);
    world.flush().await;
    assert_eq!(world.all().await, [(3, 30), (4, 40)].into());
    let mut put = world.fuse.files_put();
    let count = put.len();
    put.sort();
    put.dedup();
    assert_eq!(put.len(), count, "a file was put twice");
    let named: Vec<String> = world.manifest().await.files().map(|f| f.path.clone()).collect();
    let files = home.files().await;
    assert!(files.iter().all(|file| named.contains(file)), "tries leave nothing: {files:?}");
}
