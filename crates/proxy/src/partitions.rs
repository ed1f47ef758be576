//! Partitions: create, drop, has, list, count.

use milvus_roles::LoadStatus;
use milvus_types::{Collection, Failure, PartitionId, Result};

use crate::Proxy;
use crate::api::{Context, ListedPartition};
use crate::proxy::partition_id;
use crate::validate::names;

impl Proxy {
    /// Creates a partition; an existing one is a success.
    pub async fn create_partition(
        &self,
        cx: &Context,
        collection: &str,
        partition: &str,
    ) -> Result<()> {
        let described = self.named_collection(cx, collection).await?;
        no_partition_key(&described, "create partition")?;
        names::partition(partition, true, self.options().limits.name_length)?;
        self.root().create_partition(&cx.db_name, &described.name, partition).await
    }

    /// Drops a partition; an unknown one is a success, a loaded one is refused.
    pub async fn drop_partition(
        &self,
        cx: &Context,
        collection: &str,
        partition: &str,
    ) -> Result<()> {
        let described = self.named_collection(cx, collection).await?;
        no_partition_key(&described, "drop partition")?;
        names::partition(partition, true, self.options().limits.name_length)?;
        let Some(found) = described.partition(partition) else {
            return Ok(());
        };
        let status = self.query_coord().load_status(described.id).await?;
        if status.is_some_and(|status| is_loaded(&status, found.id)) {
            return Err(Failure::parameter_invalid(
                "partition cannot be dropped, partition is loaded, please release it first",
            ));
        }
        if partition == milvus_types::collection::DEFAULT_PARTITION {
            return Err(Failure::parameter_invalid("default partition cannot be deleted"));
        }
        self.root().drop_partition(&cx.db_name, &described.name, partition).await
    }

    /// Whether a collection has a partition.
    pub async fn has_partition(
        &self,
        cx: &Context,
        collection: &str,
        partition: &str,
    ) -> Result<bool> {
        let max_length = self.options().limits.name_length;
        names::collection(collection, max_length)?;
        names::partition(partition, true, max_length)?;
        Ok(self.collection(cx, collection).await?.partition(partition).is_some())
    }

    /// The partitions of a collection, in order of creation.
    pub async fn show_partitions(
        &self,
        cx: &Context,
        collection: &str,
    ) -> Result<Vec<ListedPartition>> {
        let collection = self.named_collection(cx, collection).await?;
        let status = self.query_coord().load_status(collection.id).await?;
        let listed = collection.partitions.iter().map(|partition| ListedPartition {
            id: partition.id,
            name: partition.name.clone(),
            create_ts: partition.create_ts,
            loaded_percent: match &status {
                Some(status) if is_loaded(status, partition.id) => status.progress,
                _ => 0,
            },
        });
        Ok(listed.collect())
    }

    /// How many rows a partition has, deleted ones included until compaction.
    pub async fn partition_statistics(
        &self,
        cx: &Context,
        collection: &str,
        partition: &str,
    ) -> Result<u64> {
        let collection = self.named_collection(cx, collection).await?;
        let partition = partition_id(&collection, partition)?;
        let segments = self.data().list_segments(collection.id).await?;
        let of_partition = segments.iter().filter(|segment| segment.partition_id == partition);
        Ok(of_partition.map(|segment| segment.rows).sum())
    }
}

/// Partitions of a partition key are the server's own: `disable .. if partition key mode is used`.
pub(crate) fn no_partition_key(collection: &Collection, what: &str) -> Result<()> {
    if collection.schema.partition_key().is_none() {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("disable {what} if partition key mode is used")))
}

/// Whether what is loaded, or on its way, includes `partition`.
pub(crate) fn is_loaded(status: &LoadStatus, partition: PartitionId) -> bool {
    status.state != milvus_roles::LoadState::NotLoad
        && status.partitions.as_ref().is_none_or(|loaded| loaded.contains(&partition))
}
