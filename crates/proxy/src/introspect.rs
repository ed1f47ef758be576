//! What clients ask to see of a loaded collection: its replica and the segments that answer reads.

use std::sync::Arc;

use milvus_roles::{LoadState, SegmentState};
use milvus_types::{CollectionId, IndexMeta, Result};

use crate::Proxy;
use crate::api::{Context, ReplicaReply, ServedSegment};
use crate::partitions::is_loaded;

impl Proxy {
    /// The replica of a collection, by name or, where `name` is empty, by `id`; `None` where it is
    /// not loaded.
    pub async fn replica(
        &self,
        cx: &Context,
        name: &str,
        id: CollectionId,
    ) -> Result<Option<ReplicaReply>> {
        let collection = if name.is_empty() {
            self.root().describe_collection_by_id(id).await?
        } else {
            self.collection(cx, name).await?
        };
        let status = self.query_coord().load_status(collection.id).await?;
        Ok(status.filter(|status| status.state != LoadState::NotLoad).map(|status| {
            let loaded = collection.partitions.iter().map(|partition| partition.id);
            ReplicaReply {
                collection_id: collection.id,
                partitions: loaded.filter(|partition| is_loaded(&status, *partition)).collect(),
                vchannels: collection.vchannels.clone(),
            }
        }))
    }

    /// The sealed segments of a collection that answer reads; none where it is not loaded.
    pub async fn served_segments(
        &self,
        cx: &Context,
        name: &str,
    ) -> Result<(CollectionId, Vec<ServedSegment>)> {
        let collection = self.collection(cx, name).await?;
        let Some(status) = self.query_coord().load_status(collection.id).await? else {
            return Ok((collection.id, Vec::new()));
        };
        let indexes = self.data().list_indexes(collection.id).await?;
        let of_vectors: Vec<&Arc<IndexMeta>> = indexes
            .iter()
            .filter(|index| {
                let field = collection.schema.field_by_id(index.field_id);
                field.is_some_and(|field| field.data_type.is_vector())
            })
            .collect();
        let segments = self.data().list_segments(collection.id).await?;
        // Those in memory only are not listed, as in Milvus.
        let served = segments.into_iter().filter(|one| {
            one.state == SegmentState::Flushed && is_loaded(&status, one.partition_id)
        });
        let served = served.map(|segment| ServedSegment {
            index: of_vectors
                .iter()
                .find(|index| segment.indexes.contains(&index.id))
                .map(|index| (index.name.clone(), index.id)),
            id: segment.id,
            partition_id: segment.partition_id,
            rows: segment.rows,
            bytes: segment.bytes,
        });
        Ok((collection.id, served.collect()))
    }
}
