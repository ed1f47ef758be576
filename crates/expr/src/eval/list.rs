//! Tests of array columns as a whole: what they contain, how long they are, whether they equal a list.
//!
//! Elements are tested all in one pass, as a column's values are; rows then look at their own. A null
//! row is unknown.

use arrow::array::{Array, ListArray};

use crate::ast::{CompareOp, ContainsOp};
use crate::column::Column;
use crate::error::EvaluateError;
use crate::literal::Literal;

use super::bits::{Bits, Truth};
use super::columns::{Source, elements_at};
use super::number::integer;
use super::{Run, Step, Test, ValueTest};

#[derive(Debug)]
pub(super) struct ListTest {
    kind: Kind,
    /// The elements, for their type.
    element: Source,
}

#[derive(Debug)]
enum Kind {
    Length(CompareOp, i64),
    /// Each test is satisfied by some element.
    Contains(Vec<ValueTest>),
    /// The list is one of these, or none of them.
    OneOf {
        lists: Vec<Vec<ValueTest>>,
        negated: bool,
    },
}

impl ListTest {
    pub(super) fn length(column: &Column, op: CompareOp, value: &Literal) -> Self {
        Self { kind: Kind::Length(op, integer(value)), element: Source::element(column) }
    }

    pub(super) fn contains(column: &Column, op: ContainsOp, elements: &[Literal]) -> Self {
        let element = Source::element(column);
        let tests = match op {
            ContainsOp::One | ContainsOp::Any => vec![one_of(&element, elements)],
            ContainsOp::All => elements.iter().map(|value| equal(&element, value)).collect(),
        };
        Self { kind: Kind::Contains(tests), element }
    }

    /// A comparison of the list with others.
    pub(super) fn whole(column: &Column, test: &Test<'_>) -> Self {
        let element = Source::element(column);
        let (values, negated): (&[Literal], bool) = match test {
            Test::Compare(CompareOp::Equal, value) => (std::slice::from_ref(*value), false),
            Test::Compare(CompareOp::NotEqual, value) => (std::slice::from_ref(*value), true),
            Test::Term(values) => (values, false),
            // Refused when checking types: lists have no order.
            Test::Compare(..) | Test::Range(..) => (&[], false),
        };
        let lists = values.iter().filter_map(|value| same(&element, value)).collect();
        Self { kind: Kind::OneOf { lists, negated }, element }
    }

    pub(super) fn run(&self, source: &Source, run: &Run<'_>) -> Result<Truth, EvaluateError> {
        let lists = source.lists(run.batch)?;
        let yes = match &self.kind {
            Kind::Length(op, want) => Bits::of_rows(lists.len(), None, |row| {
                op.holds(Some(i64::from(lists.value_length(row)).cmp(want)))
            }),
            Kind::Contains(tests) => self.contains_each(lists, tests)?,
            Kind::OneOf { lists: wanted, negated } => {
                let mut found = Bits::filled(lists.len(), false);
                for tests in wanted {
                    found = found.or(&self.equals(lists, tests)?);
                }
                if *negated { found.not() } else { found }
            }
        };
        Ok(Truth::new(yes, Bits::nulls(lists)))
    }

    fn contains_each(&self, lists: &ListArray, tests: &[ValueTest]) -> Result<Bits, EvaluateError> {
        let offsets = lists.value_offsets();
        let place = |row: usize| {
            offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
        };
        let (first, last) = (place(0), place(lists.len()));
        let elements = lists.values().slice(first, last - first);
        let mut rows: Option<Bits> = None;
        for test in tests {
            let hits = test.bits(&self.element, &elements, None)?;
            rows = Some(Bits::of_rows(lists.len(), rows.as_ref(), |row| {
                hits.any_in(place(row) - first, place(row + 1) - first)
            }));
        }
        Ok(rows.unwrap_or_else(|| Bits::filled(lists.len(), true)))
    }

    /// The rows whose list has as many elements as there are `tests`, each satisfying its own.
    fn equals(&self, lists: &ListArray, tests: &[ValueTest]) -> Result<Bits, EvaluateError> {
        let mut rows = Bits::of_rows(lists.len(), None, |row| {
            usize::try_from(lists.value_length(row)) == Ok(tests.len())
        });
        for (index, test) in tests.iter().enumerate() {
            if rows.is_empty() {
                break;
            }
            let elements = elements_at(lists, index)?;
            rows = rows.and(&test.bits(&self.element, &elements, None)?);
        }
        Ok(rows)
    }
}

fn one_of(element: &Source, values: &[Literal]) -> ValueTest {
    Step::value_test(element, &Test::Term(values))
}

fn equal(element: &Source, value: &Literal) -> ValueTest {
    Step::value_test(element, &Test::Compare(CompareOp::Equal, value))
}

/// The tests of the elements of list `value`, `None` if it cannot be such an array.
fn same(element: &Source, value: &Literal) -> Option<Vec<ValueTest>> {
    let Literal::Array(values) = value else {
        return None;
    };
    let test = |value: &Literal| {
        let value = value.clone().cast(element.data_type).ok()?;
        Some(equal(element, &value))
    };
    values.iter().map(test).collect()
}
