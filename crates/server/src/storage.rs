//! Opens what the configuration says data and log are kept in.
//!
//! ```text
//! local     DIR/objects                      rocksmq    DIR/log
//! remote    bucket, copies in DIR/cache      woodpecker DIR/wp, or log/ in the bucket
//! ```

use std::sync::Arc;

use milvus_base::Clock;
use milvus_meta::{Catalogue, PlacementEntry};
use milvus_storage::{CacheOptions, CachedStore, LocalStore, Maps, ObjectStore, RemoteStore};
use milvus_wal::{LocalWal, LocalWalOptions, ObjectWal, ObjectWalOptions, PlantedBug, Wal};

use crate::config::{Config, LogConfig, StorageConfig};
use crate::placement;
use crate::start_error::StartError;

/// What every object key of the log begins with.
const LOG_PREFIX: &str = "log";
/// The directory of a log of objects that lies in the data directory.
pub(crate) const LOCAL_OBJECT_LOG: &str = "wp";

/// Data and log, open.
pub(crate) struct Storage {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The files that readers of `store` have mapped.
    pub(crate) maps: Maps,
    /// The copies of remote objects, where data is remote.
    pub(crate) cache: Option<CachedStore>,
    pub(crate) wal: Arc<dyn Wal>,
}

/// Opens data and log. With remote storage this makes the bucket if there is none, and fails where it
/// cannot put conditionally.
pub(crate) async fn open(
    config: &Config,
    catalogue: &Catalogue,
    placement: &PlacementEntry,
    bug: PlantedBug,
) -> Result<Storage, StartError> {
    let (store, maps, cache, remote) = match &config.storage {
        StorageConfig::Local => {
            let local = open_local(config, "objects").await?;
            let maps = local.maps().clone();
            (Arc::new(local) as Arc<dyn ObjectStore>, maps, None, None)
        }
        StorageConfig::Remote { store, cache_bytes } => {
            let remote = RemoteStore::open((**store).clone(), Clock::system()).await;
            let remote = remote.map_err(|error| StartError::role("object storage", &error))?;
            let probed = remote.probe_conditional_write().await;
            probed.map_err(|error| StartError::NoConditionalWrite(error.to_string()))?;
            let remote: Arc<dyn ObjectStore> = Arc::new(remote);
            let behind = Arc::new(placement::own(remote.clone(), catalogue, placement).await?);
            let options = CacheOptions::new(config.data_dir.join("cache"), *cache_bytes);
            let cached = milvus_base::io::try_run(move || CachedStore::open(behind, options)).await;
            let cached = cached.map_err(|error| StartError::role("storage cache", &error))?;
            let maps = cached.maps().clone();
            (Arc::new(cached.clone()) as _, maps, Some(cached), Some(remote))
        }
    };
    let wal = open_log(config, bug, remote).await?;
    Ok(Storage { store, maps, cache, wal })
}

async fn open_local(config: &Config, name: &str) -> Result<LocalStore, StartError> {
    let path = config.data_dir.join(name);
    let opened = milvus_base::io::try_run(move || LocalStore::open(path)).await;
    opened.map_err(|error| StartError::role("storage", &error))
}

async fn open_log(
    config: &Config,
    planted_bug: PlantedBug,
    remote: Option<Arc<dyn ObjectStore>>,
) -> Result<Arc<dyn Wal>, StartError> {
    match &config.log {
        LogConfig::Files => {
            let options = LocalWalOptions { planted_bug, ..LocalWalOptions::default() };
            let wal = LocalWal::open(config.data_dir.join("log"), options).await;
            Ok(Arc::new(wal.map_err(|error| StartError::role("log", &error))?))
        }
        LogConfig::Objects { in_data_dir, .. } => {
            let store = match remote.filter(|_| !in_data_dir) {
                Some(remote) => remote,
                None => Arc::new(open_local(config, LOCAL_OBJECT_LOG).await?),
            };
            Ok(Arc::new(object_log(&config.log, store, planted_bug)))
        }
    }
}

/// The log of objects in `store`, under the settings of `log`.
pub(crate) fn object_log(
    log: &LogConfig,
    store: Arc<dyn ObjectStore>,
    planted_bug: PlantedBug,
) -> ObjectWal {
    let defaults = ObjectWalOptions { planted_bug, ..ObjectWalOptions::default() };
    let options = match log {
        LogConfig::Files => defaults,
        LogConfig::Objects { flush_interval, max_batch_bytes, merge_bytes, .. } => {
            ObjectWalOptions {
                flush_interval: *flush_interval,
                max_batch_bytes: *max_batch_bytes,
                merge_bytes: *merge_bytes,
                ..defaults
            }
        }
    };
    ObjectWal::open(store, LOG_PREFIX, options)
}
