//! Tests of Bool columns: a truth table of two rows.

use arrow::array::{ArrayRef, AsArray, BooleanArray};

use crate::ast::CompareOp;
use crate::error::EvaluateError;
use crate::literal::Literal;

use super::Test;
use super::bits::Bits;
use super::columns::Source;

/// Whether `false` and `true` pass.
#[derive(Debug)]
pub(super) struct BoolTest {
    of_false: bool,
    of_true: bool,
}

impl BoolTest {
    pub(super) fn new(test: &Test<'_>) -> Self {
        let passes = |value: bool| match test {
            Test::Compare(op, literal) => compare(*op, value, literal),
            Test::Range(lower, upper) => {
                let (above, below) = (bound(lower.inclusive), bound(upper.inclusive));
                compare(above.reversed(), value, &lower.value)
                    && compare(below, value, &upper.value)
            }
            Test::Term(literals) => {
                literals.iter().any(|literal| compare(CompareOp::Equal, value, literal))
            }
        };
        Self { of_false: passes(false), of_true: passes(true) }
    }

    pub(super) fn bits(&self, source: &Source, array: &ArrayRef) -> Result<Bits, EvaluateError> {
        let bools: &BooleanArray = array.as_boolean_opt().ok_or_else(|| source.mismatch(array))?;
        Ok(match (self.of_false, self.of_true) {
            (false, true) => Bits::from_bools(bools),
            (true, false) => Bits::from_bools(bools).not(),
            (both, _) => Bits::filled(bools.len(), both),
        })
    }
}

fn bound(inclusive: bool) -> CompareOp {
    if inclusive { CompareOp::LessEqual } else { CompareOp::Less }
}

fn compare(op: CompareOp, value: bool, literal: &Literal) -> bool {
    match literal {
        Literal::Bool(literal) => op.holds(Some(value.cmp(literal))),
        Literal::Int64(_) | Literal::Double(_) | Literal::VarChar(_) | Literal::Array(_) => false,
    }
}
