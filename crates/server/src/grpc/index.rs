//! Indexes: create, drop, describe, and how far they are.

use milvus_proto::{common, milvus as pb};
use milvus_proxy::api::{CreateIndexRequest, DescribedIndex};
use milvus_types::{IndexState, Result};

use super::call::Call;
use crate::wire::key_values;
use crate::wire::status::success;

pub(super) async fn create(
    call: &Call<'_>,
    request: pb::CreateIndexRequest,
) -> Result<common::Status> {
    let create = CreateIndexRequest {
        collection_name: request.collection_name,
        field_name: request.field_name,
        index_name: request.index_name,
        params: key_values::from_wire(request.extra_params),
    };
    call.proxy.create_index(&call.context(&request.db_name), create).await?;
    Ok(success())
}

pub(super) async fn drop(call: &Call<'_>, request: pb::DropIndexRequest) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy
        .drop_index(&cx, &request.collection_name, &request.field_name, &request.index_name)
        .await?;
    Ok(success())
}

pub(super) async fn describe(
    call: &Call<'_>,
    request: pb::DescribeIndexRequest,
) -> Result<pb::DescribeIndexResponse> {
    let cx = call.context(&request.db_name);
    let pb::DescribeIndexRequest { collection_name, field_name, index_name, timestamp, .. } =
        request;
    let indexes = call
        .proxy
        .describe_index(&cx, &collection_name, &field_name, &index_name, timestamp)
        .await?;
    Ok(pb::DescribeIndexResponse {
        status: Some(success()),
        index_descriptions: indexes.iter().map(description).collect(),
    })
}

pub(super) async fn statistics(
    call: &Call<'_>,
    request: pb::GetIndexStatisticsRequest,
) -> Result<pb::GetIndexStatisticsResponse> {
    let cx = call.context(&request.db_name);
    let indexes = call
        .proxy
        .describe_index(&cx, &request.collection_name, "", &request.index_name, request.timestamp)
        .await?;
    Ok(pb::GetIndexStatisticsResponse {
        status: Some(success()),
        index_descriptions: indexes.iter().map(description).collect(),
    })
}

pub(super) async fn state(
    call: &Call<'_>,
    request: pb::GetIndexStateRequest,
) -> Result<pb::GetIndexStateResponse> {
    let cx = call.context(&request.db_name);
    let pb::GetIndexStateRequest { collection_name, field_name, index_name, .. } = request;
    let indexes =
        call.proxy.describe_index(&cx, &collection_name, &field_name, &index_name, 0).await?;
    let worst = indexes.iter().max_by_key(|index| urgency(index.progress.state));
    Ok(pb::GetIndexStateResponse {
        status: Some(success()),
        state: worst
            .map_or(common::IndexState::None, |index| state_to_wire(index.progress.state))
            .into(),
        fail_reason: worst.map(|index| index.progress.fail_reason.clone()).unwrap_or_default(),
    })
}

pub(super) async fn progress(
    call: &Call<'_>,
    request: pb::GetIndexBuildProgressRequest,
) -> Result<pb::GetIndexBuildProgressResponse> {
    let cx = call.context(&request.db_name);
    let pb::GetIndexBuildProgressRequest { collection_name, field_name, index_name, .. } = request;
    let indexes =
        call.proxy.describe_index(&cx, &collection_name, &field_name, &index_name, 0).await?;
    let slowest = indexes.iter().map(|index| &index.progress).max_by_key(|at| at.pending_rows);
    Ok(pb::GetIndexBuildProgressResponse {
        status: Some(success()),
        indexed_rows: slowest.map_or(0, |at| rows(at.indexed_rows)),
        total_rows: slowest.map_or(0, |at| rows(at.total_rows)),
    })
}

fn description(described: &DescribedIndex) -> pb::IndexDescription {
    let DescribedIndex { index, field_name, progress } = described;
    pb::IndexDescription {
        index_name: index.name.clone(),
        index_id: index.id.0,
        params: key_values::to_wire(&index.user_params),
        field_name: field_name.clone(),
        indexed_rows: rows(progress.indexed_rows),
        total_rows: rows(progress.total_rows),
        state: state_to_wire(progress.state).into(),
        index_state_fail_reason: progress.fail_reason.clone(),
        pending_index_rows: rows(progress.pending_rows),
        min_index_version: 0,
        max_index_version: 0,
    }
}

fn rows(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn state_to_wire(state: IndexState) -> common::IndexState {
    match state {
        IndexState::None => common::IndexState::None,
        IndexState::Unissued => common::IndexState::Unissued,
        IndexState::InProgress => common::IndexState::InProgress,
        IndexState::Finished => common::IndexState::Finished,
        IndexState::Failed => common::IndexState::Failed,
        IndexState::Retry => common::IndexState::Retry,
    }
}

/// Which state speaks for several indexes: a failed one first, then one that is not done.
fn urgency(state: IndexState) -> u8 {
    match state {
        IndexState::None => 0,
        IndexState::Finished => 1,
        IndexState::Unissued => 2,
        IndexState::Retry => 3,
        IndexState::InProgress => 4,
        IndexState::Failed => 5,
    }
}
