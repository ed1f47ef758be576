//! Tests of JSON paths and dynamic keys.
//!
//! A row without a value is unknown, except that a row without dynamic keys has an empty object.
//! A path that is missing, null or of another type fails every test but `!=`. Integers and
//! doubles compare by their exact values; nothing else is converted.

use std::cmp::Ordering;

use arrow::array::Array;
use rustc_hash::FxHashSet;

use crate::ast::{ArithOp, CompareOp, ContainsOp};
use crate::column::Column;
use crate::error::EvaluateError;
use crate::literal::Literal;
use crate::pattern::Pattern;

use super::bits::{Bits, Truth};
use super::columns::Source;
use super::json_text::{Json, elements, find, is_hollow};
use super::number::{divide, integer, modulo};
use super::{Run, Test};

/// A test of the value at a path.
#[derive(Debug)]
pub(super) struct JsonTest {
    path: Box<[Box<str>]>,
    is_dynamic: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Compare(CompareOp, Literal),
    Range { low: Literal, low_op: CompareOp, high: Literal, high_op: CompareOp },
    OneOf(Set),
    Match(Pattern),
    Arith { arith: ArithOp, operand: Literal, op: CompareOp, value: Literal },
    ArrayLength(CompareOp, i64),
    Exists,
    Contains(ContainsOp, Vec<Literal>),
}

/// The values of `in`, by kind.
#[derive(Debug, Default)]
struct Set {
    integers: FxHashSet<i64>,
    doubles: FxHashSet<u64>,
    texts: FxHashSet<Box<str>>,
    others: Vec<Literal>,
}

impl JsonTest {
    fn at(column: &Column, kind: Kind) -> Self {
        Self { path: column.path.as_slice().into(), is_dynamic: column.is_dynamic, kind }
    }

    pub(super) fn new(column: &Column, test: &Test<'_>) -> Self {
        let kind = match test {
            Test::Compare(op, value) => Kind::Compare(*op, (*value).clone()),
            Test::Range(lower, upper) => Kind::Range {
                low: lower.value.clone(),
                low_op: if lower.inclusive { CompareOp::GreaterEqual } else { CompareOp::Greater },
                high: upper.value.clone(),
                high_op: if upper.inclusive { CompareOp::LessEqual } else { CompareOp::Less },
            },
            Test::Term(values) => Kind::OneOf(Set::new(values)),
        };
        Self::at(column, kind)
    }

    pub(super) fn arith(
        column: &Column,
        arith: ArithOp,
        operand: &Literal,
        op: CompareOp,
        value: &Literal,
    ) -> Self {
        let (operand, value) = (operand.clone(), value.clone());
        Self::at(column, Kind::Arith { arith, operand, op, value })
    }

    pub(super) fn array_length(column: &Column, op: CompareOp, value: &Literal) -> Self {
        Self::at(column, Kind::ArrayLength(op, integer(value)))
    }

    pub(super) fn matches(column: &Column, pattern: Pattern) -> Self {
        Self::at(column, Kind::Match(pattern))
    }

    pub(super) fn exists(column: &Column) -> Self {
        Self::at(column, Kind::Exists)
    }

    pub(super) fn contains(column: &Column, op: ContainsOp, elements: &[Literal]) -> Self {
        Self::at(column, Kind::Contains(op, elements.to_vec()))
    }

    pub(super) fn run(
        &self,
        source: &Source,
        run: &Run<'_>,
        active: Option<&Bits>,
    ) -> Result<Truth, EvaluateError> {
        let array = source.strings(run.batch)?;
        let yes = Bits::of_rows(array.len(), active, |row| {
            let value = if array.is_null(row) {
                None
            } else {
                find(array.value(row).as_bytes(), &self.path)
            };
            self.passes(value.filter(|value| *value != Json::Null))
        });
        let unknown = if self.is_dynamic { None } else { Bits::nulls(array) };
        Ok(Truth::new(yes, unknown))
    }

    fn passes(&self, value: Option<Json<'_>>) -> bool {
        let value = match (&self.kind, value) {
            (Kind::ArrayLength(op, want), value) => {
                let length = match value {
                    Some(Json::Array(text)) => elements(text).count(),
                    _ => 0,
                };
                return op.holds(Some((length as i64).cmp(want)));
            }
            // What is no list is neither equal nor unequal to one.
            (Kind::Compare(_, Literal::Array(_)), None) => return false,
            (Kind::Compare(op, _) | Kind::Arith { op, .. }, None) => {
                return *op == CompareOp::NotEqual;
            }
            (_, None) => return false,
            (_, Some(value)) => value,
        };
        match &self.kind {
            Kind::Compare(op, want) => compare(*op, &value, want),
            Kind::Range { low, low_op, high, high_op } => {
                compare(*low_op, &value, low) && compare(*high_op, &value, high)
            }
            Kind::OneOf(set) => set.has(&value),
            Kind::Match(pattern) => matches!(value, Json::Text(text) if pattern.matches(&text)),
            Kind::Arith { arith, operand, op, value: want } => compute(*arith, &value, operand)
                .map_or(*op == CompareOp::NotEqual, |result| compare(*op, &result, want)),
            Kind::Exists => !is_hollow(&value),
            Kind::Contains(op, wanted) => contains(*op, &value, wanted),
            Kind::ArrayLength(..) => false,
        }
    }
}

impl Set {
    fn new(values: &[Literal]) -> Self {
        let mut set = Self::default();
        for value in values {
            match value {
                Literal::Int64(value) => {
                    set.integers.insert(*value);
                }
                // A whole double is met as an integer too.
                Literal::Double(value) => match exact_integer(*value) {
                    Some(value) => {
                        set.integers.insert(value);
                    }
                    None => {
                        set.doubles.insert(value.to_bits());
                    }
                },
                Literal::VarChar(value) => {
                    set.texts.insert(value.clone());
                }
                Literal::Bool(_) | Literal::Array(_) => set.others.push(value.clone()),
            }
        }
        set
    }

    fn has(&self, value: &Json<'_>) -> bool {
        match value {
            Json::Int(value) => self.integers.contains(value),
            Json::Double(value) => match exact_integer(*value) {
                Some(value) => self.integers.contains(&value),
                None => self.doubles.contains(&value.to_bits()),
            },
            Json::Text(value) => self.texts.contains(&**value),
            Json::Bool(_) | Json::Array(_) => self.others.iter().any(|other| equal(value, other)),
            Json::Null | Json::Object(_) => false,
        }
    }
}

/// `value` as an integer, if it is one exactly.
fn exact_integer(value: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    (in_range && value.fract() == 0.0).then_some(value as i64)
}

/// How an integer stands to a double, exactly.
fn compare_mixed(integer: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    Some(match exact_integer(double.trunc()) {
        None if double > 0.0 => Ordering::Less,
        None => Ordering::Greater,
        Some(whole) => integer
            .cmp(&whole)
            .then_with(|| 0.0.partial_cmp(&double.fract()).unwrap_or(Ordering::Equal)),
    })
}

fn compare(op: CompareOp, value: &Json<'_>, want: &Literal) -> bool {
    let ordering = match (value, want) {
        (Json::Int(value), Literal::Int64(want)) => Some(value.cmp(want)),
        (Json::Int(value), Literal::Double(want)) => compare_mixed(*value, *want),
        (Json::Double(value), Literal::Int64(want)) => {
            compare_mixed(*want, *value).map(Ordering::reverse)
        }
        (Json::Double(value), Literal::Double(want)) => value.partial_cmp(want),
        (Json::Bool(value), Literal::Bool(want)) => Some(value.cmp(want)),
        (Json::Text(value), Literal::VarChar(want)) => Some((**value).cmp(&**want)),
        (Json::Array(_), Literal::Array(_)) => {
            return match op {
                CompareOp::Equal => equal(value, want),
                CompareOp::NotEqual => !equal(value, want),
                CompareOp::Less
                | CompareOp::LessEqual
                | CompareOp::Greater
                | CompareOp::GreaterEqual => false,
            };
        }
        (_, Literal::Array(_)) => return false,
        _ => None,
    };
    op.holds(ordering)
}

/// Whether a value is the literal, arrays element by element.
fn equal(value: &Json<'_>, want: &Literal) -> bool {
    match (value, want) {
        (Json::Array(text), Literal::Array(wanted)) => {
            let mut found = elements(text);
            wanted.iter().all(|want| found.next().is_some_and(|value| equal(&value, want)))
                && found.next().is_none()
        }
        (value, want) => compare(CompareOp::Equal, value, want),
    }
}

fn contains(op: ContainsOp, value: &Json<'_>, wanted: &[Literal]) -> bool {
    let Json::Array(text) = value else {
        return false;
    };
    let has = |want: &Literal| elements(text).any(|element| equal(&element, want));
    match op {
        ContainsOp::One | ContainsOp::Any => wanted.iter().any(has),
        ContainsOp::All => wanted.iter().all(has),
    }
}

/// `value arith operand`; integers stay integers where both are.
fn compute(arith: ArithOp, value: &Json<'_>, operand: &Literal) -> Option<Json<'static>> {
    if let (Json::Int(x), Literal::Int64(y)) = (value, operand) {
        return Some(Json::Int(match arith {
            ArithOp::Add => x.wrapping_add(*y),
            ArithOp::Subtract => x.wrapping_sub(*y),
            ArithOp::Multiply => x.wrapping_mul(*y),
            ArithOp::Divide => divide(*x, *y),
            ArithOp::Modulo => modulo(*x, *y),
        }));
    }
    let x = match value {
        Json::Int(value) => *value as f64,
        Json::Double(value) => *value,
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::Array(_) | Json::Object(_) => {
            return None;
        }
    };
    let y = operand.as_f64()?;
    Some(Json::Double(match arith {
        ArithOp::Add => x + y,
        ArithOp::Subtract => x - y,
        ArithOp::Multiply => x * y,
        ArithOp::Divide => x / y,
        ArithOp::Modulo => x % y,
    }))
}
