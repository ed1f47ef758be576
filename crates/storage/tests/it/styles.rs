//! How a bucket is named in requests, and in which region it is.

use milvus_base::Clock;
use milvus_s3_double::Options;
use milvus_storage::{
    ObjectStore, RemoteCause, RemoteConfig, RemoteStore, StoreError, conformance,
};

use crate::remote::{config, double};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_the_host_name_keeps_the_contract() {
    let server = double(Options { virtual_host: true, ..Options::default() }).await;
    let config = RemoteConfig {
        address: format!("localhost:{}", server.port()),
        use_virtual_host: true,
        ..config(&server)
    };
    let store = RemoteStore::open(config.clone(), Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    assert_eq!(server.objects().buckets(), [config.bucket], "it was made by its name");
    conformance::all(std::sync::Arc::new(store)).await;
    assert_eq!(server.virtual_host_requests(), server.requests(), "all of them, not only some");
}

#[tokio::test]
async fn a_bucket_is_in_the_path_unless_asked_otherwise() {
    let server = double(Options { virtual_host: true, ..Options::default() }).await;
    let address = format!("localhost:{}", server.port());
    let config = RemoteConfig { address, ..config(&server) };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.put("a", b"x".into()).await.unwrap();
    assert_eq!(server.virtual_host_requests(), 0);
}

#[tokio::test]
async fn a_wrong_region_is_named_with_the_right_one() {
    let region = Some("eu-west-1".to_owned());
    let server = double(Options { region, ..Options::default() }).await;
    let error = RemoteStore::open(config(&server), Clock::system()).await.unwrap_err();
    let StoreError::Refused { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, RemoteCause::WrongRegion { .. }), "{source:?}");
    let words = "the bucket is in region eu-west-1, and minio.region says us-east-1";
    assert_eq!(source.to_string(), words);
    assert_eq!(server.requests(), 1, "trying again would not help");
    let right = RemoteConfig { region: "eu-west-1".to_owned(), ..config(&server) };
    RemoteStore::open(right, Clock::system()).await.unwrap();
}
