//! Errors: Milvus's code table, and the form in which a failure crosses a role boundary.
//!
//! Lower crates have typed errors of their own, one enum for each operation; each implements
//! [`Coded`]. At a role boundary they become a [`Failure`]: the code and the text a client reads.
//! `server::wire::status` alone turns a `Failure` into protobuf, gRPC or JSON.
//!
//! Texts are composed as Milvus does: what happened first, the base text of the code last
//! (`collection name should not be empty: invalid parameter`), then what was expected and found
//! in square brackets (`[expected=COSINE][actual=L2]`).

use std::fmt;

macro_rules! error_codes {
    ($($name:ident = $number:literal, $text:literal, $retriable:literal, $input:literal;)*) => {
        /// Milvus's error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the base text beside each code says what it means")]
        pub enum ErrorCode {
            $($name = $number,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code with number `number`.
            pub fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The text that every message of this code ends in.
            pub fn base_text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether the same request may succeed later. Never true of an input error.
            pub fn retriable(self) -> bool {
                match self {
                    $(Self::$name => $retriable,)*
                }
            }

            /// Whether the request itself is at fault.
            pub fn is_input_error(self) -> bool {
                match self {
                    $(Self::$name => $input,)*
                }
            }
        }
    };
}

error_codes! {
    Success = 0, "success", false, false;
    ServiceNotReady = 1, "service not ready", true, false;
    ServiceUnavailable = 2, "service unavailable", true, false;
    MemoryLimitExceeded = 3, "memory limit exceeded", false, false;
    TooManyRequests = 4, "too many concurrent requests, queue is full", true, false;
    ServiceInternal = 5, "service internal error", false, false;
    CrossClusterRouting = 6, "cross cluster routing", false, false;
    DiskLimitExceeded = 7, "disk limit exceeded", false, false;
    RateLimit = 8, "rate limit exceeded", true, false;
    QuotaExceeded = 9, "quota exceeded", false, false;
    Unimplemented = 10, "service unimplemented", false, false;
    TimeTickLongDelay = 11, "time tick long delay", false, false;
    ResourceInsufficient = 12, "service resource insufficient", true, false;
    CollectionNotFound = 100, "collection not found", false, false;
    CollectionNotLoaded = 101, "collection not loaded", false, false;
    CollectionNumLimitExceeded = 102, "exceeded the limit number of collections", false, true;
    CollectionNotFullyLoaded = 103, "collection not fully loaded", true, false;
    CollectionLoaded = 104, "collection already loaded", false, true;
    CollectionIllegalSchema = 105, "illegal collection schema", false, true;
    CollectionOnRecovering = 106, "collection on recovering", true, false;
    CollectionVectorClusteringKeyNotAllowed = 107, "vector clustering key not allowed", false, true;
    CollectionReplicateMode = 108, "can't operate on the collection under standby mode", false, false;
    CollectionSchemaMismatch = 109, "collection schema mismatch", false, true;
    CollectionSchemaVersionNotReady = 110, "collection schema version not ready", true, false;
    PartitionNotFound = 200, "partition not found", false, false;
    PartitionNotLoaded = 201, "partition not loaded", false, false;
    PartitionNotFullyLoaded = 202, "partition not fully loaded", true, false;
    GeneralCapacityExceeded = 250, "general capacity exceeded", false, false;
    ResourceGroupNotFound = 300, "resource group not found", false, true;
    ResourceGroupAlreadyExist = 301, "resource group already exist, but create with different config", false, true;
    ResourceGroupReachLimit = 302, "resource group num reach limit", false, true;
    ResourceGroupIllegalConfig = 303, "resource group illegal config", false, true;
    ResourceGroupNodeNotEnough = 304, "resource group node not enough", false, false;
    ResourceGroupServiceAvailable = 305, "resource group service unavailable", true, false;
    ReplicaNotFound = 400, "replica not found", false, false;
    ReplicaNotAvailable = 401, "replica not available", false, false;
    ChannelNotFound = 500, "channel not found", false, false;
    ChannelLack = 501, "channel lacks", false, false;
    ChannelReduplicate = 502, "channel reduplicates", false, false;
    ChannelNotAvailable = 503, "channel not available", false, false;
    ChannelCPExceededMaxLag = 504, "channel checkpoint exceed max lag", false, false;
    TSafeStalled = 505, "tsafe stalled", true, false;
    ChannelDroppedSentinel = 506, "channel dropped", false, false;
    ChannelMisrouted = 507, "channel misrouted", true, false;
    SegmentNotFound = 600, "segment not found", false, false;
    SegmentNotLoaded = 601, "segment not loaded", false, false;
    SegmentLack = 602, "segment lacks", false, false;
    SegmentReduplicate = 603, "segment reduplicates", false, false;
    SegmentLoadFailed = 604, "segment load failed", false, false;
    SegmentRequestResourceFailed = 605, "segment request resource failed", false, false;
    IndexNotFound = 700, "index not found", false, false;
    IndexNotSupported = 701, "index type not supported", false, false;
    IndexDuplicate = 702, "index duplicates", false, true;
    TaskDuplicate = 703, "task duplicates", false, false;
    DatabaseNotFound = 800, "database not found", false, false;
    DatabaseNumLimitExceeded = 801, "exceeded the limit number of database", false, true;
    DatabaseInvalidName = 802, "invalid database name", false, true;
    NodeNotFound = 901, "node not found", false, false;
    NodeOffline = 902, "node offline", false, false;
    NodeLack = 903, "node lacks", false, false;
    NodeNotMatch = 904, "node not match", false, false;
    NodeNotAvailable = 905, "node not available", false, false;
    NodeStateUnexpected = 906, "node state unexpected", false, false;
    IoKeyNotFound = 1000, "key not found", false, false;
    IoFailed = 1001, "IO failed", false, false;
    IoUnexpectEof = 1002, "unexpected EOF", true, false;
    IoTooManyRequests = 1003, "too many requests", true, false;
    SerializationFailed = 1004, "data serialization or deserialization failed", false, false;
    IoPermissionDenied = 1005, "permission denied", false, false;
    IoBucketNotFound = 1006, "bucket not found", false, false;
    IoInvalidCredentials = 1007, "invalid credentials", false, false;
    StorageInternal = 1008, "storage internal error", false, false;
    DataIntegrity = 1009, "data integrity check failed", false, false;
    IoInvalidArgument = 1010, "invalid argument", false, false;
    IoInvalidRange = 1011, "invalid range", false, false;
    IoEntityTooLarge = 1012, "entity too large", false, false;
    ParameterInvalid = 1100, "invalid parameter", false, true;
    ParameterMissing = 1101, "missing parameter", false, true;
    ParameterTooLarge = 1102, "parameter too large", false, true;
    MetricNotFound = 1200, "metric not found", false, false;
    MqTopicNotFound = 1300, "topic not found", false, false;
    MqTopicNotEmpty = 1301, "topic not empty", false, false;
    MqInternal = 1302, "message queue internal error", false, false;
    DenyProduceMsg = 1303, "deny to write the message to mq", false, false;
    NotAuthenticated = 1400, "not authenticated", false, true;
    PrivilegeNotPermitted = 1401, "privilege not permitted", false, true;
    PrivilegeGroupInvalidName = 1402, "invalid privilege group name", false, true;
    AliasNotFound = 1600, "alias not found", false, false;
    AliasCollectionNameConflict = 1601, "alias and collection name conflict", false, false;
    AliasAlreadyExist = 1602, "alias already exist", false, false;
    CollectionIdOfAliasNotFound = 1603, "collection id of alias not found", false, false;
    FieldNotFound = 1700, "field not found", false, false;
    FieldInvalidName = 1701, "field name invalid", false, false;
    NeedAuthenticate = 1800, "user hasn't authenticated", false, false;
    IncorrectParameterFormat = 1801, "can only accept json format request", false, false;
    MissingRequiredParameters = 1802, "missing required parameters", false, false;
    MarshalCollectionSchema = 1803, "fail to marshal collection schema", false, false;
    InvalidInsertData = 1804, "fail to deal the insert data", false, false;
    InvalidSearchResult = 1805, "fail to parse search result", false, false;
    CheckPrimaryKey = 1806, "please check the primary key and its' type can only in [int, string]", false, false;
    HttpRateLimit = 1807, "request is rejected by limiter", false, false;
    DenyReplicateMessage = 1900, "deny to use the replicate message in the normal instance", false, false;
    SegcoreError = 2000, "segcore error", false, false;
    SegcoreUnsupported = 2001, "segcore unsupported error", false, false;
    SegcorePretendFinished = 2002, "segcore pretend finished", false, false;
    SegcoreFollyOtherException = 2037, "segcore folly other exception", false, false;
    SegcoreFollyCancel = 2038, "segcore future cancelled", false, false;
    SegcoreOutOfRange = 2039, "segcore out of range", false, false;
    SegcoreGcpNativeError = 2040, "segcore GCP native error", false, false;
    KnowhereError = 2099, "knowhere error", false, false;
    ImportFailed = 2100, "importing data failed", false, true;
    ImportSystemFailed = 2101, "importing data failed on server side", false, false;
    InconsistentRequery = 2200, "inconsistent requery result", true, false;
    QueryPlan = 2201, "query plan failed", false, true;
    CompactionFailed = 2300, "compaction failed", false, false;
    FunctionFailed = 2400, "function execution failed", false, false;
    DataNodeSlotExhausted = 2401, "datanode slot exhausted", false, false;
    KmsKeyRevoked = 2500, "KMS key has been revoked, access denied", false, false;
    SnapshotNotFound = 2600, "snapshot not found", false, false;
    SnapshotPinned = 2601, "snapshot is pinned", false, false;
    OperationNotSupported = 3000, "unsupported operation", false, false;
    OldSessionExists = 3001, "old session exists", false, false;
    Canceled = 10000, "context canceled", false, false;
    Timeout = 10001, "context deadline exceeded", false, false;
    Unexpected = 65535, "unexpected error", false, false;
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// An error that knows its code.
pub trait Coded {
    /// The code a client sees.
    fn code(&self) -> ErrorCode;
}

/// A failed call, as it crosses a role boundary and reaches the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub code: ErrorCode,
    /// The whole text the client reads.
    pub reason: String,
}

/// What a role answers.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure whose text is exactly `reason`.
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// A failure whose text is `what`, then the base text of `code`: `what: invalid parameter`.
    pub fn wrap(code: ErrorCode, what: impl fmt::Display) -> Self {
        Self { code, reason: format!("{what}: {}", code.base_text()) }
    }

    /// A failure whose text is the base text with fields: `collection not found[collection=c]`.
    pub fn with_fields(code: ErrorCode, fields: &[(&str, &dyn fmt::Display)]) -> Self {
        let mut reason = code.base_text().to_owned();
        for (name, value) in fields {
            reason.push_str(&format!("[{name}={value}]"));
        }
        Self { code, reason }
    }

    /// `what: invalid parameter` (1100).
    pub fn parameter_invalid(what: impl fmt::Display) -> Self {
        Self::wrap(ErrorCode::ParameterInvalid, what)
    }

    /// `what: invalid parameter[expected=..][actual=..]` (1100).
    pub fn parameter_mismatch(
        expected: impl fmt::Display,
        actual: impl fmt::Display,
        what: impl fmt::Display,
    ) -> Self {
        Self::new(
            ErrorCode::ParameterInvalid,
            format!("{what}: invalid parameter[expected={expected}][actual={actual}]"),
        )
    }

    /// `what: missing parameter[missing_param=..]` (1101).
    pub fn parameter_missing(param: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self::new(
            ErrorCode::ParameterMissing,
            format!("{what}: missing parameter[missing_param={param}]"),
        )
    }

    /// `collection not found[database=..][collection=..]` (100).
    pub fn collection_not_found(db: impl fmt::Display, collection: impl fmt::Display) -> Self {
        Self::with_fields(
            ErrorCode::CollectionNotFound,
            &[("database", &db), ("collection", &collection)],
        )
    }

    /// `collection not loaded[collection=..]` (101).
    pub fn collection_not_loaded(collection: impl fmt::Display) -> Self {
        Self::with_fields(ErrorCode::CollectionNotLoaded, &[("collection", &collection)])
    }

    /// `partition not found[partition=..]` (200).
    pub fn partition_not_found(partition: impl fmt::Display) -> Self {
        Self::with_fields(ErrorCode::PartitionNotFound, &[("partition", &partition)])
    }

    /// `database not found[database=..]` (800).
    pub fn database_not_found(db: impl fmt::Display) -> Self {
        Self::with_fields(ErrorCode::DatabaseNotFound, &[("database", &db)])
    }

    /// `what: service unimplemented` (10).
    pub fn unimplemented(what: impl fmt::Display) -> Self {
        Self::wrap(ErrorCode::Unimplemented, what)
    }

    /// `what: service internal error` (5).
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::wrap(ErrorCode::ServiceInternal, what)
    }

    /// This failure with `context: ` put before its text.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.reason = format!("{context}: {}", self.reason);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Failure {}

impl Coded for Failure {
    fn code(&self) -> ErrorCode {
        self.code
    }
}

/// Every typed error becomes a failure with its own code and its chain as text.
impl<E: Coded + std::error::Error> From<&E> for Failure {
    fn from(error: &E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !reason.ends_with(&text) {
                reason = format!("{reason}: {text}");
            }
            source = cause.source();
        }
        Self { code: error.code(), reason }
    }
}

/// Turns `Result<T, E>` of a typed error into a role's result.
pub trait OrFailure<T> {
    /// The same value, or the error as a [`Failure`].
    fn or_failure(self) -> Result<T>;
}

impl<T, E: Coded + std::error::Error> OrFailure<T> for std::result::Result<T, E> {
    fn or_failure(self) -> Result<T> {
        self.map_err(|error| Failure::from(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_input_errors_are_never_retriable() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
            assert!(!(code.is_input_error() && code.retriable()), "{code:?}");
        }
    }

    #[test]
    fn texts_are_composed_as_milvus_does() {
        assert_eq!(
            Failure::parameter_mismatch("COSINE", "L2", "metric type not match").reason,
            "metric type not match: invalid parameter[expected=COSINE][actual=L2]"
        );
        assert_eq!(
            Failure::collection_not_found("default", "c").reason,
            "collection not found[database=default][collection=c]"
        );
    }
}
