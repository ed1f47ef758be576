//! From settings to a client of the `object_store` crate, for each kind of store.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{ObjectStore, RetryConfig};

use super::cause::RemoteCause;
use super::config::{RemoteConfig, RemoteKind};
use super::http::{self, Connector};
use super::iam;
use crate::error::StoreError;

/// All that a remote store needs of its client.
pub(super) trait Client: ObjectStore + MultipartStore + PaginatedListStore {}

impl<T: ObjectStore + MultipartStore + PaginatedListStore> Client for T {}

/// A client, and once more what can make a bucket with its credentials.
pub(super) struct Connected {
    pub(super) client: Arc<dyn Client>,
    pub(super) maker: Maker,
    pub(super) connector: Connector,
}

/// Who makes buckets.
pub(super) enum Maker {
    S3(AmazonS3),
    Azure(MicrosoftAzure),
    /// Nobody: Google's buckets belong to projects, of which Milvus's settings know nothing.
    Nobody,
}

/// Makes the client that `config` asks for. Reads the file of certificates; sends nothing.
pub(super) fn connect(config: &RemoteConfig) -> Result<Connected, StoreError> {
    config.check()?;
    let connector = Connector::new(config)?;
    let refused = |source: object_store::Error| StoreError::Refused {
        op: "configure access to",
        path: config.url(),
        source: RemoteCause::Transport(connector.redact(source.to_string())),
    };
    match config.kind {
        RemoteKind::S3 => {
            let s3 = s3(config, &connector)?.map_err(refused)?;
            Ok(Connected { client: Arc::new(s3.clone()), maker: Maker::S3(s3), connector })
        }
        RemoteKind::Gcs => {
            let gcs: GoogleCloudStorage = gcs(config, &connector).build().map_err(refused)?;
            Ok(Connected { client: Arc::new(gcs), maker: Maker::Nobody, connector })
        }
        RemoteKind::Azure => {
            let azure: MicrosoftAzure = azure(config, &connector).build().map_err(refused)?;
            Ok(Connected { client: Arc::new(azure.clone()), maker: Maker::Azure(azure), connector })
        }
    }
}

/// Repeating is ours (`attempt`).
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn s3(
    config: &RemoteConfig,
    connector: &Connector,
) -> Result<object_store::Result<AmazonS3>, StoreError> {
    // The endpoint holds the bucket where the host does.
    let endpoint = if config.use_virtual_host { config.bucket_url() } else { config.url() };
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name(&config.bucket)
        .with_region(config.region())
        .with_virtual_hosted_style_request(config.use_virtual_host)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // TLS protects what is sent; without it the signature does.
        .with_unsigned_payload(config.use_ssl)
        .with_disable_bulk_delete(true)
        .with_client_options(http::options(config))
        .with_retry(no_retries())
        .with_http_connector(connector.clone());
    if !config.use_iam {
        let (access_key, secret_key) = (&config.access_key, &config.secret_key);
        return Ok(builder
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .build());
    }
    let credentials = iam::credentials(config, connector)?;
    Ok(credentials.and_then(|credentials| builder.with_credentials(credentials).build()))
}

fn gcs(config: &RemoteConfig, connector: &Connector) -> GoogleCloudStorageBuilder {
    let builder = if config.use_iam {
        GoogleCloudStorageBuilder::from_env()
    } else {
        GoogleCloudStorageBuilder::new()
    };
    let mut builder = builder
        .with_bucket_name(&config.bucket)
        .with_base_url(&config.url())
        .with_client_options(http::options(config))
        .with_retry(no_retries())
        .with_http_connector(connector.clone());
    if !config.use_iam && !config.gcp_credential_json.is_empty() {
        builder = builder.with_service_account_key(&config.gcp_credential_json);
    }
    builder
}

fn azure(config: &RemoteConfig, connector: &Connector) -> MicrosoftAzureBuilder {
    let builder = if config.use_iam {
        MicrosoftAzureBuilder::from_env()
    } else {
        MicrosoftAzureBuilder::new().with_access_key(&config.secret_key)
    };
    builder
        .with_account(&config.access_key)
        .with_container_name(&config.bucket)
        .with_endpoint(config.account_url())
        .with_client_options(http::options(config))
        .with_retry(no_retries())
        .with_http_connector(connector.clone())
}
