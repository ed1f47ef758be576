//! Evaluation: a typed plan compiled into steps, each a pass over one column's rows.
//!
//! A step yields a [`bits::Truth`] for every row. Under `and` and `or` cheap steps run first, and
//! those that look at one row at a time are asked only about rows that are not decided yet; what
//! they say of the others is of no account. A step that an index has answered costs nothing, or,
//! if the answer is a superset, is asked only about the rows of that.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "types that are not evaluated are refused when planning"
)]

mod bits;
mod boolean;
mod columns;
mod elements;
mod fields;
mod json;
mod json_text;
mod list;
mod number;
mod sample;
mod spatial;
mod text;
mod time;
mod wide;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use milvus_types::DataType;

use crate::ast::{CompareOp, ContainsOp};
use crate::column::Column;
use crate::error::EvaluateError;
use crate::leaf::{Answer, Leaf, ScalarIndexes};
use crate::literal::Literal;
use crate::predicate::{Bound, Predicate};

use bits::{Bits, Truth};
use boolean::BoolTest;
use columns::Source;
use elements::ElementsTest;
use fields::{FieldsTest, PrefixTest};
use json::JsonTest;
use list::ListTest;
use number::{FloatTest, IntTest};
use spatial::SpatialTest;
use text::TextTest;
use time::TimeTest;

pub(crate) use elements::Elements;
pub(crate) use spatial::{Function, Spatial};

/// A plan ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    root: Step,
    /// The conditions that indexes may answer, by the number of their step.
    leaves: Vec<Predicate>,
}

/// One batch, and what indexes know of its segment.
pub(super) struct Run<'r> {
    pub(super) batch: &'r RecordBatch,
    /// The batch's first row within its segment.
    pub(super) first_row: u32,
    /// By number of leaf; none at all if there are no indexes.
    answers: &'r [Option<Answer>],
}

#[derive(Debug)]
enum Step {
    Constant(bool),
    Values(Source, ValueTest),
    Json(Source, JsonTest),
    List(Source, ListTest),
    Spatial(Source, SpatialTest),
    Fields(FieldsTest),
    Prefix(PrefixTest),
    IsNull(Source),
    Elements(ElementsTest),
    Sample {
        factor: f64,
        seed: u64,
        of: Box<Self>,
    },
    /// A step that an index may have answered.
    Leaf(usize, Box<Self>),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// A test of one value at a time.
#[derive(Debug)]
enum ValueTest {
    Bool(BoolTest),
    Int(IntTest),
    Float(FloatTest),
    Text(TextTest),
    Time(TimeTest),
}

impl Program {
    pub(crate) fn new(predicate: &Predicate) -> Self {
        let mut leaves = Vec::new();
        Self { root: Step::new(predicate, &mut leaves), leaves }
    }

    /// Asks `indexes` about every leaf.
    pub(crate) fn answers(&self, indexes: &dyn ScalarIndexes) -> Vec<Option<Answer>> {
        let answer = |leaf| Leaf::of(leaf).and_then(|leaf| indexes.answer(&leaf));
        self.leaves.iter().map(answer).collect()
    }

    /// The conditions that indexes may answer.
    pub(crate) fn leaves(&self) -> &[Predicate] {
        &self.leaves
    }

    /// The rows of `batch` where the condition is true.
    pub(crate) fn evaluate(
        &self,
        batch: &RecordBatch,
        first_row: u32,
        answers: &[Option<Answer>],
    ) -> Result<BooleanBuffer, EvaluateError> {
        let run = Run { batch, first_row, answers };
        Ok(self.root.run(&run, None)?.into_yes().into_buffer())
    }
}

/// A test of one column's values, whatever their type.
enum Test<'p> {
    Compare(CompareOp, &'p Literal),
    Range(&'p Bound, &'p Bound),
    Term(&'p [Literal]),
}

impl Step {
    /// The step of `predicate`; what indexes may answer is added to `leaves`.
    fn new(predicate: &Predicate, leaves: &mut Vec<Predicate>) -> Self {
        if Leaf::of(predicate).is_none() {
            return Self::compile(predicate, leaves);
        }
        let number = leaves.len();
        leaves.push(predicate.clone());
        Self::Leaf(number, Box::new(Self::compile(predicate, leaves)))
    }

    /// The step of a condition that is no index's business.
    fn without_leaves(predicate: &Predicate) -> Self {
        Self::new(predicate, &mut Vec::new())
    }

    fn compile(predicate: &Predicate, leaves: &mut Vec<Predicate>) -> Self {
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
                } else if source.data_type.is_floating() {
                    let test = FloatTest::arith(*arith, operand, *op, value);
                    Self::Values(source, ValueTest::Float(test))
                } else {
                    let test = IntTest::arith(*arith, operand, *op, value);
                    Self::Values(source, ValueTest::Int(test))
                }
            }
            Predicate::ArrayLength { column, op, value } if column.is_json() => {
                Self::Json(Source::new(column), JsonTest::array_length(column, *op, value))
            }
            Predicate::ArrayLength { column, op, value } => {
                Self::List(Source::new(column), ListTest::length(column, *op, value))
            }
            Predicate::Fields { left, op, right } => {
                Self::Fields(FieldsTest::new(left, *op, right))
            }
            Predicate::StartsWith { text, prefix } => Self::Prefix(PrefixTest::new(text, prefix)),
            Predicate::Match { column, pattern } if column.is_json() => {
                Self::Json(Source::new(column), JsonTest::matches(column, pattern.clone()))
            }
            Predicate::Match { column, pattern } => {
                Self::Values(Source::new(column), ValueTest::Text(TextTest::Match(pattern.clone())))
            }
            Predicate::IsNull(column) => Self::IsNull(Source::new(column)),
            Predicate::Exists(column) => Self::Json(Source::new(column), JsonTest::exists(column)),
            Predicate::Contains { op, elements, .. } if elements.is_empty() => {
                Self::Constant(*op == ContainsOp::All)
            }
            Predicate::Contains { column, op, elements } if column.is_json() => {
                Self::Json(Source::new(column), JsonTest::contains(column, *op, elements))
            }
            Predicate::Contains { column, op, elements } => {
                Self::List(Source::new(column), ListTest::contains(column, *op, elements))
            }
            Predicate::Not(child) => Self::Not(Box::new(Self::new(child, leaves))),
            Predicate::And(children) => Self::And(Self::by_cost(children, leaves)),
            Predicate::Or(children) => Self::Or(Self::by_cost(children, leaves)),
            Predicate::Spatial { column, test } => {
                Self::Spatial(Source::new(column), SpatialTest::new(test))
            }
            Predicate::Timestamptz { column, interval, op, time } => Self::Values(
                Source::new(column),
                ValueTest::Time(TimeTest::new(*interval, *op, *time)),
            ),
            Predicate::RandomSample { factor, seed, predicate } => {
                let of = match predicate {
                    Some(predicate) => Self::new(predicate, leaves),
                    None => Self::Constant(true),
                };
                Self::Sample { factor: *factor, seed: *seed, of: Box::new(of) }
            }
            Predicate::ElementFilter { first, element, predicate, .. } => {
                let any = Self::Elements(ElementsTest::any(first, element));
                match predicate {
                    Some(predicate) => Self::And(vec![Self::new(predicate, leaves), any]),
                    None => any,
                }
            }
            Predicate::MatchElements { quantifier, first, element, threshold, .. } => {
                Self::Elements(ElementsTest::new(*quantifier, *threshold, first, element))
            }
            // Refused before: `Predicate::unsupported`.
            Predicate::TextMatch { .. } | Predicate::PhraseMatch { .. } => Self::Constant(false),
        }
    }

    fn test(column: &Column, test: &Test<'_>) -> Self {
        let source = Source::new(column);
        match source.data_type {
            DataType::JSON => Self::Json(source, JsonTest::new(column, test)),
            DataType::Array => Self::List(source, ListTest::whole(column, test)),
            _ => {
                let test = Self::value_test(&source, test);
                Self::Values(source, test)
            }
        }
    }

    fn value_test(source: &Source, test: &Test<'_>) -> ValueTest {
        match source.data_type {
            DataType::Bool => ValueTest::Bool(BoolTest::new(test)),
            DataType::Timestamptz => ValueTest::Int(IntTest::new(test)),
            data_type if data_type.is_integer() => ValueTest::Int(IntTest::new(test)),
            data_type if data_type.is_floating() => ValueTest::Float(FloatTest::new(test)),
            _ => ValueTest::Text(TextTest::new(test)),
        }
    }

    fn by_cost(children: &[Predicate], leaves: &mut Vec<Predicate>) -> Vec<Self> {
        let mut steps: Vec<_> = children.iter().map(|child| Self::new(child, leaves)).collect();
        steps.sort_by_key(|step| step.cost(&[]));
        steps
    }

    /// How much a row costs, roughly ordered, where indexes have given `answers`.
    fn cost(&self, answers: &[Option<Answer>]) -> u8 {
        match self {
            Self::Constant(_) | Self::IsNull(_) => 0,
            Self::Leaf(number, step) => match answers.get(*number) {
                Some(Some(Answer { exact: true, .. })) => 0,
                // Asked first of its kind: it leaves fewer rows to the others.
                Some(Some(Answer { exact: false, .. })) => step.cost(answers).min(2),
                _ => step.cost(answers),
            },
            Self::Values(_, ValueTest::Bool(_) | ValueTest::Int(_) | ValueTest::Float(_)) => 1,
            Self::Values(_, ValueTest::Text(test)) => test.cost(),
            Self::Values(_, ValueTest::Time(_)) | Self::Fields(_) => 2,
            Self::Prefix(_) | Self::List(..) => 4,
            Self::Json(..) => 6,
            Self::Elements(test) => test.cost(),
            Self::Spatial(..) => 8,
            Self::Not(child) | Self::Sample { of: child, .. } => child.cost(answers),
            Self::And(children) | Self::Or(children) => {
                children.iter().map(|child| child.cost(answers)).max().unwrap_or(0)
            }
        }
    }

    /// What is known of every row of `batch`; rows outside `active` need not be right.
    fn run(&self, run: &Run<'_>, active: Option<&Bits>) -> Result<Truth, EvaluateError> {
        let rows = run.batch.num_rows();
        match self {
            Self::Constant(value) => Ok(Truth::constant(rows, *value)),
            Self::Values(source, test) => test.run(source, run, active),
            Self::Json(source, test) => test.run(source, run, active),
            Self::List(source, test) => test.run(source, run),
            Self::Spatial(source, test) => test.run(source, run, active),
            Self::Fields(test) => test.run(run),
            Self::Prefix(test) => test.run(run),
            Self::Elements(test) => test.run(run, active),
            Self::IsNull(source) => {
                let nulls = Bits::nulls(source.column(run.batch)?);
                Ok(Truth::new(nulls.unwrap_or_else(|| Bits::filled(rows, false)), None))
            }
            Self::Sample { factor, seed, of } => {
                let passed = of.run(run, active)?.into_yes();
                Ok(Truth::new(sample::sample(passed, *factor, *seed, run.first_row), None))
            }
            Self::Leaf(number, step) => match run.answer(*number) {
                Some(answer) => run.verify(answer, step, active),
                None => step.run(run, active),
            },
            Self::Not(child) => Ok(child.run(run, active)?.not()),
            Self::And(children) => {
                let neutral = Truth::constant(rows, true);
                fold(children, run, active, neutral, Truth::possible, Truth::and)
            }
            Self::Or(children) => {
                let neutral = Truth::constant(rows, false);
                fold(children, run, active, neutral, Truth::open, Truth::or)
            }
        }
    }
}

impl<'r> Run<'r> {
    /// What an index knows of leaf `number`, if it knows all rows of the batch.
    fn answer(&self, number: usize) -> Option<&'r Answer> {
        let answer = self.answers.get(number)?.as_ref()?;
        let end = self.first_row as usize + self.batch.num_rows();
        let covers = |bits: &BooleanBuffer| bits.len() >= end;
        (covers(&answer.yes) && answer.unknown.as_ref().is_none_or(covers)).then_some(answer)
    }

    /// The truth of `step`, which an index has answered.
    fn verify(
        &self,
        answer: &Answer,
        step: &Step,
        active: Option<&Bits>,
    ) -> Result<Truth, EvaluateError> {
        let rows = self.batch.num_rows();
        let slice =
            |bits: &BooleanBuffer| Bits::from_buffer(&bits.slice(self.first_row as usize, rows));
        let yes = slice(&answer.yes);
        let unknown = answer.unknown.as_ref().map(slice);
        if answer.exact {
            return Ok(Truth::new(yes, unknown));
        }
        let mut doubtful = yes;
        if let Some(active) = active {
            doubtful = doubtful.and(active);
        }
        if doubtful.is_empty() {
            return Ok(Truth::new(doubtful, unknown));
        }
        let verified = step.run(self, Some(&doubtful))?.into_yes();
        Ok(Truth::new(verified.and(&doubtful), unknown))
    }
}

impl ValueTest {
    fn run(
        &self,
        source: &Source,
        run: &Run<'_>,
        active: Option<&Bits>,
    ) -> Result<Truth, EvaluateError> {
        let values = source.values(run)?;
        let mut yes = self.bits(source, &values.array, active)?;
        if source.is_subscripted()
            && let Some(missing) = Bits::nulls(&values.array)
        {
            yes = yes.and_not(&missing);
        }
        Ok(Truth::new(yes, Bits::nulls(&values.rows)))
    }

    /// The values of `array` that pass; nulls are of no account.
    fn bits(
        &self,
        source: &Source,
        array: &ArrayRef,
        active: Option<&Bits>,
    ) -> Result<Bits, EvaluateError> {
        match self {
            Self::Bool(test) => test.bits(source, array),
            Self::Int(test) => test.bits(source, array),
            Self::Float(test) => test.bits(source, array),
            Self::Text(test) => test.bits(source, array, active),
            Self::Time(test) => test.bits(source, array, active),
        }
    }
}

/// Combines `children`, the cheapest first, each asked only about rows that `undecided` leaves.
fn fold(
    children: &[Step],
    run: &Run<'_>,
    active: Option<&Bits>,
    neutral: Truth,
    undecided: fn(&Truth) -> Bits,
    combine: fn(Truth, &Truth) -> Truth,
) -> Result<Truth, EvaluateError> {
    let mut order: Vec<&Step> = children.iter().collect();
    if !run.answers.is_empty() {
        order.sort_by_key(|step| step.cost(run.answers));
    }
    let mut truth: Option<Truth> = None;
    for child in order {
        let Some(known) = truth.take() else {
            truth = Some(child.run(run, active)?);
            continue;
        };
        let mut left = undecided(&known);
        if let Some(active) = active {
            left = left.and(active);
        }
        if left.is_empty() {
            return Ok(known);
        }
        let found = child.run(run, Some(&left))?;
        truth = Some(combine(known, &found));
    }
    Ok(truth.unwrap_or(neutral))
}
