//! `Status`: how success and failure are told to a client. The only place that builds one.
//!
//! A failed request is a gRPC success that carries a status with Milvus's code, the legacy code that
//! old SDKs read, the text, and whether trying again may help. An input error is never retriable.

use std::collections::HashMap;

use milvus_proto::flush::FlushResponse;
use milvus_proto::{common as pb, milvus};
use milvus_types::{ErrorCode, Failure};

/// The mark of a request that was itself at fault, in `extra_info`.
const INPUT_ERROR: &str = "is_input_error";

/// The status of success.
pub fn success() -> pb::Status {
    pb::Status::default()
}

/// The status of `failure`.
#[expect(deprecated, reason = "old SDKs read the legacy code")]
pub fn failed(failure: &Failure) -> pb::Status {
    let input = failure.code.is_input_error();
    pb::Status {
        error_code: legacy_code(failure.code).into(),
        code: failure.code.number(),
        reason: failure.reason.clone(),
        detail: failure.reason.clone(),
        retriable: failure.code.retriable() && !input,
        extra_info: if input { input_error() } else { HashMap::new() },
    }
}

/// The status of a failed `DescribeCollection`.
///
/// SDKs ask it whether a collection exists, and know "it does not" by the old code and the old
/// text, which the front door gives.
#[expect(deprecated, reason = "old SDKs read the legacy code")]
pub fn describe_failed(failure: &Failure) -> pb::Status {
    let mut status = failed(failure);
    if failure.code == ErrorCode::CollectionNotFound {
        status.error_code = pb::ErrorCode::UnexpectedError.into();
        status.extra_info = input_error();
    }
    status
}

fn input_error() -> HashMap<String, String> {
    HashMap::from([(INPUT_ERROR.to_owned(), "true".to_owned())])
}

/// The deprecated code that goes with `code`.
pub fn legacy_code(code: ErrorCode) -> pb::ErrorCode {
    use pb::ErrorCode as Legacy;
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other code is the unexpected one")]
    match code {
        ErrorCode::Success => Legacy::Success,
        ErrorCode::ServiceNotReady | ErrorCode::CollectionSchemaVersionNotReady => {
            Legacy::NotReadyServe
        }
        ErrorCode::CollectionNotFound => Legacy::CollectionNotExists,
        ErrorCode::ParameterInvalid
        | ErrorCode::ParameterMissing
        | ErrorCode::ParameterTooLarge => Legacy::IllegalArgument,
        ErrorCode::NodeNotMatch => Legacy::NodeIdNotMatch,
        ErrorCode::PartitionNotFound | ErrorCode::ReplicaNotFound | ErrorCode::ChannelLack => {
            Legacy::MetaFailed
        }
        ErrorCode::ReplicaNotAvailable
        | ErrorCode::ChannelNotAvailable
        | ErrorCode::ChannelDroppedSentinel
        | ErrorCode::NodeNotAvailable => Legacy::NoReplicaAvailable,
        ErrorCode::MemoryLimitExceeded => Legacy::InsufficientMemoryToLoad,
        ErrorCode::DiskLimitExceeded => Legacy::DiskQuotaExhausted,
        ErrorCode::TimeTickLongDelay | ErrorCode::TSafeStalled => Legacy::TimeTickLongDelay,
        ErrorCode::RateLimit => Legacy::RateLimit,
        ErrorCode::QuotaExceeded => Legacy::ForceDeny,
        ErrorCode::IndexNotFound => Legacy::IndexNotExist,
        ErrorCode::SegmentNotFound => Legacy::SegmentNotFound,
        ErrorCode::CollectionSchemaMismatch => Legacy::SchemaMismatch,
        _ => Legacy::UnexpectedError,
    }
}

/// A reply that can say that its request failed.
pub trait Reply {
    /// A reply that carries nothing but `status`.
    fn with_status(status: pb::Status) -> Self;

    /// Whether it says that its request succeeded; writes tell of failures in more than the status.
    fn is_success(&self) -> bool {
        true
    }

    /// The reply to a request that failed.
    fn of_failure(failure: &Failure) -> Self
    where
        Self: Sized,
    {
        Self::with_status(failed(failure))
    }
}

impl Reply for milvus::DescribeCollectionResponse {
    fn with_status(status: pb::Status) -> Self {
        Self { status: Some(status), ..Default::default() }
    }

    fn of_failure(failure: &Failure) -> Self {
        Self::with_status(describe_failed(failure))
    }
}

impl Reply for milvus::MutationResult {
    fn with_status(status: pb::Status) -> Self {
        Self { status: Some(status), ..Default::default() }
    }

    fn is_success(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.code == 0)
    }
}

impl Reply for milvus::AlterCollectionSchemaResponse {
    fn with_status(status: pb::Status) -> Self {
        Self { alter_status: Some(status) }
    }
}

impl Reply for milvus::TruncateCollectionResponse {
    fn with_status(status: pb::Status) -> Self {
        Self { status: Some(status) }
    }
}

impl Reply for FlushResponse {
    fn with_status(status: pb::Status) -> Self {
        Self { status: Some(status), ..Default::default() }
    }
}

/// It has no place for a status.
impl Reply for milvus::DummyResponse {
    fn with_status(_: pb::Status) -> Self {
        Self { response: r#"{"status": "fail"}"#.to_owned() }
    }
}

impl Reply for pb::Status {
    fn with_status(status: pb::Status) -> Self {
        status
    }
}

macro_rules! replies {
    ($($name:ident),* $(,)?) => {
        $(impl Reply for milvus::$name {
            fn with_status(status: pb::Status) -> Self {
                Self { status: Some(status), ..Default::default() }
            }
        })*
    };
}

replies!(
    AllocTimestampResponse,
    BatchDescribeCollectionResponse,
    BoolResponse,
    CalcDistanceResults,
    CheckHealthResponse,
    ComponentStates,
    ConnectResponse,
    DescribeAliasResponse,
    DescribeDatabaseResponse,
    DescribeIndexResponse,
    FlushAllResponse,
    GetCollectionStatisticsResponse,
    GetCompactionPlansResponse,
    GetCompactionStateResponse,
    GetFlushAllStateResponse,
    GetFlushStateResponse,
    GetIndexBuildProgressResponse,
    GetIndexStateResponse,
    GetIndexStatisticsResponse,
    GetLoadStateResponse,
    GetLoadingProgressResponse,
    GetMetricsResponse,
    GetPartitionStatisticsResponse,
    GetPersistentSegmentInfoResponse,
    GetQuerySegmentInfoResponse,
    GetReplicasResponse,
    GetVersionResponse,
    ListAliasesResponse,
    ListDatabasesResponse,
    ManualCompactionResponse,
    QueryResults,
    SearchResults,
    ShowCollectionsResponse,
    ShowPartitionsResponse,
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, legacy code, retriable, input error; as Milvus answers them.
    const TABLE: &[(i32, i32, bool, bool)] = &[
        (1, 56, true, false),
        (2, 1, true, false),
        (3, 52, false, false),
        (4, 1, true, false),
        (5, 1, false, false),
        (7, 54, false, false),
        (8, 49, true, false),
        (9, 48, false, false),
        (10, 1, false, false),
        (11, 55, false, false),
        (100, 4, false, false),
        (101, 1, false, false),
        (102, 1, false, true),
        (104, 1, false, true),
        (109, 62, false, true),
        (110, 56, true, false),
        (200, 15, false, false),
        (201, 1, false, false),
        (400, 15, false, false),
        (401, 46, false, false),
        (501, 15, false, false),
        (503, 46, false, false),
        (505, 55, true, false),
        (506, 46, false, false),
        (600, 47, false, false),
        (700, 25, false, false),
        (702, 1, false, true),
        (800, 1, false, false),
        (904, 50, false, false),
        (905, 46, false, false),
        (1100, 5, false, true),
        (1101, 5, false, true),
        (1102, 5, false, true),
        (2200, 1, true, false),
        (65535, 1, false, false),
    ];

    #[test]
    #[expect(deprecated, reason = "the legacy code is under test")]
    fn statuses_are_those_of_milvus() {
        for &(code, legacy, retriable, input) in TABLE {
            let known = ErrorCode::from_number(code).unwrap();
            let status = failed(&Failure::new(known, "why"));
            assert_eq!(
                (status.code, status.error_code, status.retriable),
                (code, legacy, retriable),
                "{known:?}"
            );
            assert_eq!(status.extra_info.contains_key(INPUT_ERROR), input, "{known:?}");
            assert_eq!((status.reason.as_str(), status.detail.as_str()), ("why", "why"));
        }
        assert_eq!(success(), pb::Status::default());
    }

    #[test]
    #[expect(deprecated, reason = "the legacy code is under test")]
    fn a_collection_that_cannot_be_described_is_told_the_old_way() {
        let text = "can't find collection[database=default][collection=c]";
        let status = describe_failed(&Failure::new(ErrorCode::CollectionNotFound, text));
        assert_eq!((status.code, status.error_code), (100, 1));
        assert_eq!(status.reason, text);
        assert_eq!(status.extra_info[INPUT_ERROR], "true");
        let other = describe_failed(&Failure::database_not_found("d"));
        assert_eq!((other.code, other.error_code), (800, 1));
        assert!(other.extra_info.is_empty());
    }

    #[test]
    fn only_success_has_the_legacy_code_of_success() {
        for code in ErrorCode::ALL {
            let is_success = *code == ErrorCode::Success;
            assert_eq!(legacy_code(*code) == pb::ErrorCode::Success, is_success);
        }
    }
}
