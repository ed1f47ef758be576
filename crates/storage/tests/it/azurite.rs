//! Remote stores against Microsoft's emulator of Azure, where `MILVUS_TEST_AZURITE` names its program
//! `azurite-blob` (`npm install azurite`).

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use milvus_base::Clock;
use milvus_storage::{RemoteConfig, RemoteKind, RemoteStore, conformance};

/// The account that every emulator has, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

struct Azurite {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Azurite {
    fn start() -> Option<Self> {
        let program = std::env::var_os("MILVUS_TEST_AZURITE")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .args(["--silent", "--skipApiVersionCheck", "--blobPort", &port.to_string()])
            .arg("--location")
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, port, _directory: directory })
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_azure_emulator_keeps_the_contract() {
    let Some(azurite) = Azurite::start() else {
        eprintln!("skipped: MILVUS_TEST_AZURITE names no program");
        return;
    };
    let config = RemoteConfig {
        kind: RemoteKind::Azure,
        address: format!("127.0.0.1:{}", azurite.port),
        access_key: ACCOUNT.to_owned(),
        secret_key: KEY.to_owned(),
        bucket: "milvus-test".to_owned(),
        retry_timeout: Duration::from_secs(60),
        ..RemoteConfig::default()
    };
    let store = RemoteStore::open(config, Clock::system()).await.unwrap();
    store.probe_conditional_write().await.unwrap();
    conformance::all(Arc::new(store)).await;
}
