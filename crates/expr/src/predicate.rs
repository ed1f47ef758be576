//! The typed plan: conditions whose operands are known columns and cast constants.
//!
//! Every construct of the grammar has a node. [`Predicate::unsupported`] names the first one that
//! evaluation does not know yet, so that a plan that is handed out can always run.

use std::fmt;

use milvus_types::DataType;
use milvus_values::timestamptz::Interval;

use crate::ast::{ArithOp, CompareOp, ContainsOp, Quantifier};
use crate::column::Column;
use crate::error::NotSupported;
use crate::eval::Spatial;
use crate::literal::Literal;
use crate::pattern::Pattern;

/// A condition on a row.
#[derive(Clone, Debug)]
pub(crate) enum Predicate {
    Constant(bool),
    Compare {
        column: Column,
        op: CompareOp,
        value: Literal,
    },
    Range {
        column: Column,
        lower: Bound,
        upper: Bound,
    },
    Term {
        column: Column,
        values: Vec<Literal>,
    },
    Arith {
        column: Column,
        arith: ArithOp,
        operand: Literal,
        op: CompareOp,
        value: Literal,
    },
    ArrayLength {
        column: Column,
        op: CompareOp,
        value: Literal,
    },
    Fields {
        left: Column,
        op: CompareOp,
        right: Column,
    },
    Match {
        column: Column,
        pattern: Pattern,
    },
    IsNull(Column),
    Exists(Column),
    Contains {
        column: Column,
        op: ContainsOp,
        elements: Vec<Literal>,
    },
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    TextMatch {
        column: Column,
        query: Box<str>,
        minimum: Option<i64>,
    },
    PhraseMatch {
        column: Column,
        query: Box<str>,
        slop: i64,
    },
    RandomSample {
        factor: f64,
        seed: u64,
        predicate: Option<Box<Self>>,
    },
    ElementFilter {
        field: Box<str>,
        /// The sub-field that says how many elements a row has.
        first: Column,
        element: Box<Self>,
        predicate: Option<Box<Self>>,
    },
    MatchElements {
        quantifier: Quantifier,
        field: Box<str>,
        first: Column,
        element: Box<Self>,
        threshold: i64,
    },
    Spatial {
        column: Column,
        test: Spatial,
    },
    /// `column + interval op time`; an interval of one length is within `time` already.
    Timestamptz {
        column: Column,
        interval: Interval,
        op: CompareOp,
        time: i64,
    },
    StartsWith {
        text: Operand,
        prefix: Column,
    },
}

/// A constant string or a column of them.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Text(Box<str>),
    Column(Column),
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The value at the end.
    pub value: Literal,
    /// Whether the value itself is within.
    pub inclusive: bool,
}

impl Predicate {
    /// The first part that evaluation does not know yet.
    pub(crate) fn unsupported(&self) -> Option<NotSupported> {
        let refuse = |what: &str| Some(NotSupported { what: what.to_owned() });
        match self {
            Self::Constant(_) => None,
            Self::Compare { column, .. }
            | Self::Range { column, .. }
            | Self::Term { column, .. }
            | Self::Arith { column, .. }
            | Self::Match { column, .. }
            | Self::Exists(column) => unsupported_column(column, false),
            Self::ArrayLength { column, .. } | Self::Contains { column, .. } => {
                unsupported_column(column, true)
            }
            // Validity is read off any column, vectors excepted at type checking.
            Self::IsNull(_) => None,
            Self::Fields { left, right, .. } => {
                unsupported_column(left, false).or_else(|| unsupported_column(right, false))
            }
            Self::Not(child) => child.unsupported(),
            Self::And(children) | Self::Or(children) => children.iter().find_map(Self::unsupported),
            Self::TextMatch { .. } => refuse("text_match"),
            Self::PhraseMatch { .. } => refuse("phrase_match"),
            Self::RandomSample { predicate, .. } => {
                predicate.as_ref().and_then(|predicate| predicate.unsupported())
            }
            Self::ElementFilter { element, predicate, .. } => {
                let of_rows = predicate.as_ref().and_then(|predicate| predicate.unsupported());
                of_rows.or_else(|| element.unsupported())
            }
            Self::MatchElements { element, .. } => element.unsupported(),
            Self::Spatial { .. } | Self::Timestamptz { .. } | Self::StartsWith { .. } => None,
        }
    }

    /// Calls `visit` with every column the condition reads.
    pub(crate) fn visit_columns(&self, visit: &mut impl FnMut(&Column)) {
        match self {
            Self::Constant(_) => {}
            Self::StartsWith { text, prefix } => {
                if let Operand::Column(column) = text {
                    visit(column);
                }
                visit(prefix);
            }
            Self::Compare { column, .. }
            | Self::Range { column, .. }
            | Self::Term { column, .. }
            | Self::Arith { column, .. }
            | Self::ArrayLength { column, .. }
            | Self::Match { column, .. }
            | Self::Contains { column, .. }
            | Self::TextMatch { column, .. }
            | Self::PhraseMatch { column, .. }
            | Self::Spatial { column, .. }
            | Self::Timestamptz { column, .. }
            | Self::Exists(column)
            | Self::IsNull(column) => visit(column),
            Self::Fields { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Self::Not(child) => child.visit_columns(visit),
            Self::And(children) | Self::Or(children) => {
                for child in children {
                    child.visit_columns(visit);
                }
            }
            Self::RandomSample { predicate, .. } => {
                if let Some(predicate) = predicate {
                    predicate.visit_columns(visit);
                }
            }
            Self::ElementFilter { first, element, predicate, .. } => {
                visit(first);
                element.visit_columns(visit);
                if let Some(predicate) = predicate {
                    predicate.visit_columns(visit);
                }
            }
            Self::MatchElements { first, element, .. } => {
                visit(first);
                element.visit_columns(visit);
            }
        }
    }
}

/// Refuses a column whose values cannot be tested; `whole` is for tests of arrays as such.
fn unsupported_column(column: &Column, whole: bool) -> Option<NotSupported> {
    let evaluated = match column.value_type() {
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float
        | DataType::Double
        | DataType::String
        | DataType::VarChar
        | DataType::Timestamptz => true,
        DataType::JSON => !column.is_element,
        DataType::Array => !column.is_element,
        DataType::ArrayOfVector => whole,
        DataType::Geometry
        | DataType::Text
        | DataType::BinaryVector
        | DataType::FloatVector
        | DataType::Float16Vector
        | DataType::BFloat16Vector
        | DataType::SparseFloatVector
        | DataType::Int8Vector
        | DataType::ArrayOfStruct
        | DataType::Struct => false,
    };
    (!evaluated).then(|| NotSupported {
        what: format!("filter on {} field {}", column.data_type.name(), column.name),
    })
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => value.fmt(f),
            Self::Compare { column, op, value } => write!(f, "{column} {} {value}", op.symbol()),
            Self::Range { column, lower, upper } => {
                let symbol = |bound: &Bound| if bound.inclusive { "<=" } else { "<" };
                let (low, high) = (symbol(lower), symbol(upper));
                write!(f, "{} {low} {column} {high} {}", lower.value, upper.value)
            }
            Self::Term { column, values } => {
                write!(f, "{column} in {}", Elements(values))
            }
            Self::Arith { column, arith, operand, op, value } => {
                write!(f, "{column} {} {operand} {} {value}", arith.symbol(), op.symbol())
            }
            Self::ArrayLength { column, op, value } => {
                write!(f, "array_length({column}) {} {value}", op.symbol())
            }
            Self::Fields { left, op, right } => write!(f, "{left} {} {right}", op.symbol()),
            Self::Match { column, pattern } => write!(f, "{column} {pattern}"),
            Self::IsNull(column) => write!(f, "{column} is null"),
            Self::Exists(column) => write!(f, "exists {column}"),
            Self::Contains { column, op, elements } => {
                write!(f, "{}({column}, {})", op.name(), Elements(elements))
            }
            Self::Not(child) => write!(f, "not ({child})"),
            Self::And(children) => Joined(children, " and ").fmt(f),
            Self::Or(children) => Joined(children, " or ").fmt(f),
            Self::TextMatch { column, query, minimum } => {
                write!(f, "text_match({column}, {query:?}, {})", minimum.unwrap_or(1))
            }
            Self::PhraseMatch { column, query, slop } => {
                write!(f, "phrase_match({column}, {query:?}, {slop})")
            }
            Self::RandomSample { factor, predicate, .. } => {
                write!(f, "random_sample({factor})")?;
                predicate.as_ref().map_or(Ok(()), |predicate| write!(f, " of ({predicate})"))
            }
            Self::ElementFilter { field, element, predicate, .. } => {
                write!(f, "element_filter({field}, {element})")?;
                predicate.as_ref().map_or(Ok(()), |predicate| write!(f, " of ({predicate})"))
            }
            Self::MatchElements { quantifier, field, element, threshold, .. } => {
                write!(f, "{}({field}, {element}, {threshold})", quantifier.name())
            }
            Self::Spatial { column, test } => write!(f, "{column} {test}"),
            Self::Timestamptz { column, interval, op, time } => {
                let Interval { years, months, days, hours, minutes, seconds } = interval;
                write!(f, "{column} + P{years}Y{months}M{days}DT{hours}H{minutes}M{seconds}S")?;
                write!(f, " {} {time}", op.symbol())
            }
            Self::StartsWith { text: Operand::Column(column), prefix } => {
                write!(f, "starts_with({column}, {prefix})")
            }
            Self::StartsWith { text: Operand::Text(text), prefix } => {
                write!(f, "starts_with({text:?}, {prefix})")
            }
        }
    }
}

struct Elements<'a>(&'a [Literal]);

impl fmt::Display for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements: Vec<_> = self.0.iter().map(Literal::to_string).collect();
        write!(f, "[{}]", elements.join(", "))
    }
}

struct Joined<'a>(&'a [Predicate], &'a str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, child) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(self.1)?;
            }
            child.fmt(f)?;
        }
        f.write_str(")")
    }
}
