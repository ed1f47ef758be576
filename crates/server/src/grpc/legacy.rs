//! RPCs that only very old clients call.

use std::future::{Ready, ready};

use milvus_proto::milvus as pb;
use milvus_types::{ErrorCode, Failure, Result};

use super::call::Call;

/// Answers that the distance of given vectors is no longer computed, as Milvus does.
pub(super) fn calc_distance(
    _: &Call<'_>,
    _: pb::CalcDistanceRequest,
) -> Ready<Result<pb::CalcDistanceResults>> {
    ready(Err(Failure::wrap(ErrorCode::ServiceUnavailable, "CalcDistance deprecated")))
}

/// Milvus knows one request of this kind, a query without a filter, which it cannot answer either.
pub(super) fn dummy(_: &Call<'_>, _: pb::DummyRequest) -> Ready<Result<pb::DummyResponse>> {
    ready(Ok(pb::DummyResponse { response: r#"{"status": "fail"}"#.to_owned() }))
}
