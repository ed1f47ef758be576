//! Evaluation: a typed plan compiled into steps, each a pass over one column's rows.
//!
//! A step yields a [`bits::Truth`] for every row. Under `and` and `or` cheap steps run first, and
//! those that look at one row at a time are asked only about rows that are not decided yet; what
//! they say of the others is of no account.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "types that are not evaluated are refused when planning"
)]

mod bits;
mod boolean;
mod columns;
mod fields;
mod json;
mod json_text;
mod number;
mod text;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use milvus_types::DataType;

use crate::ast::{CompareOp, ContainsOp};
use crate::column::Column;
use crate::error::EvaluateError;
use crate::literal::Literal;
use crate::predicate::{Bound, Predicate};

use bits::{Bits, Truth};
use boolean::BoolTest;
use columns::Source;
use fields::FieldsTest;
use json::JsonTest;
use number::{FloatTest, IntTest};
use text::TextTest;

/// A plan ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    root: Step,
}

#[derive(Debug)]
enum Step {
    Constant(bool),
    Bool(Source, BoolTest),
    Int(Source, IntTest),
    Float(Source, FloatTest),
    Text(Source, TextTest),
    Json(Source, JsonTest),
    Fields(FieldsTest),
    IsNull(Source),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Program {
    pub(crate) fn new(predicate: &Predicate) -> Self {
        Self { root: Step::new(predicate) }
    }

    pub(crate) fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanBuffer, EvaluateError> {
        Ok(self.root.run(batch, None)?.into_yes().into_buffer())
    }
}

/// A test of one column's values, whatever their type.
enum Test<'p> {
    Compare(CompareOp, &'p Literal),
    Range(&'p Bound, &'p Bound),
    Term(&'p [Literal]),
}

impl Step {
    fn new(predicate: &Predicate) -> Self {
        match predicate {
            Predicate::Constant(value) => Self::Constant(*value),
            Predicate::Compare { column, op, value } => {
                Self::test(column, &Test::Compare(*op, value))
            }
            Predicate::Range { column, lower, upper } => {
                Self::test(column, &Test::Range(lower, upper))
            }
            Predicate::Term { values, .. } if values.is_empty() => Self::Constant(false),
            Predicate::Term { column, values } => Self::test(column, &Test::Term(values)),
            Predicate::Arith { column, arith, operand, op, value } => {
                let source = Source::new(column);
                if column.is_json() {
                    Self::Json(source, JsonTest::arith(column, *arith, operand, *op, value))
                } else if column.data_type.is_floating() {
                    Self::Float(source, FloatTest::arith(*arith, operand, *op, value))
                } else {
                    Self::Int(source, IntTest::arith(*arith, operand, *op, value))
                }
            }
            Predicate::ArrayLength { column, op, value } => {
                Self::Json(Source::new(column), JsonTest::array_length(column, *op, value))
            }
            Predicate::Fields { left, op, right } => {
                Self::Fields(FieldsTest::new(left, *op, right))
            }
            Predicate::Match { column, pattern } if column.is_json() => {
                Self::Json(Source::new(column), JsonTest::matches(column, pattern.clone()))
            }
            Predicate::Match { column, pattern } => {
                Self::Text(Source::new(column), TextTest::Match(pattern.clone()))
            }
            Predicate::IsNull(column) => Self::IsNull(Source::new(column)),
            Predicate::Exists(column) => Self::Json(Source::new(column), JsonTest::exists(column)),
            Predicate::Contains { op, elements, .. } if elements.is_empty() => {
                Self::Constant(*op == ContainsOp::All)
            }
            Predicate::Contains { column, op, elements } => {
                Self::Json(Source::new(column), JsonTest::contains(column, *op, elements))
            }
            Predicate::Not(child) => Self::Not(Box::new(Self::new(child))),
            Predicate::And(children) => Self::And(Self::by_cost(children)),
            Predicate::Or(children) => Self::Or(Self::by_cost(children)),
            // Refused before: `Predicate::unsupported`.
            Predicate::TextMatch { .. }
            | Predicate::PhraseMatch { .. }
            | Predicate::RandomSample { .. }
            | Predicate::ElementFilter { .. }
            | Predicate::MatchElements { .. }
            | Predicate::Spatial { .. }
            | Predicate::Timestamptz { .. }
            | Predicate::Call { .. } => Self::Constant(false),
        }
    }

    fn test(column: &Column, test: &Test<'_>) -> Self {
        let source = Source::new(column);
        match column.data_type {
            DataType::JSON => Self::Json(source, JsonTest::new(column, test)),
            DataType::Bool => Self::Bool(source, BoolTest::new(test)),
            data_type if data_type.is_integer() => Self::Int(source, IntTest::new(test)),
            data_type if data_type.is_floating() => Self::Float(source, FloatTest::new(test)),
            _ => Self::Text(source, TextTest::new(test)),
        }
    }

    fn by_cost(children: &[Predicate]) -> Vec<Self> {
        let mut steps: Vec<_> = children.iter().map(Self::new).collect();
        steps.sort_by_key(Self::cost);
        steps
    }

    /// How much a row costs, roughly ordered.
    fn cost(&self) -> u8 {
        match self {
            Self::Constant(_) | Self::IsNull(_) => 0,
            Self::Bool(..) | Self::Int(..) | Self::Float(..) => 1,
            Self::Fields(_) => 2,
            Self::Text(_, test) => test.cost(),
            Self::Json(..) => 6,
            Self::Not(child) => child.cost(),
            Self::And(children) | Self::Or(children) => {
                children.iter().map(Self::cost).max().unwrap_or(0)
            }
        }
    }

    /// What is known of every row of `batch`; rows outside `active` need not be right.
    fn run(&self, batch: &RecordBatch, active: Option<&Bits>) -> Result<Truth, EvaluateError> {
        match self {
            Self::Constant(value) => Ok(Truth::constant(batch.num_rows(), *value)),
            Self::Bool(source, test) => test.run(source, batch),
            Self::Int(source, test) => test.run(source, batch),
            Self::Float(source, test) => test.run(source, batch),
            Self::Text(source, test) => test.run(source, batch, active),
            Self::Json(source, test) => test.run(source, batch, active),
            Self::Fields(test) => test.run(batch),
            Self::IsNull(source) => {
                let array = source.array(batch)?;
                let nulls = Bits::nulls(array);
                Ok(Truth::new(nulls.unwrap_or_else(|| Bits::filled(array.len(), false)), None))
            }
            Self::Not(child) => Ok(child.run(batch, active)?.not()),
            Self::And(children) => fold(
                children,
                batch,
                active,
                Truth::constant(batch.num_rows(), true),
                Truth::possible,
                Truth::and,
            ),
            Self::Or(children) => fold(
                children,
                batch,
                active,
                Truth::constant(batch.num_rows(), false),
                Truth::open,
                Truth::or,
            ),
        }
    }
}

/// Combines `children`, each asked only about rows that `undecided` leaves.
fn fold(
    children: &[Step],
    batch: &RecordBatch,
    active: Option<&Bits>,
    neutral: Truth,
    undecided: fn(&Truth) -> Bits,
    combine: fn(Truth, &Truth) -> Truth,
) -> Result<Truth, EvaluateError> {
    let mut truth = neutral;
    for (index, child) in children.iter().enumerate() {
        if index == 0 {
            truth = child.run(batch, active)?;
            continue;
        }
        let mut left = undecided(&truth);
        if let Some(active) = active {
            left = left.and(active);
        }
        if left.is_empty() {
            break;
        }
        truth = combine(truth, &child.run(batch, Some(&left))?);
    }
    Ok(truth)
}
