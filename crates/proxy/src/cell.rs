//! One scalar value of a column: what orders, groups and aggregates see of a row.
//!
//! Integers of every width and timestamps are [`Cell::Int`], both floating types [`Cell::Float`],
//! strings and JSON text [`Cell::Text`]. Types without an order (arrays, vectors, geometry) read as
//! null; whoever compares refuses them first.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};

/// A scalar value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// The value of `column` at `row`.
    pub(crate) fn of(column: &'a dyn Array, row: usize) -> Self {
        if row >= column.len() || column.is_null(row) {
            return Self::Null;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "other types have no scalar value")]
        match column.data_type() {
            DataType::Boolean => Self::Bool(column.as_boolean().value(row)),
            DataType::Int8 => Self::Int(column.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => Self::Int(column.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Self::Int(column.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Self::Int(column.as_primitive::<Int64Type>().value(row)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Int(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::Float32 => {
                Self::Float(column.as_primitive::<Float32Type>().value(row).into())
            }
            DataType::Float64 => Self::Float(column.as_primitive::<Float64Type>().value(row)),
            DataType::Utf8 => Self::Text(column.as_string::<i32>().value(row)),
            _ => Self::Null,
        }
    }

    /// Whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as a number.
    pub(crate) fn number(&self) -> Option<f64> {
        match *self {
            #[expect(clippy::cast_precision_loss, reason = "numbers are scored in doubles")]
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Null | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The natural order of values of one type, `false` before `true`, null before everything.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
        }
    }
}

/// A scalar value that outlives its column and can be a key of groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<str>),
}

impl Key {
    /// The value as a key of groups; floating numbers, which are refused as keys, count as null.
    pub(crate) fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null | Cell::Float(_) => Self::Null,
            Cell::Bool(value) => Self::Bool(value),
            Cell::Int(value) => Self::Int(value),
            Cell::Text(value) => Self::Text(value.into()),
        }
    }

    /// The value.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Int(value) => Cell::Int(*value),
            Self::Text(value) => Cell::Text(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Float32Array, Int8Array, StringArray};

    use super::*;

    #[test]
    fn cells_of_every_kind_and_their_order() {
        let ints = Int8Array::from(vec![Some(3), None, Some(-1)]);
        assert_eq!(Cell::of(&ints, 0), Cell::Int(3));
        assert!(Cell::of(&ints, 1).is_null() && Cell::of(&ints, 9).is_null());
        assert_eq!(Cell::of(&ints, 2).compare(&Cell::of(&ints, 0)), Ordering::Less);
        let floats = Float32Array::from(vec![0.5]);
        assert_eq!(Cell::of(&floats, 0).number(), Some(0.5));
        let texts = StringArray::from(vec!["b", "a"]);
        assert_eq!(Cell::of(&texts, 0).compare(&Cell::of(&texts, 1)), Ordering::Greater);
        let bools = BooleanArray::from(vec![false, true]);
        assert_eq!(Cell::of(&bools, 0).compare(&Cell::of(&bools, 1)), Ordering::Less);
        assert_eq!(Cell::Null.compare(&Cell::Int(i64::MIN)), Ordering::Less);
        assert_eq!(Key::of(Cell::of(&texts, 1)).cell(), Cell::Text("a"));
    }
}
