//! Leaves: the conditions of a plan that a scalar index may answer instead of the rows.
//!
//! A leaf is one column against constants. [`Plan::bind`](crate::Plan::bind) shows every leaf to
//! the indexes of one segment; what they answer replaces evaluation of that leaf, or, where the
//! answer is not exact, narrows the rows that are evaluated. Results are the same with and without.
//!
//! Not here: which index answers what, and how (crate `scalar`).

use arrow::buffer::BooleanBuffer;
use milvus_types::{DataType, FieldId};

use crate::ast::{CompareOp, ContainsOp};
use crate::column::Column;
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::predicate::{Bound, Predicate};

/// One condition on one column.
#[derive(Clone, Debug)]
pub struct Leaf<'p> {
    /// The field; the dynamic field for a dynamic key.
    pub field: FieldId,
    /// The field's type.
    pub data_type: DataType,
    /// The type of an array's elements.
    pub element_type: Option<DataType>,
    /// Keys and indexes within a JSON field from the outside in, unquoted and without escapes, as
    /// the steps of a JSON pointer; the one index of an array's element; else empty.
    pub path: &'p [Box<str>],
    /// Whether the field is the dynamic field, whose rows without a value count as an empty object:
    /// no row is unknown.
    pub is_dynamic: bool,
    /// What is asked of the value.
    pub condition: Condition<'p>,
}

/// What a leaf asks.
///
/// On fields other than JSON a null row is unknown. Constants have the column's type: `Int64` for
/// integers and `Timestamptz` (microseconds), `Double` for floating-point columns (a `Float` column
/// is compared in single precision: the constant is rounded to `f32` first), `VarChar`, `Bool`.
/// An element beyond the end of an array fails every condition, `!=` included.
///
/// On JSON a row whose field is null is unknown (never so in the dynamic field). A path that is
/// missing, leads to `null`, or to a value of another type than the constant fails every condition
/// but `Compare` with `NotEqual`, which it passes. Integers and doubles compare by their exact
/// values; nothing else is converted.
#[derive(Clone, Debug)]
pub enum Condition<'p> {
    /// `column op value`
    Compare {
        /// The operator, the column on its left.
        op: CompareOp,
        /// The constant.
        value: &'p Literal,
    },
    /// Between two constants.
    Range {
        /// The lower end.
        lower: &'p Bound,
        /// The upper end.
        upper: &'p Bound,
    },
    /// Equal to one of the constants; there is at least one.
    In(&'p [Literal]),
    /// `like` or `=~`.
    Match(Matcher<'p>),
    /// The array (of an array field or at a JSON path) holds one, all or any of the elements.
    Contains {
        /// Which of the three.
        op: ContainsOp,
        /// The elements; of array fields cast to their element type.
        elements: &'p [Literal],
    },
    /// The row has no value. Never unknown. The path is empty.
    IsNull,
    /// The JSON path leads to something other than nulls: a value that is not null, and if it is an
    /// array or object, holds at any depth something that is neither null nor an array or object.
    Exists,
    /// The geometry satisfies a spatial condition.
    Spatial(Extent),
}

/// What an index needs to know of a spatial condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Extent {
    /// Only geometries whose envelope meets one of these rectangles (minimum x, minimum y, maximum x,
    /// maximum y; edges included, maybe infinite) can satisfy the condition. The answer is not exact.
    pub rectangles: Vec<[f64; 4]>,
}

/// The pattern of a `like` or `=~`.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'p>(&'p Pattern);

impl<'p> Matcher<'p> {
    /// Whether `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }

    /// The one text that fits, if the pattern has no wildcard.
    pub fn exact(&self) -> Option<&'p str> {
        self.0.exact()
    }

    /// What every text that fits begins with; empty if nothing is known.
    pub fn prefix(&self) -> &'p str {
        self.0.prefix()
    }

    /// Whether every text that begins with [`prefix`](Self::prefix) fits.
    pub fn is_prefix(&self) -> bool {
        self.0.is_prefix()
    }

    /// Texts that every text that fits contains, in any order; may be empty.
    pub fn substrings(&self) -> Vec<String> {
        self.0.substrings()
    }
}

/// What an index knows of a leaf, for every row of its segment.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The rows where the condition is true. If the answer is not `exact`, rows where it is false
    /// may be among them; none where it is true is missing.
    pub yes: BooleanBuffer,
    /// Exactly the rows where the condition is unknown, `None` if there are no such rows.
    pub unknown: Option<BooleanBuffer>,
    /// Whether `yes` need not be verified against the rows.
    pub exact: bool,
}

/// The scalar indexes of one segment.
pub trait ScalarIndexes {
    /// What an index knows of `leaf`, `None` if the rows must be read. Bit `n` is the segment's row
    /// `n`; both buffers are as long as the segment has rows.
    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer>;
}

impl<'p> Leaf<'p> {
    /// The leaf that `predicate` is, `None` if indexes are not asked about such a condition.
    pub(crate) fn of(predicate: &'p Predicate) -> Option<Self> {
        let (column, condition) = match predicate {
            Predicate::Compare { column, op, value } => {
                (column, Condition::Compare { op: *op, value })
            }
            Predicate::Range { column, lower, upper } => {
                (column, Condition::Range { lower, upper })
            }
            Predicate::Term { column, values } if !values.is_empty() => {
                (column, Condition::In(values))
            }
            Predicate::Match { column, pattern } => (column, Condition::Match(Matcher(pattern))),
            Predicate::Contains { column, op, elements } if !elements.is_empty() => {
                (column, Condition::Contains { op: *op, elements })
            }
            Predicate::IsNull(column) => (column, Condition::IsNull),
            Predicate::Exists(column) => (column, Condition::Exists),
            Predicate::Spatial { column, test } => (column, Condition::Spatial(test.extent()?)),
            Predicate::Constant(_)
            | Predicate::Term { .. }
            | Predicate::Contains { .. }
            | Predicate::Arith { .. }
            | Predicate::ArrayLength { .. }
            | Predicate::Fields { .. }
            | Predicate::Not(_)
            | Predicate::And(_)
            | Predicate::Or(_)
            | Predicate::TextMatch { .. }
            | Predicate::PhraseMatch { .. }
            | Predicate::RandomSample { .. }
            | Predicate::ElementFilter { .. }
            | Predicate::MatchElements { .. }
            | Predicate::StartsWith { .. }
            | Predicate::Timestamptz { .. } => return None,
        };
        Self::at(column, condition)
    }

    fn at(column: &'p Column, condition: Condition<'p>) -> Option<Self> {
        (!column.is_element).then(|| Self {
            field: column.field,
            data_type: column.data_type,
            element_type: column.element_type,
            path: &column.path,
            is_dynamic: column.is_dynamic,
            condition,
        })
    }
}
