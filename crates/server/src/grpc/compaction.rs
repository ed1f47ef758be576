//! Compaction: begun by hand, and how far it is.

use milvus_proto::{common, milvus as pb};
use milvus_proxy::api::CompactRequest;
use milvus_roles::{CompactionJob, CompactionPlan, CompactionPlanState};
use milvus_types::{Result, SegmentId};

use super::call::Call;
use crate::wire::status::success;

/// What a plan without a result has for a target.
const NO_TARGET: i64 = -1;

pub(super) async fn start(
    call: &Call<'_>,
    request: pb::ManualCompactionRequest,
) -> Result<pb::ManualCompactionResponse> {
    let cx = call.context(&request.db_name);
    let request = CompactRequest {
        collection_name: request.collection_name,
        collection_id: request.collection_id,
        partition_id: request.partition_id,
        vchannel: request.channel,
        segments: request.segment_ids.into_iter().map(SegmentId).collect(),
        is_clustering: request.major_compaction,
        is_deletes: request.l0_compaction,
        target_mib: request.target_size,
    };
    let job = call.proxy.compact(&cx, request).await?;
    Ok(pb::ManualCompactionResponse {
        status: Some(success()),
        compaction_id: job.id,
        compaction_plan_count: i32::try_from(job.plans.len()).unwrap_or(i32::MAX),
    })
}

pub(super) async fn state(
    call: &Call<'_>,
    request: pb::GetCompactionStateRequest,
) -> Result<pb::GetCompactionStateResponse> {
    let job = call.proxy.compaction(request.compaction_id).await?;
    let count = |state| i64::try_from(job.count(state)).unwrap_or(i64::MAX);
    Ok(pb::GetCompactionStateResponse {
        status: Some(success()),
        state: state_of(&job).into(),
        executing_plan_no: count(CompactionPlanState::Executing),
        timeout_plan_no: 0,
        completed_plan_no: count(CompactionPlanState::Completed),
        failed_plan_no: count(CompactionPlanState::Failed),
    })
}

pub(super) async fn plans(
    call: &Call<'_>,
    request: pb::GetCompactionPlansRequest,
) -> Result<pb::GetCompactionPlansResponse> {
    let job = call.proxy.compaction(request.compaction_id).await?;
    Ok(pb::GetCompactionPlansResponse {
        status: Some(success()),
        state: state_of(&job).into(),
        merge_infos: job.plans.iter().map(merge_info).collect(),
    })
}

/// As in Milvus: what is not under way is completed, failures counted beside it.
fn state_of(job: &CompactionJob) -> common::CompactionState {
    match job.is_done() {
        true => common::CompactionState::Completed,
        false => common::CompactionState::Executing,
    }
}

fn merge_info(plan: &CompactionPlan) -> pb::CompactionMergeInfo {
    pb::CompactionMergeInfo {
        sources: plan.sources.iter().map(|segment| segment.0).collect(),
        target: plan.targets.first().map_or(NO_TARGET, |segment| segment.0),
    }
}
