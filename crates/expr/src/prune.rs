//! Pruning: what statistics of a segment's columns say of a filter, without reading a row.
//!
//! For each condition two questions are asked: may it be true of some row, and may it be false of
//! some? A row without a value is neither to a comparison, so it counts for neither. `not` swaps the
//! two, `and` and `or` combine them. Where nothing is known (no statistics, JSON, arrays, functions)
//! both answers are yes; so pruning may miss a segment that has no match, and never one that has.

use std::cmp::Ordering;

use milvus_types::{DataType, FieldStats, ValueRange};
use milvus_values::timestamptz::Interval;

use crate::ast::CompareOp;
use crate::column::Column;
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::predicate::{Bound, Predicate};

/// What a condition may be, over all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct May {
    /// True of some row.
    hold: bool,
    /// False of some row.
    fail: bool,
}

const ANYTHING: May = May { hold: true, fail: true };
/// Of no row is anything known.
const NOTHING: May = May { hold: false, fail: false };

/// Whether `predicate` may be true of a row of a segment that has `stats`, sorted by field.
pub(crate) fn may_match(predicate: &Predicate, stats: &[FieldStats]) -> bool {
    may(predicate, stats).hold
}

fn may(predicate: &Predicate, stats: &[FieldStats]) -> May {
    let of = |column: &Column| known(column, stats);
    match predicate {
        Predicate::Constant(value) => May { hold: *value, fail: !*value },
        Predicate::Term { values, .. } if values.is_empty() => May { hold: false, fail: true },
        Predicate::Compare { column, op, value } => {
            of(column).map_or(ANYTHING, |known| known.compare(*op, value))
        }
        Predicate::Timestamptz { column, interval, op, time }
            if *interval == Interval::default() =>
        {
            of(column).map_or(ANYTHING, |known| known.compare(*op, &Literal::Int64(*time)))
        }
        Predicate::Range { column, lower, upper } => {
            of(column).map_or(ANYTHING, |known| known.range(lower, upper))
        }
        Predicate::Term { column, values } => {
            of(column).map_or(ANYTHING, |known| known.one_of(values))
        }
        Predicate::Match { column, pattern } => {
            of(column).map_or(ANYTHING, |known| known.matches(pattern))
        }
        Predicate::IsNull(column) => of(column).map_or(ANYTHING, |Known { stats, .. }| May {
            hold: stats.nulls > 0,
            fail: stats.nulls < stats.rows,
        }),
        Predicate::Not(child) => {
            let May { hold, fail } = may(child, stats);
            May { hold: fail, fail: hold }
        }
        Predicate::And(children) => May {
            hold: children.iter().all(|child| may(child, stats).hold),
            fail: children.iter().any(|child| may(child, stats).fail),
        },
        Predicate::Or(children) => May {
            hold: children.iter().any(|child| may(child, stats).hold),
            fail: children.iter().all(|child| may(child, stats).fail),
        },
        // What these leave out fails, and what they keep has passed the condition on the row.
        Predicate::RandomSample { predicate, .. } | Predicate::ElementFilter { predicate, .. } => {
            let hold = predicate.as_ref().is_none_or(|predicate| may(predicate, stats).hold);
            May { hold, fail: true }
        }
        Predicate::Arith { .. }
        | Predicate::ArrayLength { .. }
        | Predicate::Fields { .. }
        | Predicate::Exists(_)
        | Predicate::Contains { .. }
        | Predicate::TextMatch { .. }
        | Predicate::PhraseMatch { .. }
        | Predicate::MatchElements { .. }
        | Predicate::Spatial { .. }
        | Predicate::Timestamptz { .. }
        | Predicate::StartsWith { .. } => ANYTHING,
    }
}

/// A column with its statistics.
struct Known<'a> {
    data_type: DataType,
    stats: &'a FieldStats,
}

/// The statistics of `column`, if it is a whole field that has some.
fn known<'a>(column: &Column, stats: &'a [FieldStats]) -> Option<Known<'a>> {
    if !column.path.is_empty() || column.is_element || column.is_dynamic || column.is_json() {
        return None;
    }
    let at = stats.binary_search_by_key(&column.field, |stats| stats.field_id).ok()?;
    Some(Known { data_type: column.data_type, stats: stats.get(at)? })
}

/// How the smallest and the largest value may lie to a constant. Both are bounds: no value is smaller
/// than the one or larger than the other.
struct Ends {
    min: Ordering,
    max: Ordering,
}

impl Known<'_> {
    /// How the values lie to `value`; the answer itself where no row has one or nothing is known.
    fn ends(&self, value: &Literal) -> Result<Ends, May> {
        if self.stats.nulls >= self.stats.rows {
            return Err(NOTHING);
        }
        let range = self.stats.range.as_ref().ok_or(ANYTHING)?;
        ends(range, self.data_type, value).ok_or(ANYTHING)
    }

    fn compare(&self, op: CompareOp, value: &Literal) -> May {
        let Ends { min, max } = match self.ends(value) {
            Ok(ends) => ends,
            Err(may) => return may,
        };
        let equal = May { hold: min.is_le() && max.is_ge(), fail: min.is_ne() || max.is_ne() };
        match op {
            CompareOp::Less => May { hold: min.is_lt(), fail: max.is_ge() },
            CompareOp::LessEqual => May { hold: min.is_le(), fail: max.is_gt() },
            CompareOp::Greater => May { hold: max.is_gt(), fail: min.is_le() },
            CompareOp::GreaterEqual => May { hold: max.is_ge(), fail: min.is_lt() },
            CompareOp::Equal => equal,
            CompareOp::NotEqual => May { hold: equal.fail, fail: equal.hold },
        }
    }

    fn range(&self, lower: &Bound, upper: &Bound) -> May {
        let above = match lower.inclusive {
            true => self.compare(CompareOp::GreaterEqual, &lower.value),
            false => self.compare(CompareOp::Greater, &lower.value),
        };
        let below = match upper.inclusive {
            true => self.compare(CompareOp::LessEqual, &upper.value),
            false => self.compare(CompareOp::Less, &upper.value),
        };
        May { hold: above.hold && below.hold, fail: above.fail || below.fail }
    }

    fn one_of(&self, values: &[Literal]) -> May {
        values.iter().map(|value| self.compare(CompareOp::Equal, value)).fold(
            May { hold: false, fail: true },
            |so_far, equal| May {
                hold: so_far.hold || equal.hold,
                fail: so_far.fail && equal.fail,
            },
        )
    }

    fn matches(&self, pattern: &Pattern) -> May {
        if let Some(text) = pattern.exact() {
            return self.compare(CompareOp::Equal, &Literal::VarChar(text.into()));
        }
        if self.stats.nulls >= self.stats.rows {
            return NOTHING;
        }
        let Some(ValueRange::Text { min, max }) = &self.stats.range else { return ANYTHING };
        let prefix = pattern.prefix();
        // Whatever begins with the prefix lies at or behind it, and before what lies behind all such.
        let reaches = max.as_deref().is_none_or(|max| max >= prefix);
        let begins = &**min <= prefix || min.starts_with(prefix);
        May { hold: reaches && begins, fail: true }
    }
}

/// How the ends of `range` lie to `value`; `None` if they cannot be compared.
fn ends(range: &ValueRange, data_type: DataType, value: &Literal) -> Option<Ends> {
    match (range, value) {
        (ValueRange::Int { min, max }, Literal::Int64(value)) if is_whole(data_type) => {
            Some(Ends { min: min.cmp(value), max: max.cmp(value) })
        }
        (ValueRange::Int { min, max }, Literal::Bool(value)) if data_type == DataType::Bool => {
            let value = i64::from(*value);
            Some(Ends { min: min.cmp(&value), max: max.cmp(&value) })
        }
        (ValueRange::Float { min, max }, Literal::Double(value)) if data_type.is_floating() => {
            let value = if data_type == DataType::Float { single(*value) } else { *value };
            Some(Ends { min: min.partial_cmp(&value)?, max: max.partial_cmp(&value)? })
        }
        (ValueRange::Text { min, max }, Literal::VarChar(value)) if data_type.is_string() => {
            let max = max.as_deref().map_or(Ordering::Greater, |max| max.cmp(value));
            Some(Ends { min: (**min).cmp(value), max })
        }
        _ => None,
    }
}

fn is_whole(data_type: DataType) -> bool {
    data_type.is_integer() || data_type == DataType::Timestamptz
}

/// `value` as a Float column is compared with it: in single precision.
#[expect(clippy::cast_possible_truncation, reason = "single precision is meant")]
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}
