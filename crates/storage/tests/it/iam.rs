//! Keys from the environment: each way that AWS gives them to programs, keys that end and are renewed,
//! and what is said when there are none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Clock, clock};
use milvus_s3_double::{Issuer, Key, Options, Server};
use milvus_storage::{ObjectStore, RemoteCause, RemoteConfig, RemoteStore, StoreError};

use crate::remote::{config, double};

const IDENTITY: &str = "identity-of-a-pod";

/// A store that knows only keys of sessions, and who gives them out.
async fn cloud(lifetime: Duration) -> (Server, Issuer) {
    let server = double(Options::default()).await;
    server.keys().clear();
    let issuer = Issuer::start(Arc::clone(server.keys()), IDENTITY, lifetime).await.unwrap();
    (server, issuer)
}

fn in_environment<const N: usize>(server: &Server, variables: [(&str, String); N]) -> RemoteConfig {
    let environment: BTreeMap<_, _> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    RemoteConfig {
        use_iam: true,
        environment: Some(environment),
        retry_timeout: Duration::from_millis(500),
        ..config(server)
    }
}

fn file(directory: &tempfile::TempDir, text: &str) -> String {
    let path = directory.path().join("token");
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

async fn put_and_get(config: RemoteConfig) {
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    store.put("a", b"x".into()).await.unwrap();
    assert_eq!(&*store.get("a").await.unwrap().bytes, b"x");
}

async fn refused(config: RemoteConfig) -> (StoreError, String) {
    let error = RemoteStore::open(config, Clock::system()).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    (error, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_asks_for_its_keys_once_while_they_last() {
    let (server, issuer) = cloud(Duration::from_secs(3600)).await;
    // With the setting, and with the variable.
    let setting = RemoteConfig { iam_endpoint: issuer.url(), ..in_environment(&server, []) };
    put_and_get(setting).await;
    assert_eq!(issuer.issued(), 1);
    let variable = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuer.url());
    put_and_get(in_environment(&server, [variable])).await;
    assert_eq!(issuer.issued(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_shows_its_token_and_gets_keys() {
    let (server, issuer) = cloud(Duration::from_secs(3600)).await;
    let directory = tempfile::tempdir().unwrap();
    let pod = |token: &str| {
        in_environment(
            &server,
            [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", issuer.url())),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file(&directory, token)),
            ],
        )
    };
    put_and_get(pod(IDENTITY)).await;
    assert_eq!(issuer.issued(), 1);
    let (error, source) = refused(pod("another's identity")).await;
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert_eq!(source, "no credentials: it answered 403 AccessDenied: not this pod");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_becomes_keys_of_a_role() {
    let (server, issuer) = cloud(Duration::from_secs(3600)).await;
    let directory = tempfile::tempdir().unwrap();
    let role = |token: String| {
        in_environment(
            &server,
            [
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/milvus".to_owned()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
                ("AWS_ENDPOINT_URL_STS", issuer.url()),
            ],
        )
    };
    put_and_get(role(file(&directory, IDENTITY))).await;
    assert_eq!(issuer.issued(), 1);
    let (error, source) = refused(role(file(&directory, "another"))).await;
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(source.contains("400 InvalidIdentityToken"), "{source}");
    assert!(!format!("{error:?} {source}").contains(IDENTITY));
    let (error, source) = refused(role("/no/such/token".to_owned())).await;
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(
        source.starts_with("no credentials: ") && source.contains("/no/such/token"),
        "{source}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_environment_are_taken_as_they_are() {
    let (server, _) = cloud(Duration::ZERO).await;
    let key = Key {
        secret: "secret-of-the-session".to_owned(),
        session_token: Some("token-of-the-session".to_owned()),
        ends_ms: u64::MAX,
    };
    server.keys().add("ASIASESSION", key.clone());
    let variables = |token: &str| {
        in_environment(
            &server,
            [
                ("AWS_ACCESS_KEY_ID", "ASIASESSION".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", key.secret.clone()),
                ("AWS_SESSION_TOKEN", token.to_owned()),
                // Where the store is says the setting.
                ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1".to_owned()),
            ],
        )
    };
    put_and_get(variables("token-of-the-session")).await;
    let (error, source) = refused(variables("another-token")).await;
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(source.contains("400 InvalidToken"), "{source}");
    server.keys().add("ASIASESSION", Key { ends_ms: 1, ..key.clone() });
    let (error, source) = refused(variables("token-of-the-session")).await;
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(source.contains("400 ExpiredToken"), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_end_are_renewed_before_they_do() {
    // Less than the time before the end at which keys are renewed: they are new for every request.
    let (server, issuer) = cloud(Duration::from_secs(30)).await;
    let config = RemoteConfig { iam_endpoint: issuer.url(), ..in_environment(&server, []) };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.put("a", b"x".into()).await.unwrap();
    let before = issuer.issued();
    // The old ones are worth nothing any more.
    server.keys().clear();
    clock::sleep(Duration::from_millis(200)).await;
    store.put("b", b"y".into()).await.unwrap();
    assert!(issuer.issued() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_away_is_named_and_asked_again() {
    let (server, issuer) = cloud(Duration::from_secs(3600)).await;
    let config = RemoteConfig { iam_endpoint: issuer.url(), ..in_environment(&server, []) };
    drop(issuer);
    let (error, source) = refused(config).await;
    assert!(
        matches!(&error, StoreError::Unavailable { attempts, source, .. }
            if *attempts > 1 && matches!(source, RemoteCause::Credentials(_))),
        "{error:?}"
    );
    assert!(source.starts_with("no credentials: "), "{source}");
}

#[tokio::test]
async fn a_container_without_its_token_file_is_told_what_is_missing() {
    let (server, issuer) = cloud(Duration::from_secs(3600)).await;
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", issuer.url());
    let (error, _) = refused(in_environment(&server, [uri])).await;
    assert!(matches!(error, StoreError::InvalidConfig { .. }), "{error:?}");
    assert!(error.to_string().contains("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), "{error}");
}
