//! Type checking: from the syntax tree to the typed plan of one schema.
//!
//! Follows Milvus's visitor node by node, since what it accepts and how it refuses is what users
//! know. Constants are folded on the way and template variables replaced by their values.
#![expect(clippy::wildcard_enum_match_arm, reason = "what a rule does not name it refuses")]

mod compare;
mod constant;
mod function;
mod json;
mod logic;
mod matching;
mod term;
mod typed;

use milvus_types::CollectionSchema;

use crate::ast::{BinaryOp, Expr, Node, Parsed};
use crate::column;
use crate::error::{NotBoolean, PlanError, TemplateError, TypeError};
use crate::literal::{self, Literal};
use crate::plan::PlanOptions;
use crate::predicate::Predicate;
use crate::template::{self, Templates};

use typed::{Typed, type_name};

type Result<T, E = PlanError> = std::result::Result<T, E>;

/// The typed condition that `parsed` means under `schema`.
pub(crate) fn check(
    parsed: &Parsed<'_>,
    text: &str,
    schema: &CollectionSchema,
    templates: &Templates,
    options: &PlanOptions,
) -> Result<Predicate> {
    let mut checker = Checker { parsed, schema, templates, options, outer: None };
    match checker.visit(&parsed.root)? {
        Typed::Predicate(predicate) => Ok(predicate),
        Typed::Literal(Literal::Bool(value)) => Ok(Predicate::Constant(value)),
        other => Err(not_boolean(text, &other).into()),
    }
}

fn not_boolean(text: &str, typed: &Typed) -> NotBoolean {
    NotBoolean { expression: text.to_owned(), data_type: type_name(typed.data_type()) }
}

struct Checker<'e, 'a> {
    parsed: &'e Parsed<'a>,
    schema: &'e CollectionSchema,
    templates: &'e Templates,
    options: &'e PlanOptions,
    /// The function and the struct array whose elements are being filtered.
    outer: Option<(&'static str, &'a str)>,
}

impl<'e, 'a> Checker<'e, 'a> {
    fn visit(&mut self, expr: &'e Expr<'a>) -> Result<Typed> {
        Ok(match &expr.node {
            Node::Integer(text) => Typed::Literal(Literal::Int64(literal::integer(text)?)),
            Node::Floating(text) => Typed::Literal(Literal::Double(literal::floating(text)?)),
            Node::Boolean(value) => Typed::Literal(Literal::Bool(*value)),
            Node::String(token) => Typed::Literal(Literal::VarChar(literal::string(token)?)),
            Node::Template(name) => Typed::Template((*name).into()),
            Node::Array(elements) => Typed::Literal(self.array(elements)?),
            Node::Identifier(_)
            | Node::JsonIdentifier(_)
            | Node::StructField(_)
            | Node::StructIndexField(_)
            | Node::StructSubField(_) => Typed::Column(self.column(expr)?),
            Node::Unary(op, operand) => self.unary(*op, operand)?,
            Node::And(operands) => self.logic(true, operands)?,
            Node::Or(operands) => self.logic(false, operands)?,
            Node::Binary(op, operands) => self.binary(expr, *op, operands)?,
            Node::Range(ops, operands) => Typed::Predicate(self.range(*ops, operands)?),
            Node::Exists(operand) => Typed::Predicate(self.exists(operand)?),
            Node::IsNull { subject, negated } => {
                Typed::Predicate(self.is_null(expr, subject, *negated)?)
            }
            Node::Contains { op, operands } => Typed::Predicate(self.contains(*op, operands)?),
            Node::ArrayLength(subject) => self.array_length(expr, subject)?,
            Node::Timestamptz(_)
            | Node::TextMatch { .. }
            | Node::PhraseMatch { .. }
            | Node::RandomSample(_)
            | Node::ElementFilter { .. }
            | Node::Match { .. }
            | Node::Spatial { .. }
            | Node::DWithin { .. }
            | Node::IsValid { .. }
            | Node::Call { .. } => Typed::Predicate(self.function(expr)?),
        })
    }

    fn binary(
        &mut self,
        expr: &'e Expr<'a>,
        op: BinaryOp,
        operands: &'e [Expr<'a>; 2],
    ) -> Result<Typed> {
        let text = || self.parsed.text(expr);
        let refused = |op| TypeError::BitOperation { op, text: text() };
        Ok(match op {
            BinaryOp::Arith(op) => self.arith(op, operands)?,
            BinaryOp::Compare(op) => self.compare(expr, op, operands)?,
            BinaryOp::Power => self.power(expr, operands)?,
            BinaryOp::In { negated } => Typed::Predicate(self.term(negated, operands)?),
            BinaryOp::Like => Typed::Predicate(self.like(operands)?),
            BinaryOp::Regex { negated } => Typed::Predicate(self.regex(negated, operands)?),
            BinaryOp::Shift => return Err(refused("shift").into()),
            BinaryOp::BitAnd => return Err(refused("BitAnd").into()),
            BinaryOp::BitXor => return Err(refused("BitXor").into()),
            BinaryOp::BitOr => return Err(refused("BitOr").into()),
        })
    }

    fn array(&mut self, elements: &'e [Expr<'a>]) -> Result<Literal> {
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            match self.visit(element)? {
                Typed::Literal(value) => values.push(value),
                _ => {
                    let got = self.parsed.text(element);
                    return Err(TypeError::ArrayElement { got }.into());
                }
            }
        }
        Ok(Literal::Array(values))
    }

    /// The column that a field or path node means.
    fn column(&self, expr: &Expr<'a>) -> Result<column::Column, TypeError> {
        match expr.node {
            Node::Identifier(name) => column::identifier(self.schema, name, false),
            Node::JsonIdentifier(path) => column::json_identifier(self.schema, path),
            Node::StructField(name) => column::struct_field(self.schema, name),
            Node::StructIndexField(name) => column::struct_index_field(self.schema, name),
            Node::StructSubField(name) => {
                column::struct_sub_field(self.schema, name, self.outer.map(|(_, field)| field))
            }
            _ => Err(TypeError::InvalidIdentifier { identifier: self.parsed.text(expr) }),
        }
    }

    /// The value of variable `name`, `missing` if there is none.
    fn template(&self, name: &str, missing: fn(String) -> TemplateError) -> Result<Literal> {
        Ok(template::find(self.templates, name)?.ok_or_else(|| missing(name.to_owned()))?)
    }
}

fn not_found(name: String) -> TemplateError {
    TemplateError::NotFound { name }
}

/// A type error in a template's value, which Milvus reports without the expression.
fn in_template(error: TypeError) -> PlanError {
    TemplateError::Type(Box::new(error)).into()
}
