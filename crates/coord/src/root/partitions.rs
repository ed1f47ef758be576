//! Partitions: creating, dropping, and truncation, which gives every partition a new identity.

use std::sync::Arc;

use milvus_types::collection::DEFAULT_PARTITION;
use milvus_types::{Failure, Partition, PartitionId, Result, Timestamp};

use super::{Others, RootCoordinator};
use crate::data::DataCoordinator;
use crate::ids::Ids;
use crate::mix::StreamingSlot;
use crate::query::QueryCoordinator;

impl RootCoordinator {
    pub(crate) async fn create_partition(
        self: &Arc<Self>,
        db_name: &str,
        collection: &str,
        partition: &str,
        create_ts: Timestamp,
        ids: Arc<Ids>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), collection.to_owned());
        let partition = partition.to_owned();
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                if current.partition(&partition).is_some() {
                    return Ok(());
                }
                let (count, limit) = (current.partitions.len(), root.options.limits.partitions);
                if count >= limit {
                    return Err(Failure::parameter_invalid(format!(
                        "partition number ({count}) exceeds max configuration ({limit}), \
                         collection: {name}"
                    )));
                }
                root.check_capacity(current.vchannels.len())?;
                let id = PartitionId(ids.allocate(1).await?);
                let mut changed = (*current).clone();
                changed.partitions.push(Partition { id, name: partition, create_ts });
                root.change(&current, changed, &streaming).await
            })
            .await
    }

    pub(crate) async fn drop_partition(
        self: &Arc<Self>,
        db_name: &str,
        collection: &str,
        partition: &str,
        data: Arc<DataCoordinator>,
        query: Arc<QueryCoordinator>,
        streaming: Arc<StreamingSlot>,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), collection.to_owned());
        let partition = partition.to_owned();
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                if partition == DEFAULT_PARTITION {
                    return Err(Failure::parameter_invalid("default partition cannot be deleted"));
                }
                let Some(id) = current.partition(&partition).map(|found| found.id) else {
                    return Ok(());
                };
                if query.scope(current.id).covers(id) {
                    return Err(Failure::parameter_invalid(
                        "partition cannot be dropped, partition is loaded, please release it first",
                    ));
                }
                let mut changed = (*current).clone();
                changed.partitions.retain(|partition| partition.id != id);
                // Once this is saved the partition is gone, whatever happens next: manifests are
                // purged of unknown partitions when they are opened.
                root.change(&current, changed, &streaming).await?;
                data.drop_partition(current.id, id).await
            })
            .await
    }

    /// Rows belong to partitions by identity: new identities under the old names are the same
    /// collection without rows. What is written before this is decided goes, what is written after
    /// stays; a write that was routed before and arrives later is refused and tried again.
    pub(crate) async fn truncate_collection(
        self: &Arc<Self>,
        db_name: &str,
        collection: &str,
        create_ts: Timestamp,
        others: Others,
    ) -> Result<()> {
        let root = self.clone();
        let (db_name, name) = (db_name.to_owned(), collection.to_owned());
        self.decisions
            .run(async move {
                let current = root.by_name(&db_name, &name)?;
                let mut changed = (*current).clone();
                let first = others.ids.allocate(changed.partitions.len() as u64).await?;
                for (id, partition) in (first..).zip(&mut changed.partitions) {
                    partition.id = PartitionId(id);
                    partition.create_ts = create_ts;
                }
                let renewed: Vec<(PartitionId, PartitionId)> = current
                    .partitions
                    .iter()
                    .zip(&changed.partitions)
                    .map(|(old, new)| (old.id, new.id))
                    .collect();
                let load = others.query.renewed(current.id, &renewed);
                root.replace_with(&current, &changed, |transaction| match &load {
                    Some(load) => transaction.put(load),
                    None => transaction,
                })
                .await?;
                others.query.renew(current.id, &renewed);
                let changed = Arc::new(changed);
                root.state.write().put(changed.clone());
                others.streaming.get()?.collection_changed(changed).await?;
                others.query.follow(current.id).await?;
                for (old, _) in renewed {
                    others.data.drop_partition(current.id, old).await?;
                }
                tracing::info!(collection = %current.name, id = %current.id, "collection truncated");
                Ok(())
            })
            .await
    }
}
