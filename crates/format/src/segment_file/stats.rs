//! Statistics of a column, gathered from its pieces while they pass.
//!
//! Kept of booleans, numbers, strings and times. JSON, geometries, arrays and vectors have none: a
//! range says nothing of them.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray};
use arrow::datatypes::{
    DataType as ArrowType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use milvus_types::columns::{DATA_TYPE, FIELD_ID};
use milvus_types::{DataType, FieldId, FieldStats, ValueRange};

/// The statistics of a column so far.
pub(super) struct ColumnStats {
    field_id: FieldId,
    rows: u64,
    nulls: u64,
    range: Range,
}

/// What the values so far lie between.
enum Range {
    /// No value yet.
    Empty,
    Int(i64, i64),
    Float(f64, f64),
    Text(Box<str>, Box<str>),
    /// A value is not comparable.
    Unknown,
}

impl ColumnStats {
    /// Of no rows yet; `None` if a column of `field` has no statistics.
    pub(super) fn new(field: &Field) -> Option<Self> {
        let metadata = field.metadata();
        let comparable = matches!(
            field.data_type(),
            ArrowType::Boolean
                | ArrowType::Int8
                | ArrowType::Int16
                | ArrowType::Int32
                | ArrowType::Int64
                | ArrowType::Float32
                | ArrowType::Float64
                | ArrowType::Utf8
                | ArrowType::Timestamp(TimeUnit::Microsecond, _)
        );
        let json = metadata.get(DATA_TYPE).is_some_and(|name| name == DataType::JSON.name());
        let field_id = FieldId(metadata.get(FIELD_ID)?.parse().ok()?);
        (comparable && !json).then_some(Self { field_id, rows: 0, nulls: 0, range: Range::Empty })
    }

    pub(super) fn add(&mut self, piece: &ArrayRef) {
        self.rows += piece.len() as u64;
        self.nulls += piece.null_count() as u64;
        let found = range(piece);
        let so_far = std::mem::replace(&mut self.range, Range::Unknown);
        self.range = so_far.and(found);
    }

    pub(super) fn finish(self) -> FieldStats {
        let Self { field_id, rows, nulls, range } = self;
        let range = match range {
            Range::Empty | Range::Unknown => None,
            Range::Int(min, max) => Some(ValueRange::Int { min, max }),
            Range::Float(min, max) => Some(ValueRange::Float { min, max }),
            Range::Text(min, max) => Some(ValueRange::text(&min, &max)),
        };
        FieldStats { field_id, rows, nulls, range }
    }
}

impl Range {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Empty, range) | (range, Self::Empty) => range,
            (Self::Int(a, b), Self::Int(c, d)) => Self::Int(a.min(c), b.max(d)),
            (Self::Float(a, b), Self::Float(c, d)) => Self::Float(a.min(c), b.max(d)),
            (Self::Text(a, b), Self::Text(c, d)) => Self::Text(a.min(c), b.max(d)),
            (Self::Int(..) | Self::Float(..) | Self::Text(..) | Self::Unknown, _) => Self::Unknown,
        }
    }
}

/// What the values of `piece` lie between.
fn range(piece: &ArrayRef) -> Range {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other columns have no statistics")]
    match piece.data_type() {
        ArrowType::Boolean => booleans(piece.as_boolean()),
        ArrowType::Int8 => ints::<Int8Type>(piece),
        ArrowType::Int16 => ints::<Int16Type>(piece),
        ArrowType::Int32 => ints::<Int32Type>(piece),
        ArrowType::Int64 => ints::<Int64Type>(piece),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => ints::<TimestampMicrosecondType>(piece),
        ArrowType::Float32 => floats::<Float32Type>(piece),
        ArrowType::Float64 => floats::<Float64Type>(piece),
        ArrowType::Utf8 => {
            let texts = || piece.as_string::<i32>().iter().flatten();
            match (texts().min(), texts().max()) {
                (Some(min), Some(max)) => Range::Text(min.into(), max.into()),
                _ => Range::Empty,
            }
        }
        _ => Range::Unknown,
    }
}

fn booleans(values: &BooleanArray) -> Range {
    let present = values.len() - values.null_count();
    let ones = values.true_count();
    match present {
        0 => Range::Empty,
        _ => Range::Int(i64::from(ones == present), i64::from(ones > 0)),
    }
}

fn ints<T: ArrowPrimitiveType>(piece: &ArrayRef) -> Range
where
    T::Native: Into<i64>,
{
    let present = || piece.as_primitive::<T>().iter().flatten().map(Into::into);
    match (present().min(), present().max()) {
        (Some(min), Some(max)) => Range::Int(min, max),
        _ => Range::Empty,
    }
}

fn floats<T: ArrowPrimitiveType>(piece: &ArrayRef) -> Range
where
    T::Native: Into<f64>,
{
    let mut range = Range::Empty;
    for value in piece.as_primitive::<T>().iter().flatten() {
        let value: f64 = value.into();
        if value.is_nan() {
            return Range::Unknown;
        }
        range = range.and(Range::Float(value, value));
    }
    range
}
