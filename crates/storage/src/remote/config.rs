//! Where a remote store is and how it is spoken to: Milvus's `minio.*` settings as one struct.
//!
//! Nothing here reads YAML or `MINIO_*` variables; the server does. With [`RemoteConfig::use_iam`]
//! the credentials come from the environment as each provider's own tools read it (`iam` for AWS;
//! `AZURE_*`; Google's application default credentials).
//!
//! Secrets are never shown: not by `Debug`, not in an error.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::StoreError;

/// Which protocol a remote store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteKind {
    /// S3 and what is compatible: AWS, MinIO, Ceph, OSS, COS, R2, Google with HMAC keys.
    S3,
    /// Google Cloud Storage with its own credentials (`cloudProvider: gcpnative`).
    Gcs,
    /// Azure Blob Storage (`cloudProvider: azure`).
    Azure,
}

/// How a remote store is reached. Names of Milvus's settings stand beside the fields.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// The protocol (`minio.cloudProvider`).
    pub kind: RemoteKind,
    /// Host, or `host:port` (`minio.address`, `minio.port`). For Azure a host is the domain behind
    /// `{account}.blob.`; `host:port` is an emulator.
    pub address: String,
    /// Whether TLS is spoken (`minio.useSSL`).
    pub use_ssl: bool,
    /// A file of PEM certificates to trust besides the system's (`minio.ssl.tlsCACert`).
    pub ca_file: Option<PathBuf>,
    /// The access key; the account on Azure (`minio.accessKeyID`).
    pub access_key: String,
    /// The secret key; the account's key on Azure (`minio.secretAccessKey`).
    pub secret_key: String,
    /// A service account as JSON, for Google (`minio.gcpCredentialJSON`).
    pub gcp_credential_json: String,
    /// Whether credentials come from the environment (`minio.useIAM`).
    pub use_iam: bool,
    /// Where instance credentials are asked for, if not at the provider's usual place
    /// (`minio.iamEndpoint`).
    pub iam_endpoint: String,
    /// The bucket; the container on Azure (`minio.bucketName`).
    pub bucket: String,
    /// Whether it is made where there is none.
    pub make_bucket: bool,
    /// What every object's key begins with (`minio.rootPath`); may be empty.
    pub root_path: String,
    /// The region; `us-east-1` if empty (`minio.region`).
    pub region: String,
    /// Whether the bucket is part of the host name (`minio.useVirtualHost`).
    pub use_virtual_host: bool,
    /// How long one request may take, 8 MiB of data included (`minio.requestTimeoutMs`).
    pub request_timeout: Duration,
    /// How long an operation is tried again before it is given up.
    pub retry_timeout: Duration,
    /// Stands for the process's environment, from which credentials of [`RemoteConfig::use_iam`] come;
    /// that itself if none. For tests: Google's and Azure's are read from the process's alone.
    pub environment: Option<BTreeMap<String, String>>,
}

impl Default for RemoteConfig {
    /// Milvus's defaults: MinIO on this machine.
    fn default() -> Self {
        Self {
            kind: RemoteKind::S3,
            address: "localhost:9000".to_owned(),
            use_ssl: false,
            ca_file: None,
            access_key: "minioadmin".to_owned(),
            secret_key: "minioadmin".to_owned(),
            gcp_credential_json: String::new(),
            use_iam: false,
            iam_endpoint: String::new(),
            bucket: "a-bucket".to_owned(),
            make_bucket: true,
            root_path: "files".to_owned(),
            region: String::new(),
            use_virtual_host: false,
            request_timeout: Duration::from_secs(10),
            retry_timeout: Duration::from_secs(20),
            environment: None,
        }
    }
}

impl fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteConfig")
            .field("kind", &self.kind)
            .field("url", &self.url())
            .field("ca_file", &self.ca_file)
            .field("use_iam", &self.use_iam)
            .field("bucket", &self.bucket)
            .field("root_path", &self.root_path)
            .field("region", &self.region)
            .field("use_virtual_host", &self.use_virtual_host)
            .field("request_timeout", &self.request_timeout)
            .field("retry_timeout", &self.retry_timeout)
            .finish_non_exhaustive()
    }
}

impl RemoteConfig {
    /// The server's URL, without bucket and path.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.server())
    }

    fn scheme(&self) -> &'static str {
        if self.use_ssl { "https" } else { "http" }
    }

    /// The server, which on AWS is the region's: the general one redirects, and puts do not follow.
    fn server(&self) -> String {
        match self.address.strip_prefix("s3.amazonaws.com") {
            Some(port) if !self.region.is_empty() => {
                format!("s3.{}.amazonaws.com{port}", self.region)
            }
            _ => self.address.clone(),
        }
    }

    /// The server's host, without port.
    pub(super) fn host(&self) -> String {
        let server = self.server();
        server.rsplit_once(':').map_or(&*server, |(host, _)| host).to_ascii_lowercase()
    }

    /// The bucket's URL on an S3 server.
    pub(super) fn bucket_url(&self) -> String {
        if self.use_virtual_host {
            return format!("{}://{}.{}", self.scheme(), self.bucket, self.server());
        }
        format!("{}/{}", self.url(), self.bucket)
    }

    /// The account's URL on Azure.
    pub(super) fn account_url(&self) -> String {
        if self.address.contains(':') {
            return format!("{}/{}", self.url(), self.access_key);
        }
        format!("{}://{}.blob.{}", self.scheme(), self.access_key, self.address)
    }

    /// The region: that of the settings, with IAM that of the environment, else the usual one.
    pub(super) fn region(&self) -> String {
        if !self.region.is_empty() {
            return self.region.clone();
        }
        let outside = if self.use_iam { super::iam::region(self) } else { None };
        outside.unwrap_or_else(|| "us-east-1".to_owned())
    }

    /// The variable `name` of the environment, unless it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.environment {
            Some(environment) => environment.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// What every key begins with: empty, or ending in `/`.
    pub(super) fn key_prefix(&self) -> String {
        match self.root_path.trim_matches('/') {
            "" => String::new(),
            root => format!("{root}/"),
        }
    }

    /// Texts that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        // An account name on Azure is part of each URL and no secret.
        let key = if self.kind == RemoteKind::Azure { "" } else { &self.access_key };
        let all = [&*self.secret_key, key, &self.gcp_credential_json];
        all.into_iter().filter(|secret| !secret.is_empty()).map(str::to_owned).collect()
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let invalid = |setting, reason| Err(StoreError::InvalidConfig { setting, reason });
        if self.address.is_empty() {
            return invalid("minio.address", "is empty".to_owned());
        }
        if self.address.contains('/') {
            return invalid(
                "minio.address",
                format!("is {:?}, want a host or host:port", self.address),
            );
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if self.bucket.is_empty() || !self.bucket.chars().all(letter) {
            let reason = format!("is {:?}, want letters, digits, '-', '.' and '_'", self.bucket);
            return invalid("minio.bucketName", reason);
        }
        let root = self.root_path.trim_matches('/');
        if !root.is_empty() && crate::path::check(root).is_err() {
            return invalid("minio.rootPath", format!("is {:?}, which is no path", self.root_path));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let config = RemoteConfig {
            access_key: "AKIASECRET".to_owned(),
            secret_key: "hush-hush".to_owned(),
            gcp_credential_json: "{\"private_key\":\"hush\"}".to_owned(),
            ..RemoteConfig::default()
        };
        let shown = format!("{config:?} {config:#?}");
        for secret in ["AKIASECRET", "hush"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("http://localhost:9000"));
    }

    #[test]
    fn urls_are_of_the_style_asked_for() {
        let mut config = RemoteConfig { bucket: "b".to_owned(), ..RemoteConfig::default() };
        assert_eq!(config.bucket_url(), "http://localhost:9000/b");
        config.use_ssl = true;
        config.use_virtual_host = true;
        assert_eq!(config.bucket_url(), "https://b.localhost:9000");
        config.access_key = "acc".to_owned();
        assert_eq!(config.account_url(), "https://localhost:9000/acc");
        config.address = "core.windows.net".to_owned();
        assert_eq!(config.account_url(), "https://acc.blob.core.windows.net");
        config.address = "s3.amazonaws.com:443".to_owned();
        config.region = "eu-west-1".to_owned();
        assert_eq!(config.bucket_url(), "https://b.s3.eu-west-1.amazonaws.com:443");
        assert_eq!(config.host(), "s3.eu-west-1.amazonaws.com");
    }

    #[test]
    fn root_paths_lose_their_slashes() {
        for (root, want) in [("", ""), ("/", ""), ("files", "files/"), ("/a/b/", "a/b/")] {
            let config = RemoteConfig { root_path: root.to_owned(), ..RemoteConfig::default() };
            config.check().unwrap();
            assert_eq!(config.key_prefix(), want);
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_named() {
        let base = RemoteConfig::default;
        for (bad, setting) in [
            (RemoteConfig { address: String::new(), ..base() }, "minio.address"),
            (RemoteConfig { address: "http://a".to_owned(), ..base() }, "minio.address"),
            (RemoteConfig { bucket: "a/b".to_owned(), ..base() }, "minio.bucketName"),
            (RemoteConfig { root_path: "a/../b".to_owned(), ..base() }, "minio.rootPath"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
    }
}
