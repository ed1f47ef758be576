//! `and`, `or`, `not` and the other operators before an operand.

use crate::ast::{Expr, Node, UnaryOp};
use crate::error::{PlanError, TypeError};
use crate::literal::Literal;
use crate::predicate::Predicate;
use crate::rewrite::not;

use super::typed::Typed;
use super::{Checker, Result};

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn unary(&mut self, op: UnaryOp, operand: &'e Expr<'a>) -> Result<Typed> {
        let child = match self.visit(operand) {
            Err(PlanError::Type(TypeError::Int64Overflow { .. }))
                if op == UnaryOp::Minus && matches!(operand.node, Node::Integer(_)) =>
            {
                return Ok(Typed::Literal(Literal::Int64(i64::MIN)));
            }
            child => child?,
        };
        if let Typed::Literal(value) = &child {
            let value = self.unary_constant(op, value, operand)?;
            return Ok(Typed::Literal(value));
        }
        match &child {
            Typed::Predicate(Predicate::RandomSample { .. }) => {
                return Err(TypeError::RandomSamplePlace { place: "unary" }.into());
            }
            Typed::Predicate(Predicate::ElementFilter { .. }) => {
                return Err(TypeError::ElementFilterInUnary.into());
            }
            child => child.refuse_whole_array()?,
        }
        match (op, child) {
            (UnaryOp::Plus, child) => Ok(child),
            (UnaryOp::Not, Typed::Predicate(child)) => Ok(Typed::Predicate(not(child))),
            (UnaryOp::Not, _) => Err(TypeError::NotOfValue.into()),
            (op, _) => Err(TypeError::UnexpectedOp { op: op.symbol() }.into()),
        }
    }

    fn unary_constant(
        &self,
        op: UnaryOp,
        value: &Literal,
        operand: &Expr<'a>,
    ) -> Result<Literal, TypeError> {
        Ok(match (op, value) {
            (UnaryOp::Plus, value) => value.clone(),
            (UnaryOp::Minus, Literal::Int64(value)) => Literal::Int64(value.wrapping_neg()),
            (UnaryOp::Minus, Literal::Double(value)) => Literal::Double(-value),
            (UnaryOp::Minus, _) => {
                let text = format!("-{}", self.parsed.text(operand));
                return Err(TypeError::Unsupported { text });
            }
            (UnaryOp::Not, Literal::Bool(value)) => Literal::Bool(!value),
            (UnaryOp::Not, _) => return Err(TypeError::ConstantLogic { op: "not" }),
            (UnaryOp::BitNot, _) => return Err(TypeError::UnexpectedOp { op: "~" }),
        })
    }

    /// A chain of `and`, or of `or`, taken from the left as Milvus does.
    pub(super) fn logic(&mut self, is_and: bool, operands: &'e [Expr<'a>]) -> Result<Typed> {
        let mut chain: Option<Typed> = None;
        for operand in operands {
            let right = self.visit(operand)?;
            chain = Some(match chain {
                None => right,
                Some(left) => join(is_and, left, right)?,
            });
        }
        Ok(chain.unwrap_or(Typed::Predicate(Predicate::Constant(is_and))))
    }
}

fn join(is_and: bool, left: Typed, right: Typed) -> Result<Typed, TypeError> {
    let op = if is_and { "and" } else { "or" };
    let (constant, other) = match (left, right) {
        (Typed::Literal(Literal::Bool(left)), Typed::Literal(Literal::Bool(right))) => {
            let value = if is_and { left && right } else { left || right };
            return Ok(Typed::Literal(Literal::Bool(value)));
        }
        (Typed::Literal(_), Typed::Literal(_)) => return Err(TypeError::ConstantLogic { op }),
        (Typed::Literal(constant), other) | (other, Typed::Literal(constant)) => (constant, other),
        (left, right) => return join_conditions(is_and, left, right),
    };
    match (constant, other) {
        (Literal::Bool(constant), _) if constant != is_and => {
            Ok(Typed::Predicate(Predicate::Constant(constant)))
        }
        (Literal::Bool(_), other @ Typed::Predicate(_)) => Ok(other),
        _ => Err(TypeError::LogicOfValues { op }),
    }
}

fn join_conditions(is_and: bool, left: Typed, right: Typed) -> Result<Typed, TypeError> {
    let op = if is_and { "and" } else { "or" };
    let is_sample =
        |typed: &Typed| matches!(typed, Typed::Predicate(Predicate::RandomSample { .. }));
    if is_and && is_sample(&left) {
        return Err(TypeError::RandomSampleNotLast);
    }
    if !is_and && (is_sample(&left) || is_sample(&right)) {
        return Err(TypeError::RandomSamplePlace { place: "logical and" });
    }
    if matches!(left, Typed::Predicate(Predicate::ElementFilter { .. })) {
        return Err(TypeError::ElementFilterNotLast { op });
    }
    let (Typed::Predicate(left), Typed::Predicate(right)) = (left, right) else {
        return Err(TypeError::LogicOfValues { op });
    };
    Ok(Typed::Predicate(match (left, right) {
        (left, Predicate::RandomSample { factor, seed, .. }) => {
            Predicate::RandomSample { factor, seed, predicate: Some(Box::new(left)) }
        }
        (left, Predicate::ElementFilter { field, first, element, .. }) if is_and => {
            Predicate::ElementFilter { field, first, element, predicate: Some(Box::new(left)) }
        }
        (Predicate::And(mut all), right) if is_and => {
            all.push(right);
            Predicate::And(all)
        }
        (Predicate::Or(mut all), right) if !is_and => {
            all.push(right);
            Predicate::Or(all)
        }
        (left, right) if is_and => Predicate::And(vec![left, right]),
        (left, right) => Predicate::Or(vec![left, right]),
    }))
}
