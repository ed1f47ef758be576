//! Flush, of collections and of all, and its polling.

use std::collections::HashMap;

use milvus_proto::flush::{FlushResponse, SegmentsEntry};
use milvus_proto::{milvus as pb, schema};
use milvus_proxy::api::{FlushStateRequest, FlushedCollection};
use milvus_types::{ErrorCode, Failure, Result, SegmentId, Timestamp};

use super::call::Call;
use crate::wire::status::success;

pub(super) async fn flush(call: &Call<'_>, request: pb::FlushRequest) -> Result<FlushResponse> {
    let cx = call.context(&request.db_name);
    let flushed = call.proxy.flush(&cx, &request.collection_names).await?;
    Ok(FlushResponse {
        status: Some(success()),
        db_name: cx.db_name,
        coll_seg_i_ds: segments(&flushed, |one| &one.ticket.sealed),
        flush_coll_seg_i_ds: segments(&flushed, |one| &one.ticket.flushed),
        coll_seal_times: by_name(&flushed, |one| {
            i64::try_from(one.seal_time_ms / 1000).unwrap_or(i64::MAX)
        }),
        coll_flush_ts: by_name(&flushed, |one| one.ticket.flush_ts.0),
        channel_cps: HashMap::new(),
    })
}

pub(super) async fn state(
    call: &Call<'_>,
    request: pb::GetFlushStateRequest,
) -> Result<pb::GetFlushStateResponse> {
    let cx = call.context(&request.db_name);
    let state = FlushStateRequest {
        segments: request.segment_i_ds.into_iter().map(SegmentId).collect(),
        flush_ts: request.flush_ts,
        collection_name: request.collection_name,
    };
    let flushed = call.proxy.flush_state(&cx, state).await?;
    Ok(pb::GetFlushStateResponse { status: Some(success()), flushed })
}

#[expect(deprecated, reason = "SDKs poll with this timestamp")]
pub(super) async fn flush_all(
    call: &Call<'_>,
    _: pb::FlushAllRequest,
) -> Result<pb::FlushAllResponse> {
    let flush_all_ts = call.proxy.flush_all().await?.0;
    Ok(pb::FlushAllResponse { status: Some(success()), flush_all_ts, ..Default::default() })
}

#[expect(deprecated, reason = "SDKs poll with this timestamp")]
pub(super) async fn all_state(
    call: &Call<'_>,
    request: pb::GetFlushAllStateRequest,
) -> Result<pb::GetFlushAllStateResponse> {
    let of_channels = request.flush_all_tss.values().copied().max();
    let Some(flush_ts) =
        of_channels.or((request.flush_all_ts != 0).then_some(request.flush_all_ts))
    else {
        let text = "FlushAllTss or FlushAllTs is required";
        return Err(Failure::wrap(ErrorCode::ParameterMissing, text));
    };
    let flushed = call.proxy.flush_all_state(Timestamp(flush_ts)).await?;
    Ok(pb::GetFlushAllStateResponse { status: Some(success()), flushed, ..Default::default() })
}

fn by_name<T>(
    flushed: &[FlushedCollection],
    value: impl Fn(&FlushedCollection) -> T,
) -> HashMap<String, T> {
    flushed.iter().map(|one| (one.name.clone(), value(one))).collect()
}

fn segments(
    flushed: &[FlushedCollection],
    of: impl Fn(&FlushedCollection) -> &[SegmentId],
) -> Vec<SegmentsEntry> {
    flushed
        .iter()
        .map(|one| SegmentsEntry {
            key: one.name.clone(),
            value: schema::LongArray { data: of(one).iter().map(|id| id.0).collect() },
        })
        .collect()
}
