//! Why an index was not built.

use milvus_base::{CpuError, MemoryLimitExceeded};
use milvus_format::DecodeError;
use milvus_index::{BuildError as IndexBuildError, IndexParamError};
use milvus_scalar::{BuildError as ScalarBuildError, ScalarParamError};
use milvus_storage::StoreError;
use milvus_types::{Coded, ErrorCode};

/// Why an index was not built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("index type {0} is not supported yet")]
    IndexType(String),
    #[error("field {0} of index is not a field of the collection that takes it")]
    Field(String),
    #[error(transparent)]
    Params(#[from] IndexParamError),
    #[error(transparent)]
    ScalarParams(#[from] ScalarParamError),
    #[error(transparent)]
    Memory(#[from] MemoryLimitExceeded),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("file {path}")]
    File {
        path: String,
        #[source]
        source: DecodeError,
    },
    #[error(transparent)]
    Build(#[from] IndexBuildError),
    #[error(transparent)]
    Scalar(#[from] ScalarBuildError),
    #[error("cannot write {path}")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("index build did not run")]
    Thread(#[from] CpuError),
    #[error("index builds have stopped")]
    Stopped,
}

impl Coded for BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::IndexType(_) => ErrorCode::IndexNotSupported,
            Self::Field(_) => ErrorCode::ParameterInvalid,
            Self::Params(error) => error.code(),
            Self::ScalarParams(error) => error.code(),
            Self::Memory(_) => ErrorCode::MemoryLimitExceeded,
            Self::Store(error) => error.code(),
            Self::File { source, .. } => source.code(),
            Self::Build(error) => error.code(),
            Self::Scalar(error) => error.code(),
            Self::Write { .. } => ErrorCode::IoFailed,
            Self::Thread(_) => ErrorCode::ServiceInternal,
            Self::Stopped => ErrorCode::ServiceNotReady,
        }
    }
}
