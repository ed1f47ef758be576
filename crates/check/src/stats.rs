//! A segment's statistics in its manifest: they rule out no row that the columns have.
//!
//! A filter skips a segment where its statistics say that no row can match, and nothing else would
//! notice that they are wrong: the rows are only not found. So every value is compared with its bounds.
//! Bounds need not be tight, those of long strings never are.
//!
//! Recomputed here and not with the code that writes them (`format`), which may be what is wrong.

use arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _};
use arrow::compute::{max, max_boolean, max_string, min, min_boolean, min_string};
use arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use milvus_format::{SegmentEntry, SegmentFile};
use milvus_types::{Collection, FieldId, FieldStats, ValueRange};

use crate::columns::column;

/// Statistics that are not so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The field.
    pub(crate) field: FieldId,
    /// What they say and what is so.
    pub(crate) what: String,
    /// Whether rows are not found because of it.
    pub(crate) hides_rows: bool,
}

/// What in the statistics of `entry` is not so of the rows in `file`.
pub(crate) fn check(
    file: &SegmentFile,
    entry: &SegmentEntry,
    collection: Option<&Collection>,
) -> Vec<Wrong> {
    let name = |id: FieldId| {
        let field = collection.and_then(|collection| collection.schema.field_by_id(id));
        field.map_or_else(|| format!("field {id}"), |field| format!("field {}", field.name))
    };
    let wrong = |stats: &FieldStats| {
        let column = column(file, stats.field_id);
        let (what, hides_rows) = judge(stats, column.as_ref())?;
        let what = format!("its statistics of {} {what}", name(stats.field_id));
        Some(Wrong { field: stats.field_id, what, hides_rows })
    };
    entry.stats.iter().filter_map(wrong).collect()
}

/// What is wrong with `stats` of `column`, and whether rows are not found because of it.
fn judge(stats: &FieldStats, column: Option<&ArrayRef>) -> Option<(String, bool)> {
    let Some(column) = column else {
        return Some(("are of a column that it does not have".to_owned(), true));
    };
    let (rows, nulls) = (column.len() as u64, column.null_count() as u64);
    // Rows without a value are looked for where there are some, and rows with one where not all are.
    let lost_nulls = nulls > 0 && stats.nulls == 0;
    let lost_values = nulls < rows && stats.nulls >= stats.rows;
    if lost_nulls || lost_values {
        let (said, of) = (stats.nulls, stats.rows);
        let what =
            format!("say that {said} of {of} rows have no value, {nulls} of {rows} have none");
        return Some((what, true));
    }
    if let Some(what) = stats.range.as_ref().and_then(|range| outside(range, column)) {
        return Some((what, true));
    }
    (stats.nulls != nulls).then(|| {
        let said = stats.nulls;
        (format!("say that {said} rows have no value, {nulls} have none"), false)
    })
}

/// What says that a value of `column` lies outside of `range`.
fn outside(range: &ValueRange, column: &ArrayRef) -> Option<String> {
    match range {
        ValueRange::Int { min, max } => {
            let (low, high) = int_bounds(column)?;
            (low < *min || high > *max)
                .then(|| format!("say {min} to {max}, the values are {low} to {high}"))
        }
        ValueRange::Float { min, max } => {
            let (low, high) = float_bounds(column)?;
            // Nothing compares with NaN, so such a value is in no range.
            let within = low >= *min && high <= *max;
            (!within).then(|| format!("say {min} to {max}, the values are {low} to {high}"))
        }
        ValueRange::Text { min, max } => {
            let (low, high) = text_bounds(column)?;
            let above = max.as_deref().is_some_and(|max| high > max);
            (low < &**min || above)
                .then(|| format!("say {min:?} to {max:?}, the values are {low:?} to {high:?}"))
        }
    }
}

/// The smallest and the largest value of `column`; `None` where it is of another kind, which no
/// condition compares with such a range, or has no value.
fn int_bounds(column: &ArrayRef) -> Option<(i64, i64)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of other types no range is of integers")]
    match column.data_type() {
        ArrowType::Boolean => {
            let values = column.as_boolean();
            Some((min_boolean(values)?.into(), max_boolean(values)?.into()))
        }
        ArrowType::Int8 => bounds::<Int8Type, i64>(column),
        ArrowType::Int16 => bounds::<Int16Type, i64>(column),
        ArrowType::Int32 => bounds::<Int32Type, i64>(column),
        ArrowType::Int64 => bounds::<Int64Type, i64>(column),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            bounds::<TimestampMicrosecondType, i64>(column)
        }
        _ => None,
    }
}

/// Arrow sorts NaN above all numbers or, with its sign, below them: it shows at one of the ends.
fn float_bounds(column: &ArrayRef) -> Option<(f64, f64)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of other types no range is of floats")]
    match column.data_type() {
        ArrowType::Float32 => bounds::<Float32Type, f64>(column),
        ArrowType::Float64 => bounds::<Float64Type, f64>(column),
        _ => None,
    }
}

fn text_bounds(column: &ArrayRef) -> Option<(&str, &str)> {
    let texts = column.as_string_opt::<i32>()?;
    Some((min_string(texts)?, max_string(texts)?))
}

fn bounds<T: ArrowPrimitiveType, V>(column: &ArrayRef) -> Option<(V, V)>
where
    T::Native: Into<V>,
{
    let values = column.as_primitive::<T>();
    Some((min(values)?.into(), max(values)?.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float32Array, Int64Array, StringArray};

    use super::*;

    fn hides(column: ArrayRef, nulls: u64, range: Option<ValueRange>) -> Option<bool> {
        let stats = FieldStats { field_id: FieldId(1), rows: column.len() as u64, nulls, range };
        judge(&stats, Some(&column)).map(|(_, hides_rows)| hides_rows)
    }

    #[test]
    fn bounds_that_leave_out_a_value_hide_it_and_wider_ones_do_not() {
        let ints = || Arc::new(Int64Array::from(vec![Some(-5), None, Some(7)])) as ArrayRef;
        let range = |min, max| Some(ValueRange::Int { min, max });
        assert_eq!(hides(ints(), 1, range(-5, 7)), None);
        assert_eq!(hides(ints(), 1, range(-50, 70)), None);
        assert_eq!(hides(ints(), 1, None), None);
        assert_eq!(hides(ints(), 1, range(-4, 7)), Some(true));
        assert_eq!(hides(ints(), 1, range(-5, 6)), Some(true));
        let truths = || Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef;
        assert_eq!(hides(truths(), 0, range(0, 1)), None);
        assert_eq!(hides(truths(), 0, range(1, 1)), Some(true));
        let texts = || Arc::new(StringArray::from(vec!["b", "m"])) as ArrayRef;
        assert_eq!(hides(texts(), 0, Some(ValueRange::text("b", "m"))), None);
        assert_eq!(hides(texts(), 0, Some(ValueRange::text("b", "l"))), Some(true));
        assert_eq!(hides(texts(), 0, Some(ValueRange::text("c", "m"))), Some(true));
        let open = ValueRange::Text { min: "a".into(), max: None };
        assert_eq!(hides(texts(), 0, Some(open)), None);
    }

    #[test]
    fn no_range_holds_a_nan() {
        let range = || Some(ValueRange::Float { min: -9.0, max: 9.0 });
        for nan in [f32::NAN, -f32::NAN] {
            let floats = Arc::new(Float32Array::from(vec![1.0, nan, 2.0]));
            assert_eq!(hides(floats, 0, range()), Some(true));
        }
        assert_eq!(hides(Arc::new(Float32Array::from(vec![1.0, -2.0])), 0, range()), None);
    }

    #[test]
    fn rows_without_a_value_are_hidden_where_none_is_said_to_be() {
        let column = || Arc::new(Int64Array::from(vec![Some(1), None, None])) as ArrayRef;
        assert_eq!(hides(column(), 0, None), Some(true), "the rows without a value");
        assert_eq!(hides(column(), 3, None), Some(true), "the row with one");
        assert_eq!(hides(column(), 1, None), Some(false));
        assert_eq!(hides(column(), 2, None), None);
    }
}
