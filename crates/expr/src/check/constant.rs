//! Folding of constants: what an operator makes of two literals.

use std::cmp::Ordering;

use crate::ast::{ArithOp, CompareOp};
use crate::error::TypeError;
use crate::literal::Literal;

/// Doubles nearer to each other than this are equal, if both are constants.
const EPSILON: f64 = 1e-10;

/// `left op right`.
pub(super) fn arith(op: ArithOp, left: &Literal, right: &Literal) -> Result<Literal, TypeError> {
    let refused = |kind| TypeError::ConstantArithmetic { op: op.name(), kind };
    if let (Literal::Int64(left), Literal::Int64(right)) = (left, right) {
        return integers(op, *left, *right).map(Literal::Int64);
    }
    if op == ArithOp::Modulo {
        return Err(TypeError::ConstantModulo);
    }
    let either = |wanted: fn(&Literal) -> bool| wanted(left) || wanted(right);
    if either(|value| matches!(value, Literal::Bool(_))) {
        return Err(refused("bool"));
    }
    if either(|value| matches!(value, Literal::VarChar(_))) {
        return Err(refused("string"));
    }
    let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else {
        return Err(refused("array"));
    };
    Ok(Literal::Double(match op {
        ArithOp::Add => left + right,
        ArithOp::Subtract => left - right,
        ArithOp::Multiply => left * right,
        ArithOp::Divide if right == 0.0 => return Err(TypeError::ConstantDivideByZero),
        ArithOp::Divide => left / right,
        ArithOp::Modulo => return Err(TypeError::ConstantModulo),
    }))
}

fn integers(op: ArithOp, left: i64, right: i64) -> Result<i64, TypeError> {
    Ok(match op {
        ArithOp::Add => left.wrapping_add(right),
        ArithOp::Subtract => left.wrapping_sub(right),
        ArithOp::Multiply => left.wrapping_mul(right),
        ArithOp::Divide if right == 0 => return Err(TypeError::ConstantDivideByZero),
        ArithOp::Divide => left.wrapping_div(right),
        ArithOp::Modulo if right == 0 => return Err(TypeError::ConstantModuloByZero),
        ArithOp::Modulo => left.wrapping_rem(right),
    })
}

/// `left ** right`, `None` if one of them is no number.
pub(super) fn power(left: &Literal, right: &Literal) -> Option<Literal> {
    let value = left.as_f64()?.powf(right.as_f64()?);
    if let (Literal::Int64(_), Literal::Int64(0..)) = (left, right)
        && value.abs() <= i64::MAX as f64
    {
        #[expect(clippy::cast_possible_truncation, reason = "the magnitude was just compared")]
        return Some(Literal::Int64(value as i64));
    }
    Some(Literal::Double(value))
}

/// `left op right`, `None` if the two cannot be compared.
pub(super) fn compare(op: CompareOp, left: &Literal, right: &Literal) -> Option<bool> {
    let ordering = match (left, right) {
        (Literal::Bool(left), Literal::Bool(right)) => {
            matches!(op, CompareOp::Equal | CompareOp::NotEqual).then(|| left.cmp(right))?
        }
        (Literal::VarChar(left), Literal::VarChar(right)) => left.cmp(right),
        (Literal::Int64(left), Literal::Int64(right)) => left.cmp(right),
        (left, right) => {
            let (left, right) = (left.as_f64()?, right.as_f64()?);
            let equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
            if equality && (left - right).abs() < EPSILON {
                Ordering::Equal
            } else {
                left.partial_cmp(&right)?
            }
        }
    };
    Some(op.holds(Some(ordering)))
}
