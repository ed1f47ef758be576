//! Several processes that each take themselves for the owner of a channel.

use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::ObjectStore;

use super::double::{Double, Held};
use super::{CHANNEL, memory, merging, options, paths, put, texts, wal};
use crate::error::{AppendError, OpenError, ReadError, TruncateError};
use crate::log::{LogChannel, Position, Wal, read_all};

async fn fails_as_fenced(channel: &dyn LogChannel, want: u64) {
    let refused = channel.append(vec![Bytes::from_static(b"late")]).await;
    assert!(matches!(refused, Err(AppendError::Fenced { by, .. }) if by == want), "{refused:?}");
}

#[tokio::test]
async fn an_owner_in_another_process_is_fenced_by_a_claim() {
    let store = memory();
    let old = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    put(&*old, "old").await;
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    fails_as_fenced(&*old, 2).await;
    put(&*new, "new").await;
    assert_eq!(texts(&*new, Position::START).await, ["old", "new"]);
    let stale = wal(&store, options()).open(CHANNEL, 1).await.err().unwrap();
    assert!(matches!(stale, OpenError::StaleTerm { got: 1, current: 2, .. }), "{stale}");
}

#[tokio::test]
async fn an_owner_that_wakes_when_its_log_was_given_up_and_merged_is_fenced_still() {
    let store = memory();
    let old = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    put(&*old, "old").await;
    let new = wal(&store, merging()).open(CHANNEL, 2).await.unwrap();
    let mut last = None;
    for i in 0..50 {
        last = Some(put(&*new, &format!("row {i}")).await);
    }
    new.truncate(last.unwrap().next).await.unwrap();
    new.close().await;
    let left = paths(&store).await;
    assert_eq!(left.len(), 3, "the manifest and two claims: {left:?}");
    fails_as_fenced(&*old, 2).await;
    let third = wal(&store, options()).open(CHANNEL, 3).await.unwrap();
    assert_eq!(texts(&*third, third.trim_point()).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_older_owner_neither_trims_nor_merges() {
    let store = memory();
    let old = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    let first = put(&*old, "first").await;
    put(&*old, "second").await;
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    let refused = old.truncate(first.next).await;
    assert!(
        matches!(refused, Err(TruncateError::NotOwner(AppendError::Fenced { by: 2, .. }))),
        "{refused:?}"
    );
    assert_eq!(texts(&*new, Position::START).await, ["first", "second"]);
    fails_as_fenced(&*old, 2).await;
}

#[tokio::test]
async fn the_same_term_in_another_process_takes_over() {
    let store = memory();
    let crashed = wal(&store, options()).open(CHANNEL, 7).await.unwrap();
    put(&*crashed, "one").await;
    let again = wal(&store, options()).open(CHANNEL, 7).await.unwrap();
    fails_as_fenced(&*crashed, 7).await;
    put(&*again, "two").await;
    assert_eq!(texts(&*again, Position::START).await, ["one", "two"]);
}

/// The put of an older owner that arrives late is a part of the log, or the claim is in its place.
#[tokio::test]
async fn a_put_that_arrives_behind_the_claim_fails() {
    let store = memory();
    let slow = Double::new(&store);
    let seen: Arc<dyn ObjectStore> = slow.clone();
    let old = wal(&seen, options()).open(CHANNEL, 1).await.unwrap();
    slow.hold(Held::ConditionalPuts);
    let under_way = old.append(vec![Bytes::from_static(b"late")]);
    while slow.held() == 0 {
        tokio::task::yield_now().await;
    }
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    slow.release();
    let late = under_way.await;
    assert!(matches!(late, Err(AppendError::Fenced { by: 2, .. })), "{late:?}");
    put(&*new, "new").await;
    assert_eq!(texts(&*new, Position::START).await, ["new"]);
}

/// It looked for the tail while the next owner gave up what it was about to find.
#[tokio::test]
async fn an_opening_that_a_newer_one_overtook_fails() {
    for lists_are_late in [false, true] {
        let store = memory();
        let slow = Double::new(&store);
        if lists_are_late {
            slow.freeze_lists().await;
        }
        let first = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
        let three =
            ["a", "b", "c"].map(|text| first.append(vec![Bytes::from_static(text.as_bytes())]));
        for outcome in three {
            outcome.await.unwrap();
        }
        let seen: Arc<dyn ObjectStore> = slow.clone();
        slow.hold(Held::RangeReads);
        let overtaken = wal(&seen, options());
        let opening = milvus_base::task::spawn("opening", async move {
            overtaken.open(CHANNEL, 2).await.err().map(|error| error.to_string())
        });
        while slow.held() == 0 {
            tokio::task::yield_now().await;
        }
        let new = wal(&store, options()).open(CHANNEL, 3).await.unwrap();
        new.truncate(new.end()).await.unwrap();
        slow.release();
        let refused = opening.await.unwrap().unwrap();
        assert!(refused.contains("term 3, which is above 2"), "{refused}");
        put(&*new, "d").await;
        assert_eq!(texts(&*new, new.trim_point()).await, ["d"]);
    }
}

#[tokio::test]
async fn an_older_owner_reads_what_it_finds_and_is_told_to_ask_the_newer() {
    let store = memory();
    let old = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    put(&*old, "one").await;
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    assert_eq!(texts(&*old, Position::START).await, ["one"]);
    new.truncate(new.end()).await.unwrap();
    let error = read_all(&*old, Position::START).await.unwrap_err();
    assert!(matches!(error, ReadError::Fenced { term: 1, by: 2, .. }), "{error}");
}

/// A claim that comes second again and again: the writer looks now and then whether it should end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_never_stops_writing_is_fenced_nevertheless() {
    let store = memory();
    let old = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    let writing = milvus_base::task::spawn("writer", async move {
        let mut acknowledged = 0;
        loop {
            match old.append(vec![Bytes::from_static(b"row")]).await {
                Ok(_) => acknowledged += 1,
                Err(AppendError::Fenced { by: 2, .. }) => return acknowledged,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    let acknowledged = writing.await.unwrap();
    assert_eq!(texts(&*new, Position::START).await.len(), acknowledged);
}

#[tokio::test]
async fn what_is_left_of_a_removed_channel_is_not_taken_for_its_successor() {
    let store = memory();
    let first = wal(&store, options());
    let old = first.open(CHANNEL, 1).await.unwrap();
    put(&*old, "old").await;
    // A process that was not told of the removal puts a batch of the removed log.
    let orphan = {
        let path = paths(&store).await.into_iter().rfind(|path| path.ends_with(".batch")).unwrap();
        (path.clone(), store.get(&path).await.unwrap().bytes)
    };
    first.remove(CHANNEL).await.unwrap();
    assert_eq!(paths(&store).await, Vec::<String>::new());
    let new = first.open(CHANNEL, 1).await.unwrap();
    store.put(&orphan.0, orphan.1.into()).await.unwrap();
    put(&*new, "new").await;
    assert_eq!(texts(&*new, Position::START).await, ["new"]);
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    assert_eq!(texts(&*new, Position::START).await, ["new"]);
    new.close().await;
    assert!(!paths(&store).await.contains(&orphan.0), "it is deleted once somebody looks");
}

#[tokio::test]
async fn a_removal_cut_short_is_finished_by_who_opens_next() {
    for changes in 0..8 {
        let store = memory();
        let cut = Double::new(&store);
        let seen: Arc<dyn ObjectStore> = cut.clone();
        let first = wal(&seen, options());
        let channel = first.open(CHANNEL, 1).await.unwrap();
        for text in ["one", "two", "three"] {
            put(&*channel, text).await;
        }
        drop(channel);
        cut.cut_off_after(changes);
        let removed = first.remove(CHANNEL).await;
        let again = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
        let found = texts(&*again, Position::START).await;
        let (all, none) = (found == ["one", "two", "three"], found.is_empty());
        assert!(if removed.is_ok() { none } else { none || (changes == 0 && all) }, "{found:?}");
    }
}
