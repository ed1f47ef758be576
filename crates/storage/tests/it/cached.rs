//! The cache: what it promises besides the contract of stores.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use milvus_base::{Clock, io, task};
use milvus_s3_double::{Options, Server};
use milvus_storage::{
    CacheOptions, CachedStore, FaultPlan, FaultyStore, MemoryStore, ObjectStore, conformance,
};

use crate::remote::{double, open as open_remote, until};

const KIB: u64 = 1024;

fn open(inner: &MemoryStore, directory: &Path, max_bytes: u64) -> CachedStore {
    let options = CacheOptions::new(directory, max_bytes);
    CachedStore::open(Arc::new(inner.clone()), options).unwrap()
}

fn bytes(seed: u8, len: u64) -> Bytes {
    (0..len).map(|i| seed.wrapping_add((i % 251) as u8)).collect::<Vec<_>>().into()
}

async fn put(inner: &MemoryStore, path: &str, seed: u8, len: u64) -> Bytes {
    let data = bytes(seed, len);
    inner.put(path, data.clone().into()).await.unwrap();
    data
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_bucket_keeps_the_contract() {
    let (server, directory) = (double(Options::default()).await, tempfile::tempdir().unwrap());
    let remote = Arc::new(open_remote(&server).await);
    let options = CacheOptions::new(directory.path(), 64 << 20);
    conformance::all(Arc::new(CachedStore::open(remote, options).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_too_small_for_anything_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&MemoryStore::new(), directory.path(), 1);
    conformance::all(Arc::new(store.clone())).await;
    assert!(store.stats().bypasses > 0 && store.stats().used_bytes <= 1, "{:?}", store.stats());
}

#[tokio::test]
async fn an_object_is_fetched_once_and_then_read_from_its_copy() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let data = put(&inner, "a", 1, 100 * KIB).await;
    let store = open(&inner, directory.path(), 1 << 20);
    for _ in 0..3 {
        assert!(store.map("a").await.unwrap() == data);
    }
    let file = store.file("a").await.unwrap().unwrap();
    let mut got = vec![0; 10];
    file.read_exact_at(&mut got, 50).unwrap();
    assert_eq!(got, data[50..60]);
    assert_eq!(store.get_range("a", 7..9).await.unwrap(), data[7..9]);
    let stats = store.stats();
    assert_eq!((stats.misses, stats.hits, stats.objects), (1, 4, 1));
    assert_eq!((stats.fetched_bytes, stats.used_bytes), (100 * KIB, 100 * KIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_want_one_object_fetch_it_once() {
    let (server, directory) = (double(Options::default()).await, tempfile::tempdir().unwrap());
    let remote = Arc::new(open_remote(&server).await);
    let data = bytes(3, 20 << 20);
    remote.put("large", data.clone().into()).await.unwrap();
    let options = CacheOptions::new(directory.path(), 64 << 20);
    let store = CachedStore::open(remote, options).unwrap();
    let before = server.requests();
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            task::spawn("reader", async move { store.map("large").await.unwrap() })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap() == data);
    }
    // Two looks and three pieces.
    assert_eq!(server.requests() - before, 5);
    assert_eq!(store.stats().fetched_bytes, 20 << 20);
}

#[tokio::test]
async fn the_least_recently_used_leave_and_their_maps_stay() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let store = open(&inner, directory.path(), 250 * KIB);
    let a = put(&inner, "a", 1, 100 * KIB).await;
    put(&inner, "b", 2, 100 * KIB).await;
    put(&inner, "c", 3, 100 * KIB).await;
    let map = store.map("a").await.unwrap();
    let file = store.file("b").await.unwrap().unwrap();
    store.map("a").await.unwrap();
    store.map("c").await.unwrap();
    // `b` was used longest ago.
    assert_eq!((store.stats().evictions, store.stats().evicted_bytes), (1, 100 * KIB));
    store.map("a").await.unwrap();
    assert_eq!(store.stats().misses, 3);
    store.map("b").await.unwrap();
    assert_eq!((store.stats().misses, store.stats().evictions), (4, 2));
    store.map("c").await.unwrap();
    assert_eq!(store.stats().evictions, 3);
    assert!(store.stats().used_bytes <= 250 * KIB && files(directory.path()) == 2);
    let mut got = vec![0; 4];
    file.read_exact_at(&mut got, 0).unwrap();
    assert!(map == a && got == bytes(2, 4), "what was opened stays readable");
}

#[tokio::test]
async fn what_is_larger_than_the_cache_costs_no_copy_its_place() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let store = open(&inner, directory.path(), 150 * KIB);
    put(&inner, "a", 1, 100 * KIB).await;
    let large = put(&inner, "large", 2, 151 * KIB).await;
    store.map("a").await.unwrap();
    assert!(store.map("large").await.unwrap() == large);
    assert!(store.file("large").await.unwrap().is_none());
    let stats = store.stats();
    assert_eq!((stats.bypasses, stats.evictions, stats.objects), (2, 0, 1));
}

#[tokio::test]
async fn what_is_put_or_deleted_is_seen_at_once() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let store = open(&inner, directory.path(), 10 << 20);
    let first = store.put("a", b"one".into()).await.unwrap();
    assert_eq!(store.map("a").await.unwrap(), "one");
    let second = store.put_if_match("a", b"two".into(), &first.etag).await.unwrap();
    assert_eq!(store.map("a").await.unwrap(), "two");
    store.put_if_match("a", b"three".into(), &first.etag).await.unwrap_err();
    store.put_if_match("a", b"four".into(), &second.etag).await.unwrap();
    assert_eq!(store.get_range("a", 0..4).await.unwrap(), "four");
    assert_eq!(store.map("a").await.unwrap(), "four");
    store.put("a", bytes(9, 2 << 20).into()).await.unwrap();
    assert!(store.map("a").await.unwrap() == bytes(9, 2 << 20));
    store.delete("a").await.unwrap();
    assert!(store.map("a").await.unwrap_err().is_not_found());
    assert_eq!((store.stats().objects, store.stats().used_bytes), (0, 0));
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_not_fetched_again() {
    let (server, directory) = (double(Options::default()).await, tempfile::tempdir().unwrap());
    let remote = Arc::new(open_remote(&server).await);
    let options = CacheOptions::new(directory.path(), 64 << 20);
    let store = CachedStore::open(remote, options).unwrap();
    let (large, small) = (bytes(5, 9 << 20), bytes(6, 1000));
    for (path, data) in [("large", &large), ("small", &small)] {
        let (mut writer, data) = (store.writer(path).unwrap(), data.clone());
        io::run(move || {
            data.chunks(100_000).for_each(|part| writer.write_all(part).unwrap());
            writer.finish().unwrap()
        })
        .await
        .unwrap();
    }
    store.put("put", large.clone().into()).await.unwrap();
    let before = server.requests();
    assert!(store.map("large").await.unwrap() == large);
    assert!(store.map("small").await.unwrap() == small);
    assert!(store.map("put").await.unwrap() == large);
    assert_eq!(server.requests(), before, "nothing was asked for");
    assert_eq!(store.stats().kept_bytes, (18 << 20) + 1000);
    let dropped = store.writer("dropped").unwrap();
    drop(dropped);
    assert_eq!(files(directory.path()), 3);
}

#[tokio::test]
async fn a_broken_disk_is_slow_and_never_wrong() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let cache = directory.path().join("cache");
    let data = put(&inner, "a", 1, 100 * KIB).await;
    put(&inner, "b", 2, 100 * KIB).await;
    let store = open(&inner, &cache, 1 << 20);
    let mapped = store.map("a").await.unwrap();
    // The disk goes away under it.
    fs::remove_dir_all(&cache).unwrap();
    assert_eq!(store.get_range("a", 0..3).await.unwrap(), data[..3]);
    assert!(store.map("a").await.unwrap() == data && mapped == data);
    assert!(store.map("b").await.unwrap() == bytes(2, 100 * KIB));
    let mut writer = store.writer("c").unwrap();
    writer.write_all(&data).unwrap();
    writer.finish().unwrap();
    assert!(store.map("c").await.unwrap() == data);
    store.put("d", bytes(4, 2 << 20).into()).await.unwrap();
    assert_eq!((store.stats().objects, store.stats().used_bytes), (0, 0));
    // And comes back.
    fs::create_dir(&cache).unwrap();
    assert!(store.map("a").await.unwrap() == data);
    assert_eq!(store.stats().objects, 1);
}

#[tokio::test]
async fn a_copy_that_was_cut_short_or_grew_is_fetched_anew() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let data = put(&inner, "a", 1, 100 * KIB).await;
    let store = open(&inner, directory.path(), 1 << 20);
    for (round, len) in [50 * KIB, 0, 200 * KIB].into_iter().enumerate() {
        store.map("a").await.unwrap();
        let copy = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        fs::OpenOptions::new().write(true).open(&copy).unwrap().set_len(len).unwrap();
        match round {
            1 => assert_eq!(store.get_range("a", 5..9).await.unwrap(), data[5..9]),
            _ => assert!(store.map("a").await.unwrap() == data, "cut to {len}"),
        }
        assert!(store.map("a").await.unwrap() == data);
        assert_eq!(store.stats().misses, 2 + round as u64);
    }
    assert_eq!((store.stats().used_bytes, files(directory.path())), (100 * KIB, 1));
}

#[tokio::test]
async fn the_directory_is_emptied_at_the_start_of_copies_only() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    put(&inner, "a", 1, KIB).await;
    open(&inner, directory.path(), 1 << 20).map("a").await.unwrap();
    fs::write(directory.path().join("x.part"), b"half").unwrap();
    fs::write(directory.path().join("precious.txt"), b"mine").unwrap();
    let store = open(&inner, directory.path(), 1 << 20);
    assert_eq!(files(directory.path()), 1);
    assert_eq!(store.stats().used_bytes, 0);
}

#[tokio::test]
async fn a_fetch_that_fails_leaves_nothing_and_the_next_one_succeeds() {
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let data = put(&inner, "a", 1, 100 * KIB).await;
    let plan = FaultPlan { error: 1.0, ..FaultPlan::default() };
    let faulty = FaultyStore::new(Arc::new(inner), plan, 1, Clock::system());
    let options = CacheOptions::new(directory.path(), 1 << 20);
    let store = CachedStore::open(Arc::new(faulty.clone()), options).unwrap();
    store.map("a").await.unwrap_err();
    assert_eq!((store.stats().used_bytes, files(directory.path())), (0, 0));
    faulty.set_plan(FaultPlan::default());
    assert!(store.map("a").await.unwrap() == data);
}

/// A cached bucket with `path` in it, whose next GET hangs.
async fn hanging(path: &str, data: Bytes) -> (Server, tempfile::TempDir, CachedStore) {
    let (server, directory) = (double(Options::default()).await, tempfile::tempdir().unwrap());
    let remote = Arc::new(open_remote(&server).await);
    remote.put(path, data.into()).await.unwrap();
    let options = CacheOptions::new(directory.path(), 64 << 20);
    let store = CachedStore::open(remote, options).unwrap();
    server.set_faults("stall=1,stall_ms=300,count=1,method=GET".parse().unwrap());
    (server, directory, store)
}

fn map_in_background(store: &CachedStore, path: &'static str) -> JoinHandle<Bytes> {
    let store = store.clone();
    task::spawn("reader", async move { store.map(path).await.unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_a_put_overtakes_gives_what_was_put() {
    let (server, _directory, store) = hanging("a", bytes(1, 100 * KIB)).await;
    let reader = map_in_background(&store, "a");
    until(|| server.faults_shown() == 1).await;
    store.put("a", bytes(2, 100 * KIB).into()).await.unwrap();
    assert!(reader.await.unwrap() == bytes(2, 100 * KIB));
    assert!(store.map("a").await.unwrap() == bytes(2, 100 * KIB));
    assert_eq!((store.stats().objects, store.stats().used_bytes), (1, 100 * KIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_who_fetches_goes_away_another_fetches() {
    let (server, directory, store) = hanging("a", bytes(1, 100 * KIB)).await;
    let gone = map_in_background(&store, "a");
    until(|| server.faults_shown() == 1).await;
    let waiting = map_in_background(&store, "a");
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert!(waiting.await.unwrap() == bytes(1, 100 * KIB));
    assert_eq!((store.stats().objects, store.stats().used_bytes), (1, 100 * KIB));
    assert_eq!(files(directory.path()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_more_than_fits_read_what_was_put() {
    const OBJECTS: u8 = 20;
    let (inner, directory) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    for object in 0..OBJECTS {
        put(&inner, &format!("o/{object}"), object, 10 * KIB + u64::from(object)).await;
    }
    let store = open(&inner, directory.path(), 45 * KIB);
    let readers: Vec<_> = (0..8_u8)
        .map(|reader| {
            let store = store.clone();
            task::spawn("reader", async move {
                for step in 0..100_u8 {
                    let object = (step.wrapping_mul(7) ^ reader.wrapping_mul(31)) % OBJECTS;
                    let path = format!("o/{object}");
                    let want = bytes(object, 10 * KIB + u64::from(object));
                    assert!(store.map(&path).await.unwrap() == want, "{path}");
                    assert!(store.get_range(&path, 5..9).await.unwrap() == want[5..9], "{path}");
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.evictions > 0 && stats.used_bytes <= 45 * KIB, "{stats:?}");
    assert_eq!(files(directory.path()) as u64, stats.objects);
}
