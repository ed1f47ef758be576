//! Partitions: create, drop, has, show, statistics.

use milvus_proto::{common, milvus as pb};
use milvus_types::{CollectionId, Result};

use super::call::Call;
use super::collection::row_count;
use crate::wire::status::success;

pub(super) async fn create(
    call: &Call<'_>,
    request: pb::CreatePartitionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.create_partition(&cx, &request.collection_name, &request.partition_name).await?;
    Ok(success())
}

pub(super) async fn drop(
    call: &Call<'_>,
    request: pb::DropPartitionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.drop_partition(&cx, &request.collection_name, &request.partition_name).await?;
    Ok(success())
}

pub(super) async fn has(
    call: &Call<'_>,
    request: pb::HasPartitionRequest,
) -> Result<pb::BoolResponse> {
    let cx = call.context(&request.db_name);
    let value =
        call.proxy.has_partition(&cx, &request.collection_name, &request.partition_name).await?;
    Ok(pb::BoolResponse { status: Some(success()), value })
}

#[expect(deprecated, reason = "old SDKs ask for loaded partitions this way")]
pub(super) async fn show(
    call: &Call<'_>,
    request: pb::ShowPartitionsRequest,
) -> Result<pb::ShowPartitionsResponse> {
    let cx = call.context(&request.db_name);
    let mut name = request.collection_name;
    if name.is_empty() && request.collection_id != 0 {
        let id = Some(CollectionId(request.collection_id));
        let described = call.proxy.describe_collection(&cx, "", id).await?;
        name.clone_from(&described.collection.name);
    }
    let mut listed = call.proxy.show_partitions(&cx, &name).await?;
    let is_loaded_only = request.r#type == i32::from(pb::ShowType::InMemory);
    if is_loaded_only {
        let asked_for = &request.partition_names;
        listed.retain(|entry| asked_for.is_empty() || asked_for.contains(&entry.name));
    }
    Ok(pb::ShowPartitionsResponse {
        status: Some(success()),
        partition_names: listed.iter().map(|entry| entry.name.clone()).collect(),
        partition_i_ds: listed.iter().map(|entry| entry.id.0).collect(),
        created_timestamps: listed.iter().map(|entry| entry.create_ts.0).collect(),
        created_utc_timestamps: listed.iter().map(|entry| entry.create_ts.physical_ms()).collect(),
        in_memory_percentages: if is_loaded_only {
            listed.iter().map(|entry| entry.loaded_percent).collect()
        } else {
            Vec::new()
        },
    })
}

pub(super) async fn statistics(
    call: &Call<'_>,
    request: pb::GetPartitionStatisticsRequest,
) -> Result<pb::GetPartitionStatisticsResponse> {
    let cx = call.context(&request.db_name);
    let rows = call
        .proxy
        .partition_statistics(&cx, &request.collection_name, &request.partition_name)
        .await?;
    Ok(pb::GetPartitionStatisticsResponse { status: Some(success()), stats: row_count(rows) })
}
