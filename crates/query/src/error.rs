//! How failures underneath reach the caller: each with Milvus's code.

use milvus_base::{CpuError, MemoryLimitExceeded};
use milvus_types::{ErrorCode, Failure, SegmentId};

/// `segment not loaded[segment=..]` (601).
pub(crate) fn not_loaded(segment_id: SegmentId) -> Failure {
    Failure::with_fields(ErrorCode::SegmentNotLoaded, &[("segment", &segment_id)])
}

/// A job that gave no result.
pub(crate) fn cpu(error: CpuError) -> Failure {
    match error {
        CpuError::QueueFull { .. } => Failure::wrap(ErrorCode::TooManyRequests, error),
        CpuError::Closed { .. } => Failure::wrap(ErrorCode::ServiceNotReady, error),
        CpuError::NoThread { .. } | CpuError::Panicked(_) => Failure::internal(error),
    }
}

/// `memory limit exceeded[predict(MB)=..][limit(MB)=..]` (3).
pub(crate) fn memory(error: &MemoryLimitExceeded) -> Failure {
    Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string())
}
