//! Compaction as clients ask for it: begun by hand, and how far it is.

use milvus_roles::{CompactCollection, CompactionJob, CompactionKind};
use milvus_types::{CollectionId, PartitionId, Result, VChannel};

use crate::Proxy;
use crate::api::{CompactRequest, Context};

impl Proxy {
    /// Begins to compact a collection, by name or, where that is empty, by identity.
    pub async fn compact(&self, cx: &Context, request: CompactRequest) -> Result<CompactionJob> {
        let collection = if request.collection_name.is_empty() {
            self.root().describe_collection_by_id(CollectionId(request.collection_id)).await?
        } else {
            self.collection(cx, &request.collection_name).await?
        };
        let partition = PartitionId(request.partition_id);
        let vchannel = (!request.vchannel.is_empty()).then_some(request.vchannel);
        let request = CompactCollection {
            collection_id: collection.id,
            kind: kind_of(request.target_mib, request.is_deletes, request.is_clustering),
            partition_id: (partition.0 != 0).then_some(partition),
            vchannel: vchannel.as_deref().map(VChannel::from_name),
            segments: request.segments,
        };
        self.data().compact(request).await
    }

    /// How far a compaction is; one that is not known (any more) is done.
    pub async fn compaction(&self, id: i64) -> Result<CompactionJob> {
        self.data().compaction_job(id).await
    }
}

/// Of what a request asks for at once, Milvus heeds the target size, then deletes, then clustering.
fn kind_of(target_mib: i64, is_deletes: bool, is_clustering: bool) -> CompactionKind {
    match (target_mib, is_deletes, is_clustering) {
        (0, false, false) => CompactionKind::Merge,
        (0, true, _) => CompactionKind::Deletes,
        (0, false, true) => CompactionKind::Clustering,
        (target, _, _) => {
            CompactionKind::Force { target_mib: u64::try_from(target).unwrap_or_default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_size_comes_before_deletes_and_those_before_clustering() {
        assert_eq!(kind_of(0, false, false), CompactionKind::Merge);
        assert_eq!(kind_of(2048, true, true), CompactionKind::Force { target_mib: 2048 });
        assert_eq!(kind_of(0, true, true), CompactionKind::Deletes);
        assert_eq!(kind_of(0, false, true), CompactionKind::Clustering);
        assert_eq!(kind_of(-1, false, false), CompactionKind::Force { target_mib: 0 });
    }
}
