//! What is certain of each log: how far it was cut, and how far it has reached.
//!
//! The shards of a log that need nothing of it do not write their checkpoints anew whenever it is
//! cut behind them; one entry for each log says instead that it was cut on purpose.

use std::sync::Arc;

use milvus_meta::LogCutEntry;
use milvus_roles::LogBounds;
use milvus_types::{Failure, Result};

use super::{DataCoordinator, Parts};

impl DataCoordinator {
    pub(crate) async fn log_bounds(&self, pchannel: &str) -> Result<LogBounds> {
        let cut = cut(&self.parts, pchannel).await?;
        let manifests = self.manifests.read();
        let checkpoints = manifests.values().flat_map(|manifest| &manifest.checkpoints);
        let own = checkpoints.filter(|checkpoint| checkpoint.vchannel.pchannel() == pchannel);
        let reached = own.map(|checkpoint| checkpoint.position).chain(cut).max();
        Ok(LogBounds { cut, reached: reached.unwrap_or(0) })
    }

    /// Raises the mark: cuts of one log may come here in another order than they were decided in.
    pub(crate) async fn log_cut(self: &Arc<Self>, pchannel: &str, before: u64) -> Result<()> {
        self.mark(pchannel, before, move |cut| before > cut).await
    }

    pub(crate) async fn log_renewed(self: &Arc<Self>, pchannel: &str, position: u64) -> Result<()> {
        self.mark(pchannel, position, |_| true).await
    }

    /// Sets the mark to `before`, if `raises` says so of the one that is there.
    async fn mark(
        self: &Arc<Self>,
        pchannel: &str,
        before: u64,
        raises: impl FnOnce(u64) -> bool + Send + 'static,
    ) -> Result<()> {
        let (data, pchannel) = (self.clone(), pchannel.to_owned());
        self.decisions
            .run(async move {
                if cut(&data.parts, &pchannel).await?.is_some_and(|cut| !raises(cut)) {
                    return Ok(());
                }
                let stored = data.parts.catalogue.put(&LogCutEntry { pchannel, before }).await;
                stored.map_err(|error| Failure::from(&error))
            })
            .await
    }
}

async fn cut(parts: &Parts, pchannel: &str) -> Result<Option<u64>> {
    let stored = parts.catalogue.get::<LogCutEntry>(&pchannel.to_owned()).await;
    let stored = stored.map_err(|error| Failure::from(&error))?;
    Ok(stored.map(|stored| stored.entry.before))
}
