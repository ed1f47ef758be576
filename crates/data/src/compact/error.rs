//! Why segments were not compacted.

use milvus_base::{CpuError, MemoryLimitExceeded};
use milvus_format::EncodeError;
use milvus_segment::SchemaError;
use milvus_storage::StoreError;
use milvus_types::{Coded, DataType, ErrorCode, FieldId, SegmentId};

use crate::input::InputError;

/// Why segments were not compacted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactError {
    #[error("compaction of no segments")]
    NoInputs,
    #[error("compaction without a name for what it writes")]
    NoOutputs,
    #[error("segment {segment_id} is named twice in one compaction")]
    NamedTwice { segment_id: SegmentId },
    #[error("segments {first} and {other} are not of one partition and one shard")]
    Apart { first: SegmentId, other: SegmentId },
    #[error("field {field_id}, which rows are to be ordered by, is not in the schema")]
    NoSuchField { field_id: FieldId },
    #[error("rows cannot be ordered by field {field} of type {data_type}")]
    Order { field: String, data_type: DataType },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Memory(#[from] MemoryLimitExceeded),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("cannot write {path}")]
    Write {
        path: String,
        #[source]
        source: EncodeError,
    },
    #[error("compaction did not run")]
    Thread(#[from] CpuError),
    #[error("compaction was cancelled")]
    Cancelled,
    #[error("compactions have stopped")]
    Stopped,
}

impl Coded for CompactError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoInputs
            | Self::NoOutputs
            | Self::NamedTwice { .. }
            | Self::Apart { .. }
            | Self::Thread(_) => ErrorCode::ServiceInternal,
            Self::NoSuchField { .. } => ErrorCode::FieldNotFound,
            Self::Order { .. } => ErrorCode::ParameterInvalid,
            Self::Schema(error) => error.code(),
            Self::Memory(_) => ErrorCode::MemoryLimitExceeded,
            Self::Store(error) => error.code(),
            Self::Input(error) => error.code(),
            Self::Write { source, .. } => source.code(),
            Self::Cancelled => ErrorCode::Canceled,
            Self::Stopped => ErrorCode::ServiceNotReady,
        }
    }
}
