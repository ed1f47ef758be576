//! The conformance suite of the log: every promise of [`Wal`], as a check that any backend must pass.
//!
//! A backend's tests call [`conformance`] with a function that opens it over the same storage each
//! time it is called, as a new process would. Checks panic when a promise is broken. Beside it, for who
//! can reach a backend's bytes or end its processes:
//!
//! - [`damage`](damage::damage): cut, flipped, moved, swapped and lost bytes;
//! - [`model`](model::run): random programs of appends, crashes, owners and faults beside a model.

pub mod damage;
pub mod model;

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{AppendError, OpenError, ReadError, TruncateError};
use crate::log::{Appended, LogChannel, Position, Record, Wal, read_all};

/// Runs every check. `reopen` is called only after everything it gave before was dropped.
pub async fn conformance(reopen: impl AsyncFn() -> Arc<dyn Wal>) {
    acknowledged_records_come_back_in_order(&reopen).await;
    concurrent_appends_keep_the_order_of_calls(&reopen).await;
    reads_begin_anywhere_and_follow_the_end(&reopen).await;
    truncation_keeps_what_it_must(&reopen).await;
    a_higher_term_fences_a_lower(&reopen).await;
    a_closed_handle_refuses(&reopen).await;
    channels_are_apart_and_can_be_removed(&reopen).await;
}

async fn open(wal: &Arc<dyn Wal>, channel: &str, term: u64) -> Arc<dyn LogChannel> {
    wal.open(channel, term).await.expect("channel opens")
}

async fn append(channel: &dyn LogChannel, text: &str) -> Appended {
    let (head, tail) = text.split_at(text.len() / 2);
    let parts = [head, tail].map(|part| Bytes::copy_from_slice(part.as_bytes()));
    channel.append(parts.to_vec()).await.expect("append succeeds")
}

async fn read(channel: &dyn LogChannel, from: Position) -> Vec<Record> {
    read_all(channel, from).await.expect("log reads")
}

async fn texts(channel: &dyn LogChannel, from: Position) -> Vec<String> {
    let records = read(channel, from).await;
    records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect()
}

/// Durable, in order, exactly as written; also empty records and ones larger than any buffer.
pub async fn acknowledged_records_come_back_in_order(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let large = "x".repeat(9 << 20);
    let written = ["one", "", "a somewhat longer record", &large, "five"];
    let mut places = Vec::new();
    {
        let wal = reopen().await;
        let channel = open(&wal, "order", 1).await;
        assert_eq!(channel.end(), Position::START);
        assert!(read(&*channel, Position::START).await.is_empty());
        for text in written {
            places.push(append(&*channel, text).await);
        }
        channel.close().await;
    }
    let wal = reopen().await;
    let channel = open(&wal, "order", 2).await;
    let records = read(&*channel, Position::START).await;
    assert_eq!(records.len(), written.len());
    for ((record, text), place) in records.iter().zip(written).zip(&places) {
        assert!(record.payload == text.as_bytes(), "record at {} differs", record.position);
        assert_eq!((record.position, record.next), (place.position, place.next));
    }
    assert_eq!(Some(channel.end()), places.last().map(|place| place.next));
    let more = append(&*channel, "six").await;
    assert!(more.position >= channel.trim_point() && more.next == channel.end());
    assert_eq!(texts(&*channel, more.position).await, ["six"]);
}

/// Appends that nobody awaits in between resolve in order and lie in the order of the calls.
pub async fn concurrent_appends_keep_the_order_of_calls(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let wal = reopen().await;
    let channel = open(&wal, "concurrent", 1).await;
    let futures: Vec<_> =
        (0..500).map(|i: u32| channel.append(vec![i.to_string().into_bytes().into()])).collect();
    let mut last = Position::START;
    for future in futures {
        let place = future.await.expect("append succeeds");
        assert!(place.position >= last && place.next > place.position);
        last = place.next;
    }
    let want: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    assert_eq!(texts(&*channel, Position::START).await, want);
    let stats = channel.stats();
    assert_eq!((stats.records, stats.queued), (500, 0));
    assert!(stats.batches <= 500 && stats.bytes > 0);
}

/// A reader begins at any position it was given, sees durable records only, and goes on later.
pub async fn reads_begin_anywhere_and_follow_the_end(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let wal = reopen().await;
    let channel = open(&wal, "reads", 1).await;
    let first = append(&*channel, "first").await;
    let second = append(&*channel, "second").await;
    assert_eq!(texts(&*channel, first.next).await, ["second"]);
    assert_eq!(texts(&*channel, second.position).await, ["second"]);
    assert!(texts(&*channel, second.next).await.is_empty());

    let mut reader = channel.read(second.position);
    let want = [(false, Some("second")), (false, None), (true, Some("third")), (false, None)];
    for (append_first, want) in want {
        if append_first {
            append(&*channel, "third").await;
        }
        let (record, back) = milvus_base::io::run(move || (reader.next(), reader))
            .await
            .expect("reader does not panic");
        reader = back;
        let payload = record.map(|record| record.expect("log reads").payload);
        assert_eq!(payload.as_deref(), want.map(str::as_bytes));
    }

    let beyond = Position(channel.end().0 + 1_000_000);
    let error = read_all(&*channel, beyond).await.expect_err("there is no such position");
    assert!(matches!(error, ReadError::BeyondEnd { .. }), "{error}");
}

/// Truncation is repeatable, keeps everything from its position on, and survives reopening.
pub async fn truncation_keeps_what_it_must(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let text = |i: usize| format!("{i:04}").repeat(500);
    let mut places = Vec::new();
    {
        let wal = reopen().await;
        let channel = open(&wal, "truncate", 1).await;
        for i in 0..60 {
            places.push(append(&*channel, &text(i)).await);
        }
        for keep in [10, 10, 5, 40] {
            let before = places.get(keep).expect("there are 60").position;
            channel.truncate(before).await.expect("truncation succeeds");
        }
        let kept = places.get(40).expect("there are 60").position;
        assert!(channel.trim_point() <= kept);
        let beyond = channel.truncate(Position(channel.end().0 + 8)).await;
        assert!(matches!(beyond, Err(TruncateError::BeyondEnd { .. })));
        if channel.trim_point() > Position::START {
            let error = read_all(&*channel, Position::START).await.expect_err("it was given up");
            assert!(matches!(error, ReadError::Trimmed { .. }), "{error}");
        }
        channel.close().await;
    }
    let wal = reopen().await;
    let channel = open(&wal, "truncate", 2).await;
    let kept = places.get(40).expect("there are 60").position;
    let want: Vec<String> = (40..60).map(text).collect();
    assert_eq!(texts(&*channel, kept).await, want);
    let from_trim_point = texts(&*channel, channel.trim_point()).await;
    assert!(from_trim_point.ends_with(&want));
    channel.truncate(channel.end()).await.expect("all may be given up");
    let last = append(&*channel, "last").await;
    channel.truncate(last.position).await.expect("truncation succeeds");
    assert_eq!(texts(&*channel, last.position).await, ["last"]);
}

/// The older handle fails and writes nothing more; a lower term is refused, now and after reopening.
pub async fn a_higher_term_fences_a_lower(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    {
        let wal = reopen().await;
        let old = open(&wal, "fence", 3).await;
        append(&*old, "old").await;
        let again = wal.open("fence", 3).await.err().expect("the term is taken");
        assert!(matches!(again, OpenError::AlreadyOpen { .. }), "{again}");
        let under_way: Vec<_> =
            (0..50).map(|_| old.append(vec![Bytes::from_static(b"under way")])).collect();
        let new = open(&wal, "fence", 4).await;
        assert_eq!((old.term(), new.term()), (3, 4));
        let mut acknowledged = 0;
        for future in under_way {
            match future.await {
                Ok(_) => acknowledged += 1,
                Err(error) => {
                    assert!(matches!(error, AppendError::Fenced { by: 4, .. }), "{error}")
                }
            }
        }
        let refused = old.append(vec![Bytes::from_static(b"late")]).await;
        assert!(matches!(refused, Err(AppendError::Fenced { by: 4, .. })));
        assert!(old.truncate(old.end()).await.is_err());
        append(&*new, "new").await;
        let found = texts(&*new, Position::START).await;
        assert_eq!(found.first().map(String::as_str), Some("old"));
        assert_eq!(found.last().map(String::as_str), Some("new"));
        assert_eq!(found.len(), acknowledged + 2);
        let stale = wal.open("fence", 3).await.err().expect("the term is stale");
        assert!(matches!(stale, OpenError::StaleTerm { current: 4, .. }), "{stale}");
        new.close().await;
        drop((old, new));
        open(&wal, "fence", 4).await.close().await;
    }
    let wal = reopen().await;
    let stale = wal.open("fence", 3).await.err().expect("the term is stale");
    assert!(matches!(stale, OpenError::StaleTerm { current: 4, .. }), "{stale}");
    open(&wal, "fence", 4).await;
}

/// What was queued before closing is written; what comes after is refused.
pub async fn a_closed_handle_refuses(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let wal = reopen().await;
    let channel = open(&wal, "close", 1).await;
    let queued: Vec<_> =
        (0..20).map(|_| channel.append(vec![Bytes::from_static(b"queued")])).collect();
    channel.close().await;
    for future in queued {
        future.await.expect("it was queued before");
    }
    let refused = channel.append(vec![Bytes::from_static(b"late")]).await;
    assert!(matches!(refused, Err(AppendError::Closed { .. })));
    drop(channel);
    let channel = open(&wal, "close", 1).await;
    assert_eq!(read(&*channel, Position::START).await.len(), 20);
}

/// Names may be anything; removal takes one channel, with its records, and nothing else.
pub async fn channels_are_apart_and_can_be_removed(reopen: &impl AsyncFn() -> Arc<dyn Wal>) {
    let names = ["apart_1", "apart_2", "../apart/3%", "ä partial name"];
    {
        let wal = reopen().await;
        for name in names {
            append(&*open(&wal, name, 1).await, name).await;
        }
        let listed = wal.channels().await.expect("channels are listed");
        assert!(names.iter().all(|name| listed.iter().any(|other| other == name)), "{listed:?}");
        wal.remove("apart_1").await.expect("removal succeeds");
        wal.remove("apart_1").await.expect("removal is repeatable");
        wal.remove("never there").await.expect("nothing is to be removed");
        assert!(matches!(wal.open("", 1).await, Err(OpenError::InvalidName { .. })));
    }
    let wal = reopen().await;
    let listed = wal.channels().await.expect("channels are listed");
    assert!(!listed.iter().any(|name| name == "apart_1"), "{listed:?}");
    let again = open(&wal, "apart_1", 1).await;
    assert_eq!(again.end(), Position::START);
    for name in names.into_iter().skip(1) {
        assert_eq!(texts(&*open(&wal, name, 2).await, Position::START).await, [name]);
    }
}
