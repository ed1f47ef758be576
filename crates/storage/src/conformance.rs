//! What every object store does, as tests. A backend's test calls [`all`] with an empty store.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use milvus_base::{io, task};

use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::ObjectStore;

const WRITERS: usize = 16;

/// Runs the suite; panics where `store` breaks the contract.
pub async fn all(store: Arc<dyn ObjectStore>) {
    puts_replace_and_are_read_back(&*store).await;
    missing_objects_are_not_found(&*store).await;
    conditions_hold(&*store).await;
    ranges_are_exact(&*store).await;
    lists_are_sorted_and_by_prefix(&*store).await;
    deletes_are_idempotent_and_maps_outlive_them(&*store).await;
    writers_put_when_finished(&store).await;
    large_objects_are_whole(&store).await;
    paths_that_leave_the_store_are_refused(&*store).await;
    one_of_many_absent_puts_wins(&store).await;
    one_of_many_matching_puts_wins(&store).await;
    counters_by_compare_and_swap_lose_nothing(&store).await;
}

async fn puts_replace_and_are_read_back(store: &dyn ObjectStore) {
    let chunks = vec![Bytes::from_static(b"one "), Bytes::new(), Bytes::from_static(b"two")];
    let first = store.put("put/a", chunks.into()).await.expect("a put");
    assert_eq!((first.path.as_str(), first.size), ("put/a", 7));
    let object = store.get("put/a").await.expect("what was put");
    assert_eq!((&*object.bytes, &object.meta), (&b"one two"[..], &first));
    assert_eq!(store.head("put/a").await.expect("what was put"), first);
    let second = store.put("put/a", b"two one".into()).await.expect("a put");
    assert_ne!(first.etag, second.etag, "other bytes are another state");
    assert_eq!(&*store.get("put/a").await.expect("what was put").bytes, b"two one");
    let empty = store.put("put/empty", Payload::default()).await.expect("an empty put");
    assert_eq!(empty.size, 0);
    assert!(store.get("put/empty").await.expect("what was put").bytes.is_empty());
    assert!(store.map("put/empty").await.expect("what was put").is_empty());
}

async fn missing_objects_are_not_found(store: &dyn ObjectStore) {
    store.put("missing/dir/a", b"x".into()).await.expect("a put");
    for path in ["missing/b", "missing/dir", "missing/dir/a/b"] {
        assert!(store.get(path).await.is_err_and(|e| e.is_not_found()), "get {path}");
        assert!(store.head(path).await.is_err_and(|e| e.is_not_found()), "head {path}");
        assert!(store.map(path).await.is_err_and(|e| e.is_not_found()), "map {path}");
        assert!(store.get_range(path, 0..0).await.is_err_and(|e| e.is_not_found()), "{path}");
    }
}

async fn conditions_hold(store: &dyn ObjectStore) {
    let first = store.put_if_absent("if/a", b"1".into()).await.expect("nothing was there");
    let error = store.put_if_absent("if/a", b"2".into()).await.expect_err("it is there");
    assert!(matches!(&error, StoreError::AlreadyExists { path } if path == "if/a"), "{error}");
    let second = store.put_if_match("if/a", b"3".into(), &first.etag).await.expect("it matches");
    let error = store.put_if_match("if/a", b"4".into(), &first.etag).await.expect_err("it changed");
    assert!(error.is_conflict(), "{error}");
    assert!(
        matches!(&error, StoreError::PreconditionFailed { got: Some(got), want, .. }
            if *got == second.etag && *want == first.etag),
        "{error}"
    );
    assert_eq!(&*store.get("if/a").await.expect("it is there").bytes, b"3");
    let error = store.put_if_match("if/none", b"5".into(), &first.etag).await.expect_err("nothing");
    assert!(matches!(error, StoreError::PreconditionFailed { got: None, .. }), "{error}");
    store.delete("if/a").await.expect("a delete");
    store.put_if_absent("if/a", b"6".into()).await.expect("nothing is there any more");
}

async fn ranges_are_exact(store: &dyn ObjectStore) {
    store.put("range/a", b"0123456789".into()).await.expect("a put");
    for (range, want) in [(0..10, "0123456789"), (3..5, "34"), (10..10, ""), (0..0, "")] {
        let got = store.get_range("range/a", range.clone()).await.expect("a range within");
        assert_eq!(&*got, want.as_bytes(), "{range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a reversed range must be refused")]
    for range in [0..11, 11..12, 5..4, 0..u64::MAX] {
        let error = store.get_range("range/a", range.clone()).await.expect_err("not within");
        assert!(matches!(error, StoreError::InvalidRange { size: 10, .. }), "{range:?}: {error}");
    }
}

async fn lists_are_sorted_and_by_prefix(store: &dyn ObjectStore) {
    for path in ["list/b/2", "list/b/1", "list/a", "list/b-c", "list/bb/x/y"] {
        store.put(path, b"x".into()).await.expect("a put");
    }
    for (prefix, want) in [
        ("list/", &["list/a", "list/b-c", "list/b/1", "list/b/2", "list/bb/x/y"][..]),
        ("list/b", &["list/b-c", "list/b/1", "list/b/2", "list/bb/x/y"]),
        ("list/b/", &["list/b/1", "list/b/2"]),
        ("list/bb/x/y", &["list/bb/x/y"]),
        ("list/a/", &[]),
        ("list/none/", &[]),
    ] {
        let got = store.list(prefix).await.expect("a list");
        let paths: Vec<_> = got.iter().map(|meta| meta.path.as_str()).collect();
        assert_eq!(paths, want, "{prefix}");
    }
    let all = store.list("").await.expect("a list");
    assert!(all.len() >= 5 && all.is_sorted_by(|a, b| a.path < b.path));
    let head = store.head("list/a").await.expect("it is there");
    assert!(all.contains(&head));
}

async fn deletes_are_idempotent_and_maps_outlive_them(store: &dyn ObjectStore) {
    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    store.put("delete/a/b", data.clone().into()).await.expect("a put");
    let map = store.map("delete/a/b").await.expect("a map");
    assert_eq!(map.as_ptr().align_offset(8), 0, "maps are aligned");
    store.delete("delete/a").await.expect("nothing is there");
    for _ in 0..2 {
        store.delete("delete/a/b").await.expect("a delete");
        assert!(store.get("delete/a/b").await.is_err_and(|e| e.is_not_found()));
    }
    assert_eq!(map, data, "a map stays what it was");
    assert_eq!(store.list("delete/").await.expect("a list"), []);
    store.put("delete/a", b"x".into()).await.expect("the name of a former directory is free");
    store.delete("delete/a").await.expect("a delete");
}

async fn writers_put_when_finished(store: &Arc<dyn ObjectStore>) {
    let parts = [&b"some "[..], &[b'x'; 300_000], b" end"];
    let mut writer = store.writer("writer/a").expect("a writer");
    let writer = on_a_thread(move || {
        for part in parts {
            writer.write_all(part).expect("a write");
        }
        writer
    })
    .await;
    assert!(store.head("writer/a").await.is_err_and(|e| e.is_not_found()), "not finished yet");
    let meta = on_a_thread(|| writer.finish().expect("a finish")).await;
    assert_eq!(meta.size, 300_009);
    let object = store.get("writer/a").await.expect("it is finished");
    assert_eq!(object.meta, meta);
    assert!(object.bytes.ends_with(b"x end"));
    let mut dropped = store.writer("writer/b").expect("a writer");
    on_a_thread(move || dropped.write_all(b"never").expect("a write")).await;
    assert!(store.head("writer/b").await.is_err_and(|e| e.is_not_found()), "dropped unfinished");
    let empty = store.writer("writer/empty").expect("a writer");
    assert_eq!(on_a_thread(|| empty.finish().expect("a finish")).await.size, 0);
    assert!(store.get("writer/empty").await.expect("it is finished").bytes.is_empty());
}

/// Larger than what a remote store moves in one request.
async fn large_objects_are_whole(store: &Arc<dyn ObjectStore>) {
    let data: Bytes = (0..5_000_001_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into();
    let (mut writer, written) = (store.writer("large/a").expect("a writer"), data.clone());
    let meta = on_a_thread(move || {
        for part in written.chunks(1_234_567) {
            writer.write_all(part).expect("a write");
        }
        writer.finish().expect("a finish")
    })
    .await;
    assert_eq!(meta.size, 20_000_004);
    assert_eq!(store.head("large/a").await.expect("it is finished"), meta);
    let got = store.get("large/a").await.expect("it is finished");
    assert!(got.meta == meta && got.bytes == data, "the bytes of a get are those written");
    let mid = data.len() / 2;
    store.put("large/b", vec![data.slice(..mid), data.slice(mid..)].into()).await.expect("a put");
    let map = store.map("large/b").await.expect("a map");
    assert!(map == data && map.as_ptr().align_offset(8) == 0, "the bytes of a map are those put");
    for want in [3_usize..17_000_000, 8_388_607..8_388_609, 19_999_999..20_000_004] {
        let range = want.start as u64..want.end as u64;
        let got = store.get_range("large/b", range.clone()).await.expect("a range within");
        assert!(got == data.slice(want), "{range:?}");
    }
    let mut dropped = store.writer("large/c").expect("a writer");
    on_a_thread(move || dropped.write_all(&data).expect("a write")).await;
    assert!(store.head("large/c").await.is_err_and(|e| e.is_not_found()), "dropped unfinished");
    for path in ["large/a", "large/b"] {
        store.delete(path).await.expect("a delete");
    }
}

/// Runs `work` where writers work: on a thread that may block.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    io::run(work).await.expect("no panic")
}

async fn paths_that_leave_the_store_are_refused(store: &dyn ObjectStore) {
    let invalid = |error: &StoreError| matches!(error, StoreError::InvalidPath { .. });
    for path in ["", "../a", "a/../../b", "/a", "a//b", "a/", ".tmp/a", "a\0"] {
        assert!(store.put(path, b"x".into()).await.is_err_and(|e| invalid(&e)), "put {path:?}");
        assert!(store.get(path).await.is_err_and(|e| invalid(&e)), "get {path:?}");
        assert!(store.delete(path).await.is_err_and(|e| invalid(&e)), "delete {path:?}");
        assert!(store.writer(path).is_err_and(|e| invalid(&e)), "writer {path:?}");
    }
    assert!(store.list("../").await.is_err_and(|e| invalid(&e)));
}

async fn one_of_many_absent_puts_wins(store: &Arc<dyn ObjectStore>) {
    for round in 0..5 {
        let path = format!("race/absent-{round}");
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, path) = (Arc::clone(store), path.clone());
                let data = Payload::from(format!("writer {writer}").into_bytes());
                task::spawn(
                    "conformance-writer",
                    async move { store.put_if_absent(&path, data).await },
                )
            })
            .collect();
        let mut won = Vec::new();
        for (writer, task) in writers.into_iter().enumerate() {
            match task.await.expect("no panic") {
                Ok(_) => won.push(writer),
                Err(StoreError::AlreadyExists { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let [winner] = won[..] else { panic!("winners {won:?}, want one") };
        let bytes = store.get(&path).await.expect("the winner's").bytes;
        assert_eq!(bytes, format!("writer {winner}"));
    }
}

async fn one_of_many_matching_puts_wins(store: &Arc<dyn ObjectStore>) {
    let mut current = store.put("race/match", b"start".into()).await.expect("a put");
    for round in 0..5 {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, etag) = (Arc::clone(store), current.etag.clone());
                let data = Payload::from(format!("{round}-{writer:05}").into_bytes());
                task::spawn("conformance-writer", async move {
                    store.put_if_match("race/match", data, &etag).await
                })
            })
            .collect();
        let mut won = Vec::new();
        for task in writers {
            match task.await.expect("no panic") {
                Ok(meta) => won.push(meta),
                Err(StoreError::PreconditionFailed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let [winner] = &won[..] else { panic!("winners {won:?}, want one") };
        current = store.head("race/match").await.expect("the winner's");
        assert_eq!(current, *winner);
    }
}

async fn counters_by_compare_and_swap_lose_nothing(store: &Arc<dyn ObjectStore>) {
    const STEPS: usize = 5;
    store.put("race/counter", b"0".into()).await.expect("a put");
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = Arc::clone(store);
            task::spawn("conformance-counter", async move {
                for _ in 0..STEPS {
                    count_up(&*store).await;
                }
            })
        })
        .collect();
    for task in writers {
        task.await.expect("no panic");
    }
    let bytes = store.get("race/counter").await.expect("the counter").bytes;
    assert_eq!(bytes, (WRITERS * STEPS).to_string());
}

async fn count_up(store: &dyn ObjectStore) {
    loop {
        let object = store.get("race/counter").await.expect("the counter");
        let text = std::str::from_utf8(&object.bytes).expect("digits");
        let next = text.parse::<u64>().expect("digits") + 1;
        let data = next.to_string().into_bytes().into();
        match store.put_if_match("race/counter", data, &object.meta.etag).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
}
