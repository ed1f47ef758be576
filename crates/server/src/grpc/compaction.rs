//! Compaction: asked for, and how far it is. Nothing is compacted yet, so there is never anything
//! under way.

use std::future::{Ready, ready};

use milvus_proto::{common, milvus as pb};
use milvus_types::{CollectionId, Result};

use super::call::Call;
use crate::wire::status::success;

pub(super) async fn start(
    call: &Call<'_>,
    request: pb::ManualCompactionRequest,
) -> Result<pb::ManualCompactionResponse> {
    let cx = call.context(&request.db_name);
    let id = CollectionId(request.collection_id);
    let compaction = call.proxy.compact(&cx, &request.collection_name, id).await?;
    Ok(pb::ManualCompactionResponse {
        status: Some(success()),
        compaction_id: compaction.id,
        compaction_plan_count: compaction.plan_count,
    })
}

pub(super) fn state(
    _: &Call<'_>,
    _: pb::GetCompactionStateRequest,
) -> Ready<Result<pb::GetCompactionStateResponse>> {
    ready(Ok(pb::GetCompactionStateResponse {
        status: Some(success()),
        state: common::CompactionState::Completed.into(),
        ..Default::default()
    }))
}

pub(super) fn plans(
    _: &Call<'_>,
    _: pb::GetCompactionPlansRequest,
) -> Ready<Result<pb::GetCompactionPlansResponse>> {
    ready(Ok(pb::GetCompactionPlansResponse {
        status: Some(success()),
        state: common::CompactionState::Completed.into(),
        merge_infos: Vec::new(),
    }))
}
