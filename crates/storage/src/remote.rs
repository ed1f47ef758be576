//! Objects in a bucket of S3, Google Cloud Storage or Azure, through the `object_store` crate.
//!
//! ```text
//! {bucket}/{root path}/{path of the object}      one object each
//! ```
//!
//! | | how |
//! |---|---|
//! | put | one request, in parts above 8 MiB |
//! | conditional put | `If-None-Match: *`, `If-Match` (Google: generations); at most once, even if replies are lost |
//! | get, map | one request; above 8 MiB in pieces, several at once, all of one state |
//! | writer | in parts, while it is written, in bounded memory |
//! | trouble (5xx, 429, 409, timeouts, broken connections) | tried again for [`RemoteConfig::retry_timeout`], not before the time that the store asks for |
//! | slow answers | waited for as long as their bytes come |
//!
//! An operation that fails in the end says how: [`StoreError::Unavailable`] when trouble lasted,
//! [`StoreError::InDoubt`] when a conditional put may have happened and cannot be told any more,
//! [`StoreError::Denied`], [`StoreError::Refused`], [`StoreError::BucketNotFound`].
//!
//! A put without a condition that timed out may still happen later, even after another put of the
//! same path; objects that are overwritten are put with a condition.
//!
//! The entity tag of an object is the store's. On S3 it is made from the bytes, so the same bytes put
//! anew may have the same tag.
//!
//! Not here: files to map ([`CachedStore`](crate::CachedStore) keeps copies on a disk).

mod attempt;
mod bucket;
mod cause;
mod config;
mod connect;
mod http;
mod iam;
mod localhost;
mod probe;
mod put;
mod read;
mod tls;
mod upload;
mod write_id;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use milvus_base::{Clock, io};
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStoreExt as _};
use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::path::{check, check_prefix};
use crate::payload::Payload;
use crate::store::{ETag, Object, ObjectMeta, ObjectStore};
use crate::writer::ObjectWriter;

pub use cause::RemoteCause;
pub use config::{RemoteConfig, RemoteKind};

use attempt::{Call, Failure, Policy};
use cause::Answer;
use connect::{Client, Connected};
use put::Condition;
use upload::RemoteUpload;

/// What is moved in one request; larger objects are moved in pieces.
const PIECE_LEN: usize = 8 * 1024 * 1024;
const PIECE_BYTES: u64 = PIECE_LEN as u64;

/// The store of one bucket, or of one path in it. Clones share it.
#[derive(Clone)]
pub struct RemoteStore(Arc<Shared>);

struct Shared {
    client: Arc<dyn Client>,
    kind: RemoteKind,
    url: String,
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
    policy: Policy,
    runtime: Handle,
}

impl std::fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteStore")
            .field("url", &self.0.url)
            .field("bucket", &self.0.bucket)
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}

impl RemoteStore {
    /// Opens the store that `config` names, and makes its bucket if it is missing (on S3 and
    /// Azure).
    ///
    /// Its writers work on the runtime that this is called in. Whether the store keeps conditions is
    /// asked apart ([`RemoteStore::probe_conditional_write`]).
    pub async fn open(config: RemoteConfig, clock: Clock) -> Result<Self, StoreError> {
        let (config, connected) = io::try_run(move || {
            // Reads the system's certificates, which takes its time.
            let connected = connect::connect(&config)?;
            Ok::<_, StoreError>((config, connected))
        })
        .await?;
        let Connected { client, maker, connector } = connected;
        let store = Self(Arc::new(Shared {
            client,
            kind: config.kind,
            url: config.url(),
            bucket: config.bucket.clone(),
            prefix: config.key_prefix(),
            policy: Policy::new(clock, config.request_timeout, config.retry_timeout),
            runtime: Handle::current(),
        }));
        store.ensure_bucket(&config, &maker, &connector).await?;
        Ok(store)
    }

    /// Its bucket.
    pub fn bucket(&self) -> &str {
        &self.0.bucket
    }

    fn client(&self) -> &dyn Client {
        &*self.0.client
    }

    fn kind(&self) -> RemoteKind {
        self.0.kind
    }

    fn prefix(&self) -> &str {
        &self.0.prefix
    }

    fn policy(&self) -> &Policy {
        &self.0.policy
    }

    fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn key(&self, path: &str) -> Key {
        let key = format!("{}{path}", self.0.prefix);
        // `check` refuses more than this does.
        Key::parse(&key).unwrap_or_else(|_| Key::from(key))
    }

    fn call<'a>(&'a self, op: &'static str, path: &'a str) -> Call<'a> {
        Call { op, path, bucket: &self.0.bucket }
    }

    async fn delete_once(&self, key: &Key) -> object_store::Result<()> {
        // On Azure the client deletes by batches, whose answers do not tell that nothing was there.
        if self.kind() == RemoteKind::Azure {
            let head = GetOptions { head: true, ..GetOptions::default() };
            match self.client().get_opts(key, head).await {
                Err(error) if Answer::of(&error) == Answer::NotFound => return Ok(()),
                looked => looked.map(|_| ())?,
            }
        }
        self.client().delete(key).await
    }

    /// What the store says of the object at `path`.
    fn meta(&self, path: &str, meta: &object_store::ObjectMeta) -> Result<ObjectMeta, Failure> {
        let Some(etag) = &meta.e_tag else {
            let cause = RemoteCause::Transport("the answer has no entity tag".to_owned());
            return Err(Failure { answer: Answer::Refused(cause), attempts: 1, in_doubt: false });
        };
        Ok(ObjectMeta { path: path.to_owned(), size: meta.size, etag: put::unquoted(etag) })
    }
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn put(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.put_always(path, data).await
    }

    async fn put_if_absent(&self, path: &str, data: Payload) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.put_on(path, data, Condition::Absent).await
    }

    async fn put_if_match(
        &self,
        path: &str,
        data: Payload,
        etag: &ETag,
    ) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.put_on(path, data, Condition::Match(etag)).await
    }

    async fn get(&self, path: &str) -> Result<Object, StoreError> {
        check(path)?;
        let (meta, bytes) = self.read(path).await?;
        Ok(Object { meta, bytes })
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        check(path)?;
        self.read_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        check(path)?;
        self.read_head(path).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        check_prefix(prefix)?;
        self.read_list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        check(path)?;
        let (key, call) = (self.key(path), self.call("delete", path));
        match self.policy().repeat(call, 0, || self.delete_once(&key)).await {
            Ok(()) | Err(Failure { answer: Answer::NotFound, .. }) => Ok(()),
            Err(failure) => Err(failure.into_error(call)),
        }
    }

    async fn map(&self, path: &str) -> Result<Bytes, StoreError> {
        check(path)?;
        self.read(path).await.map(|(_, bytes)| bytes)
    }

    fn writer(&self, path: &str) -> Result<ObjectWriter, StoreError> {
        check(path)?;
        Ok(ObjectWriter::new(path, Box::new(RemoteUpload::new(self.clone(), path))))
    }
}
