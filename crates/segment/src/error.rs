//! What the operations of a segment can answer besides results.

use arrow::datatypes::DataType as ArrowType;
use arrow::error::ArrowError;

use milvus_types::columns::{UnsupportedDataType, arrow_type};
use milvus_types::{Coded, DataType, ErrorCode, FieldSchema, MetricType, SegmentId, Timestamp};

/// Why a filter could not be evaluated.
pub type FilterError = milvus_expr::EvaluateError;

/// A column that a segment does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment_id} has no column {column}")]
pub struct ColumnNotFound {
    /// The segment.
    pub segment_id: SegmentId,
    /// The column's name.
    pub column: String,
}

/// A column whose Arrow type is not the one an operation needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of segment {segment_id} is {got}, want {want}")]
pub struct ColumnType {
    /// The segment.
    pub segment_id: SegmentId,
    /// The column's name.
    pub column: String,
    /// The type it has.
    pub got: ArrowType,
    /// The type it should have.
    pub want: String,
}

impl ColumnType {
    /// The primary key column is neither of integers nor of strings.
    pub(crate) fn primary_key(segment_id: SegmentId, column: &str, got: &ArrowType) -> Self {
        let want = "Int64 or Utf8 without nulls".to_owned();
        Self { segment_id, column: column.to_owned(), got: got.clone(), want }
    }
}

impl ColumnType {
    /// `field` holds no vectors of the kind and shape that are searched.
    pub(crate) fn vectors(segment_id: SegmentId, field: &FieldSchema) -> Self {
        let got = arrow_type(field).unwrap_or(ArrowType::Null);
        Self { segment_id, column: field.name.clone(), got, want: "vectors".to_owned() }
    }

    /// The same, where the column itself is of type `got`.
    pub(crate) fn found(self, got: &ArrowType) -> Self {
        Self { got: got.clone(), ..self }
    }
}

impl Coded for ColumnType {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// Query vectors that do not fit the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vector dimension mismatch, expected vector size(byte) {want_bytes}, actual {got_bytes}")]
pub struct DimensionMismatch {
    /// Bytes of a query vector as sent.
    pub got_bytes: usize,
    /// Bytes of a vector of the field.
    pub want_bytes: usize,
}

/// A metric that is not of the field's vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metric type {metric} is not one of the {data_type}s of field {field}")]
pub struct MetricNotSupported {
    /// The field's name.
    pub field: String,
    /// The metric asked for.
    pub metric: MetricType,
    /// The kind of the field's vectors.
    pub data_type: DataType,
}

/// A JSON value that is not of the type that groups are made by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to cast json value of {column} to {data_type} for group by, wrong json data inner type"
)]
pub struct GroupCast {
    /// The JSON field's name.
    pub column: String,
    /// The type asked for.
    pub data_type: DataType,
}

/// A collection schema that segments cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A field's type has no column layout.
    #[error(transparent)]
    Type(#[from] UnsupportedDataType),
    /// There are no keys.
    #[error("a collection without a primary key")]
    NoPrimaryKey,
}

impl Coded for SchemaError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Type(error) => error.code(),
            Self::NoPrimaryKey => ErrorCode::ServiceInternal,
        }
    }
}

/// A row number beyond the segment's end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment_id} has {rows} rows, row {row} was asked for")]
pub struct RowOutOfRange {
    /// The segment.
    pub segment_id: SegmentId,
    /// The row asked for.
    pub row: u32,
    /// How many rows there are.
    pub rows: u32,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no such vector field.
    #[error(transparent)]
    Column(#[from] ColumnNotFound),
    /// The field does not hold vectors.
    #[error(transparent)]
    Type(#[from] ColumnType),
    /// The queries have another dimension.
    #[error(transparent)]
    Dimension(#[from] DimensionMismatch),
    /// The filter could not be evaluated.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The index refused the search parameters.
    #[error(transparent)]
    Params(#[from] milvus_index::IndexParamError),
    /// The metric is not one of the field's.
    #[error(transparent)]
    Metric(#[from] MetricNotSupported),
    /// Queries and rows cannot be compared.
    #[error(transparent)]
    Compare(#[from] milvus_index::CompareError),
    /// A value cannot make a group.
    #[error(transparent)]
    Group(#[from] GroupCast),
    /// Values that boosts need could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A boost's filter could not be evaluated.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl Coded for SearchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Column(_) => ErrorCode::FieldNotFound,
            Self::Type(_) | Self::Dimension(_) | Self::Metric(_) => ErrorCode::ParameterInvalid,
            Self::Filter(error) => error.code(),
            Self::Params(error) => error.code(),
            Self::Compare(error) => error.code(),
            Self::Group(_) => ErrorCode::Unexpected,
            Self::Fetch(error) => error.code(),
            Self::Query(error) => error.code(),
        }
    }
}

/// Why rows could not be selected or counted.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The filter could not be evaluated.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The columns that the filter needs could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl Coded for QueryError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Filter(error) => error.code(),
            Self::Fetch(error) => error.code(),
        }
    }
}

/// Why columns of rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such column.
    #[error(transparent)]
    Column(#[from] ColumnNotFound),
    /// There is no such row.
    #[error(transparent)]
    Row(#[from] RowOutOfRange),
    /// The values do not fit one Arrow array (strings of over 2 GiB, say).
    #[error("rows of segment {segment_id} cannot be gathered")]
    Gather {
        /// The segment.
        segment_id: SegmentId,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
}

impl Coded for FetchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Column(_) => ErrorCode::FieldNotFound,
            Self::Row(_) | Self::Gather { .. } => ErrorCode::ServiceInternal,
        }
    }
}

/// Why rows could not be inserted.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The rows do not have the segment's columns.
    #[error("rows do not fit the schema of segment {segment_id}")]
    Schema {
        /// The segment.
        segment_id: SegmentId,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// Rows come in order of time.
    #[error("segment {segment_id} has rows up to {newest}, got rows of {got}")]
    TimestampWentBack {
        /// The segment.
        segment_id: SegmentId,
        /// The timestamp of the new rows.
        got: Timestamp,
        /// The newest timestamp so far.
        newest: Timestamp,
    },
    /// Rows are numbered with 32 bits.
    #[error("segment {segment_id} has {rows} rows and cannot take {more} more")]
    TooManyRows {
        /// The segment.
        segment_id: SegmentId,
        /// Rows it has.
        rows: u32,
        /// Rows to be added.
        more: usize,
    },
}

impl Coded for InsertError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Schema { .. } => ErrorCode::ParameterInvalid,
            Self::TimestampWentBack { .. } | Self::TooManyRows { .. } => ErrorCode::ServiceInternal,
        }
    }
}

/// Why a segment could not be made from its schema or its files.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A column is missing.
    #[error(transparent)]
    Column(#[from] ColumnNotFound),
    /// A column has another type than it should.
    #[error(transparent)]
    Type(#[from] ColumnType),
    /// A part does not cover as many rows as the columns have.
    #[error("{part} of segment {segment_id} covers {got} rows, the columns have {want}")]
    Rows {
        /// The segment.
        segment_id: SegmentId,
        /// The index, delete file or key index.
        part: String,
        /// Rows it covers, or the row it names plus one.
        got: u64,
        /// Rows of the columns.
        want: u64,
    },
    /// More rows than 32 bits number.
    #[error("segment {segment_id} has {rows} rows, more than fit one segment")]
    TooManyRows {
        /// The segment.
        segment_id: SegmentId,
        /// Its rows.
        rows: usize,
    },
}

impl Coded for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Column(_) | Self::Type(_) | Self::Rows { .. } | Self::TooManyRows { .. } => {
                ErrorCode::DataIntegrity
            }
        }
    }
}
