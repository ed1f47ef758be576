//! The faulty store: injected errors, lost replies and torn puts are what they say.

use std::sync::Arc;

use milvus_base::Clock;
use milvus_storage::{FaultPlan, FaultyStore, MemoryStore, ObjectStore, StoreError};
use milvus_types::{Coded, ErrorCode};

fn faulty(plan: FaultPlan, seed: u64) -> (MemoryStore, FaultyStore) {
    let inner = MemoryStore::new();
    let store = FaultyStore::new(Arc::new(inner.clone()), plan, seed, Clock::system());
    (inner, store)
}

async fn outcomes(seed: u64) -> Vec<bool> {
    let (_, store) = faulty(FaultPlan { error: 0.5, ..FaultPlan::default() }, seed);
    let mut outcomes = Vec::new();
    for _ in 0..64 {
        outcomes.push(store.put("a", b"x".into()).await.is_ok());
    }
    assert_eq!(store.faults(), outcomes.iter().filter(|well| !**well).count() as u64);
    outcomes
}

#[tokio::test]
async fn the_same_seed_fails_the_same_way() {
    let first = outcomes(7).await;
    assert_eq!(first, outcomes(7).await);
    assert_ne!(first, outcomes(8).await);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn a_lost_reply_is_an_error_after_the_deed() {
    let (inner, store) = faulty(FaultPlan { lost_reply: 1.0, ..FaultPlan::default() }, 1);
    let error = store.put_if_absent("a", b"x".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(&*inner.get("a").await.unwrap().bytes, b"x");
    store.set_plan(FaultPlan::default());
    assert!(store.put_if_absent("a", b"x".into()).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_torn_put_leaves_the_beginning() {
    let (inner, store) = faulty(FaultPlan { torn_put: 1.0, ..FaultPlan::default() }, 1);
    let data: Vec<u8> = (0..200).collect();
    store.put("a", data.clone().into()).await.unwrap_err();
    let left = inner.get("a").await.unwrap().bytes;
    assert!(left.len() < data.len() && data.starts_with(&left));
    store.put_if_absent("b", data.into()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_apart() {
    let plan = FaultPlan { error: 1.0, disk_full: 1.0, ..FaultPlan::default() };
    let (_, store) = faulty(plan, 1);
    let error = store.put("a", b"x".into()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DiskLimitExceeded);
}
