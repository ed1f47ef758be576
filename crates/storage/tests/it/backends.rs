//! Every backend passes the one conformance suite.

use std::sync::Arc;

use milvus_base::Clock;
use milvus_storage::{FaultPlan, FaultyStore, LocalStore, MemoryStore, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn a_local_directory_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(directory.path().join("objects")).unwrap();
    conformance::all(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_the_contract() {
    conformance::all(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_store_without_faults_keeps_the_contract() {
    let inner = Arc::new(MemoryStore::new());
    let store = FaultyStore::new(inner, FaultPlan::default(), 1, Clock::system());
    conformance::all(Arc::new(store)).await;
}
