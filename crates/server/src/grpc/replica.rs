//! Who serves a collection: its one replica and the segments that answer reads.

use std::collections::HashMap;

use milvus_proto::{common, milvus as pb};
use milvus_proxy::api::{ReplicaReply, ServedSegment};
use milvus_types::{CollectionId, Result};

use super::call::Call;
use super::connection::NODE_ID;
use crate::wire::status::success;

/// The one resource group there is.
const RESOURCE_GROUP: &str = "__default_resource_group";

pub(super) async fn replicas(
    call: &Call<'_>,
    request: pb::GetReplicasRequest,
) -> Result<pb::GetReplicasResponse> {
    let cx = call.context(&request.db_name);
    let id = CollectionId(request.collection_id);
    let replica = call.proxy.replica(&cx, &request.collection_name, id).await?;
    Ok(pb::GetReplicasResponse {
        status: Some(success()),
        replicas: replica.iter().map(replica_to_wire).collect(),
    })
}

fn replica_to_wire(replica: &ReplicaReply) -> pb::ReplicaInfo {
    let shard = |channel: &milvus_types::VChannel| pb::ShardReplica {
        leader_id: NODE_ID,
        leader_addr: String::new(),
        dm_channel_name: channel.as_str().to_owned(),
        node_ids: vec![NODE_ID],
    };
    pb::ReplicaInfo {
        // There is one replica of a collection, so that the collection names it.
        replica_id: replica.collection_id.0,
        collection_id: replica.collection_id.0,
        partition_ids: replica.partitions.iter().map(|partition| partition.0).collect(),
        shard_replicas: replica.vchannels.iter().map(shard).collect(),
        node_ids: vec![NODE_ID],
        resource_group_name: RESOURCE_GROUP.to_owned(),
        num_outbound_node: HashMap::new(),
    }
}

pub(super) async fn segments(
    call: &Call<'_>,
    request: pb::GetQuerySegmentInfoRequest,
) -> Result<pb::GetQuerySegmentInfoResponse> {
    let cx = call.context(&request.db_name);
    let (collection, served) = call.proxy.served_segments(&cx, &request.collection_name).await?;
    Ok(pb::GetQuerySegmentInfoResponse {
        status: Some(success()),
        infos: served.into_iter().map(|one| segment_to_wire(collection, one)).collect(),
    })
}

#[expect(deprecated, reason = "old SDKs read the one node")]
fn segment_to_wire(collection: CollectionId, segment: ServedSegment) -> pb::QuerySegmentInfo {
    let (index_name, index_id) = match segment.index {
        Some((name, id)) => (name, id.0),
        None => (String::new(), 0),
    };
    pb::QuerySegmentInfo {
        segment_id: segment.id.0,
        collection_id: collection.0,
        partition_id: segment.partition_id.0,
        mem_size: i64::try_from(segment.bytes).unwrap_or(i64::MAX),
        num_rows: i64::try_from(segment.rows).unwrap_or(i64::MAX),
        index_name,
        index_id,
        node_id: NODE_ID,
        state: common::SegmentState::Sealed.into(),
        node_ids: vec![NODE_ID],
        level: common::SegmentLevel::L1.into(),
        is_sorted: false,
        storage_version: 0,
    }
}
