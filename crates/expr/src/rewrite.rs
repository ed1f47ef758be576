//! Rewrites that never change a result: fewer conditions, each cheaper.
//!
//! Chains of `and` and `or` are flattened and rid of constants. In an `or`, equalities and lists of
//! one column become one list; in an `and`, inequalities of one column become the negation of one
//! list, and a lower and an upper end become one range. None of this touches which rows are unknown:
//! conditions on one column are unknown in the same rows, those where it is null.
//!
//! Not here: the order of conditions, which is evaluation's.
#![expect(clippy::wildcard_enum_match_arm, reason = "what no rewrite names stays as it is")]

use crate::ast::CompareOp;
use crate::column::Column;
use crate::literal::Literal;
use crate::predicate::{Bound, Predicate};

/// The same condition, rewritten.
pub(crate) fn rewrite(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::Not(child) => not(rewrite(*child)),
        Predicate::And(children) => chain(true, children),
        Predicate::Or(children) => chain(false, children),
        Predicate::RandomSample { factor, seed, predicate } => {
            let predicate = predicate.map(|predicate| Box::new(rewrite(*predicate)));
            Predicate::RandomSample { factor, seed, predicate }
        }
        Predicate::ElementFilter { field, first, element, predicate } => {
            let predicate = predicate.map(|predicate| Box::new(rewrite(*predicate)));
            let element = Box::new(rewrite(*element));
            Predicate::ElementFilter { field, first, element, predicate }
        }
        Predicate::MatchElements { quantifier, field, first, element, threshold } => {
            let element = Box::new(rewrite(*element));
            Predicate::MatchElements { quantifier, field, first, element, threshold }
        }
        other => other,
    }
}

/// The negation of `predicate`, not doubled.
pub(crate) fn not(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::Constant(value) => Predicate::Constant(!value),
        Predicate::Not(inner) => *inner,
        other => Predicate::Not(Box::new(other)),
    }
}

fn chain(is_and: bool, children: Vec<Predicate>) -> Predicate {
    let mut kept = Vec::with_capacity(children.len());
    for child in children {
        match rewrite(child) {
            Predicate::Constant(value) if value == is_and => {}
            Predicate::Constant(value) => return Predicate::Constant(value),
            Predicate::And(inner) if is_and => kept.extend(inner),
            Predicate::Or(inner) if !is_and => kept.extend(inner),
            child => kept.push(child),
        }
    }
    let mut kept =
        if is_and { merge_ends(merge_lists(kept, true)) } else { merge_lists(kept, false) };
    match (kept.len(), is_and) {
        (0, is_and) => Predicate::Constant(is_and),
        (1, _) => kept.pop().unwrap_or(Predicate::Constant(is_and)),
        (_, true) => Predicate::And(kept),
        (_, false) => Predicate::Or(kept),
    }
}

/// Merges equalities and lists of one column; negated ones if `negated`.
fn merge_lists(children: Vec<Predicate>, negated: bool) -> Vec<Predicate> {
    let mut merged = Merged::new(children.len());
    for child in children {
        match listed(child, negated) {
            Ok((column, values)) => match merged.find(&column) {
                Some(Predicate::Term { values: known, .. }) => known.extend(values),
                _ => merged.push(column.clone(), Predicate::Term { column, values }),
            },
            Err(other) => merged.keep(other),
        }
    }
    let mut children = merged.children;
    for (_, at) in merged.open {
        if let Some(child) = children.get_mut(at) {
            *child = relisted(std::mem::replace(child, Predicate::Constant(true)), negated);
        }
    }
    children
}

/// The column and values of an equality or list, or of the negation of one.
fn listed(child: Predicate, negated: bool) -> Result<(Column, Vec<Literal>), Predicate> {
    let equal = if negated { CompareOp::NotEqual } else { CompareOp::Equal };
    match child {
        // Of an element that is not there neither `==` nor `!=` holds, nor of a JSON value that is no
        // list and a list: no list of values says the same.
        Predicate::Compare { column, op, value }
            if op == equal
                && !(negated
                    && (column.is_subscripted() || matches!(value, Literal::Array(_)))) =>
        {
            Ok((column, vec![value]))
        }
        Predicate::Term { column, values } if !negated && !values.is_empty() => {
            Ok((column, values))
        }
        Predicate::Not(inner) if negated => match *inner {
            Predicate::Term { column, values }
                if !values.is_empty() && !column.is_subscripted() =>
            {
                Ok((column, values))
            }
            inner => Err(Predicate::Not(Box::new(inner))),
        },
        other => Err(other),
    }
}

/// What `merge_lists` makes of a list: one value is an equality again.
fn relisted(child: Predicate, negated: bool) -> Predicate {
    match child {
        Predicate::Term { column, mut values } if values.len() == 1 => {
            let op = if negated { CompareOp::NotEqual } else { CompareOp::Equal };
            match values.pop() {
                Some(value) => Predicate::Compare { column, op, value },
                None => Predicate::Constant(negated),
            }
        }
        Predicate::Term { column, values } if negated && !values.is_empty() => {
            not(Predicate::Term { column, values })
        }
        other => other,
    }
}

/// Merges a lower and an upper end of one column into a range.
fn merge_ends(children: Vec<Predicate>) -> Vec<Predicate> {
    let mut merged = Merged::new(children.len());
    for child in children {
        let Predicate::Compare { column, op, value } = child else {
            merged.keep(child);
            continue;
        };
        let (is_lower, inclusive) = match op {
            CompareOp::Greater => (true, false),
            CompareOp::GreaterEqual => (true, true),
            CompareOp::Less => (false, false),
            CompareOp::LessEqual => (false, true),
            CompareOp::Equal | CompareOp::NotEqual => {
                merged.keep(Predicate::Compare { column, op, value });
                continue;
            }
        };
        match merged.find(&column) {
            Some(known) if is_other_end(known, is_lower) => {
                let end = Bound { value, inclusive };
                *known = ranged(std::mem::replace(known, Predicate::Constant(true)), end);
            }
            _ => merged.push(column.clone(), Predicate::Compare { column, op, value }),
        }
    }
    merged.children
}

fn is_other_end(known: &Predicate, is_lower: bool) -> bool {
    match known {
        Predicate::Compare { op: CompareOp::Less | CompareOp::LessEqual, .. } => is_lower,
        Predicate::Compare { op: CompareOp::Greater | CompareOp::GreaterEqual, .. } => !is_lower,
        _ => false,
    }
}

/// The range between the comparison `known` and `end` on its other side.
fn ranged(known: Predicate, end: Bound) -> Predicate {
    let Predicate::Compare { column, op, value } = known else {
        return known;
    };
    let inclusive = matches!(op, CompareOp::LessEqual | CompareOp::GreaterEqual);
    let known = Bound { value, inclusive };
    let (lower, upper) = match op {
        CompareOp::Greater | CompareOp::GreaterEqual => (known, end),
        _ => (end, known),
    };
    Predicate::Range { column, lower, upper }
}

/// Conditions, and where the latest that may be merged with is for each column.
struct Merged {
    children: Vec<Predicate>,
    open: Vec<(Column, usize)>,
}

impl Merged {
    fn new(capacity: usize) -> Self {
        Self { children: Vec::with_capacity(capacity), open: Vec::new() }
    }

    fn keep(&mut self, child: Predicate) {
        self.children.push(child);
    }

    fn push(&mut self, column: Column, child: Predicate) {
        let at = self.children.len();
        self.children.push(child);
        self.open.push((column, at));
    }

    fn find(&mut self, column: &Column) -> Option<&mut Predicate> {
        let (_, at) = self.open.iter().rev().find(|(known, _)| known == column)?;
        self.children.get_mut(*at)
    }
}
