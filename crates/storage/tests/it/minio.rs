//! Remote stores against a real MinIO, where `MILVUS_TEST_MINIO` names its binary (`scripts/minio`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::{Clock, task};
use milvus_storage::{ObjectStore, RemoteConfig, RemoteStore, StoreError, conformance};

/// A server with an empty directory; ends with the value.
struct Minio {
    binary: OsString,
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Minio {
    /// Starts one, if there is a binary.
    fn start() -> Option<Self> {
        Self::start_with(|_| {})
    }

    /// Starts one after `prepare` has filled its directory of certificates.
    fn start_with(prepare: impl FnOnce(&Path)) -> Option<Self> {
        let binary = std::env::var_os("MILVUS_TEST_MINIO")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let certificates = directory.path().join("certificates");
        fs::create_dir(&certificates).unwrap();
        prepare(&certificates);
        let process = Self::run(&binary, port, directory.path());
        Some(Self { binary, process, port, directory })
    }

    fn run(binary: &OsStr, port: u16, directory: &Path) -> Child {
        Command::new(binary)
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .arg("--certs-dir")
            .arg(directory.join("certificates"))
            .arg(directory.join("objects"))
            .env("MINIO_ROOT_USER", "minio-user")
            .env("MINIO_ROOT_PASSWORD", "minio-password")
            .env("MINIO_BROWSER", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::run(&self.binary, self.port, self.directory.path());
    }

    fn config(&self) -> RemoteConfig {
        RemoteConfig {
            address: format!("127.0.0.1:{}", self.port),
            access_key: "minio-user".to_owned(),
            secret_key: "minio-password".to_owned(),
            bucket: "milvus-test".to_owned(),
            // It takes seconds to start.
            retry_timeout: Duration::from_secs(60),
            ..RemoteConfig::default()
        }
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_minio_keeps_the_contract() {
    let Some(minio) = Minio::start() else {
        eprintln!("skipped: MILVUS_TEST_MINIO names no binary (scripts/minio finds or builds it)");
        return;
    };
    let store = RemoteStore::open(minio.config(), Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    conformance::all(Arc::new(store)).await;
    let again = RemoteStore::open(minio.config(), Clock::system()).await.unwrap();
    again.probe_conditional_write().await.unwrap();
    let wrong = RemoteConfig { secret_key: "hush-hush".to_owned(), ..minio.config() };
    let error = RemoteStore::open(wrong, Clock::system()).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    assert!(!format!("{error:?}").contains("minio-user"), "{error:?}");
}

/// Makes an authority, and a certificate of it where MinIO looks for one.
fn make_certificates(directory: &Path) {
    let authority = directory.with_file_name("authority");
    fs::create_dir(&authority).unwrap();
    let (key, certificate) = (authority.join("ca.key"), authority.join("ca.crt"));
    make_certificate(&key, &certificate, &["-subj", "/CN=authority"]);
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let of_the_authority = ["-CA", certificate, "-CAkey", key, "-subj", "/CN=milvus-test"];
    let of_no_authority = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let here = ["-addext", "subjectAltName=IP:127.0.0.1"];
    let more = [&of_the_authority[..], &of_no_authority, &here].concat();
    make_certificate(&directory.join("private.key"), &directory.join("public.crt"), &more);
}

fn make_certificate(key: &Path, certificate: &Path, more: &[&str]) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2"])
        .args(more)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_whom_the_certificate_file_vouches_for() {
    let Some(minio) = Minio::start_with(make_certificates) else {
        eprintln!("skipped: MILVUS_TEST_MINIO names no binary (scripts/minio finds or builds it)");
        return;
    };
    let file = minio.directory.path().join("authority/ca.crt");
    let trusting = RemoteConfig { use_ssl: true, ca_file: Some(file), ..minio.config() };
    let store = RemoteStore::open(trusting.clone(), Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    store.put("a", vec![7; 9 << 20].into()).await.unwrap();
    assert!(*store.get("a").await.unwrap().bytes == vec![7; 9 << 20]);
    let soon = Duration::from_millis(300);
    let distrusting = RemoteConfig { ca_file: None, retry_timeout: soon, ..trusting.clone() };
    let error = RemoteStore::open(distrusting, Clock::system()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.to_lowercase().contains("certificate"), "{source}");
    let wrong = RemoteConfig { ca_file: Some("/no/such/file".into()), ..trusting };
    let error = RemoteStore::open(wrong, Clock::system()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("setting minio.ssl.tlsCACert is /no/such/file"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_signs_its_own_certificate_is_trusted_if_the_file_holds_it() {
    let own = |directory: &Path| {
        let (key, certificate) = (directory.join("private.key"), directory.join("public.crt"));
        let here = ["-subj", "/CN=milvus-test", "-addext", "subjectAltName=IP:127.0.0.1"];
        make_certificate(&key, &certificate, &here);
    };
    let Some(minio) = Minio::start_with(own) else {
        eprintln!("skipped: MILVUS_TEST_MINIO names no binary (scripts/minio finds or builds it)");
        return;
    };
    let file = minio.directory.path().join("certificates/public.crt");
    let trusting = RemoteConfig { use_ssl: true, ca_file: Some(file), ..minio.config() };
    let store = RemoteStore::open(trusting.clone(), Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    // It names 127.0.0.1 and nobody else.
    let elsewhere = RemoteConfig {
        address: format!("localhost:{}", minio.port),
        retry_timeout: Duration::from_millis(300),
        ..trusting
    };
    let error = RemoteStore::open(elsewhere, Clock::system()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("certificate not valid for name"), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_outlives_kills_and_what_is_under_way_goes_on_after_them() {
    let Some(mut minio) = Minio::start() else {
        eprintln!("skipped: MILVUS_TEST_MINIO names no binary (scripts/minio finds or builds it)");
        return;
    };
    let store = RemoteStore::open(minio.config(), Clock::system()).await.unwrap();
    let first = store.put_if_absent("before", b"1".into()).await.unwrap();
    minio.kill();
    let put = {
        let (store, etag) = (store.clone(), first.etag.clone());
        task::spawn("put", async move { store.put_if_match("before", b"2".into(), &etag).await })
    };
    minio.start_again();
    let second = put.await.unwrap().unwrap();
    assert_eq!(store.head("before").await.unwrap(), second);
    assert_eq!(&*store.get("before").await.unwrap().bytes, b"2");
    assert!(store.put_if_absent("before", b"3".into()).await.unwrap_err().is_conflict());
}
