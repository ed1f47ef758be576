//! Sees to it that a server finds data and log where they were when it last ran, and that what lies in
//! a bucket is its own.
//!
//! The catalogue remembers where data and log are. A bucket's path holds an object that names the
//! catalogue it belongs to: another server that began there with an empty catalogue would take every
//! object for garbage.

use milvus_meta::{Catalogue, PlacementEntry};
use milvus_storage::{ObjectStore, RemoteConfig, StoreError};

use crate::config::{Config, LogConfig, StorageConfig};
use crate::start_error::StartError;

/// The object that says whose a bucket's path is.
const OWNER: &str = "installation";
const LOCAL: &str = "the data directory";
const FILES: &str = "rocksmq";

/// Compares where data and log are with where they were, and remembers it at the first start.
pub(crate) async fn settle(
    config: &Config,
    catalogue: &Catalogue,
) -> Result<PlacementEntry, StartError> {
    let (data, log) = (data_place(&config.storage), log_place(config));
    let failed = |error| StartError::role("metadata", &error);
    let known = catalogue.get::<PlacementEntry>(&()).await.map_err(failed)?;
    let known = match known {
        Some(known) => known.entry,
        None => {
            // What ran before this was remembered had everything in the data directory.
            let is_new = catalogue.list_collections().await.map_err(failed)?.is_empty();
            let (data, log) = match is_new {
                true => (data.clone(), log.clone()),
                false => (LOCAL.to_owned(), FILES.to_owned()),
            };
            let installation = milvus_base::random::unique_name();
            let first = PlacementEntry { installation, data, log };
            let created = catalogue.create(&first).await;
            created.map_err(|error| StartError::role("metadata", &error))?;
            first
        }
    };
    for (what, key, got, want) in [
        ("data", "common.storageType and minio.*", data, &known.data),
        ("the log", "mq.type and woodpecker.*", log, &known.log),
    ] {
        if got != *want {
            let want = want.clone();
            return Err(StartError::Elsewhere { what, key, got, want });
        }
    }
    Ok(known)
}

/// Takes the path of a bucket for `placement`'s installation, or finds that it has it.
pub(crate) async fn own(
    store: &dyn ObjectStore,
    placement: &PlacementEntry,
) -> Result<(), StartError> {
    let mine = placement.installation.as_bytes();
    match store.put_if_absent(OWNER, mine.to_vec().into()).await {
        Ok(_) => return Ok(()),
        // Somebody's, ours perhaps: who owns it is read.
        Err(StoreError::AlreadyExists { .. } | StoreError::InDoubt { .. }) => {}
        Err(error) => return Err(StartError::role("object storage", &error)),
    }
    let owner = store.get(OWNER).await;
    let owner = owner.map_err(|error| StartError::role("object storage", &error))?;
    if owner.bytes == mine {
        return Ok(());
    }
    let owner = String::from_utf8_lossy(&owner.bytes).into_owned();
    let (place, mine) = (placement.data.clone(), placement.installation.clone());
    Err(StartError::ForeignBucket { place, owner, mine })
}

fn data_place(storage: &StorageConfig) -> String {
    match storage {
        StorageConfig::Local => LOCAL.to_owned(),
        StorageConfig::Remote { store, .. } => bucket(store),
    }
}

/// The bucket, without the address: that may change while the bucket stays.
fn bucket(store: &RemoteConfig) -> String {
    format!("bucket {}, path {:?}", store.bucket, store.root_path.trim_matches('/'))
}

fn log_place(config: &Config) -> String {
    match &config.log {
        LogConfig::Files => FILES.to_owned(),
        LogConfig::Objects { in_data_dir: true, .. } => format!("woodpecker in {LOCAL}"),
        LogConfig::Objects { in_data_dir: false, .. } => "woodpecker in the bucket".to_owned(),
    }
}
