//! Sees to it that a server finds data and log where they were when it last ran, and that what lies in
//! a bucket is its own.
//!
//! The catalogue remembers where data and log are. A bucket's path holds an object that names the
//! catalogue it belongs to, and the last start with it: a server that began there with an empty catalogue,
//! or with an old copy of the right one, would take for garbage what that does not name.

use std::sync::Arc;

use milvus_base::Clock;
use milvus_meta::{Catalogue, PlacementEntry};
use milvus_storage::{ObjectStore, OwnedStore, Payload, RemoteConfig, StoreError};

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
            let first = PlacementEntry {
                installation,
                data,
                log,
                start: String::new(),
                next_start: String::new(),
            };
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

/// Takes the path of a bucket for `placement`'s installation, or finds that it has it and that nobody
/// has started on it since this catalogue did. Gives the store as it may be used: for as long as nobody
/// else takes the path.
///
/// The catalogue notes what the bucket will say before the bucket says it: a crash in between leaves
/// one of the two there, and both are known.
pub(crate) async fn own(
    store: Arc<dyn ObjectStore>,
    catalogue: &Catalogue,
    placement: &PlacementEntry,
) -> Result<OwnedStore, StartError> {
    let remote = |error| StartError::role("object storage", &error);
    let there = match store.get(OWNER).await {
        Ok(object) => Some(object),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(remote(error)),
    };
    let said = |start: &str| format!("{} {start}", placement.installation);
    let known = |text: &[u8]| {
        let starts = [&placement.start, &placement.next_start];
        starts.into_iter().find(|start| !start.is_empty() && said(start).as_bytes() == text)
    };
    // What the bucket says stays known until it says something else, however many starts are cut short.
    let start = match &there {
        None if placement.start.is_empty() => String::new(),
        None => return Err(foreign(placement, None)),
        Some(object) => match known(&object.bytes) {
            Some(start) => start.clone(),
            None => return Err(foreign(placement, Some(&object.bytes))),
        },
    };
    let next_start = milvus_base::random::unique_name();
    let noted = PlacementEntry { start, next_start: next_start.clone(), ..placement.clone() };
    note(catalogue, &noted).await?;
    let says = Payload::from(said(&next_start).into_bytes());
    let put = match &there {
        None => store.put_if_absent(OWNER, says).await,
        Some(object) => store.put_if_match(OWNER, says, &object.meta.etag).await,
    };
    match put {
        Ok(_) => {}
        // Another was faster, or the reply was lost: what is there now tells.
        Err(error) if error.is_conflict() || matches!(error, StoreError::InDoubt { .. }) => {
            let now = store.get(OWNER).await.map_err(remote)?;
            if now.bytes != said(&next_start).as_bytes() {
                return Err(foreign(placement, Some(&now.bytes)));
            }
        }
        Err(error) => return Err(remote(error)),
    }
    let says = said(&next_start).into_bytes();
    let started =
        PlacementEntry { start: next_start, next_start: String::new(), ..placement.clone() };
    note(catalogue, &started).await?;
    Ok(OwnedStore::new(store, OWNER, says, Clock::system()))
}

async fn note(catalogue: &Catalogue, placement: &PlacementEntry) -> Result<(), StartError> {
    let noted = catalogue.put(placement).await;
    noted.map_err(|error| StartError::role("metadata", &error))
}

fn foreign(placement: &PlacementEntry, there: Option<&[u8]>) -> StartError {
    let owner = there.map_or_else(
        || "nobody, though this data directory has used it".into(),
        |text| String::from_utf8_lossy(text).into_owned(),
    );
    let mine = format!("{} {}", placement.installation, placement.start);
    StartError::ForeignBucket { place: placement.data.clone(), owner, mine }
}

/// Where the configuration says that data and log are, for a check to compare with the catalogue.
pub(crate) fn configured(config: &Config) -> milvus_check::Placement {
    milvus_check::Placement { data: data_place(&config.storage), log: log_place(config) }
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
