//! Segments, as `GetPersistentSegmentInfo` lists them.

use milvus_proto::{common, milvus as pb};
use milvus_roles::SegmentState;
use milvus_types::Result;

use super::call::Call;
use crate::wire::status::success;

pub(super) async fn list(
    call: &Call<'_>,
    request: pb::GetPersistentSegmentInfoRequest,
) -> Result<pb::GetPersistentSegmentInfoResponse> {
    let cx = call.context(&request.db_name);
    let (collection_id, segments) = call.proxy.list_segments(&cx, &request.collection_name).await?;
    let sorted = call.proxy.sorted_segments(collection_id).await?;
    let state = |state| match state {
        SegmentState::Growing => common::SegmentState::Growing,
        SegmentState::Flushing => common::SegmentState::Flushing,
        SegmentState::Flushed => common::SegmentState::Flushed,
    };
    let infos = segments.into_iter().map(|segment| pb::PersistentSegmentInfo {
        segment_id: segment.id.0,
        collection_id: collection_id.0,
        partition_id: segment.partition_id.0,
        num_rows: i64::try_from(segment.rows).unwrap_or(i64::MAX),
        state: state(segment.state).into(),
        level: segment.level.number(),
        is_sorted: sorted.contains(&segment.id),
        storage_version: 0,
    });
    Ok(pb::GetPersistentSegmentInfoResponse { status: Some(success()), infos: infos.collect() })
}
