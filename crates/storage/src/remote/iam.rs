//! Keys for S3 that are not in the settings but in the process's environment (`minio.useIAM`), as AWS's
//! own tools find them; renewed before they end.
//!
//! | the first of these that is there | keys are |
//! |---|---|
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | these |
//! | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` | the token service's, at `AWS_ENDPOINT_URL_STS` or the region's |
//! | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` | the container service's (ECS) |
//! | `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` | the pod service's (EKS) |
//! | nothing | the instance's (IMDSv2), at `minio.iamEndpoint`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` or the usual place |
//!
//! No other variable counts: where the store is and how it is spoken to is in the settings alone.
//!
//! Not here: keys in `~/.aws`, single sign-on, a token in `AWS_CONTAINER_AUTHORIZATION_TOKEN`. How keys
//! are asked for and kept is the `object_store` crate's.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};

use super::cause::CredentialsRefused;
use super::config::RemoteConfig;
use super::http::{self, Connector};
use crate::error::StoreError;

const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const SERVICE_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// The variables that count.
const VARIABLES: [(&str, AmazonS3ConfigKey); 11] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    (FULL_URI, AmazonS3ConfigKey::ContainerCredentialsFullUri),
    (TOKEN_FILE, AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    (SERVICE_ENDPOINT, AmazonS3ConfigKey::MetadataEndpoint),
];

/// The region of the environment.
pub(super) fn region(config: &RemoteConfig) -> Option<String> {
    config.variable("AWS_REGION").or_else(|| config.variable("AWS_DEFAULT_REGION"))
}

/// Where keys come from in the environment of `config`.
pub(super) fn credentials(
    config: &RemoteConfig,
    connector: &Connector,
) -> Result<object_store::Result<AwsCredentialProvider>, StoreError> {
    if config.variable(FULL_URI).is_some() && config.variable(TOKEN_FILE).is_none() {
        let reason = format!("is set and {FULL_URI} is, but not {TOKEN_FILE}");
        return Err(StoreError::InvalidConfig { setting: "minio.useIAM", reason });
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(config.region())
        .with_client_options(http::options(config))
        .with_retry(super::connect::no_retries())
        // A token service without TLS is somebody's choice, as a store without is.
        .with_http_connector(connector.plain());
    for (name, key) in VARIABLES {
        if let Some(value) = config.variable(name) {
            builder = builder.with_config(key, value);
        }
    }
    if !config.iam_endpoint.is_empty() {
        builder = builder.with_metadata_endpoint(with_scheme(&config.iam_endpoint));
    }
    Ok(builder.build().map(|s3| {
        let inner = Arc::clone(s3.credentials());
        Arc::new(Environment { inner }) as AwsCredentialProvider
    }))
}

fn with_scheme(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") }
}

/// Marks what keeps keys from being had, so that it is not taken for the store's answer.
#[derive(Debug)]
struct Environment {
    inner: AwsCredentialProvider,
}

#[async_trait]
impl CredentialProvider for Environment {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.inner.get_credential().await.map_err(|error| object_store::Error::Generic {
            store: "credentials",
            source: Box::new(CredentialsRefused::of(&error)),
        })
    }
}
