//! `and`, `or`, `not` and the other operators before an operand.

use crate::ast::{CompareOp, Expr, Node, UnaryOp};
use crate::error::{PlanError, TypeError};
use crate::literal::Literal;
use crate::predicate::Predicate;

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
        (left, Predicate::RandomSample { factor, .. }) => {
            Predicate::RandomSample { factor, predicate: Some(Box::new(left)) }
        }
        (left, Predicate::ElementFilter { field, element, .. }) if is_and => {
            Predicate::ElementFilter { field, element, predicate: Some(Box::new(left)) }
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

/// The negation of `predicate`, not doubled.
pub(super) fn not(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::Constant(value) => Predicate::Constant(!value),
        Predicate::Not(inner) => *inner,
        other => Predicate::Not(Box::new(other)),
    }
}

/// The same condition without constants inside, equalities of one column in an `or` as one `in`.
pub(super) fn simplify(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::Not(child) => not(simplify(*child)),
        Predicate::And(children) => chain(true, children),
        Predicate::Or(children) => chain(false, children),
        other => other,
    }
}

fn chain(is_and: bool, children: Vec<Predicate>) -> Predicate {
    let mut kept = Vec::with_capacity(children.len());
    for child in children {
        match simplify(child) {
            Predicate::Constant(value) if value == is_and => {}
            Predicate::Constant(value) => return Predicate::Constant(value),
            Predicate::And(inner) if is_and => kept.extend(inner),
            Predicate::Or(inner) if !is_and => kept.extend(inner),
            child => kept.push(child),
        }
    }
    if !is_and {
        kept = merge_equalities(kept);
    }
    match (kept.len(), is_and) {
        (0, is_and) => Predicate::Constant(is_and),
        (1, _) => kept.pop().unwrap_or(Predicate::Constant(is_and)),
        (_, true) => Predicate::And(kept),
        (_, false) => Predicate::Or(kept),
    }
}

fn merge_equalities(children: Vec<Predicate>) -> Vec<Predicate> {
    let mut merged: Vec<Predicate> = Vec::with_capacity(children.len());
    let mut last_term: Option<usize> = None;
    for child in children {
        let (column, value) = match child {
            Predicate::Compare { column, op: CompareOp::Equal, value } if !column.is_json() => {
                (column, value)
            }
            other => {
                merged.push(other);
                continue;
            }
        };
        if let Some(Predicate::Term { column: same, values }) =
            last_term.and_then(|at| merged.get_mut(at))
            && *same == column
        {
            values.push(value);
            continue;
        }
        last_term = Some(merged.len());
        merged.push(Predicate::Term { column, values: vec![value] });
    }
    for predicate in &mut merged {
        if let Predicate::Term { column, values } = predicate
            && let [value] = values.as_slice()
        {
            let (column, value) = (column.clone(), value.clone());
            *predicate = Predicate::Compare { column, op: CompareOp::Equal, value };
        }
    }
    merged
}
