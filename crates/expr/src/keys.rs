//! What a filter says of one field in every row that passes: the values it must have one of.
//!
//! Partition keys are pruned and isolated by it.

use milvus_types::{FieldId, Value};

use crate::ast::CompareOp;
use crate::column::Column;
use crate::literal::Literal;
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

/// How many equalities of the field must hold in every row that passes.
pub(crate) fn equalities(predicate: &Predicate, field: FieldId) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other condition is an equality")]
    match predicate {
        Predicate::Compare { column, op: CompareOp::Equal, .. } => is(column, field).into(),
        Predicate::Term { column, values } => (is(column, field) && values.len() == 1).into(),
        Predicate::And(children) => children.iter().map(|child| equalities(child, field)).sum(),
        Predicate::RandomSample { predicate: Some(predicate), .. }
        | Predicate::ElementFilter { predicate: Some(predicate), .. } => {
            equalities(predicate, field)
        }
        _ => 0,
    }
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
