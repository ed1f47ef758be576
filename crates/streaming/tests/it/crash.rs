//! A crash at any point of a compaction: the manifest decides what there is.

use std::collections::BTreeMap;

use milvus_format::path;
use milvus_roles::{CompactionCommit, DataCoord};
use milvus_storage::ObjectStore;
use milvus_types::{CollectionId, PartitionId, SegmentId};

use crate::world::{Home, World, by_hand};

/// Rows in two segments, deletes in files and in the log.
async fn filled(home: &Home) -> (World, BTreeMap<i64, i64>) {
    let world = home.start(by_hand()).await;
    let rows: Vec<(i64, i64)> = (0..30).map(|key| (key, key)).collect();
    world.upsert(&rows[..20]).await;
    world.flush().await;
    world.upsert(&rows[10..]).await;
    world.delete(&[0, 15]).await;
    world.flush().await;
    world.delete(&[1, 16]).await;
    world.upsert(&[(2, 200), (40, 400)]).await;
    let mut model: BTreeMap<i64, i64> = rows.into_iter().collect();
    for gone in [0, 15, 1, 16] {
        model.remove(&gone);
    }
    model.extend([(2, 200), (40, 400)]);
    (world, model)
}

#[tokio::test]
async fn files_written_but_not_committed_are_gone_at_the_next_start() {
    let home = Home::new();
    let (world, model) = filled(&home).await;
    let before = home.files().await;
    let (_, compacted) = world.rewrite().await;
    assert!(!compacted.outputs.is_empty() && home.files().await.len() > before.len());
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(home.files().await, before);
    assert_eq!(world.all().await, model);
}

#[tokio::test]
async fn what_was_committed_is_what_a_shard_opens_with_though_it_never_switched() {
    let home = Home::new();
    let (world, mut model) = filled(&home).await;
    let (inputs, compacted) = world.rewrite().await;
    let outputs: Vec<_> = compacted.outputs.iter().map(|output| output.id).collect();
    let commit = CompactionCommit {
        collection_id: world.id,
        removed: inputs.iter().map(|input| input.id).collect(),
        added: compacted.outputs,
        deletes: Vec::new(),
    };
    // As the shard's owner would, and then the process ends.
    assert!(world.coord.commit_compaction(commit).await.unwrap().is_some());
    world.crash().await;
    let world = home.start(by_hand()).await;
    let manifest = world.manifest().await;
    assert_eq!(manifest.segments.iter().map(|entry| entry.id).collect::<Vec<_>>(), outputs);
    assert_eq!(world.all().await, model, "deletes in the log find their rows in the new segments");
    world.delete(&[3]).await;
    model.remove(&3);
    world.flush().await;
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, model);
    assert_eq!(world.count().await, model.len() as u64);
}

#[tokio::test]
async fn nothing_is_lost_by_a_crash_right_after_the_switch() {
    let home = Home::new();
    let (world, model) = filled(&home).await;
    assert!(world.compact().await);
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, model);
    let named: Vec<String> = world.manifest().await.files().map(|file| file.path.clone()).collect();
    let mut files = home.files().await;
    files.retain(|file| !named.contains(file));
    assert!(files.is_empty(), "the compacted segments' files are gone: {files:?}");
}

#[tokio::test]
async fn a_collection_of_which_a_file_is_missing_keeps_all_others() {
    for damage in ["gone", "short", "manifest"] {
        let home = Home::new();
        let (world, _) = filled(&home).await;
        let manifest = world.manifest().await;
        let (id, columns) = (world.id, manifest.segments[0].columns.path.clone());
        world.crash().await;
        match damage {
            "gone" => home.store.delete(&columns).await.unwrap(),
            "short" => {
                let bytes = home.bytes(&columns).await;
                home.store
                    .put(&columns, bytes.slice(..bytes.len() - 1).into())
                    .await
                    .map(drop)
                    .unwrap();
            }
            _ => {
                let at = path::manifest(id, manifest.version);
                home.store
                    .put(&at, bytes::Bytes::from_static(b"?").into())
                    .await
                    .map(drop)
                    .unwrap();
            }
        }
        let older = path::manifest(id, 1);
        let spare = path::deletes(id, PartitionId(1), SegmentId(2), 3);
        let other = path::deletes(CollectionId(id.0 + 1000), PartitionId(1), SegmentId(2), 3);
        for path in [&older, &spare, &other] {
            home.store.put(path, bytes::Bytes::from_static(b"x").into()).await.unwrap();
        }
        let before = home.files().await;
        drop(home.start(by_hand()).await);
        let mut want = before;
        want.retain(|path| *path != other);
        assert_eq!(home.files().await, want, "{damage}: only what is of no collection goes");
        assert_eq!(home.bytes(&older).await, "x");
    }
}
