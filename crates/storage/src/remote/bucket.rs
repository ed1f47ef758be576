//! The bucket: looked for when a store is opened, and made on S3 and Azure if it is missing and asked for.

use http::{Method, Request};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::azure::{AzureAuthorizer, MicrosoftAzure};
use object_store::client::{HttpClient, HttpConnector as _, HttpRequest, HttpRequestBody};
use object_store::list::PaginatedListOptions;

use super::RemoteStore;
use super::attempt::Failure;
use super::cause::{Answer, RemoteCause};
use super::config::RemoteConfig;
use super::connect::Maker;
use super::http::{Connector, options};
use crate::error::StoreError;

const DEFAULT_REGION: &str = "us-east-1";

impl RemoteStore {
    /// Returns once the bucket answers.
    pub(super) async fn ensure_bucket(
        &self,
        config: &RemoteConfig,
        maker: &Maker,
        connector: &Connector,
    ) -> Result<(), StoreError> {
        let Err(failure) = self.look_into_bucket().await else {
            return Ok(());
        };
        let missing = matches!(failure.answer, Answer::NoBucket | Answer::NotFound);
        if !missing {
            return Err(failure.into_error(self.call("look into bucket", &config.bucket)));
        }
        if matches!(maker, Maker::Nobody) || !config.make_bucket {
            return Err(StoreError::BucketNotFound { bucket: config.bucket.clone() });
        }
        self.make_bucket(config, maker, connector).await
    }

    async fn look_into_bucket(&self) -> Result<(), Failure> {
        let call = self.call("look into bucket", self.bucket());
        let look = || {
            let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
            self.client().list_paginated(None, options)
        };
        self.policy().repeat(call, 0, look).await.map(|_| ())
    }

    async fn make_bucket(
        &self,
        config: &RemoteConfig,
        maker: &Maker,
        connector: &Connector,
    ) -> Result<(), StoreError> {
        let call = self.call("make bucket", &config.bucket);
        let client = connector.connect(&options(config)).map_err(|source| StoreError::Refused {
            op: call.op,
            path: config.bucket.clone(),
            source: RemoteCause::Transport(source.to_string()),
        })?;
        let made = self.policy().repeat(call, 0, || ask_for_bucket(&client, config, maker)).await;
        made.map_err(|failure| failure.into_error(call))?;
        tracing::info!(bucket = %config.bucket, url = %config.url(), "bucket made");
        Ok(())
    }
}

/// One attempt to make the bucket; well if it is ours already.
async fn ask_for_bucket(
    client: &HttpClient,
    config: &RemoteConfig,
    maker: &Maker,
) -> object_store::Result<()> {
    let request = match maker {
        Maker::S3(s3) => s3_request(config, s3).await?,
        Maker::Azure(azure) => azure_request(config, azure).await?,
        Maker::Nobody => return Ok(()),
    };
    let Err(error) = client.execute(request).await else {
        return Ok(());
    };
    let error = generic(error);
    match Answer::of(&error) {
        // Another server was quicker.
        Answer::Trouble { cause: RemoteCause::Status { code, .. }, .. }
            if matches!(&*code, "BucketAlreadyOwnedByYou" | "ContainerAlreadyExists") =>
        {
            Ok(())
        }
        Answer::NotFound
        | Answer::NoBucket
        | Answer::Condition
        | Answer::Range
        | Answer::Denied(_)
        | Answer::Refused(_)
        | Answer::Trouble { .. } => Err(error),
    }
}

async fn s3_request(config: &RemoteConfig, s3: &AmazonS3) -> object_store::Result<HttpRequest> {
    let mut url = config.bucket_url();
    if config.use_virtual_host {
        url.push('/');
    }
    let region = config.region();
    let body = if region == DEFAULT_REGION { String::new() } else { location(&region) };
    let mut request = put(url, body)?;
    let credential = s3.credentials().get_credential().await?;
    AwsAuthorizer::new(&credential, "s3", &region).try_authorize(&mut request, None)?;
    Ok(request)
}

async fn azure_request(
    config: &RemoteConfig,
    azure: &MicrosoftAzure,
) -> object_store::Result<HttpRequest> {
    let url = format!("{}/{}?restype=container", config.account_url(), config.bucket);
    let mut request = put(url, String::new())?;
    let credential = azure.credentials().get_credential().await?;
    AzureAuthorizer::new(&credential, &config.access_key).try_authorize(&mut request)?;
    Ok(request)
}

fn put(url: String, body: String) -> object_store::Result<HttpRequest> {
    let request = Request::builder().method(Method::PUT).uri(url);
    request.body(HttpRequestBody::from(body)).map_err(generic)
}

fn location(region: &str) -> String {
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    )
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(source) }
}
