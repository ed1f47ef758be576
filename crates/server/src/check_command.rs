//! `milvus check`: verifies what a data directory and its object storage hold, and with `--repair` puts
//! aside what is damaged. What is verified and how: `milvus_check`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use milvus_base::Clock;
use milvus_check::{CheckError, CheckOptions, DataDir, DataDirError, RepairError, RepairOptions};
use milvus_storage::{ObjectStore, RemoteStore, StoreError};
use serde::Serialize;

use crate::cli::Check;
use crate::config::{Config, StorageConfig};

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
    let dir = match &config.storage {
        StorageConfig::Local => dir,
        StorageConfig::Remote { store, .. } => {
            let remote = RemoteStore::open((**store).clone(), Clock::system()).await?;
            let remote: Arc<dyn ObjectStore> = Arc::new(remote);
            dir.with_store(remote)
        }
    };
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

fn show<R: Serialize + std::fmt::Display>(report: &R, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(report)?),
        false => writeln!(out, "{report}"),
    }
}
