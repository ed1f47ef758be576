//! Columns made of scalar values: what groups, counts and metrics are returned as.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use milvus_types::{DataType, Value};

use crate::cell::Cell;
use crate::metric::cell_of_optional;

/// A column of `data_type`; values that are not of it become null, and so does every value of a
/// type without scalars.
pub(crate) fn typed_column(data_type: DataType, values: &[Option<Value>]) -> ArrayRef {
    let integer = |value: &Option<Value>| match cell_of_optional(value) {
        Cell::Int(value) => Some(value),
        Cell::Null | Cell::Bool(_) | Cell::Float(_) | Cell::Text(_) => None,
    };
    macro_rules! small {
        ($array:ty, $native:ty) => {
            Arc::new(<$array>::from_iter(
                values.iter().map(|value| integer(value).and_then(|v| <$native>::try_from(v).ok())),
            ))
        };
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else is text")]
    match data_type {
        DataType::Bool => Arc::new(BooleanArray::from_iter(values.iter().map(|value| {
            match cell_of_optional(value) {
                Cell::Bool(value) => Some(value),
                _ => None,
            }
        }))),
        DataType::Int8 => small!(Int8Array, i8),
        DataType::Int16 => small!(Int16Array, i16),
        DataType::Int32 => small!(Int32Array, i32),
        DataType::Int64 => Arc::new(values.iter().map(integer).collect::<Int64Array>()),
        DataType::Timestamptz => Arc::new(
            values.iter().map(integer).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
        ),
        #[expect(clippy::cast_possible_truncation, reason = "the value was a single before")]
        DataType::Float => Arc::new(Float32Array::from_iter(
            values.iter().map(|value| cell_of_optional(value).number().map(|number| number as f32)),
        )),
        DataType::Double => Arc::new(
            values.iter().map(|value| cell_of_optional(value).number()).collect::<Float64Array>(),
        ),
        _ => Arc::new(StringArray::from_iter(values.iter().map(|value| match value {
            Some(Value::VarChar(text)) => Some(text.as_str()),
            _ => None,
        }))),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::Int16Type;

    use super::*;

    #[test]
    fn values_become_columns_of_their_type() {
        let ints = [Some(Value::Int64(3)), None, Some(Value::Int64(70_000))];
        let column = typed_column(DataType::Int16, &ints);
        let column = column.as_primitive::<Int16Type>();
        assert_eq!(column.iter().collect::<Vec<_>>(), [Some(3), None, None]);
        let texts = [Some(Value::VarChar("a".to_owned())), None];
        assert_eq!(typed_column(DataType::VarChar, &texts).as_string::<i32>().value(0), "a");
        assert!(typed_column(DataType::Timestamptz, &ints).is_valid(0));
        let doubles = [Some(Value::Double(0.5)), Some(Value::Int64(2))];
        assert_eq!(typed_column(DataType::Double, &doubles).null_count(), 0);
    }
}
