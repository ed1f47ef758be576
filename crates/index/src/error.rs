//! What building, opening and parameter checks answer besides a result.
//!
//! Texts about parameters are Milvus's own, to the letter: clients match on them.

use std::io;

use milvus_types::{Coded, DataType, ErrorCode, MetricType};

/// A parameter that an index does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexParamError {
    /// At creation; the client sees Milvus's text and the base text of 1100.
    #[error("{0}: invalid parameter")]
    Create(String),
    /// At creation, of what Milvus calls mismatched. Milvus's text in full.
    #[error("{0}: invalid parameter[expected=valid index params][actual=invalid index params]")]
    Mismatch(String),
    /// At search.
    #[error("{0}")]
    Search(String),
}

impl Coded for IndexParamError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Create(_) | Self::Mismatch(_) => ErrorCode::ParameterInvalid,
            Self::Search(_) => ErrorCode::KnowhereError,
        }
    }
}

/// Why vectors cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Queries of one kind, rows of another.
    #[error("vector type must be the same, field type {want}, search type {got}")]
    Kind {
        /// Of the query.
        got: DataType,
        /// Of the rows.
        want: DataType,
    },
    /// Queries of other dimensions than the rows.
    #[error("vector dimension mismatch, expected {want}, got {got}")]
    Dimension {
        /// Of the query.
        got: usize,
        /// Of the rows.
        want: usize,
    },
    /// A metric that the kind of vectors does not have.
    #[error("metric type {metric} is not one of {data_type}")]
    Metric {
        /// The metric.
        metric: MetricType,
        /// Of the rows.
        data_type: DataType,
    },
    /// Offsets of lists that do not cut the elements into lists.
    #[error("offsets of vector lists reach {end}, there are {elements} elements")]
    Lists {
        /// Where the lists end.
        end: i64,
        /// Vectors there are.
        elements: usize,
    },
}

impl Coded for CompareError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Kind { .. } | Self::Dimension { .. } | Self::Metric { .. } => {
                ErrorCode::ParameterInvalid
            }
            Self::Lists { .. } => ErrorCode::DataIntegrity,
        }
    }
}

/// Why an index was not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The caller asked to stop.
    #[error("index build was cancelled")]
    Cancelled,
    /// The vectors are not of the dimension the index was defined for.
    #[error("vectors have {got} dimensions, index has {want}")]
    DimensionMismatch {
        /// Of the vectors.
        got: usize,
        /// Of the index.
        want: usize,
    },
    /// The vectors are not of the kind the index was defined for.
    #[error("vectors are {got}, index is of {want}")]
    OtherKind {
        /// Of the vectors.
        got: DataType,
        /// Of the index.
        want: DataType,
    },
    /// The metric is not one that is built over such vectors.
    #[error("no index is built for metric {metric} over {data_type}")]
    Metric {
        /// Of the index.
        metric: MetricType,
        /// Of the vectors.
        data_type: DataType,
    },
    /// More rows than row numbers of an index reach.
    #[error("segment has {got} rows, an index takes at most {most}")]
    TooManyRows {
        /// Of the segment.
        got: usize,
        /// The limit.
        most: usize,
    },
}

impl Coded for BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Cancelled => ErrorCode::Canceled,
            Self::DimensionMismatch { .. }
            | Self::OtherKind { .. }
            | Self::Metric { .. }
            | Self::TooManyRows { .. } => ErrorCode::ParameterInvalid,
        }
    }
}

/// Why the bytes of an index were not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes do not begin as an index does.
    #[error("not an index file")]
    NotAnIndex,
    /// A newer program wrote the file.
    #[error("index file has version {got}, this program reads up to {want}")]
    NewerVersion {
        /// Of the file.
        got: u32,
        /// The newest version that is understood.
        want: u32,
    },
    /// The file is shorter or longer than it says.
    #[error("index file has {got} bytes, its header says {want}")]
    WrongLength {
        /// Bytes there are.
        got: u64,
        /// Bytes there should be.
        want: u64,
    },
    /// The file cannot be read.
    #[error("index file cannot be read: {0}")]
    Read(io::ErrorKind),
    /// A checksum does not match.
    #[error("{part} of index file is corrupt: checksum is {got:08x}, want {want:08x}")]
    Checksum {
        /// The header or a section.
        part: String,
        /// Of the bytes.
        got: u32,
        /// As written.
        want: u32,
    },
    /// The checksums match, but the content makes no sense.
    #[error("index file is malformed: {0}")]
    Malformed(String),
    /// The index is one this program has no family for.
    #[error("index type {0} is not supported yet")]
    UnsupportedType(String),
    /// The index was built over other vectors.
    #[error(
        "index covers {index_rows} rows of {index_dim} dimensions, segment has {rows} of {dim}"
    )]
    OtherVectors {
        /// Rows of the index.
        index_rows: usize,
        /// Dimension of the index.
        index_dim: usize,
        /// Rows of the vectors.
        rows: usize,
        /// Dimension of the vectors.
        dim: usize,
    },
}

impl OpenError {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

impl Coded for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NewerVersion { .. } | Self::UnsupportedType(_) => ErrorCode::IndexNotSupported,
            Self::Read(_) => ErrorCode::IoFailed,
            Self::NotAnIndex
            | Self::WrongLength { .. }
            | Self::Checksum { .. }
            | Self::Malformed(_)
            | Self::OtherVectors { .. } => ErrorCode::DataIntegrity,
        }
    }
}
