//! `milvus check`: verifies what a data directory and its object storage hold, and with `--repair` puts
//! aside what is damaged. What is verified and how: `milvus_check`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use milvus_base::Clock;
use milvus_check::{
    CheckError, CheckOptions, DataDir, DataDirError, LogSource, Overlay, RepairError, RepairOptions,
};
use milvus_storage::{ObjectStore, RemoteConfig, RemoteStore, StoreError};
use milvus_wal::PlantedBug;
use serde::Serialize;

use crate::cli::Check;
use crate::config::{Config, LogConfig, StorageConfig};
use crate::placement;
use crate::storage::{self, LOCAL_OBJECT_LOG};

/// Why nothing was checked, or a repair stopped.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailed {
    /// The directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The object storage.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// The check.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The repair.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

/// Checks, and repairs if asked to; gives the exit status: 0 if the data is sound, else 1.
pub async fn check(config: &Config, asked_for: &Check) -> Result<u8, CheckFailed> {
    let dir = match asked_for.repair && !asked_for.dry_run {
        true => DataDir::lock(&config.data_dir).await?,
        false => DataDir::open(&config.data_dir).await?,
    };
    let (dir, remote) = match &config.storage {
        StorageConfig::Local => (dir, None),
        StorageConfig::Remote { store, .. } => {
            let config = RemoteConfig { make_bucket: false, ..(**store).clone() };
            let remote = RemoteStore::open(config, Clock::system()).await?;
            let remote: Arc<dyn ObjectStore> = Arc::new(remote);
            (dir.with_store(remote.clone()), Some(remote))
        }
    };
    let dir = match object_log(config, &dir, remote).await? {
        Some(log) => dir.with_log(log),
        None => dir,
    };
    let dir = dir.with_placement(placement::configured(config));
    let mut options = CheckOptions::default();
    if io::stderr().is_terminal() {
        options.on_progress = Some(Arc::new(|progress| eprintln!("{progress}")));
    }
    if asked_for.repair {
        let options =
            RepairOptions { check: options, dry_run: asked_for.dry_run, clock: Clock::system() };
        let repair = milvus_check::repair(dir.target(), &options).await?;
        show(&repair, asked_for.json)?;
        return Ok(repair.exit_code());
    }
    let report = milvus_check::check(dir.target(), &options).await?;
    show(&report, asked_for.json)?;
    Ok(report.exit_code())
}

/// The log where it is one of objects, seen without leaving a trace in it.
async fn object_log(
    config: &Config,
    dir: &DataDir,
    remote: Option<Arc<dyn ObjectStore>>,
) -> Result<Option<LogSource>, CheckFailed> {
    let LogConfig::Objects { in_data_dir, .. } = &config.log else { return Ok(None) };
    let store: Arc<dyn ObjectStore> = match remote.filter(|_| !in_data_dir) {
        Some(remote) => remote,
        None => match dir.store_in(LOCAL_OBJECT_LOG).await? {
            Some(local) => Arc::new(local),
            None => return Ok(Some(LogSource::Gone)),
        },
    };
    let seen = Overlay::new(store);
    let log = storage::object_log(&config.log, Arc::new(seen.clone()), PlantedBug::None);
    Ok(Some(LogSource::Over(seen, Arc::new(log))))
}

fn show<R: Serialize + std::fmt::Display>(report: &R, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(report)?),
        false => writeln!(out, "{report}"),
    }
}
