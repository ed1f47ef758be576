//! Odd keys, long lists, lists that are late or repeat themselves, uploads that are cut short, sizes
//! beyond 32 bits.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use milvus_base::{Clock, io};
use milvus_s3_double::{Condition, Options, Server};
use milvus_storage::{ObjectStore, RemoteConfig, RemoteStore, StoreError};

use crate::remote::{config, double, open, until};

fn faults(server: &Server, text: &str) {
    server.set_faults(text.parse().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_keys_like_others() {
    const ODD: [&str; 12] = [
        "a b",
        "a+b",
        "a%2Fb",
        "a%20b",
        "ä/ö/ü",
        "日本/語",
        "a&b=c",
        "a?b",
        "a#b",
        "a;b,c",
        "(a)*!'",
        "~a@:$",
    ];
    let server = double(Options { page: 5, ..Options::default() }).await;
    let store = open(&server).await;
    let mut want: Vec<_> = ODD.iter().map(|odd| format!("odd/{odd}")).collect();
    for path in &want {
        let first = store.put_if_absent(path, path.clone().into_bytes().into()).await.unwrap();
        assert!(store.put_if_absent(path, b"x".into()).await.unwrap_err().is_conflict());
        assert_eq!(store.head(path).await.unwrap(), first);
        assert_eq!(store.get(path).await.unwrap().bytes, path.as_bytes());
        let key = format!("files/{path}");
        assert!(server.objects().find("milvus-test", &key).unwrap().is_some(), "{key} as it is");
    }
    want.sort();
    let listed = store.list("odd/").await.unwrap();
    assert_eq!(listed.iter().map(|meta| &*meta.path).collect::<Vec<_>>(), want);
    for path in &want {
        let one = store.list(path).await.unwrap();
        assert!(one.iter().any(|meta| meta.path == *path), "{path}");
        store.delete(path).await.unwrap();
    }
    for path in ["odd/a%2F b+c", "odd/ü"] {
        let (mut writer, large) = (store.writer(path).unwrap(), vec![1; 9 << 20]);
        let meta = io::run(move || {
            writer.write_all(&large).unwrap();
            writer.finish().unwrap()
        })
        .await
        .unwrap();
        assert_eq!(meta.size, 9 << 20);
        store.delete(path).await.unwrap();
    }
    assert_eq!(store.list("odd/").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_objects_are_listed_each_once() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    for i in 0..10_000 {
        let (key, bytes) = (format!("files/many/{i:05}"), Bytes::new());
        let put =
            server.objects().put("milvus-test", &key, bytes, Default::default(), &Condition::None);
        put.unwrap();
    }
    let before = server.requests();
    let listed = store.list("many/").await.unwrap();
    assert_eq!(server.requests() - before, 10, "pages of 1000");
    assert_eq!(listed.len(), 10_000);
    for (i, meta) in listed.iter().enumerate() {
        assert_eq!((meta.path.as_str(), meta.size), (&*format!("many/{i:05}"), 0));
    }
}

#[tokio::test]
async fn a_list_whose_pages_overlap_names_each_object_once() {
    let server = double(Options { page: 3, ..Options::default() }).await;
    let store = open(&server).await;
    for i in 0..10 {
        store.put(&format!("a/{i}"), b"x".into()).await.unwrap();
    }
    faults(&server, "repeat_listed=1");
    let paths: Vec<_> = store.list("a/").await.unwrap().into_iter().map(|meta| meta.path).collect();
    assert_eq!(paths, (0..10).map(|i| format!("a/{i}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_list_does_not_show_yet_is_there_all_the_same() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    faults(&server, "list_delay_ms=3600000");
    let meta = store.put_if_absent("a", b"x".into()).await.unwrap();
    assert_eq!(store.list("").await.unwrap(), []);
    assert_eq!(store.head("a").await.unwrap(), meta);
    assert!(store.put_if_absent("a", b"y".into()).await.unwrap_err().is_conflict());
    faults(&server, "");
    assert_eq!(store.list("").await.unwrap(), [meta]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_short_shows_nothing_and_leaves_no_parts() {
    let server = double(Options::default()).await;
    let config = RemoteConfig { retry_timeout: Duration::from_millis(200), ..config(&server) };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.put("a", b"before".into()).await.unwrap();
    // Its second part never arrives, though the store does otherwise.
    faults(&server, "cut=1,method=PUT,target=partNumber=2");
    let error = store.put("a", vec![1; 20 << 20].into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    until(|| server.uploads() == 0).await;
    let mut writer = store.writer("b").unwrap();
    let error = io::run(move || {
        let written = writer.write_all(&vec![1; 40 << 20]);
        written
            .err()
            .map_or_else(|| writer.finish().err().map(|e| e.to_string()), |e| Some(e.to_string()))
    });
    assert!(error.await.unwrap().is_some());
    until(|| server.uploads() == 0).await;
    faults(&server, "");
    assert_eq!(&*store.get("a").await.unwrap().bytes, b"before");
    assert!(store.head("b").await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_objects_are_objects() {
    let server = double(Options::default()).await;
    let store: Arc<dyn ObjectStore> = Arc::new(open(&server).await);
    let meta = store.put_if_absent("empty", Bytes::new().into()).await.unwrap();
    assert_eq!(meta.size, 0);
    assert!(store.put_if_absent("empty", b"x".into()).await.unwrap_err().is_conflict());
    assert_eq!(store.list("empty").await.unwrap(), std::slice::from_ref(&meta));
    assert_eq!(store.get_range("empty", 0..0).await.unwrap(), "");
    assert!(matches!(
        store.get_range("empty", 0..1).await.unwrap_err(),
        StoreError::InvalidRange { size: 0, .. }
    ));
    let full = store.put_if_match("empty", b"x".into(), &meta.etag).await.unwrap();
    store.put_if_match("empty", Bytes::new().into(), &full.etag).await.unwrap();
    assert_eq!(store.get("empty").await.unwrap().meta.size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_puts_at_once_are_all_there() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    let put = |i: usize| {
        let store = store.clone();
        async move { store.put(&format!("many/{i}"), vec![1; i].into()).await.unwrap() }
    };
    let puts: Vec<_> = futures::stream::iter(0..300).map(put).buffer_unordered(64).collect().await;
    assert_eq!(puts.len(), 300);
    let listed = store.list("many/").await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.size).sum::<u64>(), (0..300).sum::<u64>());
}
