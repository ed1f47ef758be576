//! Where data and log are kept: `common.storageType`, `minio.*`, `mq.type`, `woodpecker.*`.

use std::time::Duration;

use milvus_storage::{RemoteConfig, RemoteKind};

use super::error::ConfigError;
use super::values::Values;
use super::{bytes, duration};

/// Where segments, manifests and the like are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageConfig {
    /// In the data directory.
    Local,
    /// In object storage, with copies in the data directory.
    Remote {
        /// The object storage.
        store: Box<RemoteConfig>,
        /// Bytes of the copies (`localStorage.cacheSize`).
        cache_bytes: u64,
    },
}

/// Where the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogConfig {
    /// Files of records in the data directory (`rocksmq`).
    Files,
    /// Objects of batches (`woodpecker`).
    Objects {
        /// Whether they lie in the data directory; else where data is.
        in_data_dir: bool,
        /// `woodpecker.logstore.segmentSyncPolicy.maxInterval`.
        flush_interval: Duration,
        /// `woodpecker.logstore.segmentSyncPolicy.maxFlushSize`.
        max_batch_bytes: u64,
        /// `woodpecker.logstore.segmentCompactionPolicy.maxSize`.
        merge_bytes: u64,
    },
}

/// Where data is.
pub(super) fn storage(values: &Values) -> Result<StorageConfig, ConfigError> {
    let is_remote = match values.text("common.storageType").to_lowercase().as_str() {
        "local" => false,
        "default" => values.is_set("minio.address"),
        _ => true,
    };
    if !is_remote {
        return Ok(StorageConfig::Local);
    }
    let cache_mib: u64 = values.integer("localStorage.cacheSize")?;
    let store = Box::new(remote(values)?);
    Ok(StorageConfig::Remote { store, cache_bytes: cache_mib << 20 })
}

fn remote(values: &Values) -> Result<RemoteConfig, ConfigError> {
    let kind = match values.text("minio.cloudProvider").to_lowercase().as_str() {
        "azure" => RemoteKind::Azure,
        "gcpnative" => RemoteKind::Gcs,
        _ => RemoteKind::S3,
    };
    let host = values.text("minio.address");
    // A server behind the port of TLS speaks it, unless somebody says otherwise.
    let use_ssl = match values.is_set("minio.useSSL") {
        true => values.flag("minio.useSSL")?,
        false => host.ends_with(":443") || values.text("minio.port") == "443",
    };
    let ca_file = Some(values.text("minio.ssl.tlsCACert")).filter(|file| !file.is_empty());
    let timeout_ms: u64 = values.integer("minio.requestTimeoutMs")?;
    Ok(RemoteConfig {
        kind,
        address: address(values, host, kind, use_ssl),
        use_ssl,
        ca_file: ca_file.map(Into::into),
        access_key: values.text("minio.accessKeyID"),
        secret_key: values.text("minio.secretAccessKey"),
        gcp_credential_json: values.text("minio.gcpCredentialJSON"),
        use_iam: values.flag("minio.useIAM")?,
        iam_endpoint: values.text("minio.iamEndpoint"),
        bucket: values.text("minio.bucketName"),
        root_path: values.text("minio.rootPath"),
        region: values.text("minio.region"),
        use_virtual_host: values.flag("minio.useVirtualHost")?,
        request_timeout: Duration::from_millis(timeout_ms),
        ..RemoteConfig::default()
    })
}

/// `host:port`. A port that is no number is no port: Kubernetes sets `MINIO_PORT=tcp://10.0.0.1:9000`
/// for a service called `minio`.
fn address(values: &Values, host: String, kind: RemoteKind, use_ssl: bool) -> String {
    let port: Option<u16> = values.text("minio.port").parse().ok();
    let is_asked_for = values.is_set("minio.port") && port.is_some();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    // Cloud providers are reached at the usual port of their protocol.
    let is_usual = use_ssl || kind != RemoteKind::S3;
    if has_port || (is_usual && !is_asked_for) {
        return host;
    }
    format!("{host}:{}", port.unwrap_or(9000))
}

/// Where the log is.
pub(super) fn log(values: &Values, storage: &StorageConfig) -> Result<LogConfig, ConfigError> {
    let is_local = *storage == StorageConfig::Local;
    let is_files = match values.text("mq.type").to_lowercase().as_str() {
        "rocksmq" => true,
        "woodpecker" => false,
        _ => is_local,
    };
    if is_files {
        return Ok(LogConfig::Files);
    }
    let in_data_dir = match values.text("woodpecker.storage.type").to_lowercase().as_str() {
        "local" => true,
        "minio" if is_local => return Err(values.wrong("woodpecker.storage.type")),
        "minio" => false,
        _ => is_local,
    };
    let key = "woodpecker.logstore.segmentSyncPolicy.maxInterval";
    let (is_set, wait) = (values.is_set(key), interval(values, key)?);
    Ok(LogConfig::Objects {
        in_data_dir,
        // A local disk is not worth waiting for.
        flush_interval: if in_data_dir && !is_set { Duration::ZERO } else { wait },
        max_batch_bytes: size(values, "woodpecker.logstore.segmentSyncPolicy.maxFlushSize")?,
        merge_bytes: size(values, "woodpecker.logstore.segmentCompactionPolicy.maxSize")?,
    })
}

/// A time of the form that [`duration::parse`] reads.
fn interval(values: &Values, key: &str) -> Result<Duration, ConfigError> {
    duration::parse(&values.text(key)).ok_or_else(|| values.wrong(key))
}

/// `2M`, `256MB`, `1048576`: 64 KiB to 1 GiB.
fn size(values: &Values, key: &str) -> Result<u64, ConfigError> {
    let parsed = bytes::parse(&values.text(key)).ok();
    parsed.filter(|bytes| (1 << 16..=1 << 30).contains(bytes)).ok_or_else(|| values.wrong(key))
}
