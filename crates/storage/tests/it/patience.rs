//! How long a remote store is waited for: not before it wants to be asked again, not without end, and
//! as long as bytes come.

use std::time::Duration;

use bytes::Bytes;
use milvus_base::{Clock, task};
use milvus_s3_double::{Options, Server};
use milvus_storage::{ObjectStore, RemoteCause, RemoteConfig, RemoteStore, StoreError};

use crate::remote::{config, double, until};

async fn open(request_ms: u64, retry_ms: u64) -> (Server, RemoteStore) {
    let server = double(Options::default()).await;
    let config = RemoteConfig {
        request_timeout: Duration::from_millis(request_ms),
        retry_timeout: Duration::from_millis(retry_ms),
        ..config(&server)
    };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    (server, store)
}

fn faults(server: &Server, text: &str) {
    server.set_faults(text.parse().unwrap());
}

#[tokio::test]
async fn a_store_that_says_when_to_come_again_is_not_asked_before() {
    let (server, store) = open(5000, 10_000).await;
    faults(&server, "slow_down=1,count=1,retry_after_s=1");
    let clock = Clock::system();
    let (began, before) = (clock.monotonic(), server.requests());
    store.put("a", b"x".into()).await.unwrap();
    assert!(clock.monotonic() - began >= Duration::from_secs(1));
    assert_eq!(server.requests() - before, 2, "asked once, and once again");
}

#[tokio::test]
async fn a_store_that_wants_more_time_than_there_is_is_given_up_at_once() {
    let (server, store) = open(5000, 4_000).await;
    faults(&server, "slow_down=1,retry_after_s=3600");
    let before = server.requests();
    let error = store.put("a", b"x".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { attempts: 1, .. }), "{error:?}");
    assert_eq!(server.requests() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hangs_is_given_up_and_made_again_on_another_connection() {
    let (server, store) = open(200, 20_000).await;
    store.put("a", b"x".into()).await.unwrap();
    faults(&server, "stall=1,stall_ms=30000,count=1");
    let clock = Clock::system();
    let began = clock.monotonic();
    // The connection that hangs would answer nothing for 30 s.
    assert_eq!(&*store.get("a").await.unwrap().bytes, b"x");
    assert!(clock.monotonic() - began < Duration::from_secs(20));
    assert_eq!(server.faults_shown(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_slowly_is_not_cut() {
    // 32 pieces of 16 KiB, one each 80 ms: longer than a request and all its repetitions may last.
    let (server, store) = open(1000, 1500).await;
    let data = Bytes::from(vec![7; 512 << 10]);
    store.put("a", data.clone().into()).await.unwrap();
    faults(&server, "trickle_ms=80");
    let before = server.requests();
    assert!(store.get("a").await.unwrap().bytes == data);
    assert!(store.get_range("a", 0..512 << 10).await.unwrap() == data);
    assert_eq!(server.requests() - before, 2, "neither was begun anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stops_in_its_middle_is_given_up() {
    let (server, store) = open(200, 600).await;
    store.put("a", vec![7; 512 << 10].into()).await.unwrap();
    faults(&server, "trickle_ms=30000");
    let error = store.get("a").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable { source: RemoteCause::Timeout { .. }, .. }),
        "{error:?}"
    );
    let reader = {
        let store = store.clone();
        task::spawn("reader", async move { store.get("a").await })
    };
    let before = server.requests();
    until(|| server.requests() > before).await;
    faults(&server, "");
    // By itself, once the answers come.
    assert_eq!(reader.await.unwrap().unwrap().meta.size, 512 << 10);
}
