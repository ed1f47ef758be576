//! Tests of VarChar columns; strings compare by bytes, which is by code points.

use arrow::array::{Array, RecordBatch};
use rustc_hash::FxHashSet;

use crate::ast::CompareOp;
use crate::error::EvaluateError;
use crate::literal::Literal;
use crate::pattern::Pattern;

use super::Test;
use super::bits::{Bits, Truth};
use super::columns::Source;

/// A test of strings.
#[derive(Debug)]
pub(super) enum TextTest {
    Compare(CompareOp, Box<str>),
    Range { low: Box<str>, low_op: CompareOp, high: Box<str>, high_op: CompareOp },
    OneOf(FxHashSet<Box<str>>),
    Match(Pattern),
}

impl TextTest {
    pub(super) fn new(test: &Test<'_>) -> Self {
        match test {
            Test::Compare(op, value) => Self::Compare(*op, text(value)),
            Test::Range(lower, upper) => Self::Range {
                low: text(&lower.value),
                low_op: if lower.inclusive { CompareOp::GreaterEqual } else { CompareOp::Greater },
                high: text(&upper.value),
                high_op: if upper.inclusive { CompareOp::LessEqual } else { CompareOp::Less },
            },
            Test::Term(values) => Self::OneOf(values.iter().map(text).collect()),
        }
    }

    /// How much a row costs, on the scale of `Step::cost`.
    pub(super) fn cost(&self) -> u8 {
        match self {
            Self::Compare(..) | Self::Range { .. } => 3,
            Self::OneOf(_) => 4,
            Self::Match(Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Suffix(_)) => 3,
            Self::Match(Pattern::Contains(_)) => 4,
            Self::Match(Pattern::Wildcards(_)) => 5,
            Self::Match(Pattern::Regex(_)) => 7,
        }
    }

    pub(super) fn run(
        &self,
        source: &Source,
        batch: &RecordBatch,
        active: Option<&Bits>,
    ) -> Result<Truth, EvaluateError> {
        let array = source.strings(batch)?;
        let rows = |test: &dyn Fn(&str) -> bool| {
            Bits::of_rows(array.len(), active, |row| test(array.value(row)))
        };
        let yes = match self {
            Self::Compare(CompareOp::Equal, want) => {
                Bits::of_rows(array.len(), active, |row| array.value(row) == &**want)
            }
            Self::Compare(CompareOp::NotEqual, want) => {
                Bits::of_rows(array.len(), active, |row| array.value(row) != &**want)
            }
            Self::Compare(op, want) => rows(&|value| op.holds(Some(value.cmp(want)))),
            Self::Range { low, low_op, high, high_op } => rows(&|value| {
                low_op.holds(Some(value.cmp(low))) && high_op.holds(Some(value.cmp(high)))
            }),
            Self::OneOf(set) => rows(&|value| set.contains(value)),
            Self::Match(pattern) => rows(&|value| pattern.matches(value)),
        };
        Ok(Truth::new(yes, Bits::nulls(array)))
    }
}

/// The literal's string; type checking has made it one.
fn text(value: &Literal) -> Box<str> {
    match value {
        Literal::VarChar(value) => value.clone(),
        Literal::Bool(_) | Literal::Int64(_) | Literal::Double(_) | Literal::Array(_) => "".into(),
    }
}
