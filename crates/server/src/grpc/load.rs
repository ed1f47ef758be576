//! Load and release, of collections and partitions, and how far loading is.

use milvus_proto::{common, milvus as pb};
use milvus_proxy::api::{LoadApiRequest, LoadStateReply};
use milvus_roles::LoadState;
use milvus_types::Result;

use super::call::Call;
use crate::wire::status::success;

pub(super) async fn load_collection(
    call: &Call<'_>,
    request: pb::LoadCollectionRequest,
) -> Result<common::Status> {
    let load = LoadApiRequest {
        collection_name: request.collection_name,
        partition_names: None,
        replica_number: request.replica_number,
        resource_groups: request.resource_groups,
        refresh: request.refresh,
        load_fields: request.load_fields,
        skip_load_dynamic_field: request.skip_load_dynamic_field,
    };
    call.proxy.load(&call.context(&request.db_name), load).await?;
    Ok(success())
}

pub(super) async fn load_partitions(
    call: &Call<'_>,
    request: pb::LoadPartitionsRequest,
) -> Result<common::Status> {
    let load = LoadApiRequest {
        collection_name: request.collection_name,
        partition_names: Some(request.partition_names),
        replica_number: request.replica_number,
        resource_groups: request.resource_groups,
        refresh: request.refresh,
        load_fields: request.load_fields,
        skip_load_dynamic_field: request.skip_load_dynamic_field,
    };
    call.proxy.load(&call.context(&request.db_name), load).await?;
    Ok(success())
}

pub(super) async fn release_collection(
    call: &Call<'_>,
    request: pb::ReleaseCollectionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.release(&cx, &request.collection_name, None).await?;
    Ok(success())
}

pub(super) async fn release_partitions(
    call: &Call<'_>,
    request: pb::ReleasePartitionsRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.release(&cx, &request.collection_name, Some(request.partition_names)).await?;
    Ok(success())
}

pub(super) async fn progress(
    call: &Call<'_>,
    request: pb::GetLoadingProgressRequest,
) -> Result<pb::GetLoadingProgressResponse> {
    let cx = call.context(&request.db_name);
    let progress = call
        .proxy
        .loading_progress(&cx, &request.collection_name, &request.partition_names)
        .await?;
    // What is loaded is kept up to date by itself, so a refresh is as far as the load.
    Ok(pb::GetLoadingProgressResponse {
        status: Some(success()),
        progress,
        refresh_progress: progress,
    })
}

pub(super) async fn state(
    call: &Call<'_>,
    request: pb::GetLoadStateRequest,
) -> Result<pb::GetLoadStateResponse> {
    let cx = call.context(&request.db_name);
    let state =
        call.proxy.load_state(&cx, &request.collection_name, &request.partition_names).await?;
    let state = match state {
        LoadStateReply::NotExist => common::LoadState::NotExist,
        LoadStateReply::Known(LoadState::NotLoad) => common::LoadState::NotLoad,
        LoadStateReply::Known(LoadState::Loading) => common::LoadState::Loading,
        LoadStateReply::Known(LoadState::Loaded) => common::LoadState::Loaded,
    };
    Ok(pb::GetLoadStateResponse { status: Some(success()), state: state.into() })
}
