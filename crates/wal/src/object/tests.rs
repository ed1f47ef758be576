//! The log in an object store against its promises: over memory, a directory, and a store with faults.

mod ahead;
mod double;
mod faults;
mod formats;
mod merging;
mod owners;
mod suites;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use milvus_base::Clock;
use milvus_base::retry::Backoff;
use milvus_storage::{FaultPlan, FaultyStore, LocalStore, MemoryStore, ObjectStore};

use super::{ObjectWal, ObjectWalOptions};
use crate::log::{LogChannel, Position, Wal, read_all};

const CHANNEL: &str = "by-dev-rootcoord-dml_0";

/// Options with which a test does not wait.
fn options() -> ObjectWalOptions {
    let retry =
        Backoff { first: Duration::ZERO, max: Duration::ZERO, attempts: 30, ..Backoff::default() };
    ObjectWalOptions { retry, flush_interval: Duration::ZERO, ..ObjectWalOptions::default() }
}

/// Options with which a few records make a merge.
fn merging() -> ObjectWalOptions {
    ObjectWalOptions { merge_objects: 4, merge_bytes: 4096, ..options() }
}

fn wal(store: &Arc<dyn ObjectStore>, options: ObjectWalOptions) -> ObjectWal {
    ObjectWal::open(Arc::clone(store), "log", options)
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(MemoryStore::new())
}

/// `store` as a process sees it whose requests fail after `plan`.
fn faulty(store: &Arc<dyn ObjectStore>, plan: FaultPlan, seed: u64) -> FaultyStore {
    FaultyStore::new(Arc::clone(store), plan, seed, Clock::system())
}

async fn put(channel: &dyn LogChannel, text: &str) -> crate::Appended {
    channel.append(vec![Bytes::copy_from_slice(text.as_bytes())]).await.unwrap()
}

async fn texts(channel: &dyn LogChannel, from: Position) -> Vec<String> {
    let records = read_all(channel, from).await.unwrap();
    records.iter().map(|r| String::from_utf8_lossy(&r.payload).into_owned()).collect()
}

/// The path of the one object whose name ends with `end`.
async fn path_of(store: &Arc<dyn ObjectStore>, end: &str) -> String {
    let mut found = paths(store).await;
    found.retain(|path| path.ends_with(end));
    assert_eq!(found.len(), 1, "{end}");
    found.remove(0)
}

async fn paths(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    store.list("log/").await.unwrap().into_iter().map(|meta| meta.path).collect()
}

#[tokio::test]
async fn keeps_every_promise_in_memory() {
    for options in [options(), merging(), ObjectWalOptions::default()] {
        let store = memory();
        let open = async || Arc::new(wal(&store, options.clone())) as Arc<dyn Wal>;
        crate::testing::conformance(open).await;
    }
}

#[tokio::test]
async fn keeps_every_promise_on_local_files() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(dir.path()).unwrap());
    let open = async || {
        Arc::new(wal(&store, ObjectWalOptions { merge_objects: 8, ..ObjectWalOptions::local() }))
            as Arc<dyn Wal>
    };
    crate::testing::conformance(open).await;
}

#[tokio::test]
async fn keeps_every_promise_on_a_store_with_faults() {
    for seed in 0..10 {
        let store = memory();
        let seeds = AtomicU64::new(seed * 1000);
        let plan =
            FaultPlan { error: 0.15, lost_reply: 0.15, torn_put: 0.1, ..FaultPlan::default() };
        let open = async || {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            let store: Arc<dyn ObjectStore> = Arc::new(faulty(&store, plan.clone(), seed));
            Arc::new(wal(&store, merging())) as Arc<dyn Wal>
        };
        crate::testing::conformance(open).await;
    }
}
