//! Merging and truncation: nothing a reader wants goes away, whatever crashes in between.

use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::ObjectStore;

use super::double::Double;
use super::{CHANNEL, memory, merging, options, path_of, paths, put, texts, wal};
use crate::log::{Position, Wal};
use crate::object::ObjectWalOptions;

#[tokio::test]
async fn small_objects_are_merged_and_read_as_before() {
    let store = memory();
    let wal = wal(&store, ObjectWalOptions { merge_objects: 8, ..options() });
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    let mut places = Vec::new();
    let mut reader = channel.read(Position::START);
    for i in 0..200 {
        places.push(put(&*channel, &format!("row {i}")).await);
    }
    // Begun before anything was merged, and goes on where it was.
    let (first, mut reader) = milvus_base::io::run(move || (reader.next(), reader)).await.unwrap();
    assert_eq!(first.unwrap().unwrap().payload, "row 0");
    for i in 200..400 {
        places.push(put(&*channel, &format!("row {i}")).await);
    }
    let rest = milvus_base::io::run(move || reader.by_ref().count()).await.unwrap();
    assert_eq!(rest, 399);
    channel.close().await;
    let left = paths(&store).await.len();
    assert!(left < 30, "{left} objects of 400");
    for (i, place) in places.iter().enumerate().step_by(37) {
        let found = texts(&*channel, place.position).await;
        assert_eq!((found.len(), &found[0]), (400 - i, &format!("row {i}")));
    }
}

#[tokio::test]
async fn large_batches_are_not_copied() {
    let store = memory();
    let channel = wal(&store, merging()).open(CHANNEL, 1).await.unwrap();
    for _ in 0..20 {
        channel.append(vec![Bytes::from(vec![7; 3000])]).await.unwrap();
    }
    channel.close().await;
    let left = paths(&store).await;
    assert_eq!(left.iter().filter(|path| path.ends_with(".batch")).count(), 21, "{left:?}");
    assert_eq!(texts(&*channel, Position::START).await.len(), 20);
}

#[tokio::test]
async fn truncation_deletes_whole_objects_and_survives() {
    let store = memory();
    let process = wal(&store, options());
    let channel = process.open(CHANNEL, 1).await.unwrap();
    let mut places = Vec::new();
    for i in 0..20 {
        places.push(put(&*channel, &format!("row {i}")).await);
    }
    channel.truncate(places[10].position).await.unwrap();
    assert_eq!(channel.trim_point(), places[10].position);
    assert_eq!(paths(&store).await.len(), 1 + 1 + 10, "the manifest, a claim, ten batches");
    let again = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    assert_eq!(again.trim_point(), places[10].position);
    assert_eq!(texts(&*again, again.trim_point()).await.len(), 10);
}

/// Cut off after each number of changes in turn, no acknowledged record is lost, and none is there twice.
#[tokio::test]
async fn a_crash_after_any_change_is_harmless() {
    let mut changes = 0;
    loop {
        let store = memory();
        let cut = Double::new(&store);
        let seen: Arc<dyn ObjectStore> = cut.clone();
        cut.cut_off_after(changes);
        let give_up_after = std::time::Duration::ZERO;
        let process = wal(&seen, ObjectWalOptions { give_up_after, ..merging() });
        let mut acknowledged = Vec::new();
        let mut trim = Position::START;
        if let Ok(channel) = process.open(CHANNEL, 1).await {
            for i in 0..24 {
                let text = format!("row {i}");
                match channel.append(vec![text.clone().into()]).await {
                    Ok(place) => acknowledged.push((place.position, text)),
                    Err(_) => break,
                }
                if i % 10 == 9 {
                    let before = acknowledged[i - 3].0;
                    // Given up whether or not anybody heard of it.
                    trim = before;
                    let _ = channel.truncate(before).await;
                }
            }
        }
        let done = !cut.is_cut_off();
        let again = wal(&store, merging()).open(CHANNEL, 2).await.unwrap();
        put(&*again, "after").await;
        let from = again.trim_point().max(trim);
        let mut want: Vec<String> = acknowledged
            .into_iter()
            .filter_map(|(position, text)| (position >= from).then_some(text))
            .collect();
        want.push("after".to_owned());
        let mut found = texts(&*again, from).await;
        // The one that nobody heard of may be there.
        found.retain(|text| want.contains(text) || text == "after");
        assert_eq!(found, want, "after {changes} changes");
        if done {
            break;
        }
        changes += 1;
    }
    assert!(changes > 40, "{changes}");
}

#[tokio::test]
async fn what_a_crash_left_behind_is_deleted_at_the_next_opening() {
    let store = memory();
    let channel = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    for i in 0..6 {
        put(&*channel, &format!("row {i}")).await;
    }
    channel.close().await;
    let before = paths(&store).await;
    let first = path_of(&store, "0000.batch").await;
    let copy = first.replace(".batch", &format!("-{:020}-{:016x}.merged", 4, 9));
    store.put(&copy, b"a copy that no manifest lists".into()).await.unwrap();
    let again = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    again.close().await;
    let after = paths(&store).await;
    assert_eq!(after.len(), before.len() + 1, "one claim more: {after:?}");
    assert!(!after.contains(&copy));
    assert_eq!(texts(&*again, Position::START).await.len(), 6);
}
