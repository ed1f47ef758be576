//! What parameter checks, building and opening answer besides a result.
//!
//! Texts about parameters are Milvus's own, to the letter: clients match on them.

use arrow::datatypes::DataType as ArrowType;
use milvus_types::{Coded, ErrorCode};

/// Why an index on a scalar field is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalarParamError {
    /// The field or a parameter does not fit the index.
    #[error("{0}: invalid parameter")]
    Invalid(String),
    /// There is no such index for users.
    #[error("invalid parameter[expected=valid index][actual=invalid index type: {0}]")]
    IndexType(String),
    /// AUTOINDEX has nothing for the field's type.
    #[error(
        "invalid parameter[expected=supported field]\
         [actual=create auto index on type:{0} is not supported: invalid parameter]"
    )]
    AutoType(String),
    /// A parameter that must be there is not.
    #[error("{what}: missing parameter[missing_param={param}]")]
    Missing {
        /// Its name.
        param: &'static str,
        /// Milvus's words.
        what: &'static str,
    },
    /// Several parameters that must be there are not.
    #[error("{0}: missing parameter")]
    MissingText(&'static str),
}

impl Coded for ScalarParamError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) | Self::IndexType(_) | Self::AutoType(_) => {
                ErrorCode::ParameterInvalid
            }
            Self::Missing { .. } | Self::MissingText(_) => ErrorCode::ParameterMissing,
        }
    }
}

/// Why an index was not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The column is not of the type the index was defined for.
    #[error("column of scalar index is {got}, field is {want}")]
    ColumnType {
        /// Of the column.
        got: ArrowType,
        /// Of the field.
        want: milvus_types::DataType,
    },
    /// More rows or entries than row numbers reach.
    #[error("scalar index would have {got} entries, it takes at most {most}")]
    TooManyEntries {
        /// Of the segment.
        got: u64,
        /// The limit.
        most: u64,
    },
}

impl Coded for BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::ColumnType { .. } => ErrorCode::DataIntegrity,
            Self::TooManyEntries { .. } => ErrorCode::ParameterInvalid,
        }
    }
}

/// Why the bytes of an index were not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes do not begin as a scalar index does.
    #[error("not a scalar index file")]
    NotAnIndex,
    /// A newer program wrote the file.
    #[error("scalar index file has version {got}, this program reads up to {want}")]
    NewerVersion {
        /// Of the file.
        got: u32,
        /// The newest version that is understood.
        want: u32,
    },
    /// The file is shorter or longer than it says.
    #[error("scalar index file has {got} bytes, its header says {want}")]
    WrongLength {
        /// Bytes there are.
        got: u64,
        /// Bytes there should be.
        want: u64,
    },
    /// A checksum does not match.
    #[error("{part} of scalar index file is corrupt: checksum is {got:08x}, want {want:08x}")]
    Checksum {
        /// The header or a section.
        part: String,
        /// Of the bytes.
        got: u32,
        /// As written.
        want: u32,
    },
    /// The checksums match, but the content makes no sense.
    #[error("scalar index file is malformed: {0}")]
    Malformed(String),
}

impl OpenError {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

impl Coded for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NewerVersion { .. } => ErrorCode::IndexNotSupported,
            Self::NotAnIndex
            | Self::WrongLength { .. }
            | Self::Checksum { .. }
            | Self::Malformed(_) => ErrorCode::DataIntegrity,
        }
    }
}
