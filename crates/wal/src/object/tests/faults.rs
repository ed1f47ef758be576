//! A store that fails, hangs, loses replies or lists late.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milvus_base::retry::Backoff;
use milvus_storage::{FaultPlan, FaultyStore, LocalStore, ObjectStore};
use milvus_types::{Coded as _, ErrorCode};

use super::double::{Double, Held};
use super::{CHANNEL, faulty, memory, merging, options, path_of, put, texts, wal};
use crate::error::{AppendError, OpenError, ReadError, WalDamaged};
use crate::log::{Appended, LogChannel, Position, Wal, read_all};
use crate::object::ObjectWalOptions;
use crate::planted::PlantedBug;

fn impatient() -> ObjectWalOptions {
    let retry = Backoff { attempts: 2, ..options().retry };
    ObjectWalOptions { retry, give_up_after: Duration::ZERO, ..options() }
}

async fn try_put(channel: &dyn LogChannel, text: &str) -> Result<Appended, AppendError> {
    channel.append(vec![Bytes::copy_from_slice(text.as_bytes())]).await
}

/// Appends until the channel takes records again.
async fn put_when_it_goes_on(channel: &dyn LogChannel, text: &str) -> Appended {
    loop {
        match try_put(channel, text).await {
            Ok(place) => return place,
            Err(AppendError::Unavailable { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_outage_fails_appends_with_a_type_and_the_channel_goes_on_by_itself() {
    let store = memory();
    let faults = faulty(&store, FaultPlan::default(), 1);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let channel = wal(&seen, impatient()).open(CHANNEL, 1).await.unwrap();
    put(&*channel, "before").await;
    faults.set_plan(FaultPlan { error: 1.0, ..FaultPlan::default() });
    let in_doubt = try_put(&*channel, "in doubt").await.unwrap_err();
    assert!(matches!(&in_doubt, AppendError::InDoubt { position, .. } if position.0 == 2));
    let text = in_doubt.to_string();
    assert!(text.contains(CHANNEL) && text.contains("position 2") && text.contains("term 1"));
    let refused = try_put(&*channel, "refused").await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable { .. }), "{refused}");
    faults.set_plan(FaultPlan::default());
    put_when_it_goes_on(&*channel, "after").await;
    assert_eq!(texts(&*channel, Position::START).await, ["before", "after"]);
}

#[tokio::test]
async fn a_lost_reply_that_nobody_could_read_back_is_found_once() {
    let store = memory();
    let faults = faulty(&store, FaultPlan::default(), 1);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let channel = wal(&seen, impatient()).open(CHANNEL, 1).await.unwrap();
    faults.set_plan(FaultPlan { lost_reply: 1.0, ..FaultPlan::default() });
    let in_doubt = try_put(&*channel, "in doubt").await.unwrap_err();
    assert!(matches!(in_doubt, AppendError::InDoubt { .. }), "{in_doubt}");
    faults.set_plan(FaultPlan::default());
    put_when_it_goes_on(&*channel, "after").await;
    assert_eq!(texts(&*channel, Position::START).await, ["in doubt", "after"]);
}

/// Its batch of three arrived unheard, a new owner gave it up and deleted it, and then the store answers
/// again: the claim that settles the batch finds nothing, though the log went on elsewhere.
#[tokio::test]
async fn an_owner_cut_off_while_its_batch_came_and_went_is_fenced() {
    let store = memory();
    let faults = faulty(&store, FaultPlan::default(), 1);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let old = wal(&seen, impatient()).open(CHANNEL, 1).await.unwrap();
    faults.set_plan(FaultPlan { lost_reply: 1.0, ..FaultPlan::default() });
    let three = ["a", "b", "c"].map(|text| old.append(vec![Bytes::from_static(text.as_bytes())]));
    for outcome in three {
        assert!(matches!(outcome.await, Err(AppendError::InDoubt { .. })));
        faults.set_plan(FaultPlan { error: 1.0, ..FaultPlan::default() });
    }
    let new = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    assert_eq!(texts(&*new, Position::START).await, ["a", "b", "c"]);
    new.truncate(new.end()).await.unwrap();
    faults.set_plan(FaultPlan::default());
    loop {
        match try_put(&*old, "late").await {
            Err(AppendError::Unavailable { .. }) => tokio::task::yield_now().await,
            Err(AppendError::Fenced { by: 2, .. }) => break,
            other => panic!("{other:?}"),
        }
    }
}

/// A directory that shows a file does not say that it has it after a loss of power.
#[tokio::test]
async fn what_no_put_has_vouched_for_is_not_acknowledged() {
    let store = memory();
    let deaf = Double::new(&store);
    let seen: Arc<dyn ObjectStore> = deaf.clone();
    let channel = wal(&seen, impatient()).open(CHANNEL, 1).await.unwrap();
    deaf.mute(true);
    let in_doubt = try_put(&*channel, "there").await.unwrap_err();
    assert!(matches!(in_doubt, AppendError::InDoubt { .. }), "{in_doubt}");
    deaf.mute(false);
    put_when_it_goes_on(&*channel, "after").await;
    assert_eq!(texts(&*channel, Position::START).await, ["there", "after"]);
}

#[tokio::test]
async fn lost_replies_that_are_read_back_are_acknowledged_once() {
    let store = memory();
    let faults = faulty(&store, FaultPlan::default(), 7);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let channel = wal(&seen, merging()).open(CHANNEL, 1).await.unwrap();
    faults.set_plan(FaultPlan { lost_reply: 0.5, ..FaultPlan::default() });
    let want: Vec<String> = (0..100).map(|i| format!("row {i}")).collect();
    for text in &want {
        put(&*channel, text).await;
    }
    assert!(faults.faults() > 50);
    assert_eq!(texts(&*channel, Position::START).await, want);
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hang_the_channel() {
    let store = memory();
    let slow = Double::new(&store);
    let seen: Arc<dyn ObjectStore> = slow.clone();
    let options = ObjectWalOptions { attempt_timeout: Duration::from_millis(20), ..impatient() };
    let channel = wal(&seen, options).open(CHANNEL, 1).await.unwrap();
    slow.hold(Held::ConditionalPuts);
    let in_doubt = try_put(&*channel, "in doubt").await.unwrap_err();
    assert!(in_doubt.to_string().contains("cannot put"), "{in_doubt}");
    slow.release();
    put_when_it_goes_on(&*channel, "after").await;
    assert_eq!(texts(&*channel, Position::START).await, ["after"]);
}

#[tokio::test]
async fn a_full_disk_is_named_and_the_channel_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(dir.path()).unwrap());
    let faults = faulty(&local, FaultPlan::default(), 1);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let channel = wal(&seen, options()).open(CHANNEL, 1).await.unwrap();
    faults.set_plan(FaultPlan { error: 1.0, disk_full: 1.0, ..FaultPlan::default() });
    let full = try_put(&*channel, "no room").await.unwrap_err();
    assert_eq!(full.code(), ErrorCode::DiskLimitExceeded, "{full}");
    faults.set_plan(FaultPlan::default());
    put_when_it_goes_on(&*channel, "after").await;
    assert_eq!(texts(&*channel, Position::START).await, ["after"]);
}

#[tokio::test]
async fn opening_a_store_that_is_away_fails_with_a_type() {
    let store = memory();
    let faults = faulty(&store, FaultPlan { error: 1.0, ..FaultPlan::default() }, 1);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults);
    let error = wal(&seen, impatient()).open(CHANNEL, 4).await.err().unwrap();
    assert!(matches!(error, OpenError::Store(_)), "{error}");
    assert!(error.to_string().contains(CHANNEL) && error.to_string().contains("term 4"));
}

#[tokio::test]
async fn lists_that_show_nothing_new_lose_nothing() {
    let store = memory();
    let late = Double::new(&store);
    let seen: Arc<dyn ObjectStore> = late.clone();
    late.freeze_lists().await;
    let mut want = Vec::new();
    for term in 1..6 {
        let channel = wal(&seen, merging()).open(CHANNEL, term).await.unwrap();
        for i in 0..20 {
            want.push(format!("row {i} of term {term}"));
            put(&*channel, want.last().unwrap()).await;
        }
        channel.close().await;
        assert_eq!(texts(&*channel, Position::START).await, want);
        if term == 3 {
            // From here on lists show objects that are merged and deleted soon.
            late.freeze_lists().await;
        }
    }
}

#[tokio::test]
async fn lost_objects_are_named() {
    let store = memory();
    let channel = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    for i in 0..5 {
        put(&*channel, &format!("row {i}")).await;
    }
    channel.close().await;
    let lost = path_of(&store, "03.batch").await;
    let bytes = store.get(&lost).await.unwrap().bytes;
    store.delete(&lost).await.unwrap();
    // The owner that is open still reads what is there, and says where it ends.
    let mut found = Vec::new();
    let reader = channel.read(Position::START);
    let (error, count) = milvus_base::io::run(move || {
        for record in reader {
            match record {
                Ok(record) => found.push(record),
                Err(error) => return (Some(error), found.len()),
            }
        }
        (None, found.len())
    })
    .await
    .unwrap();
    assert!(matches!(error, Some(ReadError::Damaged(WalDamaged { .. }))), "{error:?}");
    assert_eq!(count, 2);
    let error = wal(&store, options()).open(CHANNEL, 2).await.err().unwrap();
    assert!(error.to_string().contains(&lost), "{error}");
    assert_eq!(error.code(), ErrorCode::DataIntegrity);
    store.put(&lost, bytes.into()).await.unwrap();
    let manifest = format!("log/{CHANNEL}/manifest");
    store.delete(&manifest).await.unwrap();
    let error = wal(&store, options()).open(CHANNEL, 2).await.err().unwrap();
    assert!(error.to_string().contains("manifest is missing"), "{error}");
}

#[tokio::test]
async fn limits_are_kept() {
    let store = memory();
    let options = ObjectWalOptions { max_record_bytes: 1000, max_queued_bytes: 2500, ..options() };
    let channel = wal(&store, options).open(CHANNEL, 1).await.unwrap();
    let large = channel.append(vec![Bytes::from(vec![0; 600]), Bytes::from(vec![0; 401])]).await;
    assert!(matches!(large, Err(AppendError::TooLarge { got: 1001, limit: 1000, .. })));
    let futures: Vec<_> =
        (0..1000).map(|_| channel.append(vec![Bytes::from(vec![0; 1000])])).collect();
    let mut refused = 0;
    for future in futures {
        match future.await {
            Ok(_) => {}
            Err(AppendError::QueueFull { limit: 2500, .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 900);
    let found = read_all(&*channel, Position::START).await.unwrap();
    assert_eq!(found.len() + refused, 1000);
}

#[tokio::test]
async fn appends_that_come_together_share_a_put() {
    let store = memory();
    let channel = wal(&store, options()).open(CHANNEL, 1).await.unwrap();
    let futures: Vec<_> =
        (0..2000).map(|_| channel.append(vec![Bytes::from_static(b"row")])).collect();
    for future in futures {
        future.await.unwrap();
    }
    let stats = channel.stats();
    assert_eq!((stats.records, stats.queued), (2000, 0));
    assert!(stats.batches < 10, "{stats:?}");
}

#[tokio::test]
async fn a_batch_has_no_more_bytes_than_its_limit() {
    let store = memory();
    let options = ObjectWalOptions { max_batch_bytes: 4096, ..options() };
    let channel = wal(&store, options).open(CHANNEL, 1).await.unwrap();
    let futures: Vec<_> =
        (0..100).map(|_| channel.append(vec![Bytes::from(vec![1; 1000])])).collect();
    for future in futures {
        future.await.unwrap();
    }
    let listed = store.list("log/").await.unwrap();
    assert!(listed.iter().all(|meta| meta.size <= 4096 + 88));
    assert_eq!(channel.stats().batches, 25);
}

#[tokio::test]
async fn planted_bugs_break_the_promise_that_they_are_to_break() {
    let planted = |planted_bug| ObjectWalOptions { planted_bug, ..options() };
    let store = memory();
    let bug = PlantedBug::AcknowledgeUnwritten { one_in: 3 };
    let channel = wal(&store, planted(bug)).open(CHANNEL, 1).await.unwrap();
    for i in 0..9 {
        put(&*channel, &i.to_string()).await;
    }
    assert_eq!(texts(&*channel, Position::START).await, ["0", "1", "3", "4", "6", "7"]);

    let store = memory();
    let faults: FaultyStore = faulty(&store, FaultPlan::default(), 3);
    let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let bug = planted(PlantedBug::RenameOnTimeout);
    let channel = wal(&seen, bug).open(CHANNEL, 1).await.unwrap();
    faults.set_plan(FaultPlan { lost_reply: 0.3, ..FaultPlan::default() });
    for i in 0..20 {
        put(&*channel, &i.to_string()).await;
    }
    faults.set_plan(FaultPlan::default());
    let again = wal(&store, options()).open(CHANNEL, 2).await.unwrap();
    assert!(texts(&*again, Position::START).await.len() > 20, "some are there twice");
}

#[test]
fn errors_say_what_the_store_said() {
    let source = io::Error::new(io::ErrorKind::TimedOut, "no answer");
    let error = milvus_storage::StoreError::Io { op: "put", path: "a".to_owned(), source };
    assert_eq!(crate::error::chain(&error), "cannot put object a: no answer");
}
