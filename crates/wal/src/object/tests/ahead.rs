//! Reading ahead: how much is on its way, in which order it comes, and what goes wrong meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milvus_base::{io, task};
use milvus_storage::{ObjectStore, StoreError};
use tokio::task::JoinHandle;

use super::double::{Double, Held};
use super::{CHANNEL, memory, options, path_of, put, texts, wal};
use crate::error::ReadError;
use crate::log::{LogChannel, Position, Wal, read_all};
use crate::object::ahead::{BYTES_AHEAD, OBJECTS_AHEAD};
use crate::object::scan::READ_BYTES;

/// A channel of `count` batches of one record of `bytes`, and its store, which can hold reads back.
async fn channel(count: usize, bytes: usize) -> (Arc<Double>, Arc<dyn LogChannel>) {
    let double = Double::new(&memory());
    let store: Arc<dyn ObjectStore> = double.clone();
    let options = crate::ObjectWalOptions { merge_objects: usize::MAX, ..options() };
    let channel = wal(&store, options).open(CHANNEL, 1).await.unwrap();
    for i in 0..count {
        let mut record = format!("{i} ").into_bytes();
        record.resize(bytes.max(record.len()), b'.');
        channel.append(vec![Bytes::from(record)]).await.unwrap();
    }
    (double, channel)
}

/// Returns how many reads `store` has held back once they are `want`, and no more come for a while.
async fn held_once(store: &Double, want: usize) -> usize {
    while store.held() < want {
        milvus_base::clock::sleep(Duration::from_millis(1)).await;
    }
    milvus_base::clock::sleep(Duration::from_millis(20)).await;
    store.held()
}

fn read_in_background(channel: &Arc<dyn LogChannel>) -> JoinHandle<Vec<String>> {
    let channel = Arc::clone(channel);
    task::spawn("reader", async move { texts(&*channel, Position::START).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_objects_are_fetched_at_once_and_read_in_order() {
    let (store, channel) = channel(100, 0).await;
    store.hold(Held::RangeReads);
    let reader = read_in_background(&channel);
    // The claim is the first object that is read, and the only one not ahead.
    let want = 1 + OBJECTS_AHEAD;
    assert!(want > 8, "a far store is asked for many at once");
    assert_eq!(held_once(&store, want).await, want);
    store.release();
    let read = reader.await.unwrap();
    let want: Vec<_> = (0..100).map(|i| format!("{i} ")).collect();
    assert_eq!(read, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readers_of_a_log_share_the_bytes_that_are_fetched_ahead() {
    let (store, channel) = channel(8, 5 << 20).await;
    store.hold(Held::RangeReads);
    let readers: Vec<_> = (0..3).map(|_| read_in_background(&channel)).collect();
    let ahead = usize::try_from(u64::from(BYTES_AHEAD) / READ_BYTES).unwrap();
    // Each reader's own, and what all may have ahead.
    assert_eq!(held_once(&store, 3 + ahead).await, 3 + ahead);
    store.release();
    for reader in readers {
        assert_eq!(reader.await.unwrap().len(), 8);
    }
    // What was taken is given back.
    let before = store.held();
    store.hold(Held::RangeReads);
    let reader = read_in_background(&channel);
    assert_eq!(held_once(&store, before + 1 + ahead).await, before + 1 + ahead);
    store.release();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_comes_after_the_records_before_it() {
    let (store, channel) = channel(20, 0).await;
    let store: Arc<dyn ObjectStore> = store;
    let lost = path_of(&store, "/00000000000000000008.batch").await;
    store.delete(&lost).await.unwrap();
    let reader = channel.read(Position::START);
    let read = io::run(move || reader.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(read.len(), 8, "seven records and the error");
    assert!(read.iter().take(7).all(Result::is_ok));
    let error = read.into_iter().next_back().unwrap().unwrap_err();
    assert!(
        matches!(&error, ReadError::Damaged(_)) && error.to_string().contains(&lost),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_takes_its_requests_with_it() {
    let (store, channel) = channel(8, 5 << 20).await;
    let mut reader = channel.read(Position::START);
    let (reader, first) = io::run(move || {
        let first = reader.next();
        (reader, first)
    })
    .await
    .unwrap();
    assert!(first.unwrap().is_ok());
    drop(reader);
    store.hold(Held::RangeReads);
    let before = store.held();
    let reader = read_in_background(&channel);
    let want = before + 1 + usize::try_from(u64::from(BYTES_AHEAD) / READ_BYTES).unwrap();
    assert_eq!(held_once(&store, want).await, want, "none of its bytes are still taken");
    store.release();
    assert_eq!(reader.await.unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_while_a_reader_reads_are_read_too() {
    let (_, channel) = channel(3, 0).await;
    let mut reader = channel.read(Position::START);
    let mut read = Vec::new();
    for i in 3..10 {
        (reader, read) = io::run(move || {
            read.extend(reader.by_ref().map(|record| record.unwrap().payload));
            (reader, read)
        })
        .await
        .unwrap();
        assert_eq!(read.len(), i);
        put(&*channel, "more").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_named_once_and_not_for_ever() {
    let (store, channel) = channel(20, 0).await;
    store.cut_off_after(0);
    let error = read_all(&*channel, Position::START).await.unwrap_err();
    let ReadError::Store(failed) = &error else { panic!("{error:?}") };
    assert!(matches!(&*failed.source, StoreError::Io { .. }), "{failed:?}");
}
