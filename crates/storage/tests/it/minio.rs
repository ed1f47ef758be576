//! Remote stores against a real MinIO, where `MILVUS_TEST_MINIO` names its binary (`scripts/minio`).

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::Clock;
use milvus_storage::{RemoteConfig, RemoteStore, StoreError, conformance};

/// A server with an empty directory; ends with the value.
struct Minio {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Minio {
    /// Starts one, if there is a binary.
    fn start() -> Option<Self> {
        let binary = std::env::var_os("MILVUS_TEST_MINIO")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new(binary)
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .arg(directory.path())
            .env("MINIO_ROOT_USER", "minio-user")
            .env("MINIO_ROOT_PASSWORD", "minio-password")
            .env("MINIO_BROWSER", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, port, _directory: directory })
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
        self.process.kill().unwrap();
        self.process.wait().unwrap();
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
