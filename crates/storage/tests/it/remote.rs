//! Remote stores against the strict double: the contract, and what happens when replies are lost,
//! services fail and keys are wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milvus_base::{Clock, clock, io, task};
use milvus_s3_double::{Condition, Options, Server};
use milvus_storage::{
    ObjectStore, RemoteCause, RemoteConfig, RemoteStore, StoreError, conformance,
};

pub(crate) const SECRET: &str = "hush-hush-secret";
const ACCESS: &str = "AKIAHUSHHUSH";
const BUCKET: &str = "milvus-test";

pub(crate) async fn double(options: Options) -> Server {
    let (access_key, secret_key) = (ACCESS.to_owned(), SECRET.to_owned());
    Server::start(Options { access_key, secret_key, ..options }).await.unwrap()
}

pub(crate) fn config(server: &Server) -> RemoteConfig {
    RemoteConfig {
        address: format!("127.0.0.1:{}", server.port()),
        access_key: ACCESS.to_owned(),
        secret_key: SECRET.to_owned(),
        bucket: BUCKET.to_owned(),
        ..RemoteConfig::default()
    }
}

pub(crate) async fn open(server: &Server) -> RemoteStore {
    RemoteStore::open(config(server), Clock::system()).await.unwrap()
}

fn faults(server: &Server, text: &str) {
    server.set_faults(text.parse().unwrap());
}

/// Puts behind the store's back, as another program would.
fn put_by_another(server: &Server, path: &str, marks: &[(&str, &str)]) {
    let marks: HashMap<_, _> =
        marks.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (key, bytes) = (format!("files/{path}"), Bytes::from_static(b"another's"));
    server.objects().put(BUCKET, &key, bytes, marks, &Condition::None).unwrap();
}

fn is_there(server: &Server, path: &str) -> bool {
    server.objects().find(BUCKET, &format!("files/{path}")).unwrap().is_some()
}

pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        clock::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_the_contract() {
    let server = double(Options::default()).await;
    conformance::all(Arc::new(open(&server).await)).await;
    until(|| server.uploads() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_root_path_and_with_short_pages_keeps_the_contract() {
    let server = double(Options { page: 2, ..Options::default() }).await;
    let config = RemoteConfig { root_path: String::new(), ..config(&server) };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    conformance::all(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_busy_and_asks_racing_writers_to_come_again_keeps_the_contract() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    faults(&server, "slow_down=0.03,conflict=0.03,race=0.1,seed=5");
    conformance::all(Arc::new(store)).await;
    assert!(server.faults_shown() > 10, "faults shown {}", server.faults_shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_is_made_once_and_found_again() {
    let server = double(Options::default()).await;
    assert!(!server.objects().has_bucket(BUCKET));
    let store = open(&server).await;
    assert!(server.objects().has_bucket(BUCKET));
    store.put("a", b"x".into()).await.unwrap();
    assert_eq!(&*open(&server).await.get("a").await.unwrap().bytes, b"x");
    let elsewhere = RemoteConfig {
        bucket: "elsewhere".to_owned(),
        region: "eu-west-1".to_owned(),
        ..config(&server)
    };
    RemoteStore::open(elsewhere, Clock::system()).await.unwrap();
    assert_eq!(server.objects().buckets(), ["elsewhere", BUCKET]);
    let absent =
        RemoteConfig { bucket: "absent".to_owned(), make_bucket: false, ..config(&server) };
    let refused = RemoteStore::open(absent, Clock::system()).await.unwrap_err();
    assert!(matches!(refused, StoreError::BucketNotFound { .. }), "{refused}");
    assert_eq!(server.objects().buckets().len(), 2);
}

#[tokio::test]
async fn a_lost_reply_to_a_conditional_put_is_no_conflict() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    for fault in ["lost_reply=1,count=1,method=PUT", "error_after=1,count=1,method=PUT"] {
        faults(&server, fault);
        let path = format!("a/{}", fault.len());
        let first = store.put_if_absent(&path, b"1".into()).await.unwrap();
        assert_eq!(server.faults_shown(), 1);
        faults(&server, fault);
        let second = store.put_if_match(&path, b"2".into(), &first.etag).await.unwrap();
        assert_eq!(server.faults_shown(), 1);
        assert_eq!(store.head(&path).await.unwrap(), second);
        assert_eq!(&*store.get(&path).await.unwrap().bytes, b"2");
        // The next one loses as it should.
        let error = store.put_if_match(&path, b"3".into(), &first.etag).await.unwrap_err();
        assert!(matches!(error, StoreError::PreconditionFailed { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_another_came_before_is_a_conflict_though_replies_were_lost() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    // Nothing of ours arrives; meanwhile another puts under the condition that we have.
    faults(&server, "cut=1,method=PUT");
    let put = {
        let store = store.clone();
        task::spawn("put", async move { store.put_if_absent("a", b"ours".into()).await })
    };
    until(|| server.faults_shown() > 0).await;
    put_by_another(&server, "a", &[("milvuswrite", "another"), ("milvusbase", "*")]);
    faults(&server, "");
    let error = put.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_may_have_been_replaced_is_in_doubt() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    // Ours is there and its reply lost; then another replaces it.
    faults(&server, "lost_reply=1,method=PUT");
    let put = {
        let store = store.clone();
        task::spawn("put", async move { store.put_if_absent("a", b"ours".into()).await })
    };
    until(|| is_there(&server, "a")).await;
    put_by_another(&server, "a", &[]);
    faults(&server, "");
    let error = put.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::InDoubt { .. }) && !error.is_conflict(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_the_end_of_an_upload_is_no_failure() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    let data = Bytes::from(vec![7; 9 << 20]);
    faults(&server, "lost_reply=1,count=1,method=POST,target=uploadId");
    let meta = store.put("large", data.clone().into()).await.unwrap();
    assert_eq!(server.faults_shown(), 1);
    assert_eq!(store.head("large").await.unwrap(), meta);
    assert!(store.get("large").await.unwrap().bytes == data);
    assert_eq!(server.uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_dropped_leaves_no_parts() {
    use std::io::Write as _;
    let server = double(Options::default()).await;
    let store = open(&server).await;
    let mut writer = store.writer("large").unwrap();
    let writer = io::run(move || {
        writer.write_all(&vec![1; 20 << 20]).unwrap();
        writer
    });
    let writer = writer.await.unwrap();
    assert_eq!(server.uploads(), 1);
    drop(writer);
    until(|| server.uploads() == 0).await;
    assert!(!is_there(&server, "large"));
}

#[tokio::test]
async fn a_stall_ends_in_a_typed_error_and_recovers_by_itself() {
    let server = double(Options::default()).await;
    let config = RemoteConfig {
        request_timeout: Duration::from_millis(100),
        retry_timeout: Duration::from_millis(500),
        ..config(&server)
    };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    faults(&server, "stall=1,stall_ms=30000");
    for error in [
        store.put("a", b"x".into()).await.unwrap_err(),
        store.put_if_absent("b", b"x".into()).await.unwrap_err(),
        store.get("c").await.unwrap_err(),
        store.list("").await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Unavailable { attempts, source, .. }
                if *attempts > 1 && matches!(source, RemoteCause::Timeout { .. })),
            "{error:?}"
        );
    }
    faults(&server, "");
    store.put("a", b"y".into()).await.unwrap();
    assert_eq!(&*store.get("a").await.unwrap().bytes, b"y");
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_errors_are_survived() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    for burst in ["slow_down=1,count=4", "error=1,count=4", "cut=1,count=4", "conflict=1,count=4"] {
        faults(&server, burst);
        store.put_if_absent(&format!("a/{burst}"), b"x".into()).await.unwrap();
        assert_eq!(server.faults_shown(), 4, "{burst}");
        faults(&server, burst);
        assert_eq!(store.list("a/").await.unwrap().last().unwrap().size, 1, "{burst}");
    }
    faults(&server, "");
    assert_eq!(store.list("a/").await.unwrap().len(), 4);
}

#[tokio::test]
async fn trouble_that_lasts_says_what_the_store_said() {
    let server = double(Options::default()).await;
    let config = RemoteConfig { retry_timeout: Duration::from_millis(300), ..config(&server) };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    faults(&server, "slow_down=1");
    let error = store.head("a").await.unwrap_err();
    assert!(error.to_string().contains("object store is unavailable: cannot head a in"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it answered 503", "the answer to a HEAD has no body");
    let error = store.get("a").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it answered 503 SlowDown: Reduce your request rate.");
}

#[tokio::test]
async fn wrong_keys_are_refused_at_once_and_no_secret_is_shown() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    let shown = format!("{store:?}");
    assert!(
        shown.contains(BUCKET) && !shown.contains(SECRET) && !shown.contains(ACCESS),
        "{shown}"
    );
    let wrong = [
        RemoteConfig { secret_key: format!("{SECRET}-wrong"), ..config(&server) },
        RemoteConfig { access_key: format!("{ACCESS}-wrong"), ..config(&server) },
    ];
    for wrong in wrong {
        let before = server.requests();
        let error = RemoteStore::open(wrong, Clock::system()).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert_eq!(server.requests() - before, 1, "trying again would not help");
        let chain = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!chain.contains(SECRET) && !chain.contains(ACCESS), "{chain}");
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_with_the_message_of_milvus() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    for _ in 0..2 {
        store.probe_conditional_write().await.unwrap();
    }
    faults(&server, "ignore_conditions=1");
    let error = store.probe_conditional_write().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "CheckIfConditionWriteSupport failed: PutObjectIfNoneMatch not supported or failed. \
         BucketName: milvus-test, ObjectKey: files/wp/conditional_write_test_object, \
         Error: an object was put although one was there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_do_not_disturb_each_others_probe() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    let probes: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            task::spawn("probe", async move { store.probe_conditional_write().await })
        })
        .collect();
    for probe in probes {
        probe.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = {
        let server = double(Options::default()).await;
        server.port()
    };
    let config = RemoteConfig {
        address: format!("127.0.0.1:{port}"),
        retry_timeout: Duration::from_millis(200),
        ..RemoteConfig::default()
    };
    let error = RemoteStore::open(config, Clock::system()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
