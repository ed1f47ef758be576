//! What a filter says of one field in every row that passes: the values it must have one of.
//!
//! Partition keys are pruned and isolated by it.

use milvus_types::{FieldId, Value};

use crate::ast::CompareOp;
use crate::column::Column;
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::predicate::Predicate;

/// The values, without repetition; `None` if nothing is known.
pub(crate) fn values(predicate: &Predicate, field: FieldId) -> Option<Vec<Value>> {
    let mut values = literals(predicate, field)?;
    let mut kept: Vec<Value> = Vec::with_capacity(values.len());
    for value in values.drain(..).filter_map(value) {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    Some(kept)
}

fn literals(predicate: &Predicate, field: FieldId) -> Option<Vec<Literal>> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of no other condition anything is known")]
    match predicate {
        Predicate::Constant(false) => Some(Vec::new()),
        Predicate::Compare { column, op: CompareOp::Equal, value } if is(column, field) => {
            Some(vec![value.clone()])
        }
        Predicate::Term { column, values } if is(column, field) => Some(values.clone()),
        Predicate::And(children) => {
            let mut known = children.iter().filter_map(|child| literals(child, field));
            let first = known.next()?;
            Some(known.fold(first, |kept, other| {
                kept.into_iter().filter(|value| other.contains(value)).collect()
            }))
        }
        Predicate::Or(children) => {
            let each: Option<Vec<_>> =
                children.iter().map(|child| literals(child, field)).collect();
            Some(each?.concat())
        }
        Predicate::RandomSample { predicate: Some(predicate), .. }
        | Predicate::ElementFilter { predicate: Some(predicate), .. } => literals(predicate, field),
        _ => None,
    }
}

/// Whether rows that pass have one value of the field; the name of what may not be said of it.
pub(crate) fn isolates(predicate: &Predicate, field: FieldId) -> Result<bool, &'static str> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other conditions say nothing of a key")]
    match predicate {
        Predicate::Compare { column, op, .. } if is(column, field) => match op {
            CompareOp::Equal => Ok(true),
            CompareOp::NotEqual => Err("NotEqual"),
            CompareOp::Less => Err("LessThan"),
            CompareOp::LessEqual => Err("LessEqual"),
            CompareOp::Greater => Err("GreaterThan"),
            CompareOp::GreaterEqual => Err("GreaterEqual"),
        },
        Predicate::Term { column, values } if is(column, field) => {
            if values.len() == 1 {
                Ok(true)
            } else {
                Err("IN")
            }
        }
        Predicate::Range { column, .. } if is(column, field) => Err("BinaryRange"),
        Predicate::Match { column, pattern } if is(column, field) => Err(match pattern {
            Pattern::Exact(_) => return Ok(true),
            Pattern::Prefix(_) => "PrefixMatch",
            Pattern::Suffix(_) => "PostfixMatch",
            Pattern::Contains(_) => "InnerMatch",
            Pattern::Wildcards(_) => "Match",
            Pattern::Regex(_) => "RegexMatch",
        }),
        Predicate::And(children) => any_isolates(children, field),
        Predicate::Or(children) => match any_isolates(children, field)? {
            true => Err("OR"),
            false => Ok(false),
        },
        Predicate::Not(child) => match isolates(child, field)? {
            true => Err("NOT"),
            false => Ok(false),
        },
        Predicate::RandomSample { predicate: Some(predicate), .. }
        | Predicate::ElementFilter { predicate: Some(predicate), .. } => isolates(predicate, field),
        _ => Ok(false),
    }
}

fn any_isolates(children: &[Predicate], field: FieldId) -> Result<bool, &'static str> {
    children.iter().try_fold(false, |found, child| Ok(isolates(child, field)? || found))
}

/// Whether `column` is the whole of `field`.
fn is(column: &Column, field: FieldId) -> bool {
    column.field == field && column.path.is_empty() && !column.is_element
}

fn value(literal: Literal) -> Option<Value> {
    Some(match literal {
        Literal::Bool(value) => Value::Bool(value),
        Literal::Int64(value) => Value::Int64(value),
        Literal::Double(value) => Value::Double(value),
        Literal::VarChar(value) => Value::VarChar(value.into()),
        Literal::Array(_) => return None,
    })
}
